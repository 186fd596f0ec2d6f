//! The state copy, written behind.
//!
//! Owns: rows changed but not written yet, coalesced by key, the thread that writes them, and checkpoints. Refuses to
//! know: what a row means; Raft.
//! Inputs: the changed rows of each applied entry with the mark after it. Outputs: a state database that always holds
//! exactly one prefix of the log; the index up to which it is on disk for good.
//! Invariants: rows and mark of one entry are never split between two batches; writing is off the apply path, which
//! waits only when more than [`PENDING_BYTES`] are pending; after a failure nothing is written any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::Notify;

use super::codec::StateMark;
use super::log::Flushed;
use super::stop::Stop;
use crate::rocks::{DiskError, Row, StateDb};

/// Applying waits while so many bytes are pending.
const PENDING_BYTES: usize = 64 << 20;
/// Between two batches, so that rows changed again and again are written once.
const PAUSE: Duration = Duration::from_millis(20);
/// A row's size in memory besides its key and value.
const ROW_OVERHEAD: usize = 96;

#[derive(Default)]
struct Pending {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    mark: Option<StateMark>,
    closing: bool,
    failed: Option<DiskError>,
}

struct Shared {
    /// Locked for the whole of a write, before `pending`; so that rows taken out are never written into a database
    /// that was put in place meanwhile.
    db: Mutex<Option<Arc<StateDb>>>,
    pending: Mutex<Pending>,
    wake: Condvar,
    room: Notify,
    flushed: Flushed,
    stop: Stop,
}

/// A handle of the copier; clones share it.
#[derive(Clone)]
pub(crate) struct Copier {
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Copier {
    /// Starts writing behind into `db`.
    pub(crate) fn start(db: StateDb, flushed: Flushed, stop: Stop) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            db: Mutex::new(Some(Arc::new(db))),
            pending: Mutex::default(),
            wake: Condvar::new(),
            room: Notify::new(),
            flushed,
            stop,
        });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("state-copier".into()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Adds what one entry changed; waits while too much is pending.
    pub(crate) async fn push(&self, rows: Vec<Row>, mark: StateMark) -> Result<(), DiskError> {
        // Registered before the look, so that room made in between is not missed. Each turn waits for a write.
        loop {
            let room = self.shared.room.notified();
            {
                let mut pending = self.shared.pending();
                if let Some(error) = &pending.failed {
                    return Err(error.clone());
                }
                if pending.bytes < PENDING_BYTES {
                    for row in rows {
                        pending.put(row);
                    }
                    pending.mark = Some(mark);
                    self.shared.wake.notify_one();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Writes what is pending, puts it on disk for good, and makes a checkpoint of it in `target`. Blocks.
    pub(crate) fn checkpoint(&self, target: &Path) -> Result<(), DiskError> {
        let guard = self.shared.db();
        let Some(db) = guard.as_ref() else {
            let detail = "the state is closed".to_owned();
            return Err(DiskError::Other { doing: "making a checkpoint", path: target.to_owned(), detail });
        };
        self.shared.write_pending(db)?;
        self.shared.flush(db)?;
        db.checkpoint(target)
    }

    /// Puts another database in place; what is pending for the old one is dropped. Returns the old one. Blocks.
    pub(crate) fn replace(&self, db: StateDb, mark: &StateMark) -> Option<Arc<StateDb>> {
        let mut current = self.shared.db();
        let mut pending = self.shared.pending();
        pending.rows.clear();
        pending.bytes = 0;
        pending.mark = None;
        drop(pending);
        self.shared.flushed.raise(mark.applied.as_ref());
        self.shared.room.notify_waiters();
        current.replace(Arc::new(db))
    }

    /// Writes what is pending, puts it on disk for good and ends the thread. Blocks.
    pub(crate) fn close(&self) {
        self.shared.pending().closing = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        if thread.join().is_err() {
            self.shared.stop.because("the thread that copies the state panicked");
            return;
        }
        let Some(db) = self.shared.db().take() else { return };
        if let Err(error) = self.shared.write_pending(&db).and_then(|()| self.shared.flush(&db)) {
            tracing::warn!(%error, "the copy of the state was not flushed at the end; the log has the rest");
        }
    }
}

impl Pending {
    fn put(&mut self, row: Row) {
        let size = |key: &[u8], value: &Option<Vec<u8>>| {
            key.len().saturating_add(value.as_ref().map_or(0, Vec::len)).saturating_add(ROW_OVERHEAD)
        };
        let new = size(&row.key, &row.value);
        let key_length = row.key.len();
        let old = self.rows.insert(row.key, row.value);
        let old = old.map_or(0, |value| {
            key_length.saturating_add(value.as_ref().map_or(0, Vec::len)).saturating_add(ROW_OVERHEAD)
        });
        self.bytes = self.bytes.saturating_add(new).saturating_sub(old);
    }
}

impl Shared {
    fn db(&self) -> MutexGuard<'_, Option<Arc<StateDb>>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        // Ends when closing, or after a failure.
        loop {
            {
                let mut pending = self.pending();
                while pending.mark.is_none() && !pending.closing {
                    pending = self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
                }
                if pending.closing {
                    return;
                }
            }
            {
                let guard = self.db();
                let Some(db) = guard.as_ref() else { return };
                if self.write_pending(db).is_err() {
                    return;
                }
            }
            let pending = self.pending();
            if !pending.closing {
                // Woken early by closing or by more rows; either way nothing is lost.
                drop(self.wake.wait_timeout_while(pending, PAUSE, |pending| {
                    !pending.closing && pending.bytes < PENDING_BYTES / 2
                }));
            }
        }
    }

    /// Writes what is pending in one batch. The caller holds `db`.
    fn write_pending(&self, db: &StateDb) -> Result<(), DiskError> {
        let (rows, mark) = {
            let mut pending = self.pending();
            if let Some(error) = &pending.failed {
                return Err(error.clone());
            }
            pending.bytes = 0;
            (std::mem::take(&mut pending.rows), pending.mark.take())
        };
        let result = match mark {
            Some(mark) => db.write(rows, &mark.encode()),
            None => Ok(()),
        };
        if let Err(error) = &result {
            self.stop.because(error.to_string());
            self.pending().failed = Some(error.clone());
        }
        self.room.notify_waiters();
        result
    }

    /// Puts what was written on disk for good. The caller holds `db`.
    fn flush(&self, db: &StateDb) -> Result<(), DiskError> {
        let result = db.flush().and_then(|()| mark_of(db));
        match result {
            Ok(mark) => {
                self.flushed.raise(mark.applied.as_ref());
                Ok(())
            }
            Err(error) => {
                self.stop.because(error.to_string());
                self.pending().failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

/// The mark of a state database; that of nothing applied if it is new.
pub(crate) fn mark_of(db: &StateDb) -> Result<StateMark, DiskError> {
    let Some(bytes) = db.mark()? else { return Ok(StateMark::default()) };
    StateMark::decode(&bytes).map_err(|error| DiskError::Damaged {
        path: db.path().to_owned(),
        key: "meta/mark".into(),
        detail: error.to_string(),
    })
}
