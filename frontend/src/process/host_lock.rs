//! The exclusive lock by which a restarted frontend proves its predecessor gone (R6).
//!
//! Owns a file on this machine that holds 16 random octets and how often it was locked, locked for as long as the
//! process lives: the kernel lets go of it when the process ends, however it ends. Which boot of which machine this is,
//! and which file, go into the proof that the session shows to the store; whoever shows the same later can only run
//! once the earlier process is gone. Refuses to know sessions. Without a lock, or while another process has it, there
//! is no proof, and the store waits out the autonomy of the predecessor as ever.
//!
//! The file must lie on a file system of this machine: a lock over the network may be lost while its holder lives. A
//! machine that is copied while it runs is outside what a proof can tell.

use leasehold_proto::session::HostProof;
use nix::fcntl::{Flock, FlockArg};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The kernel's random name of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Random octets at the beginning of the file.
const SECRET_LEN: usize = 16;
/// After them, how often the lock was taken.
const FILE_LEN: usize = SECRET_LEN + 8;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum HostLockError {
    /// Another process has the lock.
    #[error(
        "{} is locked: another process of this frontend runs on this machine; stop it, or give this one a file of its own",
        path.display()
    )]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("{} cannot be used: {source}; is its folder there, and may this user write to it?", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The kernel does not tell which boot this is.
    #[error("{BOOT_ID} cannot be read: {0}")]
    BootId(std::io::Error),
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct HostLock {
    _file: Flock<File>,
    proof: HostProof,
}

impl HostLock {
    /// Takes the lock of a file, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it, or the file or the boot's name cannot be had.
    pub fn take(path: &Path) -> Result<Self, HostLockError> {
        let broken = |source| HostLockError::File { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(broken)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
            if error == nix::errno::Errno::EWOULDBLOCK {
                HostLockError::Held { path: path.to_owned() }
            } else {
                broken(error.into())
            }
        })?;
        let (secret, holding) = take_turn(&mut file).map_err(broken)?;
        let found = file.metadata().map_err(broken)?;
        // A copy of the file, in another container perhaps, is another file.
        let mut hash = SipHasher13::new_with_key(&secret);
        std::hash::Hasher::write_u64(&mut hash, found.dev());
        std::hash::Hasher::write_u64(&mut hash, found.ino());
        let boot_id = boot_id().map_err(HostLockError::BootId)?;
        Ok(Self { _file: file, proof: HostProof { boot_id, lock_id: hash.finish128().as_bytes(), holding } })
    }

    /// What the session shows to the store.
    #[must_use]
    pub fn proof(&self) -> HostProof {
        self.proof
    }
}

/// What the file holds, with the count one higher, on disk before anybody is shown it. Anything else is replaced.
fn take_turn(file: &mut File) -> std::io::Result<([u8; SECRET_LEN], u64)> {
    let mut held = Vec::with_capacity(FILE_LEN + 1);
    let bound = u64::try_from(FILE_LEN + 1).unwrap_or(u64::MAX);
    Read::by_ref(file).take(bound).read_to_end(&mut held)?;
    let known = <[u8; FILE_LEN]>::try_from(held).ok().and_then(|held| {
        let (secret, count) = held.split_at(SECRET_LEN);
        Some((secret.try_into().ok()?, u64::from_be_bytes(count.try_into().ok()?)))
    });
    let (secret, taken) = match known {
        Some(known) => known,
        None => {
            let mut secret = [0; SECRET_LEN];
            getrandom::fill(&mut secret).map_err(|error| std::io::Error::other(error.to_string()))?;
            (secret, 0)
        }
    };
    let holding = taken.saturating_add(1);
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&secret)?;
    file.write_all(&holding.to_be_bytes())?;
    file.sync_all()?;
    Ok((secret, holding))
}

fn boot_id() -> std::io::Result<[u8; 16]> {
    let text = std::fs::read_to_string(BOOT_ID)?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| std::io::Error::other("it holds no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6_the_next_holder_shows_the_same_proof_and_nobody_shows_it_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fe-a.lock");
        let first = HostLock::take(&path).unwrap();
        assert!(matches!(HostLock::take(&path), Err(HostLockError::Held { .. })));
        let proof = first.proof();
        drop(first);
        let next = HostLock::take(&path).unwrap().proof();
        assert_eq!(next, HostProof { holding: proof.holding + 1, ..proof });
    }

    #[test]
    fn r6_another_file_and_a_copy_of_it_are_other_locks() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let first = HostLock::take(&path("a")).unwrap().proof();
        let other = HostLock::take(&path("b")).unwrap().proof();
        std::fs::copy(path("a"), path("copy")).unwrap();
        let copy = HostLock::take(&path("copy")).unwrap().proof();
        assert_eq!(first.boot_id, other.boot_id);
        assert!(first.lock_id != other.lock_id && first.lock_id != copy.lock_id);
        // What is in a file that somebody wrote into is replaced.
        std::fs::write(path("a"), "not sixteen octets at all").unwrap();
        assert_ne!(HostLock::take(&path("a")).unwrap().proof().lock_id, first.lock_id);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = HostLock::take(Path::new("/proc/no/such/folder/lock")).unwrap_err();
        assert!(error.to_string().contains("/proc/no/such/folder/lock"), "{error}");
    }
}
