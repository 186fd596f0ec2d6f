//! Who owns which range, and what this session may create from its own (R1).
//!
//! Every range that was ever granted is known by its owner; those granted to the current session are kept by pool,
//! ready to be picked from in constant time. Grants and their end come from the store's stream alone.

use super::demand::{Demand, Stock};
use super::free_map::FreeMap;
use super::owned::OwnedRange;
use super::returns::Wish;
use leasehold_proto::pool::{Geometry, Pool};
use leasehold_proto::session::{RangeRecord, RangeRequest};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, FrontendId, IaKind, PoolId, Prefix, RangeId, UpdateSeq};
use std::collections::BTreeMap;

/// Ranges looked at for one lease before giving up. With maps the first has room.
const PICK_RANGES: usize = 8;
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

/// The session's own ranges of one pool.
pub(super) struct PoolRanges {
    geometry: Geometry,
    kind: IaKind,
    by_slice: BTreeMap<u64, usize>,
    owned: Vec<Option<OwnedRange>>,
    vacant: Vec<usize>,
    /// Which places of `owned` have room.
    with_room: FreeMap,
    slots: u64,
    free: u64,
    pub(super) demand: Demand,
    /// The store wants some back for the partner.
    pub(super) wish: Option<Wish>,
}

impl PoolRanges {
    fn new(pool: &Pool) -> Self {
        Self {
            geometry: pool.geometry,
            kind: pool.kind,
            by_slice: BTreeMap::new(),
            owned: Vec::new(),
            vacant: Vec::new(),
            with_room: FreeMap::new(0, false),
            slots: 0,
            free: 0,
            demand: Demand::new(&pool.geometry, pool.kind),
            wish: None,
        }
    }

    /// Ranges owned.
    pub(super) fn count(&self) -> u64 {
        self.by_slice.len() as u64
    }

    /// Slots of the ranges owned.
    pub(super) fn slots(&self) -> u64 {
        self.slots
    }

    /// Free slots of the ranges that can be used.
    pub(super) fn free(&self) -> u64 {
        self.free
    }

    /// All of that.
    pub(super) fn stock(&self) -> Stock {
        Stock { ranges: self.count(), slots: self.slots, free: self.free }
    }

    /// The ranges that can be used, with their slices.
    pub(super) fn usable(&self) -> impl Iterator<Item = (u64, &OwnedRange)> {
        let at = |(slice, place): (&u64, &usize)| Some((*slice, self.owned.get(*place)?.as_ref()?));
        self.by_slice.iter().filter_map(at).filter(|(_, range)| range.is_ready())
    }

    /// Changes one range, keeping the sums right.
    fn change<R>(
        &mut self,
        place: usize,
        f: impl FnOnce(&mut OwnedRange, &Geometry, IaKind) -> R,
    ) -> Option<R> {
        let range = self.owned.get_mut(place)?.as_mut()?;
        let before = range.free();
        let result = f(range, &self.geometry, self.kind);
        let after = range.free();
        self.free = self.free.saturating_sub(before).saturating_add(after);
        if (before == 0) != (after == 0) || after == 0 {
            self.with_room.set(place, after > 0);
        }
        Some(result)
    }

    fn add(&mut self, slice: u64, fresh: bool, loaded: bool) -> bool {
        if let Some(place) = self.by_slice.get(&slice) {
            self.change(*place, |range, _, _| range.suspend(false));
            return false;
        }
        let Some(range) = OwnedRange::new(&self.geometry, self.kind, slice, fresh, loaded) else {
            return false;
        };
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.owned.push(None);
            self.owned.len() - 1
        });
        self.with_room.grow(place + 1);
        self.slots = self.slots.saturating_add(range.size());
        self.free = self.free.saturating_add(range.free());
        self.with_room.set(place, range.free() > 0);
        self.owned[place] = Some(range);
        self.by_slice.insert(slice, place);
        true
    }

    fn drop_slice(&mut self, slice: u64) {
        let Some(place) = self.by_slice.remove(&slice) else { return };
        if let Some(range) = self.owned.get_mut(place).and_then(Option::take) {
            self.slots = self.slots.saturating_sub(range.size());
            self.free = self.free.saturating_sub(range.free());
            self.with_room.set(place, false);
            self.vacant.push(place);
        }
    }

    fn at_slot(&self, slot: u64) -> Option<(usize, &OwnedRange)> {
        let place = *self.by_slice.get(&self.geometry.slice_of(slot))?;
        Some((place, self.owned.get(place)?.as_ref()?))
    }

    /// R1: whether a new lease of this prefix may be made, records aside.
    pub(super) fn may_create(&self, prefix: Prefix) -> bool {
        self.geometry
            .slot_of(prefix)
            .and_then(|slot| Some((slot, self.at_slot(slot)?.1)))
            .is_some_and(|(slot, range)| range.may_create(&self.geometry, self.kind, slot))
    }

    /// A place for a new lease in an own range, from a hashed start (SV-214).
    pub(super) fn pick(&self, hash: u64, is_free: &dyn Fn(Prefix) -> bool) -> Option<Prefix> {
        if self.owned.is_empty() {
            return None;
        }
        let mut place = usize::try_from((hash >> 32) % self.owned.len() as u64).unwrap_or(0);
        for _ in 0..PICK_RANGES.min(self.owned.len()) {
            place = self.with_room.next_from(place)?;
            let range = self.owned.get(place)?.as_ref()?;
            if let Some(prefix) = range.pick(&self.geometry, self.kind, hash, is_free) {
                return Some(prefix);
            }
            place = (place + 1) % self.owned.len();
        }
        self.demand.starved();
        None
    }

    /// Goes on looking through ranges with former owners; gives what is left of the budget.
    fn scan(&mut self, mut budget: u64, is_free: &dyn Fn(Prefix) -> bool) -> u64 {
        for place in 0..self.owned.len() {
            while budget > 0 && self.owned[place].as_ref().is_some_and(OwnedRange::is_scanning) {
                let looked = self.change(place, |range, geometry, _| range.scan(geometry, budget, is_free));
                budget = budget.saturating_sub(looked.unwrap_or(0).max(1));
            }
        }
        budget
    }
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
            // A pool that ends elsewhere keeps its ranges; which of their slots are free is gone through anew.
            let reshaped = known.as_ref().is_some_and(|p| p.geometry != pool.geometry);
            let mut ranges = match known {
                Some(ranges) if !reshaped => ranges,
                Some(mut ranges) => {
                    ranges.demand.reshape(&pool.geometry, pool.kind);
                    PoolRanges { demand: ranges.demand, ..PoolRanges::new(pool) }
                }
                None => PoolRanges::new(pool),
            };
            let first = RangeId { pool: pool.id, slice: 0 };
            let last = RangeId { pool: pool.id, slice: u64::MAX };
            for (id, info) in self.infos.range(first..=last) {
                if info.is_owned_by(me) {
                    ranges.add(id.slice, info.fresh && !reshaped, loaded);
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
        for pool in self.pools.values_mut() {
            for place in 0..pool.owned.len() {
                pool.change(place, |range, _, _| range.suspend(true));
            }
        }
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
        for pool in self.pools.values_mut() {
            for place in 0..pool.owned.len() {
                pool.change(place, |range, _, _| range.loaded());
            }
        }
        self.scanning = true;
    }

    /// Goes on going through them; bounded. True when there is more to do.
    pub(super) fn scan(&mut self, is_free: &dyn Fn(Prefix) -> bool) -> bool {
        if self.scanning {
            let left = self.pools.values_mut().fold(SCAN_BUDGET, |budget, pool| pool.scan(budget, is_free));
            self.scanning = left == 0;
            self.stirred = true;
        }
        self.scanning
    }

    pub(super) fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// A prefix of a pool became taken or free.
    pub(super) fn set(&mut self, pool: PoolId, prefix: Prefix, free: bool) {
        let Some(ranges) = self.pools.get_mut(&pool) else { return };
        let Some(slot) = ranges.geometry.slot_of(prefix) else { return };
        let Some((place, _)) = ranges.at_slot(slot) else { return };
        ranges.change(place, |range, geometry, kind| range.set(geometry, kind, slot, free));
        self.stirred = true;
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
