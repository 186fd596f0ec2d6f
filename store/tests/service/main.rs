//! The whole store over real gRPC: three nodes in one process on loopback, a frontend that speaks the session's
//! protocol, an administrator.
//!
//! `recovery`: a quorum lost for good. `sessions`: leases through the death of a leader. `admin`: reads and
//! configuration. `registrations`: addresses that clients chose themselves. `spreading`: relationships left to the store.
//! `traces`: one client looked at. `reconfigure`: orders to ask clients. `security`: certificates, roles, refusals.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod admin;
mod authority;
mod cluster;
mod frontend;
mod reconfigure;
mod recovery;
mod registrations;
mod security;
mod sessions;
mod spreading;
mod traces;
