//! The one thread that writes the log.
//!
//! Owns: a queue of writes, their coalescing into synced batches, and the order of their acknowledgements. Refuses to
//! know: what the writes mean.
//! Inputs: writes in order, each with what to call when it is on disk. Outputs: those calls, in the same order.
//! Invariants: nothing is acknowledged before its batch is synced; after one failure everything fails, nothing is
//! written any more, and the node is told to stop.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::stop::Stop;
use super::types::Types;
use crate::rocks::{DiskError, LogBatch, LogDb, Tide, TideMark};

/// A batch is closed at so many bytes; one write may be larger.
const BATCH_BYTES: usize = 8 << 20;
/// A batch is closed at so many writes.
const BATCH_WRITES: usize = 4_096;

/// One thing to be written.
pub(crate) enum Write {
    /// Entries, in index order.
    Entries(Vec<(u64, Vec<u8>)>),
    /// The vote, and its term.
    Vote(Vec<u8>, u64),
    /// Entries from this index on are taken away.
    RemoveFrom(u64),
    /// Entries up to this index are taken away; the mark that says so; the last index remaining or purged.
    Purge {
        /// The last index to take away.
        upto: u64,
        /// The new purge mark.
        mark: Vec<u8>,
    },
}

/// Whom to tell that a write is on disk.
pub(crate) enum Done {
    /// openraft, about appended entries.
    Raft(IOFlushed<Types>),
    /// A waiting task.
    Task(oneshot::Sender<Result<(), DiskError>>),
}

impl Done {
    fn tell(self, result: Result<(), DiskError>) {
        match self {
            Self::Raft(callback) => callback.io_completed(result.map_err(io::Error::from)),
            // A task that gave up waiting needs no answer.
            Self::Task(sender) => drop(sender.send(result)),
        }
    }
}

struct Job {
    write: Write,
    done: Done,
}

/// The handle of the thread. Dropping it ends the thread after what is queued was written.
pub(crate) struct Flusher {
    queue: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: std::path::PathBuf,
}

impl Flusher {
    /// Starts the thread. `synced` is called with the highest index of each synced batch.
    pub(crate) fn start(
        db: Arc<LogDb>,
        tide: Tide,
        mark: TideMark,
        stop: Stop,
        synced: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let path = db.path().to_owned();
        let worker = Worker { db, tide, mark, stop, synced, failed: None };
        let thread =
            thread::Builder::new().name("log-flusher".into()).spawn(move || worker.run(&receiver))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), path })
    }

    /// Queues a write.
    pub(crate) fn submit(&self, write: Write, done: Done) {
        let job = Job { write, done };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let rejected = match queue.as_ref() {
            Some(sender) => sender.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        drop(queue);
        if let Some(job) = rejected {
            job.done.tell(Err(self.closed()));
        }
    }

    /// Queues a write and waits until it is on disk.
    pub(crate) async fn write(&self, write: Write) -> Result<(), DiskError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(write, Done::Task(sender));
        receiver.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Writes what is queued and ends the thread. Blocks.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread was reported by the drop of what it owed.
            drop(thread.join());
        }
    }

    fn closed(&self) -> DiskError {
        let detail = "the log is closed".to_owned();
        DiskError::Other { doing: "writing log entries", path: self.path.clone(), detail }
    }
}

struct Worker<F> {
    db: Arc<LogDb>,
    tide: Tide,
    mark: TideMark,
    stop: Stop,
    synced: F,
    failed: Option<DiskError>,
}

impl<F: Fn(u64)> Worker<F> {
    fn run(mut self, queue: &Receiver<Job>) {
        // Ends when the handle drops the sender; what was queued before is still received.
        while let Ok(first) = queue.recv() {
            let mut batch = LogBatch::default();
            let mut waiting = Vec::new();
            let before = self.mark;
            let mut lowest = before;
            self.add(first, &mut batch, &mut waiting, &mut lowest);
            while batch.bytes() < BATCH_BYTES && waiting.len() < BATCH_WRITES {
                let Ok(next) = queue.try_recv() else { break };
                self.add(next, &mut batch, &mut waiting, &mut lowest);
            }
            let result = match &self.failed {
                Some(error) => Err(error.clone()),
                None => self.flush(batch, before, lowest),
            };
            if let Err(error) = &result
                && self.failed.is_none()
            {
                self.stop.because(error.to_string());
                self.failed = Some(error.clone());
            }
            for done in waiting {
                done.tell(result.clone());
            }
        }
    }

    fn add(&mut self, job: Job, batch: &mut LogBatch, waiting: &mut Vec<Done>, lowest: &mut TideMark) {
        match job.write {
            Write::Entries(entries) => {
                for (index, bytes) in entries {
                    self.mark.next_index = index.saturating_add(1);
                    batch.put(index, bytes);
                }
            }
            Write::Vote(bytes, term) => {
                self.mark.vote_term = term;
                batch.vote(bytes);
            }
            Write::RemoveFrom(index) => {
                self.mark.next_index = self.mark.next_index.min(index);
                batch.remove_from(index);
            }
            Write::Purge { upto, mark } => {
                self.mark.next_index = self.mark.next_index.max(upto.saturating_add(1));
                batch.purge(upto, mark);
            }
        }
        lowest.next_index = lowest.next_index.min(self.mark.next_index);
        waiting.push(job.done);
    }

    fn flush(&self, batch: LogBatch, before: TideMark, lowest: TideMark) -> Result<(), DiskError> {
        if lowest.next_index < before.next_index {
            self.tide.lower(lowest)?;
        }
        self.db.write(batch)?;
        self.tide.raise(self.mark)?;
        if let Some(last) = self.mark.next_index.checked_sub(1) {
            (self.synced)(last);
        }
        Ok(())
    }
}
