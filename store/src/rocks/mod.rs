//! The disk of a store node: two RocksDB databases in one data folder.
//!
//! Owns: the folder's layout, columns, keys, RocksDB's options, format versions, and what is wrong with a disk
//! (full, damaged, of another format). Refuses to know: Raft's rules, gRPC, what a row means.
//! Inputs: bytes to put under keys. Outputs: bytes, or a [`DiskError`].
//!
//! Layout of a data folder: `log/` (database: the node's identity, its vote, log entries, all synced), `tide` (what
//! the log must at least contain, see [`tide`]), `state.current` (names the folder in use), `state-N/` (database: a
//! copy of the state machine's rows), `snapshot-N/` (a checkpoint of it), `damaged-N/` (set aside).
//! Invariants: log writes are synced before they are acknowledged; the state copy is always one prefix of the log.

mod error;
mod folder;
mod format;
mod log_db;
mod options;
mod state_db;
mod tide;

pub use error::DiskError;
pub use folder::{DataFolder, set_aside};
pub use log_db::{DiskIdentity, LogBatch, LogDb};
pub use options::DiskLimits;
pub use state_db::{Row, StateDb, StoredRow};
pub use tide::{Tide, TideMark};
