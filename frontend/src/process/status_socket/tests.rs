//! The socket's file, and what may come in by it.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use leasehold_proto::time::LocalTime;
use leasehold_proto::words::FrontendId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::serve::CONNECTIONS_MAX;
use super::*;
use crate::engine::budget::{StoreReach, SurvivalBudget};
use crate::session::tests::soon;

/// A folder of its own, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("leasehold-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> std::path::PathBuf {
        self.0.join("status.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn budget() -> Arc<SurvivalBudget> {
    Arc::new(SurvivalBudget {
        frontend: FrontendId::new("fe-a").unwrap(),
        as_of: LocalTime::ZERO,
        store: StoreReach::InReach,
        is_superseded: false,
        is_stopping: false,
        untold_leases: 3,
        pools: Vec::new(),
    })
}

/// A server on a socket in the folder.
fn start(folder: &Folder) -> (SocketFile, watch::Sender<Published>) {
    let (listener, file) = open(&folder.socket()).unwrap();
    let (sender, published) = watch::channel(None);
    tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), published));
    (file, sender)
}

async fn ask(path: &Path, request: &[u8]) -> Answer {
    let mut stream = soon("a connection", UnixStream::connect(path)).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.pop(), Some(b'\n'));
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_process() {
    let folder = Folder::new("mode");
    let (_listener, file) = open(&folder.socket()).unwrap();
    let found = std::fs::symlink_metadata(folder.socket()).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o777, 0o600);
    drop(file);
    assert!(!folder.socket().exists());
}

#[test]
fn what_a_crash_left_behind_is_replaced_and_what_lives_is_not() {
    let folder = Folder::new("stale");
    let (listener, file) = open(&folder.socket()).unwrap();
    // Somebody answers there, even with no room for one more.
    let full: Vec<_> = (0..64).map_while(|_| connect_now(&folder.socket())).collect();
    assert!(full.len() < 64, "the kernel's queue is bounded");
    assert!(matches!(open(&folder.socket()), Err(StatusSocketError::InUse { .. })));
    drop((listener, full));
    // As after a kill: the file is there and nobody answers.
    let old = std::fs::symlink_metadata(folder.socket()).unwrap();
    let (_again, second) = open(&folder.socket()).unwrap();
    assert!(folder.socket().exists());
    // The first one's file is another by now, unless the file system has used its number again.
    let new = std::fs::symlink_metadata(folder.socket()).unwrap();
    drop(file);
    assert_eq!(folder.socket().exists(), old.ino() != new.ino());
    drop(second);
    assert!(!folder.socket().exists());
}

fn connect_now(path: &Path) -> Option<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&socket2::SockAddr::unix(path).unwrap()).ok().map(|()| socket)
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = Folder::new("file");
    std::fs::write(folder.socket(), "precious").unwrap();
    let refused = open(&folder.socket()).unwrap_err();
    assert!(matches!(refused, StatusSocketError::NotASocket { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(folder.socket()).unwrap(), "precious");
    // Nor is a link followed to a socket that lies elsewhere.
    let elsewhere = folder.0.join("elsewhere");
    let link = folder.0.join("link");
    drop(std::os::unix::net::UnixListener::bind(&elsewhere).unwrap());
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    assert!(matches!(open(&link), Err(StatusSocketError::NotASocket { .. })));
    let missing = open(&folder.0.join("no/such/folder.sock")).unwrap_err();
    assert!(missing.to_string().contains("does its folder exist"), "{missing}");
}

#[tokio::test]
async fn one_line_is_answered_by_one_line() {
    let folder = Folder::new("answer");
    let (_file, sender) = start(&folder);
    let early = ask(&folder.socket(), b"budget\n").await;
    assert!(early.budget.is_none() && early.error.unwrap().contains("ask again"));
    sender.send_replace(Some(budget()));
    let answer = ask(&folder.socket(), b"budget\r\n").await;
    assert_eq!((answer.version, answer.error), (VERSION, None));
    let view = answer.budget.unwrap();
    assert_eq!((view.frontend.as_str(), view.untold_leases, view.store.in_reach), ("fe-a", 3, true));
    for garbage in [&b"\n"[..], b"status\n", b"budget budget\n", &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        let answer = ask(&folder.socket(), garbage).await;
        assert!(answer.budget.is_none() && answer.error.unwrap().contains("not understood"));
    }
}

#[tokio::test]
async fn clients_that_send_nothing_hold_their_places_for_a_bounded_time_only() {
    let folder = Folder::new("slow");
    let (_file, sender) = start(&folder);
    sender.send_replace(Some(budget()));
    let mut slow = Vec::new();
    for _ in 0..CONNECTIONS_MAX + 4 {
        let mut stream = UnixStream::connect(folder.socket()).await.unwrap();
        // A byte now and then does not prolong it.
        stream.write_all(b"b").await.unwrap();
        slow.push(stream);
    }
    // They all came first: there is a place for this one only when the first eight have lost theirs.
    assert!(ask(&folder.socket(), b"budget\n").await.budget.is_some());
    // All of them were hung up on.
    for mut stream in slow {
        let mut rest = Vec::new();
        // An end or a reset, as the kernel likes.
        let _ = soon("the end", stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn a_client_that_sends_without_end_is_answered_and_hung_up_on() {
    let folder = Folder::new("flood");
    let (_file, sender) = start(&folder);
    sender.send_replace(Some(budget()));
    let mut stream = UnixStream::connect(folder.socket()).await.unwrap();
    let flood = async {
        // Bounded by the kernel's buffer: it breaks as soon as the other end is gone.
        loop {
            if stream.write_all(&[b'x'; 4096]).await.is_err() {
                break;
            }
        }
    };
    soon("the end of the connection", flood).await;
    assert!(ask(&folder.socket(), b"budget\n").await.budget.is_some());
}
