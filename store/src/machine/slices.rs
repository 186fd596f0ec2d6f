//! Which slice of a pool may be granted next.
//!
//! Three kinds: those granted before and nobody's now, fresh ones, and those passed over because another pool held
//! something there (configuration rule of design section 5). The first kind is clear of other pools: whoever wants
//! these addresses later waits for the ranges granted here. A passed slice is looked at anew, in turn and a bounded
//! number at a time. Refuses to know who asks.

use super::rows::RowKey;
use super::state::{Machine, PoolState, RangeState};
use leasehold_proto::words::{Epoch, PoolId, Prefix, RangeId};

/// What looking for a slice gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// This one; `true`: it was never granted before.
    Slice(u64, bool),
    /// There is none.
    Nothing,
    /// None was found within the budget: look again later.
    Later,
}

impl PoolState {
    /// The last slice of which anything is offered.
    pub(super) fn offered_last_slice(&self) -> u64 {
        self.pool.geometry.slice_of(self.offered_last_slot)
    }

    /// Whether a slice has addresses that are not offered any more.
    pub(super) fn reaches_past_offer(&self, slice: u64) -> bool {
        self.pool.geometry.slots_of(slice).is_none_or(|(_, last)| last > self.offered_last_slot)
    }

    /// Whether there may be a slice to grant.
    pub(super) fn has_some(&self) -> bool {
        let last = self.offered_last_slice();
        self.fresh_slices_used <= last
            || self.free_slices.range(..=last).next().is_some()
            || self.passed_slices.range(..=last).next().is_some()
    }

    /// First and last address of what is offered of a slice.
    pub(super) fn offered_bounds(&self, slice: u64) -> Option<(u128, u128)> {
        let geometry = &self.pool.geometry;
        let (first, last) = geometry.slots_of(slice)?;
        let last = last.min(self.offered_last_slot);
        (first <= last).then(|| (geometry.prefix_at(first).bits(), geometry.prefix_at(last).last_bits()))
    }
}

impl Machine {
    /// The next slice to grant. `budget` bounds how many slices and records are looked at.
    pub(super) fn pick_slice(&mut self, pool: PoolId, budget: &mut usize) -> Pick {
        let Some(state) = self.pools.get(&pool) else { return Pick::Nothing };
        let last = state.offered_last_slice();
        if let Some(slice) = state.free_slices.range(..=last).next() {
            return Pick::Slice(*slice, false);
        }
        match self.pick_fresh(pool, last, budget) {
            Pick::Nothing => self.pick_passed(pool, last, budget),
            found => found,
        }
    }

    fn pick_fresh(&mut self, pool: PoolId, last: u64, budget: &mut usize) -> Pick {
        while let Some(state) = self.pools.get_mut(&pool) {
            let slice = state.fresh_slices_used;
            if slice > last {
                return Pick::Nothing;
            }
            if *budget == 0 {
                return Pick::Later;
            }
            state.fresh_slices_used = slice + 1;
            self.touch(RowKey::Pool(pool));
            if !self.is_slice_held(pool, slice, budget) {
                return Pick::Slice(slice, true);
            }
            let passed = RangeState { owner: Epoch::NONE, closed: false, unclean: true, passed: true };
            self.set_range(RangeId { pool, slice }, passed);
        }
        Pick::Nothing
    }

    fn pick_passed(&mut self, pool: PoolId, last: u64, budget: &mut usize) -> Pick {
        let Some(state) = self.pools.get(&pool) else { return Pick::Nothing };
        let from = state.look_from;
        let after = state.passed_slices.range(from..).copied().take_while(|slice| *slice <= last);
        let before = state.passed_slices.range(..from).copied().take_while(|slice| *slice <= last);
        let in_turn: Vec<u64> = after.chain(before).take(*budget + 1).collect();
        for slice in in_turn {
            if *budget == 0 {
                self.look_from(pool, slice);
                return Pick::Later;
            }
            if !self.is_slice_held(pool, slice, budget) {
                self.look_from(pool, slice);
                return Pick::Slice(slice, false);
            }
        }
        Pick::Nothing
    }

    fn look_from(&mut self, pool: PoolId, slice: u64) {
        if let Some(state) = self.pools.get_mut(&pool) {
            state.look_from = slice;
        }
        self.touch(RowKey::Pool(pool));
    }

    fn is_slice_held(&self, pool: PoolId, slice: u64, budget: &mut usize) -> bool {
        let bounds = self.pools.get(&pool).and_then(|p| p.offered_bounds(slice));
        bounds.is_none_or(|(first, last)| self.held_by_others(pool, first, last, budget))
    }

    /// Whether another pool owns a range or has a record among these addresses, be it a free one: it is dropped before
    /// anything else is put in its place. Not decided within the budget counts as held.
    pub(super) fn held_by_others(&self, pool: PoolId, first: u128, last: u128, budget: &mut usize) -> bool {
        *budget = budget.saturating_sub(1);
        let mut others = self.pools.values().filter(|p| {
            p.pool.id != pool && p.pool.geometry.first_bits() <= last && first <= p.pool.geometry.last_bits()
        });
        let mut any = false;
        let owned = others.any(|p| {
            any = true;
            let (from, to) = slots_between(p, first, last);
            let geometry = &p.pool.geometry;
            self.is_owned_between(p.pool.id, geometry.slice_of(from), geometry.slice_of(to))
        });
        if owned || !any {
            return owned;
        }
        // Records do not overlap: of those that begin before, or there with a shorter length, only the last can reach in.
        let before = self.leases.range(..Prefix::address(first)).next_back();
        let before = before.filter(|(p, _)| p.last_bits() >= first);
        let within = self.leases.range(Prefix::address(first)..=Prefix::address(last));
        for (_, lease) in before.into_iter().chain(within) {
            if lease.pool != pool || *budget == 0 {
                return true;
            }
            *budget -= 1;
        }
        false
    }
}

/// The slots of a pool that these addresses, some of which are its own, reach.
fn slots_between(pool: &PoolState, first: u128, last: u128) -> (u64, u64) {
    let geometry = &pool.pool.geometry;
    let slot = |bits: u128| {
        Prefix::containing(bits, u32::from(geometry.length_bits())).ok().and_then(|p| geometry.slot_of(p))
    };
    let from = slot(first.max(geometry.first_bits())).unwrap_or(0);
    let to = slot(last.min(geometry.last_bits())).unwrap_or(geometry.last_slot());
    (from, to)
}
