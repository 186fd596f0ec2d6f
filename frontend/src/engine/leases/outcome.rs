//! Reading the answer to a batch: what is acknowledged now, what was refused, what it proves about time.
//!
//! Only here does `acked_until` move by an acknowledgement (FO-406). A refused update leaves the store's record
//! standing; where there is none, what was promised here is forgotten and counted.

use super::{Leases, News};
use leasehold_proto::lease::{LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::{BatchOutcome, SessionBatch, UpdateRefusal};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{LogIndex, Prefix, UpdateSeq};

/// What became of one update.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Committed as of an index.
    Taken(LogIndex),
    Refused(UpdateRefusal),
    /// It was decided, but the answer is lost: the load that follows shows what came of it.
    Untold,
}

impl Leases {
    pub(super) fn take_outcome(
        &mut self,
        now: LocalTime,
        index: LogIndex,
        outcome: &BatchOutcome,
        news: &mut Vec<News>,
    ) {
        let Some((first_sent, batch)) = self.session.answered(outcome.sequence) else { return };
        if outcome.sequence >= self.session.fresh_from {
            let timing = self.timing();
            self.clock.prove(outcome.stamp, first_sent, now, &timing);
            if outcome.extended {
                let from = if is_off(Mechanism::DeadlineFromBefore) { now } else { first_sent };
                self.autonomy.extended(from);
            }
        }
        self.session.is_over |= !outcome.extended && !self.session.is_superseded() && !self.session.stopping;
        let mut refused: Vec<(Prefix, UpdateRefusal)> =
            outcome.refused.iter().map(|r| (r.prefix, r.refusal)).collect();
        refused.sort_unstable_by_key(|(prefix, _)| *prefix);
        for update in &batch.updates {
            let fate = match refused.binary_search_by_key(&update.prefix, |(prefix, _)| *prefix) {
                Ok(at) => Fate::Refused(refused[at].1),
                Err(_) => Fate::Taken(index),
            };
            self.settle(update, fate, news);
        }
        self.asks_answered(now, &batch);
        if batch.closing {
            self.session.stopped = true;
        }
    }

    /// A load follows, and the store has taken these batches: their answers will not come.
    pub(super) fn untold_outcomes(&mut self, now: LocalTime, up_to: UpdateSeq, news: &mut Vec<News>) {
        while let Some(batch) = self.session.take_untold(up_to) {
            for update in &batch.updates {
                self.settle(update, Fate::Untold, news);
            }
            self.asks_answered(now, &batch);
            if batch.closing {
                self.session.stopped = true;
            }
        }
    }

    fn asks_answered(&mut self, now: LocalTime, batch: &SessionBatch) {
        for request in &batch.requests {
            if let Some(pool) = self.ranges.pool_mut(request.pool) {
                pool.demand.answered(now);
            }
        }
        for range in &batch.returned {
            self.ranges.return_answered(*range, batch.sequence);
        }
    }

    fn settle(&mut self, update: &LeaseUpdate, fate: Fate, news: &mut Vec<News>) {
        if let Fate::Refused(reason) = fate {
            *self.counts.refused.entry(reason).or_default() += 1;
        }
        if update.kind == UpdateKind::Adopt {
            let taken = if let Fate::Taken(index) = fate { Some(index) } else { None };
            return self.adoption_settled(update, taken, news);
        }
        let Some(at) = self.records.find(update.prefix) else { return };
        let is_same_client = self.records.binding_of(at) == Some(&update.binding);
        let Some(record) = self.records.get_mut(at) else { return };
        record.in_flight = record.in_flight.saturating_sub(1);
        if !is_same_client {
            return;
        }
        if update.kind == UpdateKind::Promise {
            record.promises_in_flight = record.promises_in_flight.saturating_sub(1);
        }
        let before = self.records.vacancy(update.prefix);
        match fate {
            Fate::Taken(index) => self.taken(at, update, index),
            Fate::Refused(reason) => self.refused(at, update.kind, reason),
            Fate::Untold => {}
        }
        self.note_place(update.prefix, before);
    }

    fn taken(&mut self, at: u32, update: &LeaseUpdate, index: LogIndex) {
        let mark = self.load.mark;
        let born = self.session.superseded_at.map_or(index, |at| at.min(index));
        let Some(record) = self.records.get_mut(at) else { return };
        record.load_mark = mark;
        if record.version > index {
            // A load ran ahead of the stream: its record has all of this, and may have more.
            self.stand_back(at);
            return;
        }
        record.version = index;
        // Older ones may have been read since it was sent.
        let waits = self.dirty_entry(at).is_some_and(|dirty| dirty.with_extra);
        if update.extra.is_some() && !waits {
            self.records.set_extra(at, update.extra.clone());
        }
        let Some(record) = self.records.get_mut(at) else { return };
        match update.kind {
            UpdateKind::Promise | UpdateKind::Adopt => {
                record.store_state = LeaseState::Active;
                if record.born == LogIndex(0) {
                    // As the store sets it, also for what was made before the superseding was read.
                    record.born = born;
                }
                if record.state() != LeaseState::Free {
                    record.acked_until = record.acked_until.max(update.ack_until);
                }
            }
            UpdateKind::Release => record.store_state = LeaseState::Released,
            UpdateKind::Decline => record.store_state = LeaseState::Abandoned,
        }
    }

    fn refused(&mut self, at: u32, kind: UpdateKind, reason: UpdateRefusal) {
        if kind == UpdateKind::Promise {
            // Whatever else is to be told rests on a promise that does not stand.
            self.withdraw(at);
        }
        let Some(record) = self.records.get(at) else { return };
        if record.promises_in_flight > 0 {
            return;
        }
        if record.version.0 > 0 {
            self.stand_back(at);
        } else if reason == UpdateRefusal::OtherClient {
            // Its record follows. Until then nobody may have the address, and its client may not keep it.
            self.records.set_state(at, LeaseState::Reset);
        } else if record.in_flight == 0 && record.dirty_at == 0 {
            self.drop_record(at);
        }
    }

    /// The store's record stands, unless something of ours is still to be decided.
    fn stand_back(&mut self, at: u32) {
        let Some(record) = self.records.get(at) else { return };
        if record.dirty_at == 0 && record.promises_in_flight == 0 {
            let state = record.store_state;
            self.records.set_state(at, state);
        }
    }
}
