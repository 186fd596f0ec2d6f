//! Certificates and keys as loaded from files, checked, ready for handshakes.
//!
//! Owns: reading the files, every check that can be made before the first handshake (permissions, key and
//! certificate a pair, chain, identity), and the TLS configurations built from them. Refuses to know: sockets, and
//! when to reload (`watch`). Output: [`Material`], immutable.
//!
//! Invariants: TLS 1.2 or 1.3, ring, ALPN `h2`; no session resumption, so that each connection verifies the peer's
//! certificate against the lists of its own time; a stale revocation list still counts (RFC 7031 §8: the authority
//! may be out of reach). An expired certificate of our own loads: it is the peers that refuse it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

use super::error::{TlsError, explain};
use super::verify::{
    CertificateFacts, ClientIdentityVerifier, ExpectedServer, ServerIdentityVerifier, certificate_facts,
};
use crate::identity::Identity;

const CA: &str = "CA file";
const CERT: &str = "certificate file";
const KEY: &str = "key file";
const CRL: &str = "revocation list";

/// Where a node's certificates are; the `[tls]` table of a node's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Trusted authorities, PEM, one or more.
    pub ca: PathBuf,
    /// Own certificate, then its intermediates if any, PEM.
    pub cert: PathBuf,
    /// Own private key, PEM (PKCS #8, SEC 1 or PKCS #1), not readable by everybody.
    pub key: PathBuf,
    /// Revocation lists of the authorities, PEM. If given, it must cover every authority whose certificates are
    /// presented.
    #[serde(default)]
    pub crl: Option<PathBuf>,
}

/// Loaded and checked certificates.
#[derive(Debug)]
pub struct Material {
    facts: CertificateFacts,
    own: Arc<SingleCertAndKey>,
    roots: Arc<RootCertStore>,
    chain: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
    server: Arc<ServerConfig>,
}

impl Material {
    /// Reads and checks the files. Blocks on the disk.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and the remedy.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(load_roots(&files.ca)?);
        let certificates = certificates(CERT, &files.cert)?;
        let facts = certificate_facts(&certificates[0])
            .map_err(|source| TlsError::Identity { path: files.cert.clone(), source })?;
        check_chain(files, &roots, &provider, &certificates, &facts)?;
        let own = Arc::new(SingleCertAndKey::from(load_key(files, certificates, &provider)?));
        let chain = revocation_aware(files, &roots, &provider)?;
        let server = server_config(&facts.identity, &own, &chain, &provider)?;
        Ok(Self { facts, own, roots, chain, provider, server: Arc::new(server) })
    }

    /// Who these certificates make us.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.facts.identity
    }

    /// First second of our certificate's validity, Unix time.
    #[must_use]
    pub const fn not_before_unix_secs(&self) -> i64 {
        self.facts.not_before_unix_secs
    }

    /// Last second of our certificate's validity, Unix time: for the expiry metric and its warning.
    #[must_use]
    pub const fn not_after_unix_secs(&self) -> i64 {
        self.facts.not_after_unix_secs
    }

    /// The configuration for accepting connections.
    #[must_use]
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The configuration for one connection to one server.
    pub(super) fn client_config(&self, expected: &ExpectedServer) -> Result<ClientConfig, TlsError> {
        let verifier = ServerIdentityVerifier {
            roots: Arc::clone(&self.roots),
            chain: Arc::clone(&self.chain),
            provider: Arc::clone(&self.provider),
            expected: expected.clone(),
        };
        let own = Arc::clone(&self.own);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| setup(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(own);
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn setup(error: &rustls::Error) -> TlsError {
    TlsError::Setup { detail: error.to_string() }
}

fn server_config(
    identity: &Identity,
    own: &Arc<SingleCertAndKey>,
    chain: &Arc<dyn ClientCertVerifier>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let verifier =
        ClientIdentityVerifier { chain: Arc::clone(chain), cluster: identity.cluster().to_owned() };
    let own = Arc::clone(own);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| setup(&e))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Chain, dates, use and revocation, as the library checks them.
fn revocation_aware(
    files: &TlsFiles,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    if let Some(path) = &files.crl {
        let bytes = read(CRL, path)?;
        let lists = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| content(CRL, path, &e))?;
        if lists.is_empty() {
            return Err(content(CRL, path, &"it holds no X509 CRL"));
        }
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
        return builder.build().map_err(|e| content(CRL, path, &e));
    }
    builder.build().map_err(|e| content(CA, &files.ca, &e))
}

/// That our own certificate comes from the CA given, judged at a time inside its validity: peers judge the date.
fn check_chain(
    files: &TlsFiles,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    certificates: &[CertificateDer<'static>],
    facts: &CertificateFacts,
) -> Result<(), TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|e| content(CA, &files.ca, &e))?;
    let latest = facts.not_after_unix_secs.max(facts.not_before_unix_secs);
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let judged = now.clamp(facts.not_before_unix_secs, latest);
    let judged = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(judged).unwrap_or(0)));
    verifier
        .verify_client_cert(&certificates[0], &certificates[1..], judged)
        .map(|_| ())
        .map_err(|e| TlsError::Chain { cert: files.cert.clone(), ca: files.ca.clone(), detail: explain(&e) })
}

fn load_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA, path)? {
        roots.add(certificate).map_err(|e| content(CA, path, &e))?;
    }
    Ok(roots)
}

/// At least one certificate, or an error.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(&read(what, path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| content(what, path, &e))?;
    if found.is_empty() {
        return Err(content(what, path, &"it holds no CERTIFICATE"));
    }
    Ok(found)
}

fn load_key(
    files: &TlsFiles,
    certificates: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let path = &files.key;
    let failed = |source| TlsError::Read { what: KEY, path: path.clone(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::KeyExposed { path: path.clone(), mode });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    // The parser's own words are left out: they could quote the file.
    let unusable = || content(KEY, path, &"it holds no private key that can be used");
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| unusable())?;
    CertifiedKey::from_der(certificates, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::KeyMismatch { key: path.clone(), cert: files.cert.clone() }
        }
        _ => unusable(),
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source: io::Error| TlsError::Read { what, path: path.to_owned(), source })
}

fn content(what: &'static str, path: &Path, detail: &dyn std::fmt::Display) -> TlsError {
    TlsError::Content { what, path: path.to_owned(), detail: detail.to_string() }
}
