//! Giving, extending and ending leases: where R1, R3, R4, R5 and R9 meet. Every change is recorded and made dirty
//! before the caller can say anything to the client.

use super::dirty::Dirty;
use super::owned::Vacancy;
use super::place::Place;
use super::query::HELD_MAX;
use super::records::Record;
use super::{Given, IaRef, Leases, NoLease, Wanted};
use leasehold_proto::lease::{LeaseExtra, LeaseState, UpdateKind};
use leasehold_proto::lifetimes::{Desired, LifetimeWish, Promise, promise};
use leasehold_proto::pool::Pool;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::words::{BindingKey, Duid, LogIndex, PoolId, Prefix};
use smallvec::SmallVec;
use std::sync::Arc;

/// Kept slots looked at before a batch of packets: more than packets can use up in it.
const KEPT_PER_BATCH: u32 = 512;

impl Leases {
    /// What [`Leases::create`] would give; records nothing (SV-303). Its lifetimes obey R3 as well (FO-411). A hint
    /// that is an Active lease of the IA in one of the pools is offered as [`Leases::extend`] would give it.
    ///
    /// # Errors
    /// As [`Leases::create`].
    pub fn offer(&self, now: LocalTime, ia: IaRef<'_>, wanted: &Wanted<'_>) -> Result<Given, NoLease> {
        let extension = |prefix| self.extension(now, ia, prefix, wanted.lifetimes);
        let held = wanted.hint.and_then(|prefix| Some((prefix, extension(prefix)?)));
        if let Some((prefix, (_, pool, promise))) = held
            && wanted.pools.contains(&pool)
        {
            return Ok(given(prefix, &promise));
        }
        self.place(now, ia, wanted).map(|place| given(place.prefix, &place.promise))
    }

    /// Gives an IA a lease that it does not have: the hint if it is free and in an own range of one of the pools, else
    /// one that the IA had last and that is free, else one that the allocator of the pool finds (R1). Pools are tried in
    /// order. What is kept for another client is given only when the pools have nothing else here.
    ///
    /// # Errors
    /// Why there is none. Only [`NoLease::Dry`] and [`NoLease::TooMany`] may be told to the client.
    pub fn create(&mut self, now: LocalTime, ia: IaRef<'_>, wanted: &Wanted<'_>) -> Result<Given, NoLease> {
        let place = self.place(now, ia, wanted)?;
        let binding = self.binding_key(ia).ok_or(NoLease::NotNow)?;
        let contact = self.cluster_time_at_most(now).ok_or(NoLease::NotNow)?;
        let Place { pool, prefix, promise } = place;
        let before = self.records.vacancy(prefix);
        let at = match self.records.find(prefix) {
            Some(at) => {
                self.withdraw(at);
                self.records.assign(at, &binding, LeaseState::Active);
                at
            }
            None => self.records.insert(prefix, pool, &binding, LeaseState::Active),
        };
        let with_extra = wanted.extra.is_some();
        self.records.set_extra(at, wanted.extra.cloned());
        if let Some(record) = self.records.get_mut(at) {
            record.pool = pool;
            // Another holding begins: nothing of the last one counts.
            if !is_off(Mechanism::AcknowledgedPerHolding) {
                record.acked_until = ClusterTime::ZERO;
            }
            record.born = LogIndex(0);
            record.promises_in_flight = 0;
            record.valid_until = promise.valid_until;
            record.preferred = promise.preferred;
            record.valid = promise.valid;
            record.contact = contact;
            record.load_mark = self.load.mark;
        }
        self.ranges.set(pool, prefix, before, Vacancy::Taken);
        if let Some(ranges) = self.ranges.pool_mut(pool) {
            ranges.demand.created(now);
        }
        let mut is_waiting = false;
        if let Some(pool) = self.names.pool(pool) {
            self.autonomy.used(pool);
            is_waiting = pool.commit_wait_ms > 0;
        }
        self.make_dirty(at, UpdateKind::Promise, promise.ack_until, with_extra);
        if is_waiting {
            self.note_rest(pool, at);
        }
        Ok(given(prefix, &promise))
    }

    /// What [`Leases::extend`] would give; records nothing.
    #[must_use]
    pub fn offer_extension(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
    ) -> Option<Given> {
        self.extension(now, ia, prefix, lifetimes).map(|(_, _, promise)| given(prefix, &promise))
    }

    /// Extends an Active lease for the client that holds it, whoever owns its range (R3, R4, R5). `extra` replaces
    /// the rare fields when given and different.
    ///
    /// Nothing when it is not that IA's Active lease, its pool is not this frontend's any more, it was born after this
    /// session was superseded (R2), or no time may be promised now.
    pub fn extend(
        &mut self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
        extra: Option<Arc<LeaseExtra>>,
    ) -> Option<Given> {
        let (at, pool, promise) = self.extension(now, ia, prefix, lifetimes)?;
        let contact = self.cluster_time_at_most(now)?;
        let pool_id = pool;
        let pool = self.names.pool(pool)?;
        let is_waiting = pool.commit_wait_ms > 0;
        if self.autonomy.allowance(now, pool) > Lifetime::ZERO {
            self.autonomy.used(pool);
        }
        let record = self.records.get_mut(at)?;
        // The client may still go by an earlier, longer promise if this Reply is lost.
        record.valid_until = record.valid_until.max(promise.valid_until);
        record.preferred = promise.preferred;
        // The longest of one holding: the store's guard is judged by it.
        record.valid = record.valid.max(promise.valid);
        record.contact = contact;
        let with_extra = extra.is_some() && record.extra() != extra.as_ref();
        if with_extra {
            self.records.set_extra(at, extra);
        }
        self.make_dirty(at, UpdateKind::Promise, promise.ack_until, with_extra);
        if is_waiting {
            self.note_rest(pool_id, at);
        }
        Some(given(prefix, &promise))
    }

    /// What is left of an Active lease that is not extended (SV-210). Nothing when it is not that IA's, nothing is
    /// left, cluster time cannot be bounded now, or whoever answers next can do better: a client that is told what is
    /// left asks again only when it is over.
    #[must_use]
    pub fn remaining(&self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> Option<Given> {
        if self.session.gives_way(now) {
            return None;
        }
        let at = self.records.find(prefix).filter(|at| self.records.belongs(*at, ia))?;
        let record =
            self.records.get(at).filter(|r| r.state() == LeaseState::Active && self.is_waited_for(r))?;
        let now_at_most = self.cluster_time_at_most(now)?;
        let left = Lifetime::from_span_floor(record.valid_until.saturating_since(now_at_most));
        if left == Lifetime::ZERO {
            return None;
        }
        let preferred = match (record.preferred.finite_secs(), record.valid.finite_secs(), left.finite_secs())
        {
            (Some(preferred), Some(valid), Some(left)) => {
                Lifetime::from_wire(preferred.saturating_sub(valid.saturating_sub(left)))
            }
            _ => record.preferred,
        };
        Some(Given { prefix, preferred: preferred.min(left), valid: left })
    }

    /// The client gave a lease back. False when it is not this IA's, or the session was closed.
    pub fn release(&mut self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> bool {
        self.end(now, ia, prefix, UpdateKind::Release)
    }

    /// The client found an address in use by somebody else: it is quarantined. If the client has as many there as it may
    /// (SEC-02), it only leaves the binding. False when it is not this IA's, or the session was closed.
    pub fn decline(&mut self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> bool {
        let limit = self.names.limits(ia.link).declines_per_client;
        let is_held = self.standing_of(ia, prefix).is_some();
        if is_held && self.records.client_declined(ia.link, ia.duid) >= limit {
            self.counts.declines_over_limit += 1;
            return self.end(now, ia, prefix, UpdateKind::Release);
        }
        self.end(now, ia, prefix, UpdateKind::Decline)
    }

    /// R9: the client says, by what it renews, which leases of an IA it uses: the other Active ones are released.
    pub fn release_unused(&mut self, now: LocalTime, ia: IaRef<'_>, used: &[Prefix]) {
        if is_off(Mechanism::UnusedReleased) {
            return;
        }
        let unused: SmallVec<[Prefix; 4]> = self
            .records
            .held(ia, HELD_MAX)
            .filter(|r| r.state() == LeaseState::Active)
            .map(|r| r.prefix())
            .filter(|prefix| !used.contains(prefix))
            .collect();
        for prefix in unused {
            self.release(now, ia, prefix);
        }
    }

    /// Replies computed from now on belong to one batch for [`Leases::may_send`].
    pub fn batch_begin(&mut self, now: LocalTime) {
        self.autonomy.batch_begin(now);
        self.release_kept(now, KEPT_PER_BATCH);
    }

    /// R4, just before sending: whether the replies computed since [`Leases::batch_begin`] may still go out.
    #[must_use]
    pub fn may_send(&self, now: LocalTime) -> bool {
        self.autonomy.may_send(now, &self.timing())
    }

    fn end(&mut self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix, kind: UpdateKind) -> bool {
        let Some(at) = self.records.find(prefix).filter(|at| self.records.belongs(*at, ia)) else {
            return false;
        };
        let contact = self.cluster_time_at_most(now);
        let Some(record) = self.records.get_mut(at) else { return false };
        match record.state() {
            LeaseState::Free => return false,
            _ if self.session.has_closed() => return false,
            LeaseState::Active => {}
            // It has ended already, in whichever way.
            _ => return true,
        }
        if let Some(contact) = contact {
            record.contact = contact;
        }
        let state = if kind == UpdateKind::Decline { LeaseState::Abandoned } else { LeaseState::Released };
        self.records.set_state(at, state);
        self.make_dirty(at, kind, ClusterTime::ZERO, false);
        true
    }

    /// Puts a change among what must be told. What is dirty already keeps its place.
    fn make_dirty(&mut self, at: u32, kind: UpdateKind, ack_until: ClusterTime, with_extra: bool) {
        let Some(record) = self.records.get_mut(at) else { return };
        let base_version = if kind == UpdateKind::Promise { LogIndex(0) } else { record.version };
        match self.dirty.get_mut(record.dirty_at) {
            // The store must know of the lease before its end means anything to it.
            Some(waiting) if waiting.kind == UpdateKind::Promise && kind != UpdateKind::Promise => {
                waiting.then = Some(kind);
                waiting.base_version = base_version;
            }
            Some(waiting) => {
                waiting.kind = kind;
                waiting.then = None;
                waiting.with_extra |= with_extra;
                waiting.ack_until = waiting.ack_until.max(ack_until);
                waiting.base_version = base_version;
            }
            None => {
                let entry = Dirty { record: at, kind, then: None, with_extra, ack_until, base_version };
                record.dirty_at = self.dirty.push(entry);
            }
        }
    }

    /// What is waiting to be told of a record.
    pub(super) fn dirty_entry(&self, at: u32) -> Option<&Dirty> {
        self.dirty.get(self.records.get(at)?.dirty_at)
    }

    /// The binding of an IA, sharing the octets of a DUID that is known.
    pub(super) fn binding_key(&self, ia: IaRef<'_>) -> Option<BindingKey> {
        let duid = self.records.shared_duid(ia).or_else(|| Duid::new(ia.duid).ok())?;
        Some(BindingKey { link: ia.link, duid, kind: ia.kind, iaid: ia.iaid })
    }

    /// R3, R4 and R5: what may be promised of a known lease.
    fn extension(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
    ) -> Option<(u32, PoolId, Promise)> {
        if self.session.gives_way(now) {
            return None;
        }
        let at = self.records.find(prefix).filter(|at| self.records.belongs(*at, ia))?;
        let record =
            self.records.get(at).filter(|r| r.state() == LeaseState::Active && self.is_waited_for(r))?;
        // The store called its end. Where that was an expiry, a promise of ours that revives it goes up before whatever
        // is promised now: once taken, the record is Active again and needs another end, which is read and acknowledged
        // after this promise (R2). What the client or its partner ended is not extended.
        let is_revived = record.store_state == LeaseState::Expired && self.has_own_promise(at);
        if record.store_state.awaits_freeing() && !is_revived {
            return None;
        }
        // What was cut off a pool runs out, as leases of a pool that was removed do.
        let pool = self.names.pool(record.pool).filter(|p| p.range_of(prefix).is_some())?;
        let is_ours = || self.ranges.pool(pool.id).is_some_and(|r| r.may_create(prefix));
        if is_off(Mechanism::PartnerRenewal) && !is_ours() {
            return None;
        }
        let promise = self.bounded(now, pool, record.acked_until, lifetimes)?;
        Some((at, pool.id, promise))
    }

    /// R2: whether the store waits for this session before it gives the lease to anybody else. It does for what was born
    /// before the session was superseded. A load or a look-up may run ahead of the stream, in which word of the
    /// superseding may still come: what was born past the stream's position counts as born after it.
    pub(super) fn is_waited_for(&self, record: &Record) -> bool {
        record.born <= self.session.superseded_at.unwrap_or(self.session.last_index)
            || is_off(Mechanism::BornLater)
    }

    /// R3 under R4's allowance; nothing when no time may be promised.
    pub(super) fn bounded(
        &self,
        now: LocalTime,
        pool: &Pool,
        acked_until: ClusterTime,
        lifetimes: LifetimeWish,
    ) -> Option<Promise> {
        let now_at_most = self.cluster_time_at_most(now)?;
        let mclt = self.autonomy.allowance(now, pool);
        let (preferred, valid) = pool.desired(lifetimes);
        let desired = Desired { preferred, valid, mclt };
        Some(promise(now_at_most, acked_until, desired)).filter(|p| p.valid > Lifetime::ZERO)
    }
}

fn given(prefix: Prefix, promise: &Promise) -> Given {
    Given { prefix, preferred: promise.preferred, valid: promise.valid }
}
