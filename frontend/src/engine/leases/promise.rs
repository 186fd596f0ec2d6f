//! Giving, extending and ending leases: where R1, R3, R4, R5 and R9 meet. Every change is recorded and made dirty
//! before the caller can say anything to the client.

use super::dirty::Dirty;
use super::query::{FREE_MAX, HELD_MAX};
use super::records::Record;
use super::{Given, IaRef, Leases, NoLease};
use leasehold_proto::lease::{LeaseExtra, LeaseState, UpdateKind};
use leasehold_proto::lifetimes::{Desired, Promise, promise};
use leasehold_proto::pool::Pool;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::words::{BindingKey, Duid, LogIndex, PoolId, Prefix};
use smallvec::SmallVec;
use std::sync::Arc;

/// So many times its bound a client may have leases that have ended and are not free yet: freeing can be held back for
/// long by others' faults, but a client that asks and releases all the time must not use up a pool meanwhile.
const ENDED_TIMES: usize = 8;

/// A place for a new lease, and what may be promised of it.
struct Place {
    pool: PoolId,
    prefix: Prefix,
    promise: Promise,
}

impl Leases {
    /// What [`Leases::create`] would give; records nothing (SV-303). Its lifetimes obey R3 as well (FO-411). A hint
    /// that is an Active lease of the IA in one of `pools` is offered as [`Leases::extend`] would give it.
    ///
    /// # Errors
    /// As [`Leases::create`].
    pub fn offer(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        pools: &[PoolId],
        hint: Option<Prefix>,
    ) -> Result<Given, NoLease> {
        let held = hint.and_then(|prefix| Some((prefix, self.extension(now, ia, prefix)?)));
        if let Some((prefix, (_, pool, promise))) = held
            && pools.contains(&pool)
        {
            return Ok(given(prefix, &promise));
        }
        self.place(now, ia, pools, hint).map(|place| given(place.prefix, &place.promise))
    }

    /// Gives an IA a lease that it does not have: the hint if it is free and in an own range of one of `pools`, else
    /// one that the IA had last and that is free, else one from a keyed hash (R1, SV-214). Pools are tried in order.
    ///
    /// # Errors
    /// Why there is none. Only [`NoLease::Dry`] and [`NoLease::TooMany`] may be told to the client.
    pub fn create(
        &mut self,
        now: LocalTime,
        ia: IaRef<'_>,
        pools: &[PoolId],
        hint: Option<Prefix>,
        extra: Option<Arc<LeaseExtra>>,
    ) -> Result<Given, NoLease> {
        let place = self.place(now, ia, pools, hint)?;
        let binding = self.binding_key(ia).ok_or(NoLease::NotNow)?;
        let contact = self.cluster_time_at_most(now).ok_or(NoLease::NotNow)?;
        let Place { pool, prefix, promise } = place;
        let at = match self.records.find(prefix) {
            Some(at) => {
                self.withdraw(at);
                self.records.assign(at, &binding, LeaseState::Active);
                at
            }
            None => self.records.insert(prefix, pool, &binding, LeaseState::Active),
        };
        let with_extra = extra.is_some();
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
            record.extra = extra;
            record.load_mark = self.load.mark;
        }
        self.ranges.set(pool, prefix, false);
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
    pub fn offer_extension(&self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> Option<Given> {
        self.extension(now, ia, prefix).map(|(_, _, promise)| given(prefix, &promise))
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
        extra: Option<Arc<LeaseExtra>>,
    ) -> Option<Given> {
        let (at, pool, promise) = self.extension(now, ia, prefix)?;
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
        let with_extra = extra.is_some() && record.extra != extra;
        if with_extra {
            record.extra = extra;
        }
        self.make_dirty(at, UpdateKind::Promise, promise.ack_until, with_extra);
        if is_waiting {
            self.note_rest(pool_id, at);
        }
        Some(given(prefix, &promise))
    }

    /// What is left of an Active lease that is not extended (SV-210). Nothing when it is not that IA's, nothing is
    /// left, or cluster time cannot be bounded now.
    #[must_use]
    pub fn remaining(&self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> Option<Given> {
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

    /// The client found an address in use by somebody else. False when it is not this IA's, or the session was
    /// closed.
    pub fn decline(&mut self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> bool {
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
        let duid = self.records.shared_duid(ia.link, ia.duid).or_else(|| Duid::new(ia.duid).ok())?;
        Some(BindingKey { link: ia.link, duid, kind: ia.kind, iaid: ia.iaid })
    }

    /// R3, R4 and R5: what may be promised of a known lease.
    fn extension(&self, now: LocalTime, ia: IaRef<'_>, prefix: Prefix) -> Option<(u32, PoolId, Promise)> {
        // A session that is over flushes what it promised and is followed by another: to promise on would put that off,
        // and its partner answers meanwhile. Without the store it goes on for as long as it may.
        if self.session.stopping || (self.session.is_over && self.session.is_welcomed()) {
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
        let promise = self.bounded(now, pool, record.acked_until)?;
        Some((at, pool.id, promise))
    }

    /// R2: whether the store waits for this session before it gives the lease to anybody else. It does for what was born
    /// before the session was superseded. A load or a look-up may run ahead of the stream, in which word of the
    /// superseding may still come: what was born past the stream's position counts as born after it.
    pub(super) fn is_waited_for(&self, record: &Record) -> bool {
        record.born <= self.session.superseded_at.unwrap_or(self.session.last_index)
            || is_off(Mechanism::BornLater)
    }

    /// SEC-02: whether a client may have no more leases on a link.
    pub(super) fn has_too_many(&self, ia: IaRef<'_>) -> bool {
        let (held, ended) = self.records.client_held(ia.link, ia.duid).unwrap_or_default();
        let max = self.limits.leases_per_client_max;
        held as usize >= max || ended as usize >= max.saturating_mul(ENDED_TIMES)
    }

    /// R3 under R4's allowance; nothing when no time may be promised.
    pub(super) fn bounded(&self, now: LocalTime, pool: &Pool, acked_until: ClusterTime) -> Option<Promise> {
        let now_at_most = self.cluster_time_at_most(now)?;
        let mclt = self.autonomy.allowance(now, pool);
        let desired = Desired { preferred: pool.preferred, valid: pool.valid, mclt };
        Some(promise(now_at_most, acked_until, desired)).filter(|p| p.valid > Lifetime::ZERO)
    }

    /// R1, R2, R4, R6: where a new lease may be, now.
    fn place(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        wanted: &[PoolId],
        hint: Option<Prefix>,
    ) -> Result<Place, NoLease> {
        let fits = |pool: &&Pool| pool.kind == ia.kind && pool.link == ia.link;
        let pools: SmallVec<[&Pool; 8]> =
            wanted.iter().filter_map(|id| self.names.pool(*id)).filter(fits).collect();
        if pools.is_empty() {
            return Err(NoLease::NoPool);
        }
        if self.has_too_many(ia) {
            return Err(NoLease::TooMany);
        }
        if self.session.stopping || self.session.draining || self.session.is_superseded() {
            return Err(NoLease::NotNow);
        }
        let mut is_dry = true;
        let usable: SmallVec<[(&Pool, Promise); 8]> = pools
            .iter()
            .filter_map(|pool| {
                is_dry &= self.ranges.pool(pool.id).is_some_and(|r| r.demand.dry);
                // Only before the deadline is there an MCLT; nothing is acknowledged of what nobody holds.
                self.bounded(now, pool, ClusterTime::ZERO).map(|promise| (*pool, promise))
            })
            .collect();
        if usable.is_empty() {
            return Err(NoLease::NotNow);
        }
        let place = self.known_place(ia, &usable, hint).or_else(|| self.hashed_place(ia, &usable));
        place.ok_or_else(|| {
            for (pool, _) in &usable {
                if let Some(ranges) = self.ranges.pool(pool.id) {
                    ranges.demand.missed(now);
                }
            }
            if is_dry { NoLease::Dry } else { NoLease::NotNow }
        })
    }

    /// The hint, or what the IA had last.
    fn known_place(&self, ia: IaRef<'_>, usable: &[(&Pool, Promise)], hint: Option<Prefix>) -> Option<Place> {
        let had = self.records.free(ia, FREE_MAX).map(|r| r.prefix());
        hint.into_iter().chain(had).find_map(|prefix| {
            let pool = self.names.pool_of(prefix)?;
            let (pool, promise) = usable.iter().find(|(p, _)| p.id == pool.id)?;
            let is_ours = self.ranges.pool(pool.id)?.may_create(prefix) || is_off(Mechanism::ExclusiveRanges);
            (is_ours && self.records.is_free(prefix)).then_some(Place {
                pool: pool.id,
                prefix,
                promise: *promise,
            })
        })
    }

    fn hashed_place(&self, ia: IaRef<'_>, usable: &[(&Pool, Promise)]) -> Option<Place> {
        let hash = self.key.place(ia.duid, ia.kind, ia.iaid);
        let is_free = |prefix| self.records.is_free(prefix);
        usable.iter().find_map(|(pool, promise)| {
            let prefix = self.ranges.pool(pool.id)?.pick(hash, &is_free)?;
            Some(Place { pool: pool.id, prefix, promise: *promise })
        })
    }
}

fn given(prefix: Prefix, promise: &Promise) -> Given {
    Given { prefix, preferred: promise.preferred, valid: promise.valid }
}
