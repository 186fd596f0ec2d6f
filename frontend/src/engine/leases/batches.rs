//! Making the numbered batches: when one is due, and what goes into it.
//!
//! A batch is made once; its content never changes, and it is kept until its outcome is read, to be sent again with
//! the same number after a reconnect (FO-909). A few are in flight at most, so that a slow store makes batches larger
//! and not more.

use super::Leases;
use super::dirty::Dirty;
use leasehold_proto::lease::{LeaseUpdate, UpdateKind};
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::SessionBatch;
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::RangeId;
use std::sync::Arc;

impl Leases {
    /// The next batch, if one is due and may be in flight.
    pub(super) fn next_batch(&mut self, now: LocalTime) -> Option<Arc<SessionBatch>> {
        if self.session.is_window_full() || self.session.has_closed() {
            return None;
        }
        if self.session.stopping {
            if !self.dirty.is_empty() || self.records.registered.is_dirty() {
                return Some(self.make_batch(now, Vec::new(), false));
            }
            // Ranges are given back only when nothing in them is unacknowledged.
            return self.session.in_flight.is_empty().then(|| {
                let all = self.ranges.mine(self.session.epoch);
                self.make_batch(now, all, true)
            });
        }
        self.note_acknowledgeable();
        let returned = self.ranges_to_return(now);
        let wants_ranges = self.may_ask() && self.ranges.wants(now);
        let needs_proof = self.cluster_time_at_most(now).is_none() && !self.session.is_proof_under_way();
        let is_due = !self.dirty.is_empty()
            || !returned.is_empty()
            || self.adoptions.is_queued()
            || self.records.registered.is_dirty()
            || wants_ranges
            || needs_proof
            || self.session.extend_at(self.names.extend_every()).is_some_and(|at| at <= now)
            || self.session.ack_at().is_some_and(|at| at <= now);
        if !is_due {
            return None;
        }
        if self.dirty.is_empty() {
            self.session.last_bare = Some(now);
        }
        Some(self.make_batch(now, returned, false))
    }

    pub(super) fn may_ask(&self) -> bool {
        self.is_in_charge() && !self.session.draining
    }

    /// The session is the one whose ranges the store grants and takes back.
    pub(super) fn is_in_charge(&self) -> bool {
        !self.session.is_superseded() && !self.session.is_over && !self.session.stopping
    }

    fn make_batch(&mut self, now: LocalTime, returned: Vec<RangeId>, closing: bool) -> Arc<SessionBatch> {
        let sequence = self.session.next_sequence;
        let room = self.limits.updates_per_batch_max;
        let mut updates = Vec::with_capacity(self.dirty.len().min(room));
        // What is queued again while this goes on belongs to a later batch: one update for each lease.
        for _ in 0..self.dirty.len().min(room) {
            let Some(entry) = self.dirty.pop() else { break };
            updates.extend(self.update_of(entry));
        }
        let told_before = self.dirty.told_before();
        let adoptions = self.next_adoptions(room.saturating_sub(updates.len()), &updates);
        updates.extend(adoptions);
        self.note_acknowledgeable();
        let requests = if self.may_ask() { self.ranges.requests(now, sequence) } else { Vec::new() };
        let batch = Arc::new(SessionBatch {
            epoch: self.session.epoch,
            sequence,
            updates,
            requests,
            returned,
            acked_index: self.session.acknowledgeable,
            closing,
            registrations: self.records.registered.next_updates(room),
        });
        self.session.sent(now, Arc::clone(&batch), told_before);
        batch
    }

    fn note_acknowledgeable(&mut self) {
        if is_off(Mechanism::OneOrder) {
            self.session.acknowledgeable = self.session.last_index;
        }
        if let Some(index) = self.dirty.acknowledgeable() {
            self.session.acknowledgeable = self.session.acknowledgeable.max(index);
        }
    }

    fn update_of(&mut self, entry: Dirty) -> Option<LeaseUpdate> {
        let binding = self.records.binding_of(entry.record)?.clone();
        let record = self.records.get_mut(entry.record)?;
        record.in_flight = record.in_flight.saturating_add(1);
        if entry.kind == UpdateKind::Promise {
            record.promises_in_flight = record.promises_in_flight.saturating_add(1);
        }
        record.dirty_at = match entry.then {
            Some(kind) => {
                let after =
                    Dirty { kind, then: None, with_extra: false, ack_until: ClusterTime::ZERO, ..entry };
                self.dirty.push(after)
            }
            None => 0,
        };
        Some(LeaseUpdate {
            kind: entry.kind,
            prefix: record.prefix(),
            pool: record.pool,
            binding,
            valid_until: record.valid_until,
            preferred: record.preferred,
            valid: record.valid,
            ack_until: entry.ack_until,
            client_last_contact: record.contact,
            base_version: entry.base_version,
            extra: record.extra().cloned().filter(|_| entry.with_extra),
        })
    }
}
