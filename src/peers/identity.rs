//! Who a node is to its peers.
//!
//! Owns: the authority, certificate and key out of their files, as settings of TLS.
//! Promises: a peer without a certificate of the authority is not spoken to, on either side.
//! Refuses to know: addresses.

use crate::clock;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
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
}

impl Identity {
    /// Out of files in PEM; an error says which of them, and what is wrong with it.
    pub fn load(ca: &Path, cert: &Path, key: &Path) -> Result<Self, String> {
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
        let now = UnixTime::since_unix_epoch(Duration::from_secs(clock::now().seconds()));
        if let Some((own, between)) = chain.split_first() {
            verifier.verify_client_cert(own, between, now).map_err(|e| {
                let (cert, ca) = (cert.display(), ca.display());
                format!(
                    "{cert}: {e}: peers take certificates that the authority in {ca} made, and not this one"
                )
            })?;
        }
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), private()?)
            .map_err(wrong)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private()?)
            .map_err(wrong)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// For whoever listens.
    pub fn server(&self) -> ServerConfig {
        (*self.server).clone()
    }

    pub(super) fn client(&self) -> ClientConfig {
        (*self.client).clone()
    }
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
        Identity::load(&path("ours-ca"), &path("ours-cert"), &path("ours-key")).expect("ours");
        let no = Identity::load(&path("ours-ca"), &path("theirs-cert"), &path("theirs-key"));
        let no = no.expect_err("another's");
        assert!(no.contains("theirs-cert: ") && no.contains("ours-ca made, and not this one"), "{no}");
    }
}
