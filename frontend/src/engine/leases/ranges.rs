//! Who owns which range, and what this session may create from its own (R1).
//!
//! Every range that was ever granted is known by its owner; those granted to the current session are kept by pool,
//! ready to be picked from in constant time. Grants and their end come from the store's stream alone.

use super::owned::{OwnedRange, Vacancy};
use super::pool_ranges::PoolRanges;
use leasehold_proto::pool::Pool;
use leasehold_proto::session::{RangeRecord, RangeRequest};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{Epoch, FrontendId, PoolId, Prefix, RangeId, UpdateSeq};
use std::collections::BTreeMap;

/// Slots of ranges with former owners that are gone through in one call.
const SCAN_BUDGET: u64 = 8192;

/// The owner of a range as last read.
pub(super) struct RangeInfo {
    pub(super) owner: Epoch,
    pub(super) frontend: Option<FrontendId>,
    pub(super) closed: bool,
    fresh: bool,
    /// The batch with which it goes back: nothing is created from it any more.
    returning: Option<UpdateSeq>,
    /// Known from before the load that is under way, which did not name it yet.
    unconfirmed: bool,
}

/// All ranges.
#[derive(Default)]
pub(super) struct Ranges {
    infos: BTreeMap<RangeId, RangeInfo>,
    pools: BTreeMap<PoolId, PoolRanges>,
    scanning: bool,
    /// Something happened after which more ranges may be wanted.
    stirred: bool,
    /// When to look for ranges to be spared, at the earliest.
    pub(super) look_at: LocalTime,
    /// Before this no kept slot is anybody's; none: none is kept.
    kept_until: Option<ClusterTime>,
}

impl Ranges {
    pub(super) fn pool(&self, id: PoolId) -> Option<&PoolRanges> {
        self.pools.get(&id)
    }

    pub(super) fn pool_mut(&mut self, id: PoolId) -> Option<&mut PoolRanges> {
        self.pools.get_mut(&id)
    }

    pub(super) fn info(&self, range: RangeId) -> Option<&RangeInfo> {
        self.infos.get(&range)
    }

    /// The configuration changed: `pools` are this frontend's now.
    pub(super) fn configure<'a>(&mut self, pools: impl Iterator<Item = &'a Pool>, me: Epoch, loaded: bool) {
        let mut old = std::mem::take(&mut self.pools);
        for pool in pools {
            let known = old.remove(&pool.id);
            // A pool that ends elsewhere, gives otherwise, or comes back, keeps its ranges; which of their slots are free,
            // and which are kept, is gone through anew.
            let is_kept = known.as_ref().is_some_and(|p| p.fits(pool));
            let mut ranges = match known {
                Some(ranges) if is_kept => ranges,
                Some(ranges) => ranges.reshaped(pool),
                None => PoolRanges::new(pool),
            };
            let first = RangeId { pool: pool.id, slice: 0 };
            let last = RangeId { pool: pool.id, slice: u64::MAX };
            for (id, info) in self.infos.range(first..=last) {
                if info.is_owned_by(me) {
                    ranges.add(id.slice, info.fresh && is_kept, loaded);
                    ranges.suspend(id.slice, info.unconfirmed);
                }
            }
            self.pools.insert(pool.id, ranges);
        }
        self.scanning = true;
        self.stirred = true;
    }

    /// Takes the store's word on one range. True when it is newly this session's.
    pub(super) fn take(&mut self, now: LocalTime, record: &RangeRecord, me: Epoch, loaded: bool) -> bool {
        let before = self.infos.get(&record.range);
        // A load may show what was before our return is taken; so may a declaration that was taken back (R4).
        let returning = before.filter(|b| b.owner == record.owner).and_then(|b| b.returning);
        let is_own_return = before.is_some_and(RangeInfo::is_returning);
        let info = RangeInfo {
            owner: record.owner,
            frontend: record.frontend.clone(),
            closed: record.closed,
            fresh: record.fresh,
            returning,
            unconfirmed: false,
        };
        let mine = info.is_owned_by(me);
        self.infos.insert(record.range, info);
        self.stirred = true;
        let Some(pool) = self.pools.get_mut(&record.range.pool) else { return false };
        if !mine {
            pool.drop_slice(record.range.slice);
            if record.owner.is_none() && !is_own_return {
                pool.demand.opened();
            }
            return false;
        }
        let new = pool.add(record.range.slice, record.fresh, loaded);
        pool.suspend(record.range.slice, false);
        if new {
            pool.demand.granted(now);
            self.scanning = true;
        }
        new
    }

    /// What was granted and taken back since the stream broke off is learnt from the load alone: until it names a range,
    /// nothing is created there (R1).
    pub(super) fn begin_load(&mut self) {
        self.infos.values_mut().for_each(|info| info.unconfirmed = true);
        self.pools.values_mut().for_each(|pool| pool.change_all(|range| range.suspend(true)));
    }

    /// The load is over. What it did not name and is not on its way back is nobody's.
    fn drop_unconfirmed(&mut self) {
        let gone = |(range, info): (&RangeId, &RangeInfo)| {
            (info.unconfirmed && !info.is_returning()).then_some(*range)
        };
        let gone: Vec<RangeId> = self.infos.iter().filter_map(gone).collect();
        for range in gone {
            self.infos.remove(&range);
            if let Some(pool) = self.pools.get_mut(&range.pool) {
                pool.drop_slice(range.slice);
            }
        }
    }

    /// All leases are known: ranges with former owners can be gone through.
    pub(super) fn loaded(&mut self) {
        self.drop_unconfirmed();
        self.pools.values_mut().for_each(|pool| pool.change_all(OwnedRange::loaded));
        self.scanning = true;
    }

    /// Goes on going through them; bounded. True when there is more to do.
    pub(super) fn scan(&mut self, vacancy: &dyn Fn(Prefix) -> Vacancy) -> bool {
        if self.scanning {
            let left = self.pools.values_mut().fold(SCAN_BUDGET, |budget, pool| pool.scan(budget, vacancy));
            self.note_kept();
            self.scanning = left == 0;
            self.stirred = true;
        }
        self.scanning
    }

    pub(super) fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// A prefix of a pool stands otherwise than before.
    pub(super) fn set(&mut self, pool: PoolId, prefix: Prefix, before: Vacancy, now: Vacancy) {
        let Some(ranges) = self.pools.get_mut(&pool) else { return };
        if let Some(due) = ranges.set(prefix, (before, now)) {
            self.kept_until = Some(self.kept_until.map_or(due, |known| known.min(due)));
        }
        self.stirred = true;
    }

    fn note_kept(&mut self) {
        self.kept_until = self.pools.values().filter_map(PoolRanges::next_due).min();
    }

    /// Lets up to `budget` kept slots whose time is over be anybody's. Nothing due costs nothing.
    pub(super) fn release_kept(
        &mut self,
        now: ClusterTime,
        budget: u32,
        vacancy: &dyn Fn(Prefix) -> Vacancy,
    ) {
        if self.kept_until.is_none_or(|at| now < at) {
            return;
        }
        self.pools.values_mut().fold(budget, |budget, pool| pool.release_kept(now, budget, vacancy));
        self.note_kept();
        self.stirred = true;
    }

    /// Whether any slot is kept.
    pub(super) fn keeps_any(&self) -> bool {
        self.kept_until.is_some()
    }

    /// What to ask the store for in a batch.
    pub(super) fn requests(&mut self, now: LocalTime, batch: UpdateSeq) -> Vec<RangeRequest> {
        self.stirred = false;
        let mut requests = Vec::new();
        for (id, pool) in &mut self.pools {
            if let Some(ranges) = pool.demand.due(now, pool.stock()) {
                pool.demand.asked(batch);
                requests.push(RangeRequest { pool: *id, ranges });
            }
        }
        requests
    }

    /// Whether any pool wants ranges now. Looks only when something happened or a wait is over.
    pub(super) fn wants(&mut self, now: LocalTime) -> bool {
        if !self.stirred && self.next_retry().is_none_or(|at| now < at) {
            return false;
        }
        let wants = self.pools.values().any(|pool| pool.demand.due(now, pool.stock()).is_some());
        self.stirred = wants;
        wants
    }

    /// When a wait for a dry pool is over.
    pub(super) fn next_retry(&self) -> Option<LocalTime> {
        let low =
            |p: &&PoolRanges| p.demand.not_before().is_some_and(|at| p.demand.due(at, p.stock()).is_some());
        self.pools.values().filter(low).filter_map(|p| p.demand.not_before()).min()
    }

    /// All ranges of this session, to be given back.
    pub(super) fn mine(&self, me: Epoch) -> Vec<RangeId> {
        self.infos.iter().filter(|(_, info)| info.is_owned_by(me)).map(|(id, _)| *id).collect()
    }

    /// Whether this session has any.
    pub(super) fn has_any(&self, me: Epoch) -> bool {
        self.infos.values().any(|info| info.is_owned_by(me))
    }

    /// A range goes back with this batch: nothing is created from it any more.
    pub(super) fn begin_return(&mut self, range: RangeId, batch: UpdateSeq) {
        if let Some(info) = self.infos.get_mut(&range) {
            info.returning = Some(batch);
        }
        if let Some(pool) = self.pools.get_mut(&range.pool) {
            pool.drop_slice(range.slice);
        }
    }

    /// That batch was taken. If no word on the range came with the answer, the answer is lost, and a load brings it.
    pub(super) fn return_answered(&mut self, range: RangeId, batch: UpdateSeq) {
        if let Some(info) = self.infos.get_mut(&range)
            && info.returning == Some(batch)
        {
            info.returning = None;
            // One that was closed is not given back: it stays its owner's until that is dead for certain (R6).
            if !info.closed {
                (info.owner, info.frontend) = (Epoch::NONE, None);
            }
        }
    }

    /// Nothing is owned any more and nothing is known: the session is over.
    pub(super) fn forget<'a>(&mut self, pools: impl Iterator<Item = &'a Pool>) {
        *self = Self::default();
        self.configure(pools, Epoch::NONE, false);
    }

    /// Pools by id, to be changed.
    pub(super) fn pools_mut(&mut self) -> impl Iterator<Item = (PoolId, &mut PoolRanges)> {
        self.pools.iter_mut().map(|(id, pool)| (*id, pool))
    }

    /// Pools by id.
    pub(super) fn pools(&self) -> impl Iterator<Item = (PoolId, &PoolRanges)> {
        self.pools.iter().map(|(id, pool)| (*id, pool))
    }
}

impl RangeInfo {
    pub(super) fn is_owned_by(&self, session: Epoch) -> bool {
        !session.is_none() && self.owner == session && !self.closed && !self.is_returning()
    }

    /// It was given back, and the store has not answered.
    pub(super) fn is_returning(&self) -> bool {
        self.returning.is_some()
    }
}
