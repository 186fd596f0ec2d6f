//! One connection's way out: a bounded queue between the hub and the gRPC stream.
//!
//! Owns: the bounds, and the signals between the two ends. Refuses to know: what messages mean, beyond their size.
//! Invariants: putting a message never waits, since it happens under the lock; what is queued is bounded by messages
//! and by records; a reader too slow for that is cut off, and counted by the caller.

use futures::stream::{self, Stream};
use leasehold_proto::session::FromStore;
use leasehold_proto::v1;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Messages queued for one connection at most.
const MESSAGES_MAX: usize = 4096;
/// Records (events, leases, ranges) in them at most; one is some hundreds of octets.
const RECORDS_MAX: usize = 262_144;
/// Above this share of either bound (one in so many) no further piece of a load is wanted.
const PAUSE_SHARE: usize = 8;

/// What both ends share.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Records queued.
    records: AtomicUsize,
    /// The hub was told to pause.
    paused: AtomicBool,
    /// The reader was too slow: the stream ends at once.
    cut: CancellationToken,
    /// The hub has closed the connection: nothing more is read from it.
    pub(super) closed: CancellationToken,
    /// An outcome came: the connection may perhaps be read on.
    pub(super) progress: Notify,
}

/// The hub's end.
#[derive(Debug)]
pub(super) struct Outbound {
    sender: mpsc::Sender<FromStore>,
    pub(super) link: Arc<Link>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Queued.
    Queued,
    /// Queued; the reader is behind, so pieces of loads should wait.
    Pause,
    /// The reader is too slow, or gone.
    Lost {
        /// Too slow, rather than gone.
        slow: bool,
    },
}

/// The stream's end.
#[derive(Debug)]
pub(super) struct Queue {
    receiver: mpsc::Receiver<FromStore>,
    pub(super) link: Arc<Link>,
}

/// Makes both ends.
pub(super) fn outbound() -> (Outbound, Queue) {
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let link = Arc::new(Link::default());
    (Outbound { sender, link: Arc::clone(&link) }, Queue { receiver, link })
}

impl Outbound {
    pub(super) fn put(&self, message: FromStore) -> Put {
        let records = records(&message);
        let queued = self.link.records.fetch_add(records, Ordering::Relaxed);
        let full = queued > 0 && queued.saturating_add(records) > RECORDS_MAX;
        match self.sender.try_send(message) {
            Err(mpsc::error::TrySendError::Closed(_)) => return Put::Lost { slow: false },
            Err(mpsc::error::TrySendError::Full(_)) => return self.cut(),
            Ok(()) if full => return self.cut(),
            Ok(()) => {}
        }
        let waiting = MESSAGES_MAX - self.sender.capacity();
        let behind = waiting > MESSAGES_MAX / PAUSE_SHARE || queued > RECORDS_MAX / PAUSE_SHARE;
        if behind && !self.link.paused.swap(true, Ordering::Relaxed) {
            return Put::Pause;
        }
        Put::Queued
    }

    fn cut(&self) -> Put {
        self.link.cut.cancel();
        Put::Lost { slow: true }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.link.closed.cancel();
        self.link.progress.notify_waiters();
    }
}

impl Queue {
    /// The messages as they go to the wire. `resume` is called when a reader that was behind has caught up.
    pub(super) fn into_stream(
        self,
        resume: impl Fn() + Send + 'static,
    ) -> impl Stream<Item = Result<v1::StoreMessage, Status>> + Send + 'static {
        stream::unfold(Some((self, resume)), |state| async move {
            let (mut queue, resume) = state?;
            let cut = queue.link.cut.clone();
            let message = tokio::select! {
                biased;
                () = cut.cancelled() => {
                    let status = Status::resource_exhausted("the session's stream was read too slowly");
                    return Some((Err(status), None));
                }
                message = queue.receiver.recv() => message?,
            };
            queue.took(&message, &resume);
            Some((Ok(v1::StoreMessage::from(&message)), Some((queue, resume))))
        })
    }

    fn took(&self, message: &FromStore, resume: &impl Fn()) {
        let records = records(message);
        let left = self.link.records.fetch_sub(records, Ordering::Relaxed).saturating_sub(records);
        let caught_up =
            self.receiver.len() <= MESSAGES_MAX / PAUSE_SHARE / 2 && left <= RECORDS_MAX / PAUSE_SHARE / 2;
        if caught_up && self.link.paused.swap(false, Ordering::Relaxed) {
            resume();
        }
    }
}

fn records(message: &FromStore) -> usize {
    match message {
        FromStore::Load(chunk) => chunk.leases.len() + chunk.ranges.len() + chunk.registrations.len(),
        FromStore::Entry(entry) => entry.events.len(),
        FromStore::Lookup { leases, .. } => leases.len(),
        FromStore::Welcome(_)
        | FromStore::Refused(_)
        | FromStore::HeartbeatAnswer { .. }
        | FromStore::Liveness(_)
        | FromStore::Traces(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use leasehold_proto::words::LogIndex;

    fn word() -> FromStore {
        FromStore::HeartbeatAnswer { log_index: LogIndex(1) }
    }

    #[tokio::test]
    async fn a_slow_reader_is_paused_then_cut_off() {
        let (outbound, queue) = outbound();
        let puts: Vec<Put> = (0..=MESSAGES_MAX).map(|_| outbound.put(word())).collect();
        assert_eq!(puts.iter().filter(|p| **p == Put::Pause).count(), 1, "told once");
        assert_eq!(puts.last(), Some(&Put::Lost { slow: true }));
        let mut stream = Box::pin(queue.into_stream(|| {}));
        let ended = stream.next().await.unwrap().unwrap_err();
        assert_eq!(ended.code(), tonic::Code::ResourceExhausted);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_catches_up_is_sent_more_and_a_closed_one_gets_the_rest() {
        let (outbound, queue) = outbound();
        let link = Arc::clone(&queue.link);
        for _ in 0..MESSAGES_MAX / 2 {
            outbound.put(word());
        }
        let resumed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&resumed);
        let mut stream = Box::pin(queue.into_stream(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        drop(outbound);
        assert!(link.closed.is_cancelled());
        let mut taken = 0;
        while let Some(message) = stream.next().await {
            message.unwrap();
            taken += 1;
        }
        assert_eq!((taken, resumed.load(Ordering::Relaxed)), (MESSAGES_MAX / 2, 1));
    }

    #[test]
    fn a_reader_that_is_gone_is_told_from_a_slow_one() {
        let (outbound, queue) = outbound();
        drop(queue);
        assert_eq!(outbound.put(word()), Put::Lost { slow: false });
    }
}
