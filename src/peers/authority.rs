//! The authority: certificates for the nodes of a network.
//!
//! Owns: what stands in such a certificate.
//! Promises: each is for one node, at the hosts that it names, as server and as client, and for a bounded time; keys are
//! made here and are nowhere else.
//! Refuses to know: files.

use crate::clock;
use crate::types::Time;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::net::IpAddr;
use std::time::Duration;

/// How long a node's certificate is good, and the authority's own, which nodes do not look at.
const DAYS: u64 = 397;
const AUTHORITY_DAYS: u64 = 3_650;
/// How far the clock of the machine that makes them may be ahead of a node's.
const AHEAD: u64 = 3_600;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// What was made: texts in PEM.
pub struct Issued {
    /// The authority's certificate.
    pub ca: String,
    /// The authority's key: whoever has it can add nodes.
    pub ca_key: String,
    /// For each node, in their order, its certificate and its key.
    pub nodes: Vec<(String, String)>,
}

/// Good from a little before an instant on, for some days.
fn good(params: &mut CertificateParams, now: Time, days: u64) {
    let at = |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = at(now.seconds().saturating_sub(AHEAD));
    params.not_after = at(now.seconds().saturating_add(days.saturating_mul(DAY)));
}

/// The authority, by its key; the same key makes the same authority.
fn authority(now: Time) -> CertificateParams {
    let mut params = CertificateParams::default();
    good(&mut params, now, AUTHORITY_DAYS);
    params.distinguished_name.push(DnType::CommonName, "tallyhouse nodes");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes certificates for nodes, each by its name and the hosts (names or addresses) where peers reach it. With
/// `before`, the certificate and key of an authority that was made earlier, it is that one's; else a new one's.
pub fn make(nodes: &[(String, Vec<String>)], before: Option<(&str, &str)>) -> Result<Issued, String> {
    make_at(nodes, before, clock::now())
}

/// The same, as if it were then.
pub fn make_at(
    nodes: &[(String, Vec<String>)],
    before: Option<(&str, &str)>,
    now: Time,
) -> Result<Issued, String> {
    let text = |e: rcgen::Error| e.to_string();
    let (ca, ca_key) = match before {
        Some((ca, key)) => (ca.to_owned(), KeyPair::from_pem(key).map_err(text)?),
        None => {
            let key = KeyPair::generate().map_err(text)?;
            (authority(now).self_signed(&key).map_err(text)?.pem(), key)
        }
    };
    let ca_text = ca_key.serialize_pem();
    let issuer = Issuer::new(authority(now), ca_key);
    let mut made = vec![];
    for (name, hosts) in nodes {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into().map_err(|e| format!("{host}: {e}"))?),
            });
        }
        good(&mut params, now, DAYS);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(text)?;
        let certificate = params.signed_by(&key, &issuer).map_err(text)?;
        made.push((certificate.pem(), key.serialize_pem()));
    }
    Ok(Issued { ca, ca_key: ca_text, nodes: made })
}
