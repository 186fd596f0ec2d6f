//! Consensus: openraft behind a thin adapter.
//!
//! Owns: everything that names openraft. The rest of the crate sees [`StoreNode`], [`Replicated`] and plain types.
//! Refuses to know: what an entry's payload or a row means.
//! Inputs: payloads to agree on; other nodes' calls. Outputs: the same payloads, in the same order, on every node,
//! applied once each; outcomes to whoever proposed them.
//! Invariants: an entry is on this disk before it is acknowledged; the log is purged only up to what the copy of the
//! state has on disk for good; a node whose log is damaged does not vote.
//! Why openraft, and which version: docs/decisions/0002-openraft-alpha.md.

mod apply;
mod codec;
mod config;
mod copier;
mod error;
mod flusher;
mod formation;
mod join;
mod log;
mod log_check;
mod metrics;
mod network;
mod node;
pub(crate) mod offline;
mod replicated;
mod service;
mod snapshot;
mod stop;
mod synced;
mod transfer;
mod types;

#[cfg(test)]
mod suite;

pub use config::{ConnectError, Connector, NodeAddress, NodeConfig, OnDamage, Timing, plaintext_connector};
pub use error::{ProposeError, ReadError, StartError, TransferError};
pub use log_check::LogDamage;
pub use metrics::{MemberMetrics, NodeMetrics, NodeRole};
pub use node::StoreNode;
pub use replicated::{Applied, Replicated, RestoreError, Row};
pub use service::{MAX_MESSAGE_BYTES, RaftService};
