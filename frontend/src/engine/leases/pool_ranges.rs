//! The ranges of one pool that are granted to this session, and the choice among them for a new lease.
//!
//! Owns the sums over these ranges, which of them have room, and the three ways of looking for a place: hashed (SV-214),
//! in order, and close to the other prefixes behind the same relay. Kept slots (affinity) are looked at only when there
//! is no other. Refuses to know records: it asks. Every choice looks at a bounded number of ranges and slots.

use super::demand::{Demand, Stock};
use super::owned::{DENSE_BITS_MAX, Look, OwnedRange, Tier, Vacancy};
use super::returns::Wish;
use super::rooms::Rooms;
use leasehold_proto::pool::{Allocator, Geometry, Pool};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{IaKind, Prefix};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ranges looked at for one lease before giving up. With maps the first has room.
const PICK_RANGES: usize = 8;

/// Where a new lease of one client is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aim {
    /// The client's own place.
    pub(super) client: u64,
    /// The place of the relay that a prefix is delegated through.
    pub(super) relay: Option<u64>,
}

/// The session's own ranges of one pool.
pub(super) struct PoolRanges {
    pub(super) geometry: Geometry,
    kind: IaKind,
    allocator: Allocator,
    affinity: Duration,
    by_slice: BTreeMap<u64, usize>,
    owned: Vec<Option<OwnedRange>>,
    vacant: Vec<usize>,
    /// Which places of `owned` have free slots that are anybody's.
    common: Rooms,
    /// Which have free slots that are kept for who had them.
    kept: Rooms,
    /// Places of `owned` by when their kept slots are to be looked at.
    due: BTreeSet<(ClusterTime, usize)>,
    slots: u64,
    free: u64,
    pub(super) demand: Demand,
    /// The store wants some back for the partner.
    pub(super) wish: Option<Wish>,
}

impl PoolRanges {
    pub(super) fn new(pool: &Pool) -> Self {
        let in_order = pool.allocator == Allocator::InOrder;
        Self {
            geometry: pool.geometry,
            kind: pool.kind,
            allocator: pool.allocator,
            affinity: pool.affinity,
            by_slice: BTreeMap::new(),
            owned: Vec::new(),
            vacant: Vec::new(),
            common: Rooms::new(in_order),
            kept: Rooms::new(in_order),
            due: BTreeSet::new(),
            slots: 0,
            free: 0,
            demand: Demand::new(&pool.geometry, pool.kind),
            wish: None,
        }
    }

    /// None of the ranges of a pool that gives otherwise now; what is known of the demand stays.
    pub(super) fn reshaped(self, pool: &Pool) -> Self {
        let mut demand = self.demand;
        demand.reshape(&pool.geometry, pool.kind);
        Self { demand, ..Self::new(pool) }
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

    /// Whether what is known of the slots of these ranges holds for the pool as it is configured now.
    pub(super) fn fits(&self, pool: &Pool) -> bool {
        (self.geometry, self.allocator, self.affinity) == (pool.geometry, pool.allocator, pool.affinity)
    }

    /// Changes one range, keeping the sums right.
    pub(super) fn change<R>(
        &mut self,
        place: usize,
        f: impl FnOnce(&mut OwnedRange, &Geometry, IaKind) -> R,
    ) -> Option<R> {
        let range = self.owned.get_mut(place)?.as_mut()?;
        let (before, due_before) = (range.free(), range.next_due());
        let result = f(range, &self.geometry, self.kind);
        self.free = self.free.saturating_sub(before).saturating_add(range.free());
        let slice = self.geometry.slice_of(range.first());
        self.common.set(place, slice, range.room(Tier::Common) > 0);
        self.kept.set(place, slice, range.room(Tier::Kept) > 0);
        let due = range.next_due();
        if due != due_before {
            if let Some(at) = due_before {
                self.due.remove(&(at, place));
            }
            if let Some(at) = due {
                self.due.insert((at, place));
            }
        }
        Some(result)
    }

    /// Changes all ranges.
    pub(super) fn change_all(&mut self, f: impl Fn(&mut OwnedRange)) {
        for place in 0..self.owned.len() {
            self.change(place, |range, _, _| f(range));
        }
    }

    pub(super) fn add(&mut self, slice: u64, fresh: bool, loaded: bool) -> bool {
        if self.by_slice.contains_key(&slice) {
            return false;
        }
        let Some(range) = OwnedRange::new(&self.geometry, self.kind, slice, fresh, loaded) else {
            return false;
        };
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.owned.push(None);
            self.owned.len() - 1
        });
        self.common.grow(place + 1);
        self.kept.grow(place + 1);
        self.slots = self.slots.saturating_add(range.size());
        self.free = self.free.saturating_add(range.free());
        self.common.set(place, slice, range.room(Tier::Common) > 0);
        self.owned[place] = Some(range);
        self.by_slice.insert(slice, place);
        true
    }

    /// Whether a range waits for the load that is to name it.
    pub(super) fn suspend(&mut self, slice: u64, suspended: bool) {
        if let Some(place) = self.by_slice.get(&slice) {
            self.change(*place, |range, _, _| range.suspend(suspended));
        }
    }

    pub(super) fn drop_slice(&mut self, slice: u64) {
        let Some(place) = self.by_slice.remove(&slice) else { return };
        if let Some(range) = self.owned.get_mut(place).and_then(Option::take) {
            self.slots = self.slots.saturating_sub(range.size());
            self.free = self.free.saturating_sub(range.free());
            self.common.set(place, slice, false);
            self.kept.set(place, slice, false);
            if let Some(at) = range.next_due() {
                self.due.remove(&(at, place));
            }
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

    /// A prefix stands otherwise than before. When its range is to be looked at next, if it is one of these.
    pub(super) fn set(&mut self, prefix: Prefix, vacancy: (Vacancy, Vacancy)) -> Option<ClusterTime> {
        let slot = self.geometry.slot_of(prefix)?;
        let (place, _) = self.at_slot(slot)?;
        let affinity = self.affinity;
        self.change(place, |range, geometry, kind| {
            range.set(geometry, kind, affinity, slot, vacancy);
            range.next_due()
        })?
    }

    /// A place for a new lease in an own range, of one sort.
    pub(super) fn pick(&self, tier: Tier, aim: Aim, look: &Look<'_>) -> Option<Prefix> {
        match tier {
            Tier::Common => self.pick_in(&self.common, tier, aim, look),
            Tier::Kept => self.pick_in(&self.kept, tier, aim, look).or_else(|| {
                // Where slots are probed for, nobody counts the kept ones.
                let is_probed = self.geometry.range_bits() > DENSE_BITS_MAX;
                is_probed.then(|| self.pick_in(&self.common, tier, aim, look))?
            }),
        }
    }

    fn pick_in(&self, rooms: &Rooms, tier: Tier, aim: Aim, look: &Look<'_>) -> Option<Prefix> {
        let mut at = self.first_place(aim);
        for n in 0..PICK_RANGES.min(self.owned.len()) {
            let place = match (self.allocator, aim.relay) {
                (Allocator::InOrder, _) => rooms.lowest(n)?,
                (Allocator::Hashed, Some(relay)) if n == 0 => {
                    rooms.heaviest(|place| weight(relay, self.slice_at(place)))?
                }
                (Allocator::Hashed, _) => rooms.next_from(at)?,
            };
            let start = if self.allocator == Allocator::InOrder { 0 } else { aim.client };
            let range = self.owned.get(place)?.as_ref()?;
            if let Some(prefix) = range.pick(&self.geometry, self.kind, tier, start, look) {
                return Some(prefix);
            }
            at = (place + 1) % self.owned.len();
        }
        None
    }

    fn first_place(&self, aim: Aim) -> usize {
        usize::try_from((aim.client >> 32) % (self.owned.len() as u64).max(1)).unwrap_or(0)
    }

    fn slice_at(&self, place: usize) -> u64 {
        let range = self.owned.get(place).and_then(Option::as_ref);
        range.map_or(0, |range| self.geometry.slice_of(range.first()))
    }

    /// Goes on looking through ranges with former owners; gives what is left of the budget.
    pub(super) fn scan(&mut self, mut budget: u64, vacancy: &dyn Fn(Prefix) -> Vacancy) -> u64 {
        let affinity = self.affinity;
        for place in 0..self.owned.len() {
            while budget > 0 && self.owned[place].as_ref().is_some_and(OwnedRange::is_scanning) {
                let looked =
                    self.change(place, |range, geometry, _| range.scan(geometry, affinity, budget, vacancy));
                budget = budget.saturating_sub(looked.unwrap_or(0).max(1));
            }
        }
        budget
    }

    /// Lets kept slots whose time is over be anybody's; gives what is left of the budget.
    pub(super) fn release_kept(
        &mut self,
        now: ClusterTime,
        mut budget: u32,
        vacancy: &dyn Fn(Prefix) -> Vacancy,
    ) -> u32 {
        let affinity = self.affinity;
        while let Some((_, place)) = self.due.first().copied().filter(|(at, _)| *at <= now && budget > 0) {
            self.change(place, |range, geometry, _| range.release_next(geometry, affinity, now, vacancy));
            budget -= 1;
        }
        budget
    }

    /// When a kept slot is to be looked at.
    pub(super) fn next_due(&self) -> Option<ClusterTime> {
        self.due.first().map(|(at, _)| *at)
    }
}

/// How much a range is a relay's: the finalizer of SplitMix64, since both numbers are hashes or small.
fn weight(relay: u64, slice: u64) -> u64 {
    let mut z = relay ^ slice.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
