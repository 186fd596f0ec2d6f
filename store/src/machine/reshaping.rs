//! Pools that change shape while serving: grown, cut, retired; and what is let go of them, in bounded steps.
//!
//! A pool that ends elsewhere keeps its generation, and with it leases, ranges and grants. Growing: what is new is
//! granted like any fresh slice; the owner of a clipped last slice has the rest of it once it has read so. Cutting: the
//! stored extent stays, nothing past the new end is granted, late updates about leases there are still taken, and they
//! end by R2; ranges there go back as their owners acknowledge having read so, or are dead for certain (R4); when nothing
//! is left the extent follows. Anything else is a new generation, and the old one is retired in the same way; while leases
//! of it are left it can come back as it was. Until something is let go it holds other pools off these addresses
//! (`slices`).
//!
//! Invariant: a free record is dropped before another pool is granted its address. Each apply does [`STEP_MAX`] changes
//! at most here, but for the configuration that cuts a pool, which counts the leases past its end once.

use super::STEP_MAX;
use super::command::{FORMAT_CLIPPED, FORMAT_HISTORY, FORMAT_REVIVING};
use super::outcome::Applied;
use super::rows::RowKey;
use super::state::{Machine, PoolState};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::pool::{Geometry, Pool};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, LogIndex, PoolId, Prefix, RangeId};
use std::sync::Arc;

/// Records looked at to decide whether a clipped slice may grow.
const GROWTH_LOOK_MAX: usize = 65_536;

impl Machine {
    /// Whether a pool as configured now is the same generation as one that is stored: same kind, link, relationship and
    /// shape, but for its end. One that was taken out comes back only as it was, and while all of its slices are on
    /// record: then its clients keep what they have (PD-14).
    pub(super) fn same_generation(&self, old: &PoolState, new: &Pool) -> bool {
        let is_like =
            (old.pool.kind, old.pool.link, old.pool.relationship) == (new.kind, new.link, new.relationship);
        if old.retired.is_some() {
            let is_whole = old.offered_last_slot == old.pool.geometry.last_slot();
            let may = self.format >= FORMAT_REVIVING;
            return may
                && is_like
                && is_whole
                && old.pool.geometry == new.geometry
                && self.has_all_slices(old);
        }
        is_like
            && old.pool.geometry.same_but_for_end(&new.geometry)
            && [old.offered_last_slot, old.pool.geometry.last_slot()]
                .into_iter()
                .all(|end| self.rest_of_slice_is_clear(old, end, &new.geometry))
            && (self.format < FORMAT_CLIPPED || self.what_comes_back_is_clear(old, &new.geometry))
    }

    /// Whether every slice that was ever granted is on record.
    fn has_all_slices(&self, state: &PoolState) -> bool {
        let tally = self.tallies.get(&state.pool.id);
        let owned = tally.map_or(0, |tally| tally.granted + tally.closed.values().sum::<u64>());
        let others = state.free_slices.len() as u64 + state.passed_slices.len() as u64;
        owned + others == state.fresh_slices_used
    }

    /// A pool that was taken out comes back. Other pools may have come to hold something there meanwhile: each slice is
    /// looked at before it is granted, and nothing is adopted in any that was granted before (R7).
    fn revive(&mut self, id: PoolId) {
        let Some(state) = self.pools.get_mut(&id).filter(|state| state.retired.is_some()) else { return };
        state.retired = None;
        state.sweep_from = None;
        let free: Vec<u64> = state.free_slices.iter().copied().collect();
        for slice in free {
            let range = RangeId { pool: id, slice };
            if let Some(record) = self.ranges.get(&range).copied() {
                self.set_range(range, super::state::RangeState { passed: true, ..record });
            }
        }
        self.count_cut_leases(id);
    }

    /// A slice clipped at an end, of what is offered or of what is stored, brings its owner the rest of it as the pool
    /// grows: nobody else may hold any of that. All other slices are looked at when they are granted.
    fn rest_of_slice_is_clear(&self, old: &PoolState, end: u64, grown: &Geometry) -> bool {
        let Some(from) = end.checked_add(1).filter(|slot| *slot <= grown.last_slot()) else {
            return true;
        };
        let slice = grown.slice_of(end);
        let waits_for_a_look = slice >= old.fresh_slices_used || old.passed_slices.contains(&slice);
        let Some((_, to)) = grown.slots_of(slice).filter(|(_, to)| *to >= from && !waits_for_a_look) else {
            return true;
        };
        let (first, last) = (grown.prefix_at(from).bits(), grown.prefix_at(to).last_bits());
        let mut budget = GROWTH_LOOK_MAX;
        !self.held_by_others(old.pool.id, first, last, &mut budget)
    }

    /// Slices past the end of what is offered can have been granted while they were clipped there, at an end of before:
    /// as long as one has an owner, nobody else may hold any address that would be offered again.
    fn what_comes_back_is_clear(&self, old: &PoolState, grown: &Geometry) -> bool {
        let id = old.pool.id;
        let (from, to) =
            (old.offered_last_slot.saturating_add(1), old.pool.geometry.last_slot().min(grown.last_slot()));
        let next_slice = old.offered_last_slice().saturating_add(1);
        if from > to || !self.is_owned_between(id, next_slice, grown.slice_of(to).max(next_slice)) {
            return true;
        }
        let mut budget = GROWTH_LOOK_MAX;
        !self.held_by_others(id, grown.prefix_at(from).bits(), grown.prefix_at(to).last_bits(), &mut budget)
    }

    /// A pool that is no more.
    pub(super) fn retire(&mut self, id: PoolId) {
        let at = self.applied;
        let Some(state) = self.pools.get_mut(&id) else { return };
        state.retired = Some(at);
        state.cut = None;
        state.sweep_from = Some(state.pool.geometry.first_bits());
        self.unsettled.insert(id);
        self.touch(RowKey::Pool(id));
        self.count_cut_leases(id);
        self.note_granted_once(id, 0);
    }

    /// A pool of the same generation as it is configured now.
    pub(super) fn reshape(&mut self, pool: &Pool, wire: &v1::Pool) {
        let at = self.applied;
        self.revive(pool.id);
        let Some(state) = self.pools.get_mut(&pool.id) else { return };
        let (before, now) = (state.offered_last_slot, pool.geometry.last_slot());
        let extent = state.pool.geometry;
        let mut stored = pool.clone();
        let mut stored_wire = wire.clone();
        state.offered_last_slot = now;
        if now < extent.last_slot() {
            stored.geometry = extent;
            let last = extent.prefix_at(extent.last_slot()).bits();
            stored_wire.last = last.to_be_bytes().to_vec();
            state.cut = if now < before { Some(at) } else { state.cut };
        } else {
            state.cut = None;
        }
        state.pool = Arc::new(stored);
        state.wire = stored_wire;
        state.mclt_max = state.mclt_max.max(pool.mclt.span());
        state.autonomy_max = state.autonomy_max.max(pool.autonomy);
        if now < before && self.format < FORMAT_HISTORY {
            state.unclean_below = state.unclean_below.max(state.fresh_slices_used);
        }
        if now != before {
            state.sweep_from = state.cut.map(|_| extent.prefix_at(now + 1).bits());
            self.pass_over_cut_slices(pool.id);
            self.count_cut_leases(pool.id);
        }
        if now < before {
            self.note_granted_once(pool.id, now + 1);
        } else if now > before {
            self.distrust_rest_of_slice(pool.id, before, extent.last_slot());
        }
        self.unsettled.insert(pool.id);
        self.touch(RowKey::Pool(pool.id));
    }

    /// A pool grew: slices clipped at the ends of before have come to have the rest of their addresses, which others may
    /// have granted once (R7).
    fn distrust_rest_of_slice(&mut self, id: PoolId, offered: u64, stored: u64) {
        let Some(geometry) = self.pools.get(&id).map(|state| state.pool.geometry) else { return };
        for end in [offered, stored] {
            let range = RangeId { pool: id, slice: geometry.slice_of(end) };
            if let Some(record) = self.ranges.get(&range).filter(|r| !r.unclean).copied()
                && self.format >= FORMAT_HISTORY
                && self.was_granted_once(range)
            {
                self.set_range(range, super::state::RangeState { unclean: true, ..record });
            }
        }
    }

    /// Slices that reach past the end are looked at again before they are granted: other pools may come to hold
    /// something there.
    fn pass_over_cut_slices(&mut self, id: PoolId) {
        let Some(state) = self.pools.get(&id) else { return };
        let from = state.offered_last_slice();
        let cut: Vec<u64> = state
            .free_slices
            .range(from..)
            .copied()
            .filter(|slice| state.reaches_past_offer(*slice))
            .collect();
        for slice in cut {
            let range = RangeId { pool: id, slice };
            if let Some(record) = self.ranges.get(&range).copied() {
                self.set_range(range, super::state::RangeState { passed: true, ..record });
            }
        }
    }

    /// Lets go of what retired and cut pools still hold, as sessions acknowledge the configuration that took it away,
    /// and of what frontends hold where they are partners no more. Nothing to do costs nothing.
    pub(super) fn settle(&mut self, out: &mut Applied) {
        let mut left = STEP_MAX;
        let pools: Vec<PoolId> = self.unsettled.iter().copied().collect();
        for id in pools {
            self.settle_pool(id, &mut left, out);
        }
        self.settle_leavers(&mut left, out);
        self.more_to_settle = left == 0;
    }

    fn settle_pool(&mut self, id: PoolId, left: &mut usize, out: &mut Applied) {
        let Some(state) = self.pools.get(&id) else { return };
        let (since, from) = match (state.retired, state.cut) {
            (Some(index), _) => (Some(index), 0),
            (None, cut) => (cut, state.offered_last_slice().saturating_add(1)),
        };
        if let Some(since) = since {
            self.release_read(RangeId { pool: id, slice: from }, since, left, out);
        }
        self.sweep(id, left);
        if self.pools.get(&id).is_some_and(|p| p.retired.is_some()) {
            if self.format < FORMAT_REVIVING || self.holds_nothing(id) {
                self.forget_slices(id, left);
            }
            if self.forget_pool_if_empty(id) {
                // Moments follow from pools: nearer ones must be in the index of every replica.
                self.schedule_sessions();
            }
            return;
        }
        if let Some(cut) = since {
            self.follow_with_extent(id, cut, left);
        }
        if self.pools.get(&id).is_some_and(|p| !p.is_unsettled()) {
            self.unsettled.remove(&id);
        }
    }

    /// Ranges of a pool from a slice on, of sessions that have read, after all their own earlier updates, that these
    /// are taken away: nobody's, and nothing in them is untold.
    fn release_read(&mut self, from: RangeId, since: LogIndex, left: &mut usize, out: &mut Applied) {
        let read: Vec<Epoch> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.closed || s.acked_index >= since)
            .map(|(epoch, _)| *epoch)
            .collect();
        for epoch in read {
            let ranges: Vec<RangeId> = self.owned_from(epoch, Some(from)).take(*left).collect();
            *left -= ranges.len();
            for range in ranges {
                self.free_range(range, true, out);
            }
        }
    }

    /// Drops free records that are not offered any more, where the last step ended.
    fn sweep(&mut self, id: PoolId, left: &mut usize) {
        let Some(state) = self.pools.get(&id) else { return };
        let Some(from) = state.sweep_from.filter(|_| *left > 0) else { return };
        // The first of all prefixes that begin there: the shortest.
        let start = Prefix::new(from, 128 - from.trailing_zeros()).unwrap_or(Prefix::address(from));
        let end = Prefix::address(state.pool.geometry.last_bits());
        let mut looked = 0;
        let mut next = None;
        let mut free = Vec::new();
        for (prefix, lease) in self.leases.range(start..=end) {
            if looked == *left {
                next = Some(prefix.bits());
                break;
            }
            looked += 1;
            if lease.pool == id && lease.state == LeaseState::Free {
                free.push(*prefix);
            }
        }
        *left -= looked;
        for prefix in free {
            self.drop_lease(prefix);
        }
        if let Some(state) = self.pools.get_mut(&id) {
            state.sweep_from = next;
        }
        self.touch(RowKey::Pool(id));
    }

    fn forget_slices(&mut self, id: PoolId, left: &mut usize) {
        let Some(state) = self.pools.get(&id) else { return };
        let slices: Vec<u64> =
            state.free_slices.iter().chain(&state.passed_slices).copied().take(*left).collect();
        *left -= slices.len();
        for slice in slices {
            self.drop_range(RangeId { pool: id, slice });
        }
    }

    /// Once nothing is left past a cut pool's end, its extent ends there too; the last slices' records first.
    fn follow_with_extent(&mut self, id: PoolId, cut: LogIndex, left: &mut usize) {
        let Some(state) = self.pools.get(&id) else { return };
        let last = state.offered_last_slice();
        let holds = self.tallies.get(&id).is_some_and(|t| t.leases_cut > 0)
            || self.is_owned_between(id, last.saturating_add(1), u64::MAX) && last < u64::MAX;
        if holds || state.sweep_from.is_some() {
            return;
        }
        // Who owns the slice that was cut in two may promise the rest of it until it has read so.
        let owner = self.ranges.get(&RangeId { pool: id, slice: last }).map_or(Epoch::NONE, |r| r.owner);
        let unread = self.sessions.get(&owner).is_some_and(|s| !s.closed && s.acked_index < cut);
        if unread && state.reaches_past_offer(last) {
            return;
        }
        let slices: Vec<u64> =
            state.passed_slices.range(last.saturating_add(1)..).rev().copied().take(*left).collect();
        *left -= slices.len();
        for slice in slices {
            self.drop_range(RangeId { pool: id, slice });
            if let Some(state) = self.pools.get_mut(&id) {
                state.fresh_slices_used = state.fresh_slices_used.min(slice);
            }
        }
        self.touch(RowKey::Pool(id));
        let Some(state) = self.pools.get_mut(&id) else { return };
        if state.fresh_slices_used > last.saturating_add(1) {
            return;
        }
        let network = self.network.as_ref().and_then(|n| n.pool(id).zip(wire_of(n, id)));
        if let Some((pool, wire)) = network {
            state.pool = Arc::new(pool.clone());
            state.wire = wire.clone();
            state.cut = None;
        }
    }

    /// Whether a pool has neither leases nor ranges with an owner.
    fn holds_nothing(&self, id: PoolId) -> bool {
        let leases: u64 = self.tallies.get(&id).map_or(0, |t| t.leases.iter().sum());
        leases == 0 && !self.is_owned_between(id, 0, u64::MAX)
    }

    fn forget_pool_if_empty(&mut self, id: PoolId) -> bool {
        let has_slices =
            self.pools.get(&id).is_some_and(|p| !p.free_slices.is_empty() || !p.passed_slices.is_empty());
        if has_slices || !self.holds_nothing(id) {
            return false;
        }
        self.pools.remove(&id);
        self.tallies.remove(&id);
        self.unsettled.remove(&id);
        self.touch(RowKey::Pool(id));
        true
    }

    /// Ranges of frontends that are partners no more go back once these have read so.
    fn settle_leavers(&mut self, left: &mut usize, out: &mut Applied) {
        let leavers: Vec<_> = self.leavers.iter().cloned().collect();
        for (relationship, frontend) in leavers {
            let members = self.relationships.get(&relationship);
            let since = members.and_then(|m| m.frontends.get(&frontend).copied().flatten());
            let Some(since) = since else {
                self.leavers.remove(&(relationship, frontend));
                continue;
            };
            let pools: Vec<PoolId> = self
                .pools
                .values()
                .filter(|p| p.pool.relationship == relationship)
                .map(|p| p.pool.id)
                .collect();
            let sessions: Vec<(Epoch, bool)> = self
                .sessions
                .iter()
                .filter(|(_, s)| s.frontend == frontend)
                .map(|(epoch, s)| (*epoch, s.closed || s.acked_index >= since))
                .collect();
            let mut owns = false;
            for pool in pools {
                for (epoch, has_read) in &sessions {
                    let first = RangeId { pool, slice: 0 };
                    let limit = if *has_read { *left } else { 0 };
                    let ranges: Vec<RangeId> = self.owned_from(*epoch, Some(first)).take(limit).collect();
                    *left -= ranges.len();
                    for range in ranges {
                        self.free_range(range, true, out);
                    }
                    owns |= self.owned_from(*epoch, Some(first)).next().is_some();
                }
            }
            if !owns {
                self.leavers.remove(&(relationship, frontend));
            }
        }
    }
}

fn wire_of(network: &leasehold_proto::network::Network, id: PoolId) -> Option<&v1::Pool> {
    network.to_wire().pools.iter().find(|p| p.id == id.0)
}
