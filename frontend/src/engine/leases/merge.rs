//! Taking the store's word about one lease, from the stream, a load or a look-up, into what is known here.
//!
//! The store's fields are taken. What was promised here and is not yet acknowledged stays: it goes to the store
//! before anything that is acknowledged later, so the store will know of it (R2). A lease that another client holds
//! by the store's word is that client's (R8). A record of a lower version than the one known changes nothing.

use super::Leases;
use super::owned::Vacancy;
use leasehold_proto::lease::{Lease, LeaseState, UpdateKind};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::Prefix;

impl Leases {
    pub(super) fn take_lease(&mut self, lease: &Lease) {
        let before = self.records.vacancy(lease.prefix);
        match self.records.find(lease.prefix) {
            Some(at) => self.merge(at, lease),
            None => {
                let at = self.records.insert(lease.prefix, lease.pool, &lease.binding, lease.state);
                self.copy(at, lease);
            }
        }
        self.note_place(lease.prefix, before);
    }

    fn merge(&mut self, at: u32, lease: &Lease) {
        let Some(record) = self.records.get_mut(at) else { return };
        record.load_mark = self.load.mark;
        if record.version > lease.version {
            return;
        }
        let is_newer = lease.version > record.version;
        let is_same_client = self.records.binding_of(at) == Some(&lease.binding);
        if self.has_own_promise(at) {
            if is_same_client || lease.state == LeaseState::Free {
                self.merge_under_own_promise(at, lease);
                return;
            }
            // R8: committed first stays.
            self.counts.conflicts += 1;
        } else if is_same_client && self.has_own_end(at) && self.has_ended_here(at) {
            // A Release or Decline of ours is on its way, and nobody is known to have extended the lease since.
            let is_extended_by_other =
                is_newer && lease.state == LeaseState::Active && lease.epoch != self.session.epoch;
            if !is_extended_by_other && lease.state != LeaseState::Free {
                if let Some(record) = self.records.get_mut(at) {
                    record.version = lease.version;
                    record.born = lease.born;
                    record.store_state = lease.state;
                    record.acked_until = lease.acked_until;
                    record.valid_until = record.valid_until.max(lease.valid_until);
                }
                return;
            }
        }
        self.withdraw(at);
        if !is_same_client && let Some(record) = self.records.get_mut(at) {
            record.promises_in_flight = 0;
        }
        self.records.assign(at, &lease.binding, lease.state);
        self.copy(at, lease);
    }

    /// The same client was promised the lease here, or this session took a free one, and the store does not know.
    fn merge_under_own_promise(&mut self, at: u32, lease: &Lease) {
        let extra_waits = self.dirty_entry(at).is_some_and(|d| d.with_extra);
        let Some(record) = self.records.get_mut(at) else { return };
        record.version = lease.version;
        record.store_state = lease.state;
        record.acked_until = lease.acked_until;
        match lease.state {
            // Another holding: what was acknowledged and promised then is no part of this one.
            LeaseState::Free => {
                record.acked_until = ClusterTime::ZERO;
                record.since = lease.state_since;
            }
            state => {
                record.born = lease.born;
                record.valid_until = record.valid_until.max(lease.valid_until);
                record.contact = record.contact.max(lease.client_last_contact);
                if !extra_waits {
                    self.records.set_extra(at, lease.extra.clone());
                }
                if matches!(state, LeaseState::Abandoned | LeaseState::Reset) {
                    self.records.set_state(at, state);
                }
            }
        }
    }

    fn copy(&mut self, at: u32, lease: &Lease) {
        let Some(record) = self.records.get_mut(at) else { return };
        record.pool = lease.pool;
        record.valid_until = lease.valid_until;
        record.acked_until = lease.acked_until;
        record.contact = lease.client_last_contact;
        record.preferred = lease.preferred;
        record.valid = lease.valid;
        record.version = lease.version;
        record.born = lease.born;
        record.store_state = lease.state;
        record.since = lease.state_since;
        record.load_mark = self.load.mark;
        self.records.set_extra(at, lease.extra.clone());
    }

    /// Whether a promise of this session is dirty or in flight.
    pub(super) fn has_own_promise(&self, at: u32) -> bool {
        self.records.get(at).is_some_and(|r| {
            r.promises_in_flight > 0
                || self.dirty.get(r.dirty_at).is_some_and(|d| d.kind == UpdateKind::Promise)
        })
    }

    /// Whether a Release or Decline of this session is dirty or in flight.
    fn has_own_end(&self, at: u32) -> bool {
        self.records.get(at).is_some_and(|r| {
            r.in_flight > r.promises_in_flight
                || self.dirty.get(r.dirty_at).is_some_and(|d| d.kind != UpdateKind::Promise)
        })
    }

    /// Whether the lease is over as far as this session goes: not one that was ended here, and was then found to be
    /// extended by another. The store refuses that end, so what it says from then on stands.
    fn has_ended_here(&self, at: u32) -> bool {
        self.records.get(at).is_some_and(|r| r.state() != LeaseState::Active)
    }

    /// There is nothing to tell about a record any more.
    pub(super) fn withdraw(&mut self, at: u32) {
        if let Some(record) = self.records.get_mut(at) {
            self.dirty.withdraw(record.dirty_at);
            record.dirty_at = 0;
        }
    }

    pub(super) fn drop_record(&mut self, at: u32) {
        let Some(prefix) = self.records.get(at).map(super::records::Record::prefix) else { return };
        let before = self.records.vacancy(prefix);
        self.withdraw(at);
        self.records.remove(at);
        self.note_place(prefix, before);
    }

    /// Tells the range of a prefix when it stands otherwise than before.
    pub(super) fn note_place(&mut self, prefix: Prefix, before: Vacancy) {
        let vacancy = self.records.vacancy(prefix);
        if vacancy != before
            && let Some(pool) = self.names.pool_of(prefix)
        {
            self.ranges.set(pool.id, prefix, before, vacancy);
        }
    }
}
