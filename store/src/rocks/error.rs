//! What can be wrong with a store node's disk.
//!
//! Owns: [`DiskError`] and its making out of RocksDB's and the operating system's errors. Refuses to know: who asked.
//! RocksDB reports errors as text; a full disk is told by the system's words in it.
//! Invariant: each message says what was being done, where, and what the operator can do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the disk did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// No space is left on the device (or a quota is used up).
    #[error("disk full: {doing} in {}: {detail}; free space on that file system and start the node again, nothing committed is lost", path.display())]
    Full {
        /// What was being done.
        doing: &'static str,
        /// The folder.
        path: PathBuf,
        /// What RocksDB or the system said.
        detail: String,
    },
    /// What is on disk is not what was written.
    #[error("damage in {} at {key}: {detail}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// The column and key, or the file.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The folder was written by another version of this program.
    #[error("{} has format {found}, this program reads format {wanted}: use the version that wrote it", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// The format found.
        found: String,
        /// The format that this program reads.
        wanted: String,
    },
    /// The folder belongs to another node or cluster.
    #[error("{} belongs to {found}, but the configuration says {wanted}: correct the configuration or the path", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// Anything else.
    #[error("{doing} in {}: {detail}", path.display())]
    Other {
        /// What was being done.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What RocksDB or the system said.
        detail: String,
    },
}

impl DiskError {
    /// Makes one out of RocksDB's.
    pub(crate) fn rocks(doing: &'static str, path: &Path, error: &rocksdb::Error) -> Self {
        let detail = error.to_string();
        if is_full(&detail) {
            return Self::Full { doing, path: path.to_owned(), detail };
        }
        if error.kind() == rocksdb::ErrorKind::Corruption {
            return Self::Damaged { path: path.to_owned(), key: format!("(while {doing})"), detail };
        }
        Self::Other { doing, path: path.to_owned(), detail }
    }

    /// Makes one out of the system's.
    pub(crate) fn system(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { doing, path, detail },
            _ => Self::Other { doing, path, detail },
        }
    }

    /// A value that cannot be what was written there.
    pub(crate) fn damaged(path: &Path, key: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), key: key.into(), detail: detail.into() }
    }

    /// Whether freeing space is the remedy.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        let kind = match &error {
            DiskError::Full { .. } => io::ErrorKind::StorageFull,
            DiskError::Damaged { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// RocksDB gives the system's words for ENOSPC and EDQUOT, and its own after an earlier failure.
fn is_full(detail: &str) -> bool {
    ["No space left on device", "Disk quota exceeded", "NoSpace", "SpaceLimit"]
        .iter()
        .any(|words| detail.contains(words))
}
