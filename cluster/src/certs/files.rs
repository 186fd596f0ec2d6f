//! Writing certificate files.
//!
//! Owns: that a file appears whole or not at all, with the right permissions from its first byte, and that nothing
//! is overwritten by accident. Refuses to know: what is in the files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::authority::CertsError;

/// Mode of a private key: its owner only.
pub(super) const SECRET: u32 = 0o600;
/// Mode of what may be read by all.
pub(super) const PUBLIC: u32 = 0o644;

/// Writes files none of which may be there yet: all of them, or none.
pub(super) fn write_set(files: &[(&Path, &str, u32)]) -> Result<(), CertsError> {
    for (path, _, _) in files {
        if path.symlink_metadata().is_ok() {
            return Err(CertsError::Exists { path: (*path).to_owned() });
        }
    }
    for (index, (path, text, mode)) in files.iter().enumerate() {
        if let Err(error) = write_new(path, text, *mode) {
            for (written, _, _) in &files[..index] {
                // If it cannot be removed, the first error still tells why.
                let _ = fs::remove_file(written);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => CertsError::Exists { path: path.to_owned() },
        _ => CertsError::File { path: path.to_owned(), source },
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    fill(file, text).map_err(|source| {
        // Half a file is worse than none.
        let _ = fs::remove_file(path);
        CertsError::File { path: path.to_owned(), source }
    })
}

/// Puts a new version in the place of a file, in one step: readers see the old or the new.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // A leftover of a run that was killed.
    let _ = fs::remove_file(&beside);
    write_new(&beside, text, mode)?;
    fs::rename(&beside, path).map_err(|source| CertsError::File { path: path.to_owned(), source })
}

/// Reads a text file.
pub(super) fn read(path: &Path) -> Result<String, CertsError> {
    fs::read_to_string(path).map_err(|source| CertsError::File { path: path.to_owned(), source })
}

fn fill(mut file: File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
