//! The layout of a data folder: which state folder is in use, new ones, setting damage aside.
//!
//! Owns: names and renames. Refuses to know: what is in the databases.
//! Inputs: the data folder's path. Outputs: paths; folders moved.
//! Invariants: the state folder in use is named by one small file that is replaced atomically, so a snapshot is
//! installed entirely or not at all; whatever that file does not name is removed when the node starts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::DiskError;

const CURRENT: &str = "state.current";

/// One node's data folder.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    next: AtomicU64,
}

impl DataFolder {
    /// Opens the folder, and makes it if missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let fail = |error: io::Error| DiskError::system("opening the data folder", root, &error);
        fs::create_dir_all(root).map_err(fail)?;
        let folder = Self { root: root.to_owned(), next: AtomicU64::new(1) };
        for entry in fs::read_dir(root).map_err(fail)? {
            if let Some(number) = number_of(&entry.map_err(fail)?.file_name().to_string_lossy()) {
                folder.next.fetch_max(number.saturating_add(1), Ordering::Relaxed);
            }
        }
        Ok(folder)
    }

    /// Removes snapshots and states that are not in use. Call it only once the log database is open: its lock proves
    /// that no other process uses this folder. What cannot be removed stays, with a warning, until the next start.
    ///
    /// # Errors
    /// What the system says about listing the folder.
    pub fn clean(&self) -> Result<(), DiskError> {
        let fail = |error: io::Error| DiskError::system("listing the data folder", &self.root, &error);
        let current = self.current_name()?;
        for entry in fs::read_dir(&self.root).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if number_of(&name).is_none() || current.as_deref() == Some(name.as_str()) {
                continue;
            }
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "an unused folder stays until the next start");
            }
        }
        Ok(())
    }

    /// The data folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the log database.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The file of the tide mark.
    #[must_use]
    pub fn tide(&self) -> PathBuf {
        self.root.join("tide")
    }

    /// The state folder in use; `None` before the first one is chosen.
    ///
    /// # Errors
    /// What the system says, or damage if the name in the file is none of ours.
    pub fn current_state(&self) -> Result<Option<PathBuf>, DiskError> {
        Ok(self.current_name()?.map(|name| self.root.join(name)))
    }

    /// A path for a new state folder, not used before.
    #[must_use]
    pub fn new_state(&self) -> PathBuf {
        self.root.join(format!("state-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// A path for a new snapshot folder, not used before.
    #[must_use]
    pub fn new_snapshot(&self) -> PathBuf {
        self.root.join(format!("snapshot-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Puts `state` into use, durably and atomically.
    ///
    /// # Errors
    /// What the system says; then the one in use before still is.
    pub fn switch_to(&self, state: &Path) -> Result<(), DiskError> {
        let fail = |error: io::Error| DiskError::system("switching the state folder", &self.root, &error);
        let name = state.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let draft = self.root.join("state.next");
        let mut file = File::create(&draft).map_err(fail)?;
        file.write_all(name.as_bytes()).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        fs::rename(&draft, self.root.join(CURRENT)).map_err(fail)?;
        sync_folder(&self.root).map_err(fail)
    }

    fn current_name(&self) -> Result<Option<String>, DiskError> {
        let path = self.root.join(CURRENT);
        match fs::read_to_string(&path) {
            Ok(name) if name.starts_with("state-") && !name.contains('/') => Ok(Some(name)),
            Ok(name) => Err(DiskError::damaged(&path, CURRENT, format!("{name:?} names no state folder"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::system("reading the name of the state folder", &path, &error)),
        }
    }
}

/// Moves a damaged node's databases into `damaged-N` inside the data folder, so that the node can start blank and
/// rejoin. Nothing is deleted. Returns the new folder.
///
/// # Errors
/// What the system says. `log` goes first, with it the identity: a half-done move is a blank node.
pub fn set_aside(root: &Path) -> Result<PathBuf, DiskError> {
    let fail = |error: io::Error| DiskError::system("setting damaged data aside", root, &error);
    let mut number = 1_u32;
    let target = loop {
        let candidate = root.join(format!("damaged-{number}"));
        match fs::create_dir(&candidate) {
            Ok(()) => break candidate,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < u32::MAX => number += 1,
            Err(error) => return Err(fail(error)),
        }
    };
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(root).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        if name == "log" || name == "tide" || name.starts_with("state") || name.starts_with("snapshot-") {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        fs::rename(root.join(&name), target.join(&name)).map_err(fail)?;
    }
    sync_folder(&target).map_err(fail)?;
    sync_folder(root).map_err(fail)?;
    Ok(target)
}

/// The number of a state or snapshot folder.
fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("state-").or_else(|| name.strip_prefix("snapshot-"))?.parse().ok()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
