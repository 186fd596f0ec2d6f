//! Failures of real processes in network namespaces, judged by what passes on the clients' link.
//!
//! Owns: the judge of the wire ([`wire`]), the place where failures happen ([`site`]: a cluster, load and real clients),
//! the course of one failure and its verdict ([`course`]), the table that they fill ([`table`]), and a link to the store
//! that is slow on purpose ([`delay`]). Refuses to know which failures there are: `tests/failures.rs` and
//! `tests/latency.rs` do. Invariants: see [`netns`](crate::netns); every wait is bounded; nothing of a cluster's own
//! accounts is believed about leases: they are compared with what Replies promised.

pub mod course;
pub mod delay;
pub mod site;
pub mod table;
pub mod wire;
