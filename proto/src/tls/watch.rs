//! Certificates that follow their files.
//!
//! Owns: when to read certificates anew. The files are looked at (a stat each, some microseconds) before each
//! handshake, so that a new certificate or revocation list counts from the next connection on, with no timer and no
//! signal. Refuses to know: what is in the files (`material`) and connections.
//!
//! Invariants: files that fail to load change nothing: what was loaded last goes on serving, and the failure is
//! logged once per change; the identity never changes while a process runs; established connections are untouched.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::TlsError;
use super::material::{Material, TlsFiles};

/// What tells one version of a file from another: device, inode, length, change and modification time.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// A node's certificates, read anew when their files change. Share it by `Arc`.
#[derive(Debug)]
pub struct MutualTls {
    files: TlsFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: [Stamp; 4],
    material: Arc<Material>,
}

impl MutualTls {
    /// Loads the files.
    ///
    /// # Errors
    /// [`TlsError`], as [`Material::load`].
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = stamps(&files);
        let material = Arc::new(Material::load(&files)?);
        Ok(Self { files, state: Mutex::new(State { seen, material }) })
    }

    /// The certificates as their files are now; if these cannot be used, as they were last. Logs a change.
    #[must_use]
    pub fn current(&self) -> Arc<Material> {
        match self.reload() {
            Ok(true) => tracing::info!(cert = %self.files.cert.display(), "certificates read anew"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "changed certificates are not usable; going on with the old ones")
            }
        }
        Arc::clone(&self.lock().material)
    }

    /// Reads the files if they have changed since they were last looked at; says whether they were taken.
    ///
    /// # Errors
    /// [`TlsError`] if the changed files cannot be used; reported once for each change of the files.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut state = self.lock();
        // Stamped before reading: a file that changes meanwhile is read again next time.
        let now = stamps(&self.files);
        if state.seen == now {
            return Ok(false);
        }
        state.seen = now;
        let fresh = Material::load(&self.files)?;
        if fresh.identity() != state.material.identity() {
            return Err(TlsError::IdentityChanged {
                path: self.files.cert.clone(),
                wanted: state.material.identity().to_string(),
                found: fresh.identity().to_string(),
            });
        }
        state.material = Arc::new(fresh);
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while held leaves the last good material in place: nothing to mend.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &TlsFiles) -> [Stamp; 4] {
    [Some(&files.ca), Some(&files.cert), Some(&files.key), files.crl.as_ref()]
        .map(|path| path.and_then(|path| stamp(path)))
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((
        data.dev(),
        data.ino(),
        data.len(),
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ))
}
