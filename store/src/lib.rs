//! The Raft-replicated lease store of Leasehold.
//!
//! From the inside out:
//! - [`machine`]: what the cluster agrees on, a pure state machine: commands in; outcomes, events and rows out;
//! - [`hub`]: the leader's side of the frontends' sessions, pure too: which session is sent what, and who is live;
//! - [`rocks`]: the disk of a node; [`raft`]: consensus, openraft behind a thin adapter;
//! - [`service`]: the shells: gRPC, clocks, randomness, tasks; [`service::StoreProcess`] puts a whole node together.
//!
//! Only `raft` knows openraft, only `rocks` RocksDB, only `service` reads a clock. The crate knows nothing of DHCPv6
//! packets, and never imports the frontend.

pub mod hub;
pub mod machine;
pub mod raft;
pub mod rocks;
pub mod service;
