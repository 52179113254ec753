//! Who a node is to its peers.
//!
//! Owns: the authority, certificate and key out of their files, as settings of TLS.
//! Promises: a peer without a certificate of the authority that is good now and not denied is not spoken to, on either
//! side. Who connects shows it each time: no session is taken up again.
//! Refuses to know: addresses.

use super::denied::{Clients, Denied, Servers};
use crate::clock;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Identity {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    good_until: u64,
}

/// How long before its end a certificate is to be renewed, in seconds.
pub const SOON: u64 = 30 * 86_400;
/// The end of the year 9999, in Unix seconds: no certificate is good for longer.
const LAST: u64 = 253_402_300_799;

impl Identity {
    /// Out of files in PEM; an error says which of them, and what is wrong with it.
    /// `denied` is a file of certificates that count no more.
    pub fn load(ca: &Path, cert: &Path, key: &Path, denied: Option<&Path>) -> Result<Self, String> {
        let denied = Denied(denied.map(Path::to_path_buf));
        let mut roots = RootCertStore::empty();
        for one in certificates(ca)? {
            roots.add(one).map_err(|e| format!("{}: {e}", ca.display()))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(cert)?;
        let private = || PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()));
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let wrong = |e: rustls::Error| format!("{}: {e}", cert.display());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| format!("{}: {e}", ca.display()))?;
        // A node that no peer would speak to could still take the lease, and keep all others from writing.
        let now = clock::now().seconds();
        let mut good_until = LAST;
        if let Some((own, between)) = chain.split_first() {
            let good = |at: u64| {
                let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
                verifier.verify_client_cert(own, between, at)
            };
            good(now).map_err(|e| {
                let (cert, ca) = (cert.display(), ca.display());
                format!(
                    "{cert}: {e}: peers take certificates that the authority in {ca} made and that are good now, and \
                     not this one; `tallyhouse keys peers NAME=HOST --renew` makes it anew"
                )
            })?;
            denied.check(own).map_err(|e| format!("{}: {e}: peers are told to deny it", cert.display()))?;
            good_until = last(now, |at| good(at).is_ok());
        }
        let (clients, servers) = (Clients { known: verifier, denied: denied.clone() }, {
            let known = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Servers { known: known.map_err(|e| format!("{}: {e}", ca.display()))?, denied }
        });
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .with_client_cert_verifier(Arc::new(clients))
            .with_single_cert(chain.clone(), private()?)
            .map_err(wrong)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(servers))
            .with_client_auth_cert(chain, private()?)
            .map_err(wrong)?;
        client.resumption = Resumption::disabled();
        Ok(Self { server: Arc::new(server), client: Arc::new(client), good_until })
    }

    /// Until when its certificate is good, in Unix seconds.
    pub fn good_until(&self) -> u64 {
        self.good_until
    }

    /// For whoever listens.
    pub fn server(&self) -> ServerConfig {
        (*self.server).clone()
    }

    pub(super) fn client(&self) -> ClientConfig {
        (*self.client).clone()
    }
}

/// The last second from a good one on at which it is good still.
fn last(from: u64, good: impl Fn(u64) -> bool) -> u64 {
    let (mut good_at, mut bad_at) = (from, LAST + 1);
    while bad_at - good_at > 1 {
        let middle = good_at + (bad_at - good_at) / 2;
        if good(middle) { good_at = middle } else { bad_at = middle }
    }
    good_at
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: rustls::pki_types::pem::Error| format!("{}: {e}", path.display());
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect();
    let all = all.map_err(wrong)?;
    if all.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::super::make;
    use super::*;

    #[test]
    fn a_certificate_of_another_authority_is_refused_at_the_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for folder in ["ours", "theirs"] {
            let made = make(&[("a".to_owned(), vec!["127.0.0.1".to_owned()])], None).expect("made");
            let (cert, key) = &made.nodes[0];
            for (what, text) in [("ca", &made.ca), ("cert", cert), ("key", key)] {
                std::fs::write(path(&format!("{folder}-{what}")), text).expect("written");
            }
        }
        let load = |whose: &str, denied: Option<&Path>| {
            let [cert, key] = ["cert", "key"].map(|what| path(&format!("{whose}-{what}")));
            Identity::load(&path("ours-ca"), &cert, &key, denied)
        };
        load("ours", None).expect("ours");
        let no = load("theirs", None).expect_err("another's");
        assert!(
            no.contains("theirs-cert: ") && no.contains("ours-ca made and that are good now, and not this"),
            "{no}"
        );
        // A list that has it, has another one, is empty, or is not there.
        std::fs::write(path("none"), "").expect("written");
        for (list, denied) in [
            ("none", None),
            ("theirs-cert", None),
            ("ours-cert", Some("Revoked")),
            ("absent", Some("absent")),
        ] {
            let loaded = load("ours", Some(&path(list))).map(drop);
            match denied {
                None => assert_eq!(loaded, Ok(()), "{list}"),
                Some(why) => assert!(loaded.as_ref().is_err_and(|no| no.contains(why)), "{list}: {loaded:?}"),
            }
        }
    }

    #[test]
    fn a_certificate_is_good_for_a_year_and_a_month_and_says_until_when() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let load = |days_ago: u64| {
            let now = clock::now().seconds();
            let then = crate::types::Time::from_seconds(now - days_ago * 86_400).expect("a time");
            let made = super::super::make_at(&[("a".to_owned(), vec!["127.0.0.1".to_owned()])], None, then);
            let made = made.expect("made");
            for (what, text) in [("ca", &made.ca), ("cert", &made.nodes[0].0), ("key", &made.nodes[0].1)] {
                std::fs::write(path(what), text).expect("written");
            }
            let loaded = Identity::load(&path("ca"), &path("cert"), &path("key"), None);
            loaded.map(|identity| identity.good_until().saturating_sub(now) / 86_400)
        };
        // A second or two pass here, and the last day is not whole then.
        assert!((396..=397).contains(&load(0).expect("new")), "{:?}", load(0));
        assert!((17..=18).contains(&load(379).expect("old")), "{:?}", load(379));
        let no = load(398).expect_err("it ran out");
        assert!(no.contains("xpired") && no.contains("--renew"), "{no}");
        assert!(load(0).is_ok_and(|days| days > SOON / 86_400));
    }
}
