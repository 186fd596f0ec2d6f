//! Reading the databases of a node that does not run.
//!
//! Owns: what is found in a data folder: the rows of the state copy, and the log's entries above them. Refuses to know:
//! what rows and entries mean. Inputs: a data folder. Outputs: rows and payloads, in order.
//! Invariants: the databases are opened by nobody else meanwhile (RocksDB's lock says so); a log that is torn or damaged
//! is read up to there. Entries at the end may never have been committed.

use std::path::Path;

use bytes::Bytes;

use super::codec::{self, StateMark};
use super::types::EntryPayload;
use crate::rocks::{DataFolder, DiskError, DiskLimits, LogDb, StateDb};

/// What a stopped node's disk holds.
pub(crate) struct StoppedNode {
    /// The rows of its state copy, in key order.
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Log index and payload of what lies above them.
    pub(crate) entries: Vec<(u64, Bytes)>,
    /// Why the log was not read to its end, if it was not.
    pub(crate) left_out: Option<String>,
}

/// Reads a data folder; nothing if no node ever stored anything there.
///
/// # Errors
/// [`DiskError`]: in use by a running node, or damaged beyond the log's end.
pub(crate) fn read(data_dir: &Path, limits: &DiskLimits) -> Result<Option<StoppedNode>, DiskError> {
    if !data_dir.is_dir() {
        return Ok(None);
    }
    let folder = DataFolder::open(data_dir)?;
    let Some(state_path) = folder.current_state()? else { return Ok(None) };
    // First: its lock proves that no node runs on this folder.
    let log = LogDb::open(&folder.log(), limits)?;
    let state = StateDb::open(&state_path, limits)?;
    let applied = match state.mark()? {
        None => None,
        Some(bytes) => {
            let mark = StateMark::decode(&bytes)
                .map_err(|error| DiskError::damaged(state.path(), "meta/mark", error.to_string()))?;
            mark.applied.map(|id| id.index)
        }
    };
    let mut rows = Vec::new();
    for row in state.rows()? {
        let (key, value) = row?;
        rows.push((key.into_vec(), value.into_vec()));
    }
    let mut next = applied.map_or(0, |index| index.saturating_add(1));
    let mut entries = Vec::new();
    let mut left_out = None;
    let scanned = log.scan(next, u64::MAX, |index, bytes| {
        let entry = match codec::entry_from_bytes(bytes) {
            Ok(entry) if index == next => entry,
            Ok(_) => {
                left_out = Some(format!("entry {next} is missing from the log"));
                return Ok(false);
            }
            Err(error) => {
                left_out = Some(format!("log entry {index}: {error}"));
                return Ok(false);
            }
        };
        if let EntryPayload::Normal(payload) = entry.payload {
            entries.push((index, payload.0));
        }
        next = index.saturating_add(1);
        Ok(true)
    });
    if let Err(error) = scanned {
        left_out = Some(error.to_string());
    }
    Ok(Some(StoppedNode { rows, entries, left_out }))
}
