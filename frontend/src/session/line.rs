//! The two queues between the packet thread and the session's task.
//!
//! Owns their bounds and what happens when they are full. Refuses to look into messages. The packet thread's ends
//! never block: [`Line::send`] and the inbox's `try_recv` return at once. The task's ends wait.
//! Invariants: what goes into the inbox comes out in order, with [`FromSession::Connected`] before the first message
//! of a connection and [`FromSession::Disconnected`] after the last; after each entry the packet thread is woken.

use leasehold_proto::session::{FromStore, ToStore};
use tokio::sync::{mpsc, oneshot};

use crate::io::Waker;

/// Messages of the store that wait for the packet thread. Why so few: a piece of a load is tens of kilobytes, and
/// the rest can wait in the store.
pub const INBOX_MESSAGES_MAX: usize = 64;

/// Messages that wait for the store. Why: above what an engine sends at once, which bounds its batches in flight; the
/// rest is heartbeats and look-ups, of which a busy start brings some thousands.
pub const LINE_MESSAGES_MAX: usize = 8_192;

/// What the session tells the packet thread.
#[derive(Debug)]
pub enum FromSession {
    /// A store node answers: say hello on this line.
    Connected(Line),
    /// It said something.
    Message(FromStore),
    /// The connection is gone; the line leads nowhere.
    Disconnected,
}

/// The packet thread's end of one connection to the store. Dropping it hangs up.
#[derive(Debug)]
pub struct Line {
    queue: mpsc::Sender<ToStore>,
    /// Dropped with the line, which the other end notices.
    _held: oneshot::Sender<()>,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The store does not keep up: drop the line, and send again on the next one.
    #[error("{LINE_MESSAGES_MAX} messages already wait for the store")]
    Full,
    /// The connection is gone: [`FromSession::Disconnected`] is on its way.
    #[error("the connection to the store is gone")]
    Broken,
}

impl Line {
    /// Queues a message for the store. Never blocks.
    ///
    /// # Errors
    /// [`LineError`]; the message was not taken.
    pub fn send(&self, message: ToStore) -> Result<(), LineError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LineError::Full,
            mpsc::error::TrySendError::Closed(_) => LineError::Broken,
        })
    }
}

/// The task's end of a line.
#[derive(Debug)]
pub(super) struct LineEnd {
    /// What the packet thread sends.
    pub(super) queue: mpsc::Receiver<ToStore>,
    /// Resolves when the packet thread hangs up.
    pub(super) hung_up: oneshot::Receiver<()>,
}

/// A new line.
pub(super) fn line() -> (Line, LineEnd) {
    let (sender, queue) = mpsc::channel(LINE_MESSAGES_MAX);
    let (held, hung_up) = oneshot::channel();
    (Line { queue: sender, _held: held }, LineEnd { queue, hung_up })
}

/// The task's way to the packet thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbox {
    queue: mpsc::Sender<FromSession>,
    waker: Waker,
}

/// The packet thread is gone, so there is nobody to keep a session for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet thread has ended")]
pub(super) struct PacketThreadGone;

/// A new inbox: the task's end, and the packet thread's, which the waker must belong to.
#[must_use]
pub fn inbox(waker: Waker) -> (Inbox, mpsc::Receiver<FromSession>) {
    let (queue, receiver) = mpsc::channel(INBOX_MESSAGES_MAX);
    (Inbox { queue, waker }, receiver)
}

impl Inbox {
    /// Hands something to the packet thread, after waiting for room.
    pub(super) async fn put(&self, what: FromSession) -> Result<(), PacketThreadGone> {
        self.queue.send(what).await.map_err(|_| PacketThreadGone)?;
        self.waker.wake();
        Ok(())
    }
}
