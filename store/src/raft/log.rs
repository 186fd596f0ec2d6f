//! The log as openraft sees it.
//!
//! Owns: what is in the log (first, last, purged, vote) and the youngest entries in memory, so that replication and
//! applying read no disk. Refuses to know: RocksDB's keys (`rocks`), batching (`flusher`).
//! Inputs: openraft's appends, truncations, purges, votes. Outputs: entries, and acknowledgements after the sync.
//! Invariants: an entry is readable as soon as `append` returned and acknowledged only after it is synced; entries in
//! memory are dropped only once they are on disk; nothing is purged that the state copy has not on disk for good.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use futures::stream;
use leasehold_proto::v1;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};
use prost::Message;

use super::codec;
use super::flusher::{Done, Flusher, Write};
use super::log_check::{self, LogDamage};
use super::stop::Stop;
use super::synced::Synced;
use super::types::{Entry, EntryPayload, LogId, Types, Vote};
use crate::rocks::{DataFolder, DiskError, LogDb, Tide, TideMark};

/// Entries kept in memory, in bytes; those not synced yet come on top.
const CACHE_BYTES: usize = 64 << 20;
/// A read for replication is cut at so many bytes, but has at least one entry.
const READ_BYTES: usize = 2 << 20;
/// Entries per read, so that reads from disk stay bounded.
const READ_ENTRIES: usize = 4_096;
/// An entry's size in memory besides its payload.
const ENTRY_OVERHEAD: usize = 128;

/// Up to which index (exclusive) the state copy is on disk for good; shared with the copier.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flushed(Arc<AtomicU64>);

impl Flushed {
    pub(crate) fn raise(&self, applied: Option<&LogId>) {
        if let Some(id) = applied {
            self.0.fetch_max(id.index.saturating_add(1), Ordering::SeqCst);
        }
    }

    fn covers(&self, index: u64) -> bool {
        index < self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// openraft's log storage and log reader; a cheap handle.
#[derive(Clone)]
pub(crate) struct LogStore {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken out when the log is closed.
    db: Mutex<Option<Arc<LogDb>>>,
    flusher: Flusher,
    memory: Arc<Mutex<Memory>>,
    flushed: Flushed,
    synced: Synced,
}

#[derive(Default)]
struct Memory {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
}

impl Memory {
    fn insert(&mut self, entry: Entry) {
        self.bytes = self.bytes.saturating_add(weight(&entry));
        self.last = Some(entry.log_id);
        if let Some(old) = self.entries.insert(entry.log_id.index, entry) {
            self.bytes = self.bytes.saturating_sub(weight(&old));
        }
    }

    /// Drops the oldest entries of which there are too many and that are on disk, as those before `synced` are.
    fn shrink(&mut self, synced: u64) {
        while self.bytes > CACHE_BYTES {
            let Some(first) = self.entries.first_entry() else { break };
            if *first.key() >= synced {
                break;
            }
            self.bytes = self.bytes.saturating_sub(weight(&first.remove()));
        }
    }

    fn recount(&mut self) {
        self.bytes = self.entries.values().map(weight).sum();
    }
}

fn weight(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len(),
        _ => ENTRY_OVERHEAD,
    };
    payload.saturating_add(ENTRY_OVERHEAD)
}

/// What opening the log gave.
pub(crate) struct OpenedLog {
    pub(crate) store: LogStore,
    pub(crate) last: Option<LogId>,
}

/// Why the log is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenLogError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Damage(#[from] LogDamage),
}

impl LogStore {
    /// Reads the whole log, checks it, and starts the flusher.
    pub(crate) fn open(
        db: Arc<LogDb>,
        folder: &DataFolder,
        flushed: Flushed,
        stop: &Stop,
    ) -> Result<OpenedLog, OpenLogError> {
        let (tide, mark) = Tide::open(&folder.tide())?;
        let checked = log_check::check(&db, mark)?;
        let memory = Arc::new(Mutex::new(Memory {
            vote: checked.vote,
            purged: checked.purged,
            last: checked.last,
            ..Memory::default()
        }));
        let mark = TideMark {
            next_index: checked.last.map_or(0, |id| id.index.saturating_add(1)),
            vote_term: checked.vote.map_or(0, |vote| vote.leader_id.term),
        };
        let synced = Synced::new(stop.clone());
        synced.raise(mark.next_index);
        let (remembered, told) = (Arc::clone(&memory), synced.clone());
        let flusher = Flusher::start(Arc::clone(&db), tide, mark, stop.clone(), move |last| {
            told.raise(last.saturating_add(1));
            lock(&remembered).shrink(told.next_index());
        })
        .map_err(|error| DiskError::system("starting the log's thread", db.path(), &error))?;
        let inner = Inner { db: Mutex::new(Some(db)), flusher, memory, flushed, synced };
        let store = Self { inner: Arc::new(inner) };
        Ok(OpenedLog { store, last: checked.last })
    }

    /// Writes what is queued, stops the flusher and lets go of the database. Blocks.
    pub(crate) fn close(&self) {
        self.inner.flusher.close();
        drop(self.inner.db.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// How far the log is on disk.
    pub(crate) fn synced(&self) -> Synced {
        self.inner.synced.clone()
    }

    fn db(&self) -> Result<Arc<LogDb>, io::Error> {
        let db = self.inner.db.lock().unwrap_or_else(PoisonError::into_inner);
        db.clone().ok_or_else(|| io::Error::other("the log is closed"))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.inner.memory)
    }

    /// Entries of `[from, to)` from memory or disk, at most `limit` bytes but at least one.
    async fn read(&self, from: u64, to: u64, limit: usize) -> Result<Vec<Entry>, io::Error> {
        let mut found = Vec::new();
        let mut bytes = 0_usize;
        let disk_to = {
            let memory = self.memory();
            let first = memory.entries.first_key_value().map_or(u64::MAX, |(index, _)| *index);
            let floor = memory.purged.map_or(0, |id| id.index.saturating_add(1));
            let from = from.max(floor);
            let end = memory.last.map_or(0, |id| id.index.saturating_add(1)).min(to);
            if from >= end {
                return Ok(found);
            }
            if from >= first {
                for (_, entry) in memory.entries.range(from..end) {
                    if !take(entry.clone(), &mut found, &mut bytes, limit) {
                        break;
                    }
                }
                return Ok(found);
            }
            end.min(first)
        };
        let db = self.db()?;
        let (mut found, full) = tokio::task::spawn_blocking(move || {
            let mut full = false;
            db.scan(from, disk_to, |index, value| {
                let entry = log_check::decode(&db, index, value)?;
                full = !take(entry, &mut found, &mut bytes, limit);
                Ok(!full)
            })
            .map(|()| (found, full))
        })
        .await
        .map_err(io::Error::other)??;
        if !full {
            let memory = self.memory();
            let mut bytes = found.iter().map(weight).sum();
            if disk_to < to {
                for (index, entry) in memory.entries.range(disk_to..to) {
                    // Meanwhile more may have left memory: what follows is read the next time.
                    let gap = found
                        .last()
                        .is_some_and(|last: &Entry| last.log_id.index.saturating_add(1) != *index);
                    if gap || !take(entry.clone(), &mut found, &mut bytes, limit) {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Adds an entry unless the read is full; the first always fits.
fn take(entry: Entry, found: &mut Vec<Entry>, bytes: &mut usize, limit: usize) -> bool {
    let weight = weight(&entry);
    if !found.is_empty() && (bytes.saturating_add(weight) > limit || found.len() >= READ_ENTRIES) {
        return false;
    }
    *bytes = bytes.saturating_add(weight);
    found.push(entry);
    true
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    // Nothing in a critical section can panic half-way through a change that matters.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (mut from, to) = bounds(&range);
        let mut all = Vec::new();
        // Each turn reads at least one entry or ends.
        loop {
            let mut some = self.read(from, to, READ_BYTES).await?;
            let Some(last) = some.last() else { return Ok(all) };
            from = last.log_id.index.saturating_add(1);
            all.append(&mut some);
        }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, READ_BYTES).await
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // Replaying after a restart can span much of the log: read it piece by piece.
        let (from, to) = bounds(&range);
        let state = (self.clone(), from, to, Vec::new().into_iter());
        stream::unfold(Some(state), |state| async move {
            let (store, from, to, mut piece): (Self, u64, u64, std::vec::IntoIter<Entry>) = state?;
            if let Some(entry) = piece.next() {
                return Some((Ok(entry), Some((store, from, to, piece))));
            }
            match store.read(from, to, READ_BYTES).await {
                Ok(entries) => {
                    let next = entries.last()?.log_id.index.saturating_add(1);
                    let mut piece = entries.into_iter();
                    let first = piece.next()?;
                    Some((Ok(first), Some((store, next, to, piece))))
                }
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.memory().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let memory = self.memory();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let bytes = codec::vote_to(vote).encode_to_vec();
        self.inner.flusher.write(Write::Vote(bytes, vote.leader_id.term)).await?;
        self.memory().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = <Types as RaftTypeConfig>::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records =
            entries.iter().map(|entry| (entry.index(), codec::entry_to(entry).encode_to_vec())).collect();
        {
            let mut memory = self.memory();
            for entry in entries {
                memory.insert(entry);
            }
        }
        self.inner.flusher.submit(Write::Entries(records), Done::Raft(callback));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |id| id.index.saturating_add(1));
        {
            let mut memory = self.memory();
            if memory.last.is_none_or(|last| last.index < from) {
                return Ok(());
            }
            drop(memory.entries.split_off(&from));
            memory.recount();
            memory.last = last_log_id.max(memory.purged);
        }
        self.inner.flusher.write(Write::RemoveFrom(from)).await?;
        self.inner.synced.lower(from);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        if !self.inner.flushed.covers(log_id.index) {
            return Err(io::Error::other(format!(
                "asked to purge the log up to {}, but the state on disk only covers what is before {}",
                log_id.index,
                self.inner.flushed.next_index(),
            )));
        }
        {
            let mut memory = self.memory();
            if memory.purged >= Some(log_id) {
                return Ok(());
            }
            memory.purged = Some(log_id);
            memory.last = memory.last.max(Some(log_id));
            memory.entries = memory.entries.split_off(&log_id.index.saturating_add(1));
            memory.recount();
        }
        let mark: v1::RaftLogId = codec::log_id_to(&log_id);
        let write = Write::Purge { upto: log_id.index, mark: mark.encode_to_vec() };
        Ok(self.inner.flusher.write(write).await?)
    }
}
