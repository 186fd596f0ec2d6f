//! Whose messages somebody looks at: `admin trace`.
//!
//! Owns who is meant, the bounds of a trace, and that what a frontend reports is only carried on. Refuses to know what
//! an event says: it is written by a frontend's engine and read by people, and nothing follows from it, so it stays in
//! its Protobuf form. Invariant: no secret has a place in it (SEC-07).

use crate::v1;
use crate::words::Duid;
use std::fmt;

/// Traces at a time, at most, in the whole cluster. Why 8: each costs a comparison a message on every frontend.
pub const TRACES_MAX: usize = 8;
/// Longest link-layer address that may be asked for, in octets.
pub const LINK_LAYER_LEN_MAX: usize = 32;

/// One client, by one of its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TracedClient {
    /// By its DUID.
    Duid(Duid),
    /// By the link-layer address that the relay next to it tells (RFC 6939), without the hardware type. That of a
    /// client without a relay is not known: a DUID is opaque.
    LinkLayer(Vec<u8>),
    /// By its own address: the source of a direct datagram, or the innermost peer-address.
    Peer(u128),
}

impl fmt::Display for TracedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duid(duid) => write!(f, "duid {duid}"),
            Self::LinkLayer(octets) => {
                f.write_str("link-layer address ")?;
                for (at, octet) in octets.iter().enumerate() {
                    write!(f, "{}{octet:02x}", if at > 0 { ":" } else { "" })?;
                }
                Ok(())
            }
            Self::Peer(bits) => write!(f, "address {}", std::net::Ipv6Addr::from_bits(*bits)),
        }
    }
}

/// A trace as a frontend is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFilter {
    /// The leader's number for it.
    pub id: u64,
    /// Whose messages.
    pub client: TracedClient,
}

/// What a frontend saw since its last report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceReport {
    /// The traces that it follows.
    pub in_force: Vec<u64>,
    /// Events that had no room.
    pub dropped: u64,
    /// Looks at messages, in their order.
    pub events: Vec<v1::TraceEvent>,
}
