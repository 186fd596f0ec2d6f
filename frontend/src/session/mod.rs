//! The session with the store: one gRPC stream to its leader, kept up for as long as the process lives.
//!
//! Owns finding the leader, connecting, noticing that a peer is dead, and turning wire messages into checked types
//! and back, all on tokio's side. Refuses to know what the messages mean: it carries them, in order, between the
//! store and the packet thread, which runs the engine. In: what the engine drained, through a [`Line`]. Out:
//! [`FromSession`] through a bounded [`Inbox`], and the [`SessionState`] for people.
//!
//! Invariants: a [`Line`] belongs to one connection, so nothing meant for an old one reaches a new one; the packet
//! thread never waits for this side; nothing is dropped on the way in, since a full inbox stops the reading of the
//! stream and so, by HTTP/2's windows, the store; nothing numbered is lost on the way out, since a full line ends the
//! connection, and the engine, which keeps each batch until its outcome, sends again on the next.
//! Source: design section 5, Order.

mod line;
mod search;
mod talk;
mod task;

#[cfg(test)]
pub(crate) mod tests;

use leasehold_proto::tls::Security;
use leasehold_proto::words::Epoch;

pub use line::{FromSession, INBOX_MESSAGES_MAX, Inbox, LINE_MESSAGES_MAX, Line, LineError, inbox};
pub use task::keep;

/// Where a store node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// Its name, if its certificate is to be held to one; `None` takes any store node of the cluster.
    pub name: Option<String>,
    /// `HOST:PORT` or `[IPV6]:PORT`.
    pub address: String,
}

/// What the session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The cluster's name, as in all its certificates.
    pub cluster: String,
    /// Store nodes, at least one. Others are reached only on the word of an authenticated one.
    pub stores: Vec<StoreAddress>,
    /// How connections are protected.
    pub security: Security,
}

/// How the session stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// No store node has taken the session; the frontend serves on what it has.
    Searching {
        /// What was wrong at the last attempt; `None` before the first one ended.
        problem: Option<String>,
    },
    /// The store's leader has taken it.
    Connected {
        /// The leader's address.
        address: String,
        /// The session's number.
        epoch: Epoch,
    },
}
