//! What can go wrong with certificates, listeners and connections, in words for the operator.
//!
//! Owns: the error types of module `tls`, and the translation of TLS library errors into sentences. Refuses to know
//! how anything is loaded or sent. Every message names the file or address and what to do; none contains key
//! material (SEC-07).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError};

use crate::identity::IdentityError;

/// Why TLS files cannot be used, or why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Read {
        /// `CA file`, `certificate file`, `key file` or `revocation list`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not the PEM that it should be.
    #[error("{what} {} is not usable: {detail}; make it anew with `leasehold certs`", path.display())]
    Content {
        /// As in [`TlsError::Read`].
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The private key can be read by everybody.
    #[error("key file {} can be read by everyone on this host (mode {mode:03o}): run `chmod 600` on it", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Key and certificate are not a pair.
    #[error("key file {} does not belong to certificate {}: use the pair that `leasehold certs issue` wrote together", key.display(), cert.display())]
    KeyMismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        cert: PathBuf,
    },
    /// The certificate was not signed by the CA given with it.
    #[error("certificate {} was not signed by the authority in {}: {detail}; issue it with that authority, or give the right CA file", cert.display(), ca.display())]
    Chain {
        /// The certificate file.
        cert: PathBuf,
        /// The CA file.
        ca: PathBuf,
        /// What the verifier said.
        detail: String,
    },
    /// The certificate names no node.
    #[error("certificate {}: {source}", path.display())]
    Identity {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// A certificate that was exchanged while running names somebody else.
    #[error("certificate {} now names {found}, but this process runs as {wanted}: put the right certificate back, or restart", path.display())]
    IdentityChanged {
        /// The certificate file.
        path: PathBuf,
        /// The identity that the process started with.
        wanted: String,
        /// The identity in the new file.
        found: String,
    },
    /// The TLS library refused a configuration built from the files.
    #[error("TLS cannot be set up: {detail}")]
    Setup {
        /// What the library said.
        detail: String,
    },
    /// Plain text was asked for on an address that others can reach.
    #[error("plain text is refused on {address}: it is allowed on loopback addresses only; configure [tls]")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The listening socket cannot be used.
    #[error("cannot use the listening socket: {source}")]
    Listener {
        /// The system's answer.
        source: io::Error,
    },
    /// An address text is no `HOST:PORT`.
    #[error("`{address}` is not an address to connect to: write HOST:PORT or [IPV6]:PORT")]
    Address {
        /// The text.
        address: String,
    },
}

/// Why a connection to a server failed. A tonic `Status` made from it has this text as its message.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve {address}: {detail}")]
    Resolve {
        /// The address asked for.
        address: String,
        /// The resolver's answer.
        detail: String,
    },
    /// Plain text to an address off this host.
    #[error("plain text to {address} is refused: it is allowed to loopback addresses only; configure [tls]")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// TCP failed.
    #[error("cannot connect to {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Nothing usable happened within the connect timeout.
    #[error("no answer from {address} within {timeout_ms} ms")]
    Timeout {
        /// The address asked for.
        address: String,
        /// The limit.
        timeout_ms: u128,
    },
    /// The TLS handshake failed on our side or was refused by the server.
    #[error("TLS with {address} failed: {reason}")]
    Handshake {
        /// The address.
        address: SocketAddr,
        /// In words.
        reason: String,
    },
    /// Our own TLS set-up failed.
    #[error(transparent)]
    Setup(#[from] TlsError),
}

/// An I/O error of a TLS stream in words.
pub(super) fn explain_io(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => explain(tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
        None => error.to_string(),
    }
}

/// A TLS error in words: who refused whom, why, and what to do where that is known.
pub(super) fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::NoCertificatesPresented => {
            "the peer presented no certificate: it needs one from this cluster's authority".to_owned()
        }
        rustls::Error::InvalidCertificate(why) => explain_certificate(why),
        rustls::Error::AlertReceived(alert) => format!("the peer refused us: {}", explain_alert(*alert)),
        rustls::Error::InvalidMessage(_) => "the peer does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the peer's certificate has expired ({error})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the peer's certificate is not valid yet ({error}): check the clocks")
        }
        CertificateError::Revoked => "the peer's certificate has been revoked".to_owned(),
        CertificateError::UnknownIssuer => {
            "the peer's certificate was signed by an authority that is not in our CA file".to_owned()
        }
        CertificateError::UnknownRevocationStatus => {
            "our revocation list does not cover the authority that signed the peer's certificate".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the peer's certificate is not for this use ({error})")
        }
        CertificateError::BadSignature => "the peer's certificate was not signed by the authority in our CA file, but by another of the same name"
                .to_owned(),
        CertificateError::Other(other) => other.to_string(),
        other => format!("the peer's certificate is not usable ({other})"),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "it requires a certificate from its cluster's authority".to_owned()
        }
        AlertDescription::CertificateRevoked => "our certificate has been revoked".to_owned(),
        AlertDescription::CertificateExpired => "our certificate has expired or is not valid yet".to_owned(),
        AlertDescription::UnknownCA => {
            "our certificate was signed by an authority that it does not know".to_owned()
        }
        AlertDescription::DecryptError => {
            "our certificate's signature is wrong by its CA file (another authority of the same name?)"
                .to_owned()
        }
        AlertDescription::UnsupportedCertificate => "our certificate is not for this use".to_owned(),
        AlertDescription::CertificateUnknown => {
            "our certificate names another cluster or node than it expects; its log says which".to_owned()
        }
        other => format!("{other:?}"),
    }
}
