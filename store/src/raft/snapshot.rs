//! Snapshots: state databases in folders of their own.
//!
//! Owns: a checkpoint kept while somebody may want it, a state being filled by what another node sends, and loading
//! the state machine from a state database. Refuses to know: gRPC, when snapshots are made.
//! Inputs: rows. Outputs: a [`StateDb`] that is complete or was never put into use.
//! Invariant: a folder that nobody holds any more is removed, unless it was put into use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::codec::StateMark;
use super::copier::mark_of;
use super::replicated::{Replicated, RestoreError, Row};
use super::types::SnapshotMeta;
use crate::rocks::{DiskError, DiskLimits, StateDb};

/// What openraft hands from the state machine to the network and back.
pub(crate) enum SnapshotData {
    /// Made here.
    Checkpoint(Arc<Checkpoint>),
    /// Received from the leader, complete but for its mark.
    Received(Filling),
}

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checkpoint(checkpoint) => write!(f, "checkpoint in {}", checkpoint.path.display()),
            Self::Received(filling) => write!(f, "received into {}", filling.path.display()),
        }
    }
}

/// A checkpoint of the state database.
pub(crate) struct Checkpoint {
    // Dropped before the folder is removed.
    db: Option<StateDb>,
    path: PathBuf,
    meta: SnapshotMeta,
}

impl Checkpoint {
    /// Opens the checkpoint that was made in `path`. Blocks.
    pub(crate) fn open(path: PathBuf, limits: &DiskLimits) -> Result<Self, DiskError> {
        let db = StateDb::open(&path, limits)?;
        let mark = mark_of(&db)?;
        let meta = SnapshotMeta { last_log_id: mark.applied, last_membership: mark.membership };
        Ok(Self { db: Some(db), path, meta })
    }

    /// What the checkpoint covers.
    pub(crate) const fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Its rows.
    pub(crate) fn db(&self) -> Result<&StateDb, DiskError> {
        self.db.as_ref().ok_or_else(|| DiskError::Other {
            doing: "reading a checkpoint",
            path: self.path.clone(),
            detail: "it is closed".into(),
        })
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.db = None;
        remove(&self.path);
    }
}

/// A state database being filled.
pub(crate) struct Filling {
    db: Option<StateDb>,
    path: PathBuf,
}

impl Filling {
    /// Makes an empty one in the new folder `path`. Blocks.
    pub(crate) fn create(path: PathBuf, limits: &DiskLimits) -> Result<Self, DiskError> {
        let db = StateDb::open(&path, limits)?;
        Ok(Self { db: Some(db), path })
    }

    /// A copy of the rows of another. Blocks.
    pub(crate) fn copy_of(source: &StateDb, path: PathBuf, limits: &DiskLimits) -> Result<Self, DiskError> {
        const ROWS_AT_ONCE: usize = 1_000;
        let filling = Self::create(path, limits)?;
        let mut rows = source.rows()?;
        loop {
            let some: Vec<(Vec<u8>, Vec<u8>)> = rows
                .by_ref()
                .take(ROWS_AT_ONCE)
                .map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())))
                .collect::<Result<_, _>>()?;
            if some.is_empty() {
                return Ok(filling);
            }
            filling.add(some)?;
        }
    }

    /// Adds rows. Blocks.
    pub(crate) fn add(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), DiskError> {
        match &self.db {
            Some(db) => db.fill(rows),
            None => Ok(()),
        }
    }

    /// Writes the mark and puts all on disk for good. From here on the folder stays. Blocks.
    pub(crate) fn finish(mut self, mark: &StateMark) -> Result<(StateDb, PathBuf), DiskError> {
        let Some(db) = self.db.take() else {
            return Err(DiskError::Other {
                doing: "finishing a received snapshot",
                path: self.path.clone(),
                detail: "it is closed".into(),
            });
        };
        let written = db.flush().and_then(|()| db.write([], &mark.encode())).and_then(|()| db.flush());
        match written {
            Ok(()) => Ok((db, std::mem::take(&mut self.path))),
            Err(error) => {
                self.db = Some(db);
                Err(error)
            }
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.db = None;
        remove(&self.path);
    }
}

/// Removes a folder that is not in use; what stays is removed at the next start.
pub(crate) fn remove(path: &Path) {
    if path.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "an unused folder stays until the next start");
    }
}

/// Why a state machine cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the rows make no state machine: {0}")]
    Restore(#[from] RestoreError),
}

impl From<LoadError> for std::io::Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Disk(error) => error.into(),
            LoadError::Restore(_) => Self::new(std::io::ErrorKind::InvalidData, error),
        }
    }
}

/// Loads the state machine from the rows of `db`. Blocks, holding the lock.
pub(crate) fn load<R: Replicated>(db: &StateDb, holder: &Mutex<R>) -> Result<(), LoadError> {
    let mut failed = None;
    let mut rows = db.rows()?.map_while(|row| match row {
        Ok((key, value)) => Some(Row { key: key.into_vec(), value: Some(value.into_vec()) }),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    // A state machine that panicked before is replaced entirely here.
    let restored = holder.lock().unwrap_or_else(PoisonError::into_inner).restore(&mut rows);
    drop(rows);
    // A row that could not be read explains whatever the state machine found missing.
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(restored?),
    }
}
