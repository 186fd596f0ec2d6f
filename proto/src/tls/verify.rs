//! Verification of the peer's certificate, on both sides.
//!
//! Owns: reading the identity out of a certificate, and the two verifiers: ours wrap the library's chain, date, use
//! and revocation checks and add that of the identity. Refuses to know: files, sockets, DNS names (a server is known
//! by its identity, not by its host name). Inputs: local roots and local revocation lists only, so that no network
//! service is needed to verify (RFC 7031 §8).
//!
//! Invariant: nothing is accepted that the library's verifier has not accepted first.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::{Identity, IdentityError, Role, identity_among};

/// The server that a client wants to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedServer {
    /// Its cluster.
    pub cluster: String,
    /// Its role.
    pub role: Role,
    /// Its name, where that is known: `None` takes any node of that role.
    pub name: Option<String>,
}

impl ExpectedServer {
    /// Any store node of a cluster.
    #[must_use]
    pub fn any_store(cluster: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), role: Role::Store, name: None }
    }

    /// One store node of a cluster.
    #[must_use]
    pub fn store(cluster: impl Into<String>, name: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), role: Role::Store, name: Some(name.into()) }
    }

    fn check(&self, found: &Identity) -> Result<(), IdentityError> {
        let named = self.name.as_ref().is_none_or(|name| name == found.name());
        if found.cluster() == self.cluster && found.role() == self.role && named {
            return Ok(());
        }
        let name = self.name.as_deref().unwrap_or("*");
        Err(IdentityError::UnexpectedServer {
            wanted: format!("leasehold://{}/{}/{name}", self.cluster, self.role),
            found: found.to_string(),
        })
    }
}

/// What a certificate says about its holder. Reading it proves nothing: the chain must have been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Who the holder is.
    pub identity: Identity,
    /// First second of validity, Unix time.
    pub not_before_unix_secs: i64,
    /// Last second of validity, Unix time.
    pub not_after_unix_secs: i64,
}

/// Reads identity and validity out of a certificate.
///
/// # Errors
/// [`IdentityError`] if the certificate cannot be parsed, or names nobody or several.
pub fn certificate_facts(der: &CertificateDer<'_>) -> Result<CertificateFacts, IdentityError> {
    let unreadable = |detail: String| IdentityError::Unreadable { detail };
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| unreadable(e.to_string()))?;
    let names = certificate.subject_alternative_name().map_err(|e| unreadable(e.to_string()))?;
    let uris =
        names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    Ok(CertificateFacts {
        identity: identity_among(uris)?,
        not_before_unix_secs: certificate.validity().not_before.timestamp(),
        not_after_unix_secs: certificate.validity().not_after.timestamp(),
    })
}

fn refused(error: IdentityError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// A server's check of its clients: chain, dates, use and revocation by the library, then the cluster.
#[derive(Debug)]
pub(super) struct ClientIdentityVerifier {
    pub(super) chain: Arc<dyn ClientCertVerifier>,
    pub(super) cluster: String,
}

impl ClientCertVerifier for ClientIdentityVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let peer = certificate_facts(end_entity).map_err(refused)?.identity;
        if peer.cluster() != self.cluster {
            return Err(refused(IdentityError::WrongCluster {
                ours: self.cluster.clone(),
                theirs: peer.cluster().to_owned(),
                peer: peer.to_string(),
            }));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// A client's check of its server. The library's server verifier insists on a DNS name, so its parts are used: the
/// chain for server use, then, for revocation, the client-use verifier that holds the lists. A server's certificate
/// is therefore good for both uses, as those of `leasehold certs issue` for stores and frontends are.
#[derive(Debug)]
pub(super) struct ServerIdentityVerifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) chain: Arc<dyn ClientCertVerifier>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) expected: ExpectedServer,
}

impl ServerCertVerifier for ServerIdentityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let peer = certificate_facts(end_entity).map_err(refused)?.identity;
        self.expected.check(&peer).map_err(refused)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
