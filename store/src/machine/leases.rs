//! Lease updates: promises, releases and declines of sessions, checked against R1, R2, R4 and R5.
//!
//! Every change gives the record a new version (the log index), tells the relationship's sessions, and keeps the
//! indexes (binding, due, awaiting) right, through `put_lease` alone.

use super::due::Due;
use super::outcome::{Applied, Audience};
use super::state::{Machine, PoolState};
use leasehold_proto::lease::{Lease, LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::lifetimes::expires_at;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::{StoreEvent, UpdateRefusal};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, LogIndex, RelationshipId};
use std::sync::Arc;

impl Machine {
    pub(super) fn take_update(
        &mut self,
        epoch: Epoch,
        update: &LeaseUpdate,
        out: &mut Applied,
    ) -> Result<(), UpdateRefusal> {
        let pool = self.pools.get(&update.pool).ok_or(UpdateRefusal::UnknownPool)?;
        let fits = pool.pool.range_of(update.prefix).is_some()
            && pool.pool.kind == update.binding.kind
            && pool.pool.link == update.binding.link;
        if !fits {
            return Err(UpdateRefusal::UnknownPool);
        }
        let relationship = pool.pool.relationship;
        let record = self.leases.get(&update.prefix).cloned();
        self.fence(epoch, update, pool, record.as_deref())?;
        match (update.kind, record) {
            (UpdateKind::Promise, None) => self.create(epoch, update, relationship, out),
            (UpdateKind::Promise, Some(record)) => {
                self.promise_on_record(epoch, update, &record, relationship, out)
            }
            (UpdateKind::Adopt, record) => self.adopt(epoch, update, record.as_deref(), relationship, out),
            (UpdateKind::Release | UpdateKind::Decline, None) => Err(UpdateRefusal::UnknownLease),
            (UpdateKind::Release, Some(record)) => {
                self.end(epoch, update, &record, LeaseState::Released, out)
            }
            (UpdateKind::Decline, Some(record)) => {
                self.end(epoch, update, &record, LeaseState::Abandoned, out)
            }
        }
    }

    /// R4: once a session is dead for certain its late updates change nothing; nor do those of a frontend that is no
    /// partner of the lease's relationship.
    fn fence(
        &self,
        epoch: Epoch,
        update: &LeaseUpdate,
        pool: &PoolState,
        record: Option<&Lease>,
    ) -> Result<(), UpdateRefusal> {
        let Some(session) = self.sessions.get(&epoch) else { return Err(UpdateRefusal::Fenced) };
        // What was acknowledged belongs to one holding (R2): another client's, or one of a pool that came in the place
        // of this one, is no promise of this session.
        let same_holding = record.filter(|r| r.binding == update.binding && r.pool == update.pool);
        let acked_until = same_holding.map_or(ClusterTime::ZERO, |r| r.acked_until);
        if self.is_dead(session, pool, acked_until) && !is_off(Mechanism::LateUpdates) {
            return Err(UpdateRefusal::Fenced);
        }
        if !self.is_member(pool.pool.relationship, &session.frontend) {
            return Err(UpdateRefusal::NotGranted);
        }
        Ok(())
    }

    /// R1, the fence behind the frontends' own check: a new holding only from a range granted to that session (closed
    /// ones count: a superseded session's late updates are of what it promised before).
    fn owns_range(&self, epoch: Epoch, update: &LeaseUpdate) -> bool {
        self.pools
            .get(&update.pool)
            .and_then(|p| p.pool.range_of(update.prefix))
            .and_then(|range| self.ranges.get(&range))
            .is_some_and(|r| r.owner == epoch)
    }

    pub(super) fn create(
        &mut self,
        epoch: Epoch,
        update: &LeaseUpdate,
        relationship: RelationshipId,
        out: &mut Applied,
    ) -> Result<(), UpdateRefusal> {
        if !self.owns_range(epoch, update) && !is_off(Mechanism::StoreFence) {
            return Err(UpdateRefusal::NotGranted);
        }
        let lease = self.fresh_lease(epoch, update);
        self.note_two_addresses(epoch, &lease);
        self.end_registrations_in(lease.prefix, out);
        self.put_lease(lease, relationship);
        self.tell_lease(update, Audience::RelationshipExcept(relationship, epoch), out);
        Ok(())
    }

    /// Since which log index sessions may know of a holding that this session makes now. What a superseded session made
    /// before it read of that was not told to anybody before, but it knows it itself.
    fn born(&self, epoch: Epoch) -> LogIndex {
        match self.sessions.get(&epoch) {
            Some(session) if session.superseded_by.is_some() => session.superseded_index,
            _ => self.applied,
        }
    }

    /// A new holding of an address: acked_until begins anew (R2).
    pub(super) fn fresh_lease(&self, epoch: Epoch, update: &LeaseUpdate) -> Lease {
        Lease {
            prefix: update.prefix,
            pool: update.pool,
            binding: update.binding.clone(),
            state: LeaseState::Active,
            state_since: self.time,
            valid_until: update.valid_until,
            preferred: update.preferred,
            valid: update.valid,
            acked_until: update.ack_until,
            client_last_contact: update.client_last_contact,
            epoch,
            version: self.applied,
            others_version: LogIndex(0),
            born: self.born(epoch),
            extra: update.extra.clone(),
        }
    }

    /// R5 and R2: a partner's promise about an address of which there is a record.
    pub(super) fn promise_on_record(
        &mut self,
        epoch: Epoch,
        update: &LeaseUpdate,
        record: &Lease,
        relationship: RelationshipId,
        out: &mut Applied,
    ) -> Result<(), UpdateRefusal> {
        if record.state == LeaseState::Free {
            return self.create(epoch, update, relationship, out);
        }
        let is_other = record.binding != update.binding || record.pool != update.pool;
        if is_other && !is_off(Mechanism::CommittedFirstStays) {
            // R8: whoever was committed first stays. One client with a lease of a pool and of that which came in its
            // place is not two.
            if record.binding != update.binding {
                self.note_two_clients(epoch, update, record);
            }
            return Err(UpdateRefusal::OtherClient);
        }
        let mut lease =
            if is_other { self.fresh_lease(epoch, update) } else { self.acknowledge(record, update) };
        self.stamp(&mut lease, epoch);
        // A declined address stays in quarantine whatever its client's other partner promised meanwhile.
        let revived = record.state.is_revivable();
        if revived {
            lease.state = LeaseState::Active;
            lease.state_since = self.time;
            self.counters.reactivated += 1;
        }
        self.put_lease(lease, relationship);
        // A revived record is told to its reviver too, which reads of the ending first.
        let audience = if revived {
            Audience::Relationship(relationship)
        } else {
            Audience::RelationshipExcept(relationship, epoch)
        };
        self.tell_lease(update, audience, out);
        Ok(())
    }

    /// R3, the store's rule: within one holding acknowledgement and expiry merge by maximum, never lowered (R2).
    fn acknowledge(&self, record: &Lease, update: &LeaseUpdate) -> Lease {
        let mut lease = record.clone();
        let lowers = is_off(Mechanism::MaxMerge);
        if lowers || update.valid_until >= record.valid_until {
            lease.valid_until = update.valid_until;
            lease.preferred = update.preferred;
        }
        // The guard must cover the longest promise that may be outstanding: a frozen acknowledgement makes promises
        // shorter while they end at the same moment, and the Reply with the shorter one may be lost.
        lease.valid = record.valid.max(update.valid);
        lease.acked_until = if lowers { update.ack_until } else { record.acked_until.max(update.ack_until) };
        lease.client_last_contact = record.client_last_contact.max(update.client_last_contact);
        if update.extra.is_some() {
            lease.extra.clone_from(&update.extra);
        }
        lease
    }

    /// Names who changes a record, and its new version. What anybody else changed before stays known: it would else be
    /// hidden by a late promise of a session that has not read of it.
    pub(super) fn stamp(&self, lease: &mut Lease, epoch: Epoch) {
        if lease.epoch != epoch {
            lease.others_version = lease.version;
        }
        lease.epoch = epoch;
        lease.version = self.applied;
    }

    /// R2: a Release or Decline is refused when another session changed the record since the version it was based on.
    fn release_refusal(epoch: Epoch, update: &LeaseUpdate, record: &Lease) -> Option<UpdateRefusal> {
        if record.binding != update.binding {
            return Some(UpdateRefusal::OtherClient);
        }
        let by_others = if record.epoch == epoch { record.others_version } else { record.version };
        let changed = by_others > update.base_version && !is_off(Mechanism::RecordVersions);
        changed.then_some(UpdateRefusal::ChangedSince)
    }

    fn end(
        &mut self,
        epoch: Epoch,
        update: &LeaseUpdate,
        record: &Lease,
        state: LeaseState,
        out: &mut Applied,
    ) -> Result<(), UpdateRefusal> {
        // The record may be of a pool that was there before, and of other partners.
        let Some(relationship) = self.pools.get(&record.pool).map(|p| p.pool.relationship) else {
            return Err(UpdateRefusal::UnknownLease);
        };
        if !self.sessions.get(&epoch).is_some_and(|s| self.is_member(relationship, &s.frontend)) {
            return Err(UpdateRefusal::NotGranted);
        }
        if let Some(refusal) = Self::release_refusal(epoch, update, record) {
            // The sender forgot the lease at once; it learns here what stands.
            out.tell(Audience::Session(epoch), StoreEvent::Lease(Arc::new(record.clone())));
            return Err(refusal);
        }
        let ends = match record.state {
            LeaseState::Active => true,
            // An address found in use stays away from clients even if its lease was over.
            LeaseState::Expired | LeaseState::Released | LeaseState::Reset => state == LeaseState::Abandoned,
            LeaseState::Free => return Err(UpdateRefusal::UnknownLease),
            LeaseState::Abandoned | LeaseState::PendingFree | LeaseState::FreeBackup => false,
        };
        if ends {
            let mut lease = record.clone();
            lease.state = state;
            lease.state_since = self.time;
            lease.client_last_contact = record.client_last_contact.max(update.client_last_contact);
            self.stamp(&mut lease, epoch);
            self.put_lease(lease, relationship);
        }
        self.tell_lease(update, Audience::Relationship(relationship), out);
        Ok(())
    }

    pub(super) fn tell_lease(&self, update: &LeaseUpdate, audience: Audience, out: &mut Applied) {
        if let Some(lease) = self.leases.get(&update.prefix) {
            out.tell(audience, StoreEvent::Lease(Arc::clone(lease)));
        }
    }

    /// The only way a record changes: keeps row, binding, due and awaiting indexes in step.
    pub(super) fn put_lease(&mut self, lease: Lease, relationship: RelationshipId) {
        let prefix = lease.prefix;
        if let Some(old) = self.leases.get(&prefix).cloned() {
            if old.state.awaits_freeing() {
                self.awaits_no_more(relationship, old.version, prefix);
            }
            if old.binding != lease.binding {
                self.bindings.remove(&(old.binding.clone(), prefix));
            }
        }
        self.acked_until_max = self.acked_until_max.max(lease.acked_until);
        if !self.has_earlier_due(&lease) {
            self.index_ending(&lease, relationship);
        }
        self.store_lease(lease);
    }

    /// Enters a record into the indexes of what is to happen to it.
    pub(super) fn index_ending(&mut self, lease: &Lease, relationship: RelationshipId) {
        if lease.state.awaits_freeing() {
            self.awaiting.entry(relationship).or_default().insert((lease.version, lease.prefix));
        } else {
            self.remind(self.ending_of(lease), Due::Lease(lease.prefix));
        }
    }

    /// When an active lease expires, or a declined one's quarantine is over.
    pub(super) fn ending_of(&self, lease: &Lease) -> ClusterTime {
        match lease.state {
            // What an old cluster's sessions promised beyond this record is waited for (FO-907).
            LeaseState::Active => {
                expires_at(lease.valid_until, lease.valid, &self.timing()).max(self.grants_held_until)
            }
            LeaseState::Abandoned => self.quarantine_end(lease),
            _ => ClusterTime::NEVER,
        }
    }

    /// An extension leaves the earlier moment in the index, where it is looked at again when it comes: a renewal then
    /// costs no index change.
    fn has_earlier_due(&self, lease: &Lease) -> bool {
        let moment = |l: &Lease| expires_at(l.valid_until, l.valid, &self.timing());
        self.leases.get(&lease.prefix).is_some_and(|old| {
            old.state == LeaseState::Active
                && lease.state == LeaseState::Active
                && old.valid_until != ClusterTime::NEVER
                && moment(old) <= moment(lease)
        })
    }

    /// When a declined address may be thought of again: the quarantine over, and every promise of it (FO-509).
    fn quarantine_end(&self, lease: &Lease) -> ClusterTime {
        let Some(pool) = self.pools.get(&lease.pool) else { return ClusterTime::NEVER };
        let promises_over = expires_at(lease.valid_until, lease.valid, &self.timing());
        (lease.state_since + pool.pool.decline_quarantine).max(promises_over)
    }
}
