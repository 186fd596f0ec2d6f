//! What tests that cross parts stand on.
//!
//! [`sim`]: the two pure cores in a seeded world, judged by what Replies promised. [`model`]: the rules of safety as a
//! small world, explored exhaustively. [`cluster`]: real processes on loopback. [`netns`] and [`debian`]: real clients
//! and relays in network namespaces, their programs unpacked privately. [`interop`]: Leasehold's own processes among
//! them. The tests themselves are in `tests/tests`, a file a kind.

pub mod cluster;
pub mod debian;
pub mod interop;
pub mod model;
pub mod netns;
pub mod sim;
