//! The authority: certificates for the nodes of a network.
//!
//! Owns: what stands in such a certificate.
//! Promises: each is for one node, at the hosts that it names, as server and as client; keys are made here and are
//! nowhere else.
//! Refuses to know: files.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::net::IpAddr;

/// What was made: texts in PEM.
pub struct Issued {
    /// The authority's certificate.
    pub ca: String,
    /// The authority's key: whoever has it can add nodes.
    pub ca_key: String,
    /// For each node, in their order, its certificate and its key.
    pub nodes: Vec<(String, String)>,
}

/// The authority, by its key; the same key makes the same authority.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "tallyhouse nodes");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes certificates for nodes, each by its name and the hosts (names or addresses) where peers reach it. With
/// `before`, the certificate and key of an authority that was made earlier, it is that one's; else a new one's.
pub fn make(nodes: &[(String, Vec<String>)], before: Option<(&str, &str)>) -> Result<Issued, String> {
    let text = |e: rcgen::Error| e.to_string();
    let (ca, ca_key) = match before {
        Some((ca, key)) => (ca.to_owned(), KeyPair::from_pem(key).map_err(text)?),
        None => {
            let key = KeyPair::generate().map_err(text)?;
            (authority().self_signed(&key).map_err(text)?.pem(), key)
        }
    };
    let ca_text = ca_key.serialize_pem();
    let issuer = Issuer::new(authority(), ca_key);
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
