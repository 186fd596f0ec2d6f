//! What tests that cross parts stand on.
//!
//! [`sim`]: the two pure cores in a seeded world, judged by what Replies promised. [`cluster`]: real processes on
//! loopback. [`netns`] and [`debian`]: real clients and relays in network namespaces, their programs unpacked
//! privately. [`interop`]: Leasehold's own processes among them. [`failures`]: what befalls them, judged at the wire.
//! [`clients`]: every client program through every case that it can, judged there too. [`table`]: what both found.
//! [`pair`]: a store node and frontends under one clock, for scenarios told step by step. [`model`]: the rules in a small
//! world, explored exhaustively. The tests themselves are in `tests/tests`, a file a kind.

#[cfg(feature = "processes")]
pub mod clients;
#[cfg(feature = "processes")]
pub mod cluster;
#[cfg(feature = "processes")]
pub mod debian;
#[cfg(feature = "processes")]
pub mod failures;
#[cfg(feature = "processes")]
pub mod interop;
pub mod model;
#[cfg(feature = "processes")]
pub mod netns;
pub mod pair;
pub mod sim;
#[cfg(feature = "processes")]
pub mod table;
