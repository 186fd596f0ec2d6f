//! What must still be told to the store, and how far the store's events may be acknowledged.
//!
//! A set with positions, first in first out: a lease that is dirty already keeps its position, so a long outage
//! costs memory by leases and not by events. Marks tie the events read to positions: an event may be acknowledged
//! once every lease that was dirty when it was read has been put into a batch (R2: after all earlier updates).

use super::slab::NONE;
use leasehold_proto::lease::UpdateKind;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::LogIndex;
use std::collections::VecDeque;

/// One update to be made. What it says of lifetimes is read from the record when the batch is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dirty {
    /// Number of the record; `NONE` = withdrawn.
    pub(super) record: u32,
    pub(super) kind: UpdateKind,
    /// To be told after this one: the end of a lease whose promise the store does not know yet.
    pub(super) then: Option<UpdateKind>,
    /// Whether the rare fields changed.
    pub(super) with_extra: bool,
    /// What the store is asked to acknowledge.
    pub(super) ack_until: ClusterTime,
    /// The version that a Release or Decline is based on.
    pub(super) base_version: LogIndex,
}

/// The queue of updates and the marks in it.
pub(super) struct DirtyQueue {
    /// Position of the first entry. Positions start at 1: 0 means clean.
    first: u64,
    queue: VecDeque<Dirty>,
    live: usize,
    marks: VecDeque<(u64, LogIndex)>,
}

impl Default for DirtyQueue {
    fn default() -> Self {
        Self { first: 1, queue: VecDeque::new(), live: 0, marks: VecDeque::new() }
    }
}

impl DirtyQueue {
    /// Updates waiting.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The records of which something waits.
    pub(super) fn records(&self) -> impl Iterator<Item = u32> {
        self.queue.iter().map(|d| d.record).filter(|record| *record != NONE)
    }

    /// The entry at a record's position.
    pub(super) fn get_mut(&mut self, position: u64) -> Option<&mut Dirty> {
        let at = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(at).filter(|d| d.record != NONE)
    }

    pub(super) fn get(&self, position: u64) -> Option<&Dirty> {
        let at = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.queue.get(at).filter(|d| d.record != NONE)
    }

    /// Appends; gives the position.
    pub(super) fn push(&mut self, entry: Dirty) -> u64 {
        self.queue.push_back(entry);
        self.live += 1;
        self.end() - 1
    }

    /// Takes an entry back: there is nothing to tell any more.
    pub(super) fn withdraw(&mut self, position: u64) {
        if let Some(entry) = self.get_mut(position) {
            entry.record = NONE;
            self.live -= 1;
        }
    }

    /// The next update, withdrawn ones skipped.
    pub(super) fn pop(&mut self) -> Option<Dirty> {
        while let Some(entry) = self.queue.pop_front() {
            self.first += 1;
            if entry.record != NONE {
                self.live -= 1;
                return Some(entry);
            }
        }
        None
    }

    /// Every event up to `index` was applied, and what is dirty now was promised before.
    pub(super) fn mark(&mut self, index: LogIndex) {
        let end = self.end();
        match self.marks.back_mut() {
            // Nothing became dirty in between: the later event can be acknowledged just as well.
            Some((position, known)) if *position == end => *known = index,
            _ => self.marks.push_back((end, index)),
        }
    }

    /// The highest event that the batch into which everything popped so far went may acknowledge, if any mark was
    /// passed. Asked again, it gives what was passed since.
    pub(super) fn acknowledgeable(&mut self) -> Option<LogIndex> {
        self.skip_withdrawn();
        let mut passed = None;
        while let Some((_, index)) = self.marks.front().filter(|(position, _)| *position <= self.first) {
            passed = Some(*index);
            self.marks.pop_front();
        }
        passed
    }

    /// Everything below this position was put into batches or withdrawn.
    pub(super) fn told_before(&self) -> u64 {
        self.first
    }

    /// Forgets all: the session is over. Positions go on, so that stale ones name nothing.
    pub(super) fn forget(&mut self) {
        *self = Self { first: self.end(), ..Self::default() };
    }

    fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    fn skip_withdrawn(&mut self) {
        while self.queue.front().is_some_and(|d| d.record == NONE) {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}
