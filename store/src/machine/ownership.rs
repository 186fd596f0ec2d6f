//! The table of ranges and who owns them: changes of owner, and the indexes by owner and by pool.
//!
//! Owns every change of a range's record (`set_range`, `drop_range`), returns, closing (R6) and opening again (R4), so
//! that a range has at most one owner at any time. Refuses to know who should get a range: that is `ranges`.
//! Invariant: the indexes follow from the rows alone, and every walk is over what one session owns.

use super::command::{FORMAT_HISTORY, FORMAT_REVIVING};
use super::outcome::{Applied, Audience};
use super::rows::RowKey;
use super::state::{Machine, RangeState};
use leasehold_proto::session::{RangeRecord, StoreEvent};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId, PoolId, RangeId};
use std::collections::BTreeMap;

/// What is counted of one pool generation, so that nobody has to walk its leases or ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Ranges whose owner issues from them.
    pub(super) granted: u64,
    /// Closed ranges by owner.
    pub(super) closed: BTreeMap<Epoch, u64>,
    /// Lease records by state number.
    pub(super) leases: [u64; 9],
    /// Lease records past what the pool offers.
    pub(super) leases_cut: u64,
}

impl Machine {
    /// The only way a range's record changes: keeps row and indexes in step.
    pub(super) fn set_range(&mut self, range: RangeId, state: RangeState) {
        self.unindex_range(range);
        self.ranges.insert(range, state);
        self.index_range(range, state);
        self.touch(RowKey::Range(range));
    }

    /// Forgets a range's record.
    pub(super) fn drop_range(&mut self, range: RangeId) {
        self.unindex_range(range);
        self.ranges.remove(&range);
        self.touch(RowKey::Range(range));
    }

    pub(super) fn index_range(&mut self, range: RangeId, state: RangeState) {
        if state.owner.is_none() {
            if let Some(pool) = self.pools.get_mut(&range.pool) {
                let slices = if state.passed { &mut pool.passed_slices } else { &mut pool.free_slices };
                slices.insert(range.slice);
            }
            return;
        }
        self.owned.insert(range);
        self.by_owner.insert((state.owner, range));
        let tally = self.tallies.entry(range.pool).or_default();
        if state.closed {
            *tally.closed.entry(state.owner).or_default() += 1;
        } else {
            tally.granted += 1;
        }
    }

    fn unindex_range(&mut self, range: RangeId) {
        let Some(state) = self.ranges.get(&range).copied() else { return };
        if state.owner.is_none() {
            if let Some(pool) = self.pools.get_mut(&range.pool) {
                pool.free_slices.remove(&range.slice);
                pool.passed_slices.remove(&range.slice);
            }
            return;
        }
        self.owned.remove(&range);
        self.by_owner.remove(&(state.owner, range));
        let Some(tally) = self.tallies.get_mut(&range.pool) else { return };
        if !state.closed {
            tally.granted = tally.granted.saturating_sub(1);
        } else if let Some(count) = tally.closed.get_mut(&state.owner) {
            *count -= 1;
            if *count == 0 {
                tally.closed.remove(&state.owner);
            }
        }
    }

    /// What a session owns, in the order of pools and slices; of one pool from a slice on, if named.
    pub(super) fn owned_from(
        &self,
        epoch: Epoch,
        from: Option<RangeId>,
    ) -> impl Iterator<Item = RangeId> + use<'_> {
        let (first, last) = match from {
            Some(range) => (range, RangeId { pool: range.pool, slice: u64::MAX }),
            None => {
                (RangeId { pool: PoolId(0), slice: 0 }, RangeId { pool: PoolId(u32::MAX), slice: u64::MAX })
            }
        };
        self.by_owner.range((epoch, first)..=(epoch, last)).map(|(_, range)| *range)
    }

    pub(super) fn owned_by(&self, epoch: Epoch, pool: Option<PoolId>) -> Vec<RangeId> {
        self.owned_from(epoch, pool.map(|pool| RangeId { pool, slice: 0 })).collect()
    }

    /// Whether anybody owns a range of a pool among these slices.
    pub(super) fn is_owned_between(&self, pool: PoolId, first: u64, last: u64) -> bool {
        self.owned.range(RangeId { pool, slice: first }..=RangeId { pool, slice: last }).next().is_some()
    }

    pub(super) fn tell_range(&self, record: RangeRecord, out: &mut Applied) {
        if let Some(pool) = self.pools.get(&record.range.pool) {
            out.tell(Audience::Relationship(pool.pool.relationship), StoreEvent::Range(record));
        }
    }

    /// R1: the session, its frontend's current one, owns the range from here on.
    pub(super) fn give(
        &mut self,
        range: RangeId,
        owner: Epoch,
        frontend: &FrontendId,
        fresh: bool,
        out: &mut Applied,
    ) {
        let before = self.ranges.get(&range).copied();
        // What a generation before, or this one before it was cut, promised from there has no record here (R7).
        let suspect = self.pools.get(&range.pool).is_some_and(|p| fresh && range.slice < p.unclean_below)
            || self.format >= FORMAT_HISTORY && self.was_granted_once(range);
        let unclean = suspect || before.is_some_and(|r| r.unclean || r.passed);
        self.set_range(range, RangeState { owner, closed: false, unclean, passed: false });
        let record = RangeRecord { range, owner, frontend: Some(frontend.clone()), closed: false, fresh };
        self.tell_range(record, out);
    }

    /// Ranges given back by their owner: free for anyone at once (it says that nothing in them is untold).
    pub(super) fn take_back(&mut self, epoch: Epoch, returned: &[RangeId], out: &mut Applied) {
        for range in returned {
            if self.ranges.get(range).is_some_and(|r| r.owner == epoch && !r.closed) {
                self.free_range(*range, true, out);
            }
        }
    }

    /// All of a session's ranges become nobody's, cleanly.
    pub(super) fn release_ranges_of(&mut self, epoch: Epoch, out: &mut Applied) {
        for range in self.owned_by(epoch, None) {
            self.free_range(range, true, out);
        }
    }

    pub(super) fn free_range(&mut self, range: RangeId, clean: bool, out: &mut Applied) {
        let (Some(state), Some(pool)) = (self.ranges.get(&range), self.pools.get(&range.pool)) else {
            return;
        };
        if pool.retired.is_some() && self.format < FORMAT_REVIVING {
            self.drop_range(range);
        } else {
            let unclean = state.unclean || !clean;
            let passed = pool.retired.is_some() || pool.reaches_past_offer(range.slice);
            self.set_range(range, RangeState { owner: Epoch::NONE, closed: false, unclean, passed });
        }
        let record = RangeRecord { range, owner: Epoch::NONE, frontend: None, closed: false, fresh: false };
        self.tell_range(record, out);
    }

    /// R6: nobody issues from them; they open again when their owner is dead for certain.
    pub(super) fn close_ranges_of(&mut self, epoch: Epoch, out: &mut Applied) {
        self.set_closed(epoch, true, out);
    }

    /// Closes all of a session's ranges, or lets it issue from them again.
    pub(super) fn set_closed(&mut self, epoch: Epoch, closed: bool, out: &mut Applied) {
        let frontend = self.sessions.get(&epoch).map(|s| s.frontend.clone());
        for range in self.owned_by(epoch, None) {
            let Some(state) = self.ranges.get(&range).copied() else { continue };
            self.set_range(range, RangeState { closed, ..state });
            let record =
                RangeRecord { range, owner: epoch, frontend: frontend.clone(), closed, fresh: false };
            self.tell_range(record, out);
        }
    }

    /// R4: opens the ranges of a session in every pool for which it is dead for certain.
    pub(super) fn reopen_ranges_of_dead(&mut self, epoch: Epoch, out: &mut Applied) -> bool {
        let mut any = false;
        for pool in self.pools_owned_in(epoch) {
            let dead = match (self.sessions.get(&epoch), self.pools.get(&pool)) {
                (Some(session), Some(pool)) => self.is_dead(session, pool, ClusterTime::ZERO),
                _ => false,
            };
            if !dead {
                continue;
            }
            for range in self.owned_by(epoch, Some(pool)) {
                self.free_range(range, false, out);
                self.counters.reopened += 1;
                any = true;
            }
        }
        any
    }

    /// The pools in which a session owns ranges.
    fn pools_owned_in(&self, epoch: Epoch) -> Vec<PoolId> {
        let mut pools = Vec::new();
        let mut from = PoolId(0);
        let last = (epoch, RangeId { pool: PoolId(u32::MAX), slice: u64::MAX });
        while let Some((_, range)) =
            self.by_owner.range((epoch, RangeId { pool: from, slice: 0 })..=last).next()
        {
            pools.push(range.pool);
            from = PoolId(range.pool.0.saturating_add(1));
        }
        pools
    }

    /// The earliest moment at which a range of a session that is gone opens again.
    pub(super) fn next_reopening(&self, epoch: Epoch) -> ClusterTime {
        let Some(session) = self.sessions.get(&epoch) else { return ClusterTime::NEVER };
        self.pools_owned_in(epoch)
            .into_iter()
            .filter_map(|p| self.pools.get(&p))
            .map(|p| self.dead_moment(session, p, ClusterTime::ZERO))
            .min()
            .unwrap_or(ClusterTime::NEVER)
    }
}
