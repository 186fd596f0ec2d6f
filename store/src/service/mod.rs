//! The shells around the pure parts of the store: everything with a clock, randomness, tasks and gRPC.
//!
//! Owns: a whole store node in one process ([`StoreProcess`]): the holder of the machine and the hub, the task that
//! combines commands into log entries while this node leads, the services for frontends and administrators.
//! Refuses to know: what commands mean (`machine`), who is sent what (`hub`), how entries are agreed on (`raft`),
//! configuration files (the `leasehold` command maps these to [`StoreConfig`]).
//!
//! Invariants: the one lock, around machine and hub, is never held across an await; every queue is bounded, and a
//! reader too slow for its queue is disconnected; nothing is told to a frontend that is not committed.

mod admin;
mod clock;
mod config;
pub mod export;
mod founding;
mod leader;
mod node;
mod outbound;
mod replica;
mod session;
mod standing;
#[cfg(test)]
mod tests;
mod traces;

pub use admin::LEADER_METADATA;
pub use config::{StartError, StoreConfig, StoreSecurity};
pub use founding::RestoreFrom;
pub use node::{Running, StopReason, StoreProcess, StoreStats};
