//! TLS to the database, as `sslmode` asks for it.
//!
//! Owns: which certificates are taken. As with PostgreSQL's own client, `prefer` and `require` encrypt and take any
//! certificate; `verify-ca` wants one from an authority in `sslrootcert`, `verify-full` one for the host's name too.
//! Promises: what is not asked to be verified is still signed for by the key in the certificate.
//! Refuses to know: addresses.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::str::FromStr;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What `sslmode` may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(format!("sslmode={text}: disable, prefer, require, verify-ca or verify-full")),
        })
    }
}

/// How connections are encrypted.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// `roots` is a file of certificates in PEM.
    pub(super) fn new(mode: Mode, roots: Option<&str>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let full = match (mode, roots) {
            (Mode::VerifyCa | Mode::VerifyFull, None) => {
                return Err("sslmode=verify-… needs sslrootcert=FILE, the authorities' certificates".into());
            }
            (Mode::VerifyCa | Mode::VerifyFull, Some(path)) => {
                let roots = Arc::new(read(path)?);
                let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
                Some(built.map_err(|e| format!("{path}: {e}"))?)
            }
            _ => None,
        };
        let verifier = Verifier { provider: provider.clone(), full, name: mode == Mode::VerifyFull };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn connect(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new((*self.0).clone())
    }
}

fn read(path: &str) -> Result<RootCertStore, String> {
    let wrong = |e: rustls::pki_types::pem::Error| format!("{path}: {e}");
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(path).map_err(wrong)? {
        roots.add(one.map_err(wrong)?).map_err(|e| format!("{path}: {e}"))?;
    }
    if roots.is_empty() { Err(format!("{path} holds no certificate")) } else { Ok(roots) }
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Verifies the chain and the name.
    full: Option<Arc<WebPkiServerVerifier>>,
    /// Whether the name counts.
    name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(full) = &self.full else { return Ok(ServerCertVerified::assertion()) };
        // The name comes last, so that nothing else is wrong if it is.
        match full.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
