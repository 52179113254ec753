//! Denied: certificates that count no more, though the authority made them and they have not run out.
//!
//! Owns: the look at the list, on either side of a connection, after everything else was found to be right.
//! Promises: the list counts from the next connection on. One that cannot be read denies everybody.
//! Refuses to know: why a certificate stands there.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// The list, if there is one: a file in PEM.
#[derive(Clone, Debug)]
pub(super) struct Denied(pub(super) Option<PathBuf>);

impl Denied {
    /// Whether a certificate is not on it.
    pub(super) fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let Some(path) = &self.0 else { return Ok(()) };
        let unread = |e: rustls::pki_types::pem::Error| Error::General(format!("{}: {e}", path.display()));
        for one in CertificateDer::pem_file_iter(path).map_err(unread)? {
            if one.map_err(unread)? == *certificate {
                return Err(Error::InvalidCertificate(CertificateError::Revoked));
            }
        }
        Ok(())
    }
}

/// Looks at who connects.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) known: Arc<dyn ClientCertVerifier>,
    pub(super) denied: Denied,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.known.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.known.verify_client_cert(end_entity, intermediates, now)?;
        self.denied.check(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

/// Looks at who is connected to.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) known: Arc<WebPkiServerVerifier>,
    pub(super) denied: Denied,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.denied.check(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}
