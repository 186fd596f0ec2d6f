//! Mutual TLS between all parts of Leasehold.
//!
//! Owns: certificates from files to handshakes, the listener that gives tonic authenticated connections
//! ([`listen()`]) and the channel to a server known by its identity ([`channel`]). Refuses to know: what is said over
//! the connections, and who may do what (`identity::require_role` in each handler).
//!
//! Invariants: both sides present certificates of one cluster; only local files are consulted (RFC 7031 §8);
//! certificates are read anew when their files change; plain text exists on loopback only and only when asked for.
//! TLS 1.3, or 1.2 (RFC 8156 §10); ring.

mod connect;
mod error;
mod half_open;
mod listen;
mod material;
mod verify;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use connect::{CONNECT_TIMEOUT, ClientIo, Connector, channel, connector, endpoint};
pub use error::{ConnectError, TlsError};
pub use listen::{Connection, Incoming, IncomingStats, Limits, listen};
pub use material::{Material, TlsFiles};
pub use verify::{CertificateFacts, ExpectedServer, certificate_facts};
pub use watch::MutualTls;

use crate::identity::Identity;

/// How often an HTTP/2 ping is sent on a connection, idle or not.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How long a ping may go unanswered before the connection is given up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How a node's connections are protected, for listening and for connecting alike. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Security {
    /// Mutual TLS.
    Mutual(Arc<MutualTls>),
    /// Plain text, on loopback addresses only: `insecure_loopback = true`. Nobody has an identity, and every role
    /// check passes.
    InsecureLoopback,
}

impl Security {
    /// Mutual TLS with the certificates in these files.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and the remedy.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self::Mutual(Arc::new(MutualTls::open(files)?)))
    }

    /// The certificates in use; `None` in plain text.
    #[must_use]
    pub fn material(&self) -> Option<Arc<Material>> {
        match self {
            Self::Mutual(tls) => Some(tls.current()),
            Self::InsecureLoopback => None,
        }
    }

    /// Who our certificate says that we are; `None` in plain text.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.material().map(|material| material.identity().clone())
    }
}

/// A tonic server with the keepalive that all our servers use, so that a vanished peer's connection ends.
#[must_use]
pub fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}
