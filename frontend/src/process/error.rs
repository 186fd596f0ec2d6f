//! Why a frontend process did not start, in words for the operator.

use leasehold_proto::tls::TlsError;

use super::status_socket::StatusSocketError;
use crate::io::{SocketError, packet_loop::PacketLoopError};

/// Why a frontend did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No store node is configured.
    #[error("no store node is configured: list at least one address")]
    NoStore,
    /// A store node's address, or the certificates, cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate belongs to somebody else.
    #[error(
        "the certificate is that of {found}, but this frontend is {wanted}: use its own (`leasehold certs issue`)"
    )]
    WrongCertificate {
        /// Who the configuration says that we are.
        wanted: String,
        /// Who the certificate says that we are.
        found: String,
    },
    /// The UDP socket or an interface cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The status socket cannot be had.
    #[error(transparent)]
    StatusSocket(#[from] StatusSocketError),
    /// The packet thread cannot be started.
    #[error(transparent)]
    Packets(#[from] PacketLoopError),
    /// The runtime of the session cannot be started.
    #[error(
        "the threads of the session with the store cannot be started: {0}; is a limit on processes or memory reached?"
    )]
    Runtime(std::io::Error),
    /// The kernel gives no random numbers.
    #[error("the kernel gives no random numbers: {0}")]
    Entropy(getrandom::Error),
}
