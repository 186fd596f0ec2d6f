//! Packet I/O: everything between the kernel's sockets and the engine.
//!
//! Owns the UDP socket, the batched receive and send calls, the packet thread, the watch over interfaces, and the
//! crate's only clock. Refuses to know what a DHCPv6 message says: a datagram goes in as bytes with its packet
//! information, replies come out as bytes with the path they take. Decides nothing about leases, and leaves it to the
//! engine's `admission` who goes first in an overload.
//! In: datagrams, wake-ups, the [`packet_loop::PacketHandler`]'s deadlines. Out: datagrams and counters.
//! Invariants: steady state allocates nothing per packet; every queue is bounded and every overflow counted; one
//! thread drives the handler, so that no lock stands between a packet and its answer.
//! Source: RFC 9915 §7.1 and §7.2 (addresses and ports).

pub mod clock;
pub mod interface_table;
pub mod interfaces;
pub mod outbox;
pub mod packet_loop;
pub mod receive;
mod receiver;
pub mod send;
pub mod socket;
pub mod stats;
mod sys;
pub mod waker;

#[cfg(test)]
mod tests;

pub use interface_table::{InterfaceConfig, InterfaceHealth, InterfaceState, InterfaceTable};
pub use interfaces::{InterfaceWatch, InterfaceWatchThread};
pub use outbox::{Outbox, ReplyPath};
pub use packet_loop::{PacketHandler, PacketLoop, PacketLoopError, PacketThread};
pub use receive::Received;
pub use socket::{ServerSocket, SocketConfig, SocketError};
pub use stats::{PacketCounts, PacketStats};
pub use waker::Waker;
