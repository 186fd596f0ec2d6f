//! Where a new lease may be: bounds on leases (SEC-02), hints, what an IA had last, and the allocators of pools.
//!
//! Owns the order in which places are looked for. What is kept for another client (affinity) comes after everything
//! else; where the client asked for a length, each length is gone through to its end before the next (PD-04). Changes
//! nothing. R1, R2, R4 and R6 are asked here: nothing is found but what this session may create now.

use super::api::Margin;
use super::owned::{Look, Tier, Vacancy};
use super::pool_ranges::Aim;
use super::query::FREE_MAX;
use super::{IaRef, Leases, NoLease, Wanted};
use leasehold_proto::lease::LeaseExtra;
use leasehold_proto::lifetimes::Promise;
use leasehold_proto::pool::Pool;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{IaKind, PoolId, Prefix};
use smallvec::SmallVec;
use std::sync::Arc;

/// A place for a new lease, and what may be promised of it.
pub(super) struct Place {
    pub(super) pool: PoolId,
    pub(super) prefix: Prefix,
    pub(super) promise: Promise,
}

/// For whom a place is looked for, and what is wanted.
#[derive(Clone, Copy)]
struct Ask<'a> {
    now: LocalTime,
    ia: IaRef<'a>,
    wanted: &'a Wanted<'a>,
}

impl Leases {
    /// R1, R2, R4, R6: where a new lease may be, now.
    pub(super) fn place(&self, now: LocalTime, ia: IaRef<'_>, wanted: &Wanted<'_>) -> Result<Place, NoLease> {
        if !wanted.pools.iter().any(|id| self.fitting(ia, *id).is_some()) {
            return Err(NoLease::NoPool);
        }
        if self.has_too_many(ia, wanted.extra, wanted.margin) {
            return Err(NoLease::TooMany);
        }
        if self.session.stopping || self.session.draining || self.session.is_superseded() {
            return Err(NoLease::NotNow);
        }
        let ask = Ask { now, ia, wanted };
        let place = self.hinted_place(ask).or_else(|| {
            let length = |id: &PoolId| self.names.pool(*id).map(|pool| pool.geometry.length_bits());
            let is_near = |a: &PoolId, b: &PoolId| !wanted.by_length || length(a) == length(b);
            let mut groups = wanted.pools.chunk_by(is_near);
            groups.find_map(|pools| self.last_place(ask, pools).or_else(|| self.new_place(ask, pools)))
        });
        place.ok_or_else(|| self.why_none(ask))
    }

    /// A pool by its number, if its leases are of the kind that an IA wants, on its link.
    fn fitting(&self, ia: IaRef<'_>, id: PoolId) -> Option<&Pool> {
        self.names.pool(id).filter(|pool| pool.kind == ia.kind && pool.link == ia.link)
    }

    /// A pool that may promise something now, with the promise. Pools are judged one by one as they are tried: a link may
    /// have hundreds.
    fn usable(&self, Ask { now, ia, wanted }: Ask<'_>, id: PoolId) -> Option<(&Pool, Promise)> {
        let pool = self.fitting(ia, id)?;
        // Only before the deadline is there an MCLT; nothing is acknowledged of what nobody holds.
        let promise = self.bounded(now, pool, ClusterTime::ZERO, wanted.lifetimes)?;
        Some((pool, promise))
    }

    /// Why there is no place: the store has said that all pools are dry, or there may be one presently.
    fn why_none(&self, ask: Ask<'_>) -> NoLease {
        let is_usable = |id: &PoolId| self.usable(ask, *id).is_some();
        let is_dry = |id: &PoolId| {
            self.fitting(ask.ia, *id)
                .is_none_or(|pool| self.ranges.pool(pool.id).is_some_and(|ranges| ranges.demand.dry))
        };
        let pools = ask.wanted.pools;
        if pools.iter().any(is_usable) && pools.iter().all(is_dry) { NoLease::Dry } else { NoLease::NotNow }
    }

    /// The hint, unless it is kept for another client.
    fn hinted_place(&self, ask: Ask<'_>) -> Option<Place> {
        let place = self.free_place(ask, ask.wanted.pools, ask.wanted.hint?)?;
        let vacancy = self.records.vacancy(place.prefix);
        let is_kept = self.names.pool(place.pool).is_some_and(|pool| self.is_kept_on(ask.now, pool, vacancy));
        let is_own = || self.records.find(place.prefix).is_some_and(|at| self.records.belongs(at, ask.ia));
        (!is_kept || is_own()).then_some(place)
    }

    /// What the IA had last.
    fn last_place(&self, ask: Ask<'_>, pools: &[PoolId]) -> Option<Place> {
        let mut had = self.records.free(ask.ia, FREE_MAX).map(|record| record.prefix());
        had.find_map(|prefix| self.free_place(ask, pools, prefix))
    }

    /// This very prefix, if it may be given.
    fn free_place(&self, ask: Ask<'_>, pools: &[PoolId], prefix: Prefix) -> Option<Place> {
        let pool = self.names.pool_of(prefix).filter(|pool| pools.contains(&pool.id))?;
        let (pool, promise) = self.usable(ask, pool.id)?;
        let is_ours = self.ranges.pool(pool.id)?.may_create(prefix) || is_off(Mechanism::ExclusiveRanges);
        (is_ours && self.records.is_free(prefix)).then_some(Place { pool: pool.id, prefix, promise })
    }

    /// A place that nobody asked for: what is anybody's first. Notes that there is none.
    fn new_place(&self, ask: Ask<'_>, pools: &[PoolId]) -> Option<Place> {
        let Ask { ia, wanted, .. } = ask;
        let relay = wanted.relay.filter(|_| ia.kind == IaKind::Pd).map(|relay| self.key.relay(relay));
        let aim = Aim { client: self.key.place(ia.duid, ia.kind, ia.iaid), relay };
        let mut tried: SmallVec<[(&Pool, Promise); 8]> = SmallVec::new();
        for (pool, promise) in pools.iter().filter_map(|id| self.usable(ask, *id)) {
            if let Some(place) = self.pick(ask.now, Tier::Common, aim, (pool, promise)) {
                return Some(place);
            }
            tried.push((pool, promise));
        }
        let kept = tried.iter().find_map(|pool| self.pick(ask.now, Tier::Kept, aim, *pool));
        if kept.is_none() {
            for ranges in tried.iter().filter_map(|(pool, _)| self.ranges.pool(pool.id)) {
                ranges.demand.missed(ask.now);
            }
        }
        kept
    }

    fn pick(&self, now: LocalTime, tier: Tier, aim: Aim, (pool, promise): (&Pool, Promise)) -> Option<Place> {
        let look = Look {
            vacancy: &|prefix| self.records.vacancy(prefix),
            is_kept: &|vacancy| self.is_kept_on(now, pool, vacancy),
        };
        let ranges = self.ranges.pool(pool.id)?;
        let prefix = ranges.pick(tier, aim, &look);
        if prefix.is_none() && (tier == Tier::Kept || ranges.next_due().is_none()) {
            ranges.demand.starved();
        }
        Some(Place { pool: pool.id, prefix: prefix?, promise })
    }

    /// Whether what is free of a pool is kept for who had it last.
    fn is_kept_on(&self, now: LocalTime, pool: &Pool, vacancy: Vacancy) -> bool {
        let until = vacancy.kept_until(pool.affinity);
        until.is_some_and(|until| self.cluster_time_at_most(now).is_some_and(|now| now < until))
    }

    /// Lets kept slots whose time is over be anybody's. Nothing due costs next to nothing.
    pub(super) fn release_kept(&mut self, now: LocalTime, budget: u32) {
        if !self.ranges.keeps_any() {
            return;
        }
        let Some(now) = self.cluster_time_at_most(now) else { return };
        let records = &self.records;
        self.ranges.release_kept(now, budget, &|prefix| records.vacancy(prefix));
    }

    /// SEC-02: whether a client, or the port that it sits behind, may have no more leases on a link.
    pub(super) fn has_too_many(
        &self,
        ia: IaRef<'_>,
        extra: Option<&Arc<LeaseExtra>>,
        margin: Margin,
    ) -> bool {
        let limits = self.names.limits(ia.link);
        let client = self.records.client_held(ia).unwrap_or_default();
        let relay = extra.and_then(|extra| extra.relay.as_ref());
        client.reaches(margin.of(limits.leases_per_client))
            || relay.is_some_and(|relay| self.records.ports().is_full(ia.link, &limits, relay, margin))
    }
}
