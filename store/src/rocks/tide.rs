//! The tide mark: what the log database must at least contain.
//!
//! Owns: one small file beside the log database. RocksDB's point-in-time recovery stops at the first record it cannot
//! read and cannot tell a torn tail (never acknowledged) from damage in the middle (acknowledged, perhaps committed).
//! The mark tells: it holds the last synced index and the term voted in. It is written after each sync, unsynced, so
//! it costs microseconds and can only lag behind; before anything is taken away from the log, it is lowered and synced.
//! Invariant: mark <= what was synced. A log that ends before its mark has lost what others were told it holds.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::DiskError;

const LENGTH: usize = 28;

/// What the log must at least contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TideMark {
    /// One more than the last synced log index; 0: none.
    pub next_index: u64,
    /// The term of the last synced vote; 0: none.
    pub vote_term: u64,
}

/// The open file.
#[derive(Debug)]
pub struct Tide {
    file: File,
    path: PathBuf,
}

impl Tide {
    /// Opens or makes the file and reads the mark; an unreadable mark counts as none, as it is not synced.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> Result<(Self, TideMark), DiskError> {
        let fail = |error: io::Error| DiskError::system("opening the tide mark", path, &error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        let mut bytes = [0; LENGTH];
        let mark = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => TideMark::default(),
            Err(error) => return Err(fail(error)),
        };
        Ok((Self { file, path: path.to_owned() }, mark))
    }

    /// Writes the mark, unsynced: call only with what is synced already.
    ///
    /// # Errors
    /// What the system says.
    pub fn raise(&self, mark: TideMark) -> Result<(), DiskError> {
        self.file
            .write_all_at(&encode(mark), 0)
            .map_err(|error| DiskError::system("writing the tide mark", &self.path, &error))
    }

    /// Writes the mark and syncs it: call before anything is taken away from the log.
    ///
    /// # Errors
    /// What the system says.
    pub fn lower(&self, mark: TideMark) -> Result<(), DiskError> {
        self.raise(mark)?;
        self.file.sync_data().map_err(|error| DiskError::system("syncing the tide mark", &self.path, &error))
    }
}

fn encode(mark: TideMark) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(b"LHTIDE01");
    bytes[8..16].copy_from_slice(&mark.next_index.to_be_bytes());
    bytes[16..24].copy_from_slice(&mark.vote_term.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<TideMark> {
    let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).ok();
    let checksum = bytes[24..].try_into().map(u32::from_be_bytes).ok()?;
    if bytes[..8] != *b"LHTIDE01" || crc32fast::hash(&bytes[..24]) != checksum {
        return None;
    }
    Some(TideMark { next_index: number(8)?, vote_term: number(16)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_survives_and_a_torn_one_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tide");
        let (tide, none) = Tide::open(&path).unwrap();
        assert_eq!(none, TideMark::default());
        let mark = TideMark { next_index: 17, vote_term: 3 };
        tide.raise(mark).unwrap();
        assert_eq!(Tide::open(&path).unwrap().1, mark);
        tide.lower(TideMark { next_index: 5, vote_term: 3 }).unwrap();
        assert_eq!(Tide::open(&path).unwrap().1.next_index, 5);
        std::fs::write(&path, b"LHTIDE01 torn").unwrap();
        assert_eq!(Tide::open(&path).unwrap().1, TideMark::default());
    }
}
