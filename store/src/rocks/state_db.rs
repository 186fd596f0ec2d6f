//! The state database: a copy of the state machine's rows, and the mark of which prefix of the log they are.
//!
//! Owns: keys and columns of that database, checkpoints of it. Refuses to know: what a row means, when to write.
//! Inputs: changed rows with the mark that belongs to them. Outputs: all rows in key order, the mark.
//! Invariants: rows and mark change in one batch, and all columns are flushed together, so whatever a crash leaves
//! is the rows of exactly one prefix of the log; [`StateDb::flush`] returns after that prefix is on disk for good.

use std::path::{Path, PathBuf};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{Cache, DB, FlushOptions, IteratorMode, WriteBatch, WriteOptions};

use super::format::{self, META};
use super::{DiskError, DiskLimits};

const ROWS: &str = "rows";
const MARK_KEY: &[u8] = b"mark";

/// One row of the state machine's copy on disk. What values hold is not known here, so none is in `Debug` output (SEC-07).
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The key; rows are kept in the order of their keys' bytes.
    pub key: Vec<u8>,
    /// The value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({:02x?}, {:?} octets)", self.key, self.value.as_ref().map(Vec::len))
    }
}

/// A row as it is read: key and value.
pub type StoredRow = (Box<[u8]>, Box<[u8]>);

/// The open state database.
pub struct StateDb {
    db: DB,
    path: PathBuf,
}

impl StateDb {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// [`DiskError`]: full, damaged, or of another format.
    pub fn open(path: &Path, limits: &DiskLimits) -> Result<Self, DiskError> {
        let cache = Cache::new_lru_cache(limits.block_cache_bytes / 2);
        let db = format::open(path, "state", ROWS, limits.state_buffer_bytes, &cache, 0)?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// The database's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the mark; `None` if nothing was ever written.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn mark(&self) -> Result<Option<Vec<u8>>, DiskError> {
        let meta = format::column(&self.db, META, &self.path)?;
        self.db
            .get_cf(meta, MARK_KEY)
            .map_err(|error| DiskError::rocks("reading the state's mark", &self.path, &error))
    }

    /// Writes changed rows and their mark together, unsynced.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write(
        &self,
        rows: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        mark: &[u8],
    ) -> Result<(), DiskError> {
        let meta = format::column(&self.db, META, &self.path)?;
        let column = format::column(&self.db, ROWS, &self.path)?;
        let mut writes = WriteBatch::default();
        for (key, value) in rows {
            match value {
                Some(value) => writes.put_cf(column, key, value),
                None => writes.delete_cf(column, key),
            }
        }
        writes.put_cf(meta, MARK_KEY, mark);
        self.db
            .write_opt(writes, &WriteOptions::default())
            .map_err(|error| DiskError::rocks("writing the copy of the state", &self.path, &error))
    }

    /// Fills a database that is not in use yet (a snapshot being received): nothing is safe before [`Self::flush`].
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn fill(&self, rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), DiskError> {
        let column = format::column(&self.db, ROWS, &self.path)?;
        let mut writes = WriteBatch::default();
        for (key, value) in rows {
            writes.put_cf(column, key, value);
        }
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        self.db
            .write_opt(writes, &unlogged)
            .map_err(|error| DiskError::rocks("writing a received snapshot", &self.path, &error))
    }

    /// Puts everything written so far on disk for good.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn flush(&self) -> Result<(), DiskError> {
        let fail = |error| DiskError::rocks("flushing the copy of the state", &self.path, &error);
        let columns =
            [format::column(&self.db, META, &self.path)?, format::column(&self.db, ROWS, &self.path)?];
        let mut wait = FlushOptions::default();
        wait.set_wait(true);
        self.db.flush_cfs_opt(&columns, &wait).map_err(fail)?;
        self.db.flush_wal(true).map_err(fail)
    }

    /// Makes a copy of the database as it is now in the new folder `target`, by links where possible.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn checkpoint(&self, target: &Path) -> Result<(), DiskError> {
        let fail = |error| DiskError::rocks("making a checkpoint of the state", target, &error);
        Checkpoint::new(&self.db).map_err(fail)?.create_checkpoint(target).map_err(fail)
    }

    /// Calls `visit` with each row in key order, until it says `false`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn scan(&self, mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskError> {
        for row in self.rows()? {
            let (key, value) = row?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    /// All rows in key order.
    ///
    /// # Errors
    /// [`DiskError`], also in place of a row; then there are no more.
    pub fn rows(&self) -> Result<impl Iterator<Item = Result<StoredRow, DiskError>>, DiskError> {
        let column = format::column(&self.db, ROWS, &self.path)?;
        Ok(self.db.iterator_cf(column, IteratorMode::Start).map(|row| {
            row.map_err(|error| DiskError::rocks("reading the copy of the state", &self.path, &error))
        }))
    }
}
