//! The events of the latest log entries, so that a session that reconnects goes on where it was, on whichever node
//! leads now.
//!
//! Owns: a ring bounded by entries and by events. Refuses to know: sessions and who an event is for.
//! Inputs: every entry applied on this node. Outputs: entries above an index, in order; the configuration as of one.
//! Invariant: everything above `floor` is in the ring.

use crate::machine::Event;
use leasehold_proto::network::Network;
use leasehold_proto::session::StoreEvent;
use leasehold_proto::words::LogIndex;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct History {
    entries_max: usize,
    events_max: usize,
    entries: VecDeque<Entry>,
    events: usize,
    /// Unknown until the first entry.
    floor: Option<LogIndex>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: LogIndex,
    pub(super) events: Arc<[Event]>,
    /// Set when a configuration is among the events: the one that was in force before.
    before: Option<Option<Arc<Network>>>,
}

impl History {
    pub(super) fn new(entries_max: usize, events_max: usize) -> Self {
        Self { entries_max, events_max, entries: VecDeque::new(), events: 0, floor: None }
    }

    /// The state was replaced: what lies before it is unknown.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.events = 0;
        self.floor = None;
    }

    /// Nothing is known of what led up to `index`, unless the ring reaches back further.
    pub(super) fn starts_at_least(&mut self, index: LogIndex) {
        self.floor.get_or_insert(index);
    }

    /// Takes an entry; `before` is the configuration before it.
    pub(super) fn push(&mut self, index: LogIndex, events: &Arc<[Event]>, before: Option<&Arc<Network>>) {
        self.starts_at_least(LogIndex(index.0.saturating_sub(1)));
        if events.is_empty() {
            return;
        }
        let network = events.iter().any(|e| matches!(e.event, StoreEvent::Network(_)));
        let before = network.then(|| before.cloned());
        self.events = self.events.saturating_add(events.len());
        self.entries.push_back(Entry { index, events: Arc::clone(events), before });
        while self.entries.len() > self.entries_max || self.events > self.events_max {
            let Some(gone) = self.entries.pop_front() else { break };
            self.events = self.events.saturating_sub(gone.events.len());
            self.floor = Some(gone.index);
        }
    }

    /// Whether everything above `index` is still there.
    pub(super) fn reaches_back_to(&self, index: LogIndex) -> bool {
        self.floor.is_some_and(|floor| floor <= index)
    }

    /// The entries above `index`, oldest first.
    pub(super) fn above(&self, index: LogIndex) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|e| e.index <= index);
        self.entries.range(from..)
    }

    /// The configuration as of `index`, given the one in force now.
    pub(super) fn network_at(&self, index: LogIndex, now: Option<&Arc<Network>>) -> Option<Arc<Network>> {
        match self.above(index).find_map(|e| e.before.as_ref()) {
            Some(before) => before.clone(),
            None => now.cloned(),
        }
    }
}
