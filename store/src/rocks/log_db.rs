//! The log database: the node's identity, its vote, and log entries by index.
//!
//! Owns: keys and columns of that database. Refuses to know: what an entry means (the Raft adapter encodes it).
//! Inputs: batches of changes, in order. Outputs: bytes by key.
//! Invariants: entries are keyed by their index, big-endian, so key order is index order; a batch that changes the
//! vote or the entries is synced before [`LogDb::write`] returns; the mark of what was purged is changed in the batch
//! that purges.

use std::path::{Path, PathBuf};

use leasehold_proto::v1::RaftDiskIdentity;
use prost::Message;
use rocksdb::{Cache, DB, Direction, IteratorMode, WriteBatch, WriteOptions};

use super::format::{self, META};
use super::{DiskError, DiskLimits, options};

const ENTRIES: &str = "entries";
const IDENTITY_KEY: &[u8] = b"identity";
const VOTE_KEY: &[u8] = b"vote";
const PURGED_KEY: &[u8] = b"purged";

/// Whose data folder this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskIdentity {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub name: String,
    /// The Raft id of this incarnation, never zero.
    pub raft_id: u64,
}

/// Changes to the log, applied in order and together.
#[derive(Default)]
pub struct LogBatch {
    changes: Vec<Change>,
    bytes: usize,
}

enum Change {
    Vote(Vec<u8>),
    Put(u64, Vec<u8>),
    RemoveFrom(u64),
    Purge { upto: u64, mark: Vec<u8> },
}

impl LogBatch {
    /// Replaces the vote.
    pub fn vote(&mut self, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.changes.push(Change::Vote(bytes));
    }

    /// Puts the entry of an index.
    pub fn put(&mut self, index: u64, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.changes.push(Change::Put(index, bytes));
    }

    /// Removes the entries from `index` on.
    pub fn remove_from(&mut self, index: u64) {
        self.changes.push(Change::RemoveFrom(index));
    }

    /// Removes the entries up to and with `upto`, and replaces the mark that says so.
    pub fn purge(&mut self, upto: u64, mark: Vec<u8>) {
        self.changes.push(Change::Purge { upto, mark });
    }

    /// Bytes to be written, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The open log database.
pub struct LogDb {
    db: DB,
    path: PathBuf,
}

impl LogDb {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// [`DiskError`]: full, damaged, or of another format.
    pub fn open(path: &Path, limits: &DiskLimits) -> Result<Self, DiskError> {
        let cache = Cache::new_lru_cache(limits.block_cache_bytes / 2);
        let db = format::open(path, "log", ENTRIES, limits.log_buffer_bytes, &cache, options::RECYCLED_LOGS)?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// The database's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose folder this is; `None` before [`Self::claim`].
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn identity(&self) -> Result<Option<DiskIdentity>, DiskError> {
        let Some(bytes) = self.meta(IDENTITY_KEY)? else { return Ok(None) };
        let found = RaftDiskIdentity::decode(bytes.as_slice())
            .map_err(|error| DiskError::damaged(&self.path, "meta/identity", error.to_string()))?;
        Ok(Some(DiskIdentity { cluster: found.cluster, name: found.name, raft_id: found.raft_id }))
    }

    /// Writes whose folder this is, synced.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn claim(&self, identity: &DiskIdentity) -> Result<(), DiskError> {
        let message = RaftDiskIdentity {
            cluster: identity.cluster.clone(),
            name: identity.name.clone(),
            raft_id: identity.raft_id,
        };
        let meta = format::column(&self.db, META, &self.path)?;
        self.db
            .put_cf_opt(meta, IDENTITY_KEY, message.encode_to_vec(), &synced())
            .map_err(|error| DiskError::rocks("writing the node's identity", &self.path, &error))
    }

    /// The vote's bytes.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn vote(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.meta(VOTE_KEY)
    }

    /// The bytes of the mark of what was purged.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn purged(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.meta(PURGED_KEY)
    }

    /// Applies a batch and syncs it.
    ///
    /// # Errors
    /// [`DiskError`]; then nothing of the batch may be relied on.
    pub fn write(&self, batch: LogBatch) -> Result<(), DiskError> {
        let meta = format::column(&self.db, META, &self.path)?;
        let entries = format::column(&self.db, ENTRIES, &self.path)?;
        let mut writes = WriteBatch::default();
        for change in batch.changes {
            match change {
                Change::Vote(bytes) => writes.put_cf(meta, VOTE_KEY, bytes),
                Change::Put(index, bytes) => writes.put_cf(entries, index.to_be_bytes(), bytes),
                Change::RemoveFrom(index) => {
                    writes.delete_range_cf(entries, index.to_be_bytes(), u64::MAX.to_be_bytes());
                }
                Change::Purge { upto, mark } => {
                    writes.put_cf(meta, PURGED_KEY, mark);
                    let end = upto.saturating_add(1).to_be_bytes();
                    writes.delete_range_cf(entries, 0_u64.to_be_bytes(), end);
                }
            }
        }
        self.db
            .write_opt(writes, &synced())
            .map_err(|error| DiskError::rocks("writing log entries", &self.path, &error))
    }

    /// Calls `visit` with the index and bytes of each entry from `from` to before `to`, in order, until it says
    /// `false` or there are no more.
    ///
    /// # Errors
    /// [`DiskError`], also of `visit`.
    pub fn scan(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<bool, DiskError>,
    ) -> Result<(), DiskError> {
        let entries = format::column(&self.db, ENTRIES, &self.path)?;
        let start = from.to_be_bytes();
        let mode = IteratorMode::From(&start, Direction::Forward);
        for item in self.db.iterator_cf(entries, mode) {
            let (key, value) =
                item.map_err(|error| DiskError::rocks("reading log entries", &self.path, &error))?;
            let index = key.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| {
                DiskError::damaged(&self.path, format!("entries/{key:02x?}"), "the key is not 8 bytes")
            })?;
            if index >= to || !visit(index, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let meta = format::column(&self.db, META, &self.path)?;
        self.db
            .get_cf(meta, key)
            .map_err(|error| DiskError::rocks("reading a single row", &self.path, &error))
    }
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}
