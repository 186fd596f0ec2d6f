//! Tests of the session over loopback against a fake store that does what the test says.
//!
//! Owns the harness: the packet thread's end of the inbox, and waits that are for a condition with a bound.

mod ending;
pub(crate) mod fake_store;
mod keeping;

use std::time::Duration;

use leasehold_proto::session::{FromStore, Hello, ToStore, Welcome};
use leasehold_proto::tls::Security;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, UpdateSeq};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{FromSession, Inbox, Line, SessionConfig, SessionState, StoreAddress, inbox, keep};
use crate::io::Waker;
use fake_store::{Call, FakeStore};

/// No condition takes that long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Waits for something, as long as a test may.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// A session under test, with the packet thread's end in the test's hand.
struct Kept {
    from_session: mpsc::Receiver<FromSession>,
    state: watch::Receiver<SessionState>,
    task: JoinHandle<()>,
}

fn keep_with(stores: &[String]) -> Kept {
    let (inbox, from_session): (Inbox, _) = inbox(Waker::new().unwrap());
    let (sender, state) = watch::channel(SessionState::Searching { problem: None });
    let stores = stores.iter().map(|address| StoreAddress { name: None, address: address.clone() });
    let config = SessionConfig {
        cluster: "test".to_owned(),
        stores: stores.collect(),
        security: Security::InsecureLoopback,
    };
    Kept { from_session, state, task: tokio::spawn(keep(config, inbox, sender)) }
}

impl Kept {
    async fn next(&mut self) -> FromSession {
        soon("something from the session", self.from_session.recv()).await.expect("the session's task runs")
    }

    /// The next connection's line.
    async fn line(&mut self) -> Line {
        match self.next().await {
            FromSession::Connected(line) => line,
            other => panic!("not a connection: {other:?}"),
        }
    }

    async fn message(&mut self) -> FromStore {
        match self.next().await {
            FromSession::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// Everything up to the end of the connection in hand.
    async fn until_disconnected(&mut self) -> Vec<FromStore> {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                FromSession::Message(message) => messages.push(message),
                FromSession::Disconnected => return messages,
                FromSession::Connected(_) => panic!("connected twice"),
            }
        }
    }
}

fn hello() -> ToStore {
    ToStore::Hello(Hello {
        frontend: FrontendId::new("fe-a").unwrap(),
        resume_epoch: Epoch::NONE,
        resume_index: LogIndex(0),
        loaded: false,
        host: None,
    })
}

fn welcome(epoch: u64) -> FromStore {
    FromStore::Welcome(Welcome {
        epoch: Epoch(epoch),
        index: LogIndex(1),
        resumed: false,
        applied_sequence: UpdateSeq(0),
        network: None,
        supersedes: Epoch::NONE,
        draining: false,
        reconfigure_secret: None,
        reconfigure_orders: 0,
    })
}

fn answer(log_index: u64) -> FromStore {
    FromStore::HeartbeatAnswer { log_index: LogIndex(log_index) }
}

/// Says hello on the next line and has it welcomed.
async fn open(kept: &mut Kept, store: &mut FakeStore, epoch: u64) -> (Line, Call) {
    let line = kept.line().await;
    line.send(hello()).unwrap();
    let mut call = store.call().await;
    assert_eq!(call.hear().await, Some(hello()));
    call.say(welcome(epoch)).await;
    assert_eq!(kept.message().await, welcome(epoch));
    (line, call)
}
