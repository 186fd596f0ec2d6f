//! What a frontend process is started with: values, checked on start. Where they come from is the caller's affair.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::PathBuf;

use leasehold_proto::tls::Security;
use leasehold_proto::words::FrontendId;

use crate::io::socket::{RECEIVE_BUFFER_LEN, SERVER_PORT};
use crate::session::StoreAddress;

/// A frontend's configuration.
#[derive(Debug, Clone)]
pub struct FrontendConfig {
    /// Its name, as in its certificate and in the network's relationships.
    pub frontend: FrontendId,
    /// The cluster's name, as in all certificates.
    pub cluster: String,
    /// Where store nodes are reached; at least one.
    pub stores: Vec<StoreAddress>,
    /// Where DHCPv6 is served: [`FrontendConfig::LISTEN`] for real service. A certain address hears what is sent to
    /// it alone, so no client directly; port 0 takes any free port. Both are for tests and for serving relays alone.
    pub listen: SocketAddrV6,
    /// Interfaces listened on; none when only relays' unicast is served.
    pub interfaces: Vec<FrontendInterface>,
    /// How connections to the store are protected. By mutual TLS the certificate must be this frontend's.
    pub security: Security,
    /// Where this machine's owner of the process may ask how it stands without the store; nowhere if `None`.
    pub status_socket: Option<PathBuf>,
    /// A file on this machine, locked while the process runs: by it a restarted frontend proves its predecessor gone,
    /// so that the store need not wait out that one's autonomy (R6). No proof if `None`.
    pub lock_file: Option<PathBuf>,
    /// Keys the choice of addresses (SV-214); `None` draws one from the kernel. Given by tests that want repetition.
    pub hash_key: Option<[u8; 16]>,
    /// What happens when more comes in than can be answered.
    pub overload: Overload,
}

impl FrontendConfig {
    /// All addresses, port 547. Source: RFC 9915 §7.2.
    pub const LISTEN: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0);
}

/// What happens when more comes in than can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// Extensions go before Requests, Requests before all else, and relays take turns. Without: in the order of
    /// arrival, as long as the socket's buffer lasts; for comparison, and for finding faults.
    pub priorities: bool,
    /// Bytes of receive buffer to ask the kernel for; it may give less.
    pub receive_buffer_len: usize,
}

impl Default for Overload {
    fn default() -> Self {
        Self { priorities: true, receive_buffer_len: RECEIVE_BUFFER_LEN }
    }
}

/// An interface that a frontend listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontendInterface {
    /// Its name, as in `ip link`; it need not exist yet.
    pub name: String,
    /// The link, by its name in the network configuration, whose clients sit on it: it joins ff02::1:2 (SV-101).
    pub link: Option<String>,
    /// Relays may multicast to servers there: it joins ff05::1:3 (SV-101).
    pub relays: bool,
}
