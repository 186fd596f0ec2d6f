//! The socket's file: made for its owner alone, what a crash left behind replaced, removed at the end.
//!
//! The mode is set between bind and listen, so at no moment can anybody else connect.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that wait in the kernel while all places are taken.
const BACKLOG: i32 = 16;

/// Reading and writing for the owner alone.
const MODE: u32 = 0o600;

/// Why there is no status socket.
#[derive(Debug, thiserror::Error)]
pub enum StatusSocketError {
    /// Something else lies there.
    #[error("the status socket cannot be {}: a file that is no socket lies there; move it or name another path", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// Another process answers there.
    #[error("the status socket cannot be {}: another process answers there; stop it or name another path", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("the status socket cannot be {}: {source} ({doing}); does its folder exist, and may this user write to it?", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// The file of a socket. Dropping it removes the file, unless another has taken its place.
#[derive(Debug)]
pub(in crate::process) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let still_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if still_ours {
            // A file left behind is found stale and replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens the socket, not blocking; a stale file is replaced.
///
/// # Errors
/// [`StatusSocketError`]; whatever else lay there still does.
pub(in crate::process) fn open(path: &Path) -> Result<(UnixListener, SocketFile), StatusSocketError> {
    let failed = |doing| move |source| StatusSocketError::System { path: path.to_owned(), doing, source };
    let address = SockAddr::unix(path).map_err(failed("reading its path"))?;
    clear(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("making a socket"))?;
    socket.bind(&address).map_err(failed("binding"))?;
    let found = std::fs::symlink_metadata(path).map_err(failed("looking at its file"))?;
    let file = SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() };
    std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed("setting its mode"))?;
    socket.listen(BACKLOG).map_err(failed("listening"))?;
    socket.set_nonblocking(true).map_err(failed("making it not block"))?;
    Ok((UnixListener::from(socket), file))
}

/// Removes the file of a socket on which nobody answers.
fn clear(path: &Path, address: &SockAddr) -> Result<(), StatusSocketError> {
    let failed = |doing| move |source| StatusSocketError::System { path: path.to_owned(), doing, source };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at its file")(error)),
    };
    if !found.file_type().is_socket() {
        return Err(StatusSocketError::NotASocket { path: path.to_owned() });
    }
    let knock = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("making a socket"))?;
    // Not blocking: whoever answers there may have no room for one more.
    knock.set_nonblocking(true).map_err(failed("making it not block"))?;
    match knock.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("removing what an earlier process left"))
        }
        Ok(()) => Err(StatusSocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(StatusSocketError::InUse { path: path.to_owned() })
        }
        Err(error) => Err(failed("looking whether somebody answers")(error)),
    }
}
