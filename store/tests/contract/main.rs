//! The storage contract: what the rest of the store may rely on from consensus and disk.
//!
//! `disk`: one node's folder through restarts, crashes, damage, a full disk. `cluster`: three nodes over loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cluster;
mod disk;
mod support;
