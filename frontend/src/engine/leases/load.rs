//! The load: learning every lease of this frontend's relationships when the stream cannot be resumed.
//!
//! Pieces of the load and entries of the stream come interleaved; of two words about one record the one of the
//! higher version counts. The store sends the last piece after every entry up to the index that it names. Records
//! known from before, not seen in the load and not of an update that is still unacknowledged, are dropped afterwards,
//! piece by piece. Until the load is done nothing is acknowledged and no range with former owners is used.

use super::{Leases, News};
use leasehold_proto::session::LoadChunk;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::LogIndex;

/// Records gone through in one call.
const SWEEP_BUDGET: u32 = 8192;

/// How far the load is.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Number of the current load, around the end; 0 before the first.
    pub(super) mark: u16,
    /// The load is complete.
    pub(super) loaded: bool,
    /// There were records before this load began.
    pub(super) is_again: bool,
    /// Next record to look at for dropping.
    sweep_from: Option<u32>,
}

impl Load {
    pub(super) fn begin(&mut self, has_records: bool) {
        self.mark = self.mark.wrapping_add(1);
        self.loaded = false;
        self.is_again = has_records;
        self.sweep_from = None;
    }

    /// The session is over: what is known is of no use.
    pub(super) fn forget(&mut self) {
        self.loaded = false;
        self.sweep_from = None;
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.sweep_from.is_some()
    }
}

impl Leases {
    pub(super) fn take_chunk(&mut self, now: LocalTime, chunk: &LoadChunk, news: &mut Vec<News>) {
        for lease in &chunk.leases {
            self.take_lease(lease);
        }
        for range in &chunk.ranges {
            self.take_range(now, range, news);
        }
        for word in &chunk.registrations {
            self.take_registration(word);
        }
        if let Some(index) = chunk.done {
            self.load_done(index, news);
        }
    }

    fn load_done(&mut self, index: LogIndex, news: &mut Vec<News>) {
        if self.load.loaded {
            return;
        }
        self.load.loaded = true;
        self.load.sweep_from = self.load.is_again.then_some(0);
        self.session.last_index = self.session.last_index.max(index);
        self.dirty.mark(self.session.last_index);
        // The store waits for this session on whatever awaits freeing in the load.
        self.session.need_ack = self.session.last_index;
        self.drop_unconfirmed_registrations();
        self.ranges.loaded();
        self.lookups.clear();
        news.push(News::Loaded);
    }

    /// One piece of the work that is left over from messages: dropping what the load did not confirm, letting go of the
    /// knowledge of an old session, counting leases at their ports, going through ranges with former owners. True when
    /// there is more.
    pub(super) fn work(&mut self) -> bool {
        self.sweep();
        if self.graveyard.last_mut().is_some_and(|old| old.crumble(SWEEP_BUDGET as usize)) {
            self.graveyard.pop();
        }
        self.records.count_more_ports(SWEEP_BUDGET);
        let records = &self.records;
        self.ranges.scan(&|prefix| records.vacancy(prefix));
        self.has_work()
    }

    pub(super) fn has_work(&self) -> bool {
        self.load.is_sweeping()
            || !self.graveyard.is_empty()
            || self.ranges.is_scanning()
            || self.records.is_counting_ports()
    }

    fn sweep(&mut self) {
        let Some(from) = self.load.sweep_from else { return };
        let end = self.records.end();
        let to = from.saturating_add(SWEEP_BUDGET).min(end);
        for at in from..to {
            let Some(record) = self.records.get_mut(at) else { continue };
            if record.load_mark == self.load.mark {
                continue;
            }
            if record.in_flight > 0 || record.dirty_at != 0 {
                record.load_mark = self.load.mark;
            } else {
                self.drop_record(at);
            }
        }
        self.load.sweep_from = (to < end).then_some(to);
    }
}
