//! The frontend's engine: packets and store messages in, replies and store messages out. Pure.
//!
//! It owns everything that decides about leases on this side: [`leases`] (what is known, owned, promised and dirty; the
//! session's order; R1 to R6 and R9) and [`exchange`] (what each DHCPv6 message means and what is answered, by whom).
//! It refuses to know sockets, clocks, entropy, tokio and gRPC: time is an argument, the hash key a setting. Inputs
//! are [`Engine::handle`], [`Engine::apply`], [`Engine::connected`], [`Engine::disconnected`], [`Engine::turn`]; after
//! any of them the shell takes [`Engine::drain`] and asks [`Engine::next_deadline`]. Nothing here panics on input.

pub mod exchange;
pub mod leases;

use leasehold_proto::words::FrontendId;
use std::net::Ipv6Addr;

/// What the engine is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This frontend's name.
    pub frontend: FrontendId,
    /// Keys the hashes that choose addresses and buckets' tie-breaks (SV-214). Buckets themselves are keyed by the
    /// relationship, so that partners agree.
    pub hash_key: [u8; 16],
    /// Bounds on what packets may cost.
    pub limits: Limits,
}

/// Bounds on memory and work that packets can cause.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages kept for the partner's liveness to flip or for a look-up to be answered.
    pub parked_messages_max: usize,
    /// Leases one client may hold on one link (SEC-02).
    pub leases_per_client_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parked_messages_max: 4096, leases_per_client_max: 8 }
    }
}

/// A client-facing interface as the shell found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Kernel index now.
    pub index: u32,
    /// Name on this machine.
    pub name: String,
    /// Name of the link that it serves; none for an interface that only hears relays.
    pub link: Option<String>,
}

/// One datagram as received.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The UDP payload.
    pub bytes: &'a [u8],
    /// Where it came from.
    pub source: Ipv6Addr,
    /// The sender's UDP port.
    pub source_port: u16,
    /// Where it was sent to: multicast or one of this machine's addresses.
    pub destination: Ipv6Addr,
    /// Index of the interface it came in by.
    pub interface_index: u32,
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// Client or relay.
    pub address: Ipv6Addr,
    /// 546, 547, or the relay's source port (SV-102, SV-103).
    pub port: u16,
    /// Interface to leave by.
    pub interface_index: u32,
    /// Source address to leave from: the packet's destination when that was unicast.
    pub source: Option<Ipv6Addr>,
}

/// Takes replies. The buffer is the sink's own, reused from packet to packet.
pub trait ReplySink {
    /// An empty buffer to encode the next reply into. Beginning again without a commit discards what was written.
    fn begin(&mut self) -> &mut Vec<u8>;
    /// The reply in the buffer is complete.
    fn commit(&mut self, to: ReplyTo);
}
