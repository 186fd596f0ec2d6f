//! Ranges: grants (R1), returns, closing (R6) and opening again (R4). A range has at most one owner at any time.

use super::outcome::{Applied, Audience};
use super::rows::RowKey;
use super::state::{Machine, PoolState, RangeState};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{RangeRecord, RangeRequest, StoreEvent};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId, PoolId, Prefix, RangeId};

/// Ranges granted for one request at most.
const GRANT_MAX: u32 = 256;
/// Slices of an overlapping older generation that one grant looks past at most, so that its work is bounded.
const SKIP_MAX: usize = 1024;
/// A frontend that crash-loops closes at most this share of a pool's slices (one in so many), but at least
/// `CLOSED_MIN` ranges: then it only renews (design section 9).
const CLOSED_SHARE: u64 = 2;
const CLOSED_MIN: u64 = 8;

impl Machine {
    pub(super) fn grant_requested(&mut self, epoch: Epoch, requests: &[RangeRequest], out: &mut Applied) {
        for request in requests {
            self.grant(epoch, *request, out);
        }
    }

    fn grant(&mut self, epoch: Epoch, request: RangeRequest, out: &mut Applied) {
        let Some(session) = self.sessions.get(&epoch) else { return };
        let frontend = session.frontend.clone();
        // R6: a session that is never extended again is granted nothing more.
        let serves = self.may_extend(session);
        let Some(pool) = self.pools.get(&request.pool) else { return };
        let refused = pool.retired.is_some() || self.draining.contains(&frontend);
        if !serves || refused || !self.is_partner(pool, &frontend) {
            return;
        }
        if self.closed_by(&frontend, request.pool) >= closed_max(pool) {
            // Neither granted nor called dry: its partner serves new clients meanwhile.
            return;
        }
        let mut granted = 0;
        for _ in 0..request.ranges.min(GRANT_MAX) {
            let Some((slice, fresh)) = self.pick_slice(request.pool) else { break };
            self.give(RangeId { pool: request.pool, slice }, epoch, &frontend, fresh, out);
            granted += 1;
        }
        if granted == 0 && request.ranges > 0 {
            out.tell(Audience::Session(epoch), StoreEvent::PoolDry { pool: request.pool, dry: true });
        }
    }

    fn is_partner(&self, pool: &PoolState, frontend: &FrontendId) -> bool {
        self.relationships
            .get(&pool.pool.relationship)
            .is_some_and(|m| m.frontends.get(frontend) == Some(&None))
    }

    fn closed_by(&self, frontend: &FrontendId, pool: PoolId) -> u64 {
        let closed = self.ranges_in(pool).filter(|(_, r)| {
            r.closed && self.sessions.get(&r.owner).is_some_and(|s| s.frontend == *frontend)
        });
        u64::try_from(closed.count()).unwrap_or(u64::MAX)
    }

    pub(super) fn ranges_in(&self, pool: PoolId) -> impl Iterator<Item = (&RangeId, &RangeState)> {
        self.ranges.range(RangeId { pool, slice: 0 }..=RangeId { pool, slice: u64::MAX })
    }

    /// The next slice to grant: one given back first, else a fresh one; past whatever an older generation of these
    /// addresses still holds (configuration rule of design section 5).
    fn pick_slice(&mut self, pool: PoolId) -> Option<(u64, bool)> {
        let state = self.pools.get(&pool)?;
        let returned: Vec<u64> = state.free_slices.iter().copied().take(SKIP_MAX).collect();
        let returned = returned.into_iter().find(|slice| !self.held_by_older_generation(pool, *slice));
        let state = self.pools.get_mut(&pool)?;
        if let Some(slice) = returned {
            state.free_slices.remove(&slice);
            return Some((slice, false));
        }
        let last = state.pool.geometry.last_slice();
        for _ in 0..SKIP_MAX {
            let state = self.pools.get_mut(&pool)?;
            let slice = state.fresh_slices_used;
            if slice > last {
                return None;
            }
            state.fresh_slices_used = slice + 1;
            self.touch(RowKey::Pool(pool));
            if !self.held_by_older_generation(pool, slice) {
                return Some((slice, true));
            }
            // Looked past: it waits among those given back until the older generation lets go.
            let range = RangeId { pool, slice };
            self.ranges.insert(range, RangeState { owner: Epoch::NONE, closed: false, unclean: true });
            self.touch(RowKey::Range(range));
            if let Some(state) = self.pools.get_mut(&pool) {
                state.free_slices.insert(slice);
            }
        }
        None
    }

    /// Whether another pool generation still owns, or has unfreed leases, among a slice's addresses.
    fn held_by_older_generation(&self, pool: PoolId, slice: u64) -> bool {
        let Some(state) = self.pools.get(&pool) else { return true };
        let geometry = &state.pool.geometry;
        let Some((first, last)) = geometry.slots_of(slice) else { return true };
        let (first, last) = (geometry.prefix_at(first).bits(), geometry.prefix_at(last).last_bits());
        let older = self.pools.values().filter(|p| p.pool.id != pool && p.pool.geometry.overlaps(geometry));
        older.into_iter().any(|p| {
            let owned = self.ranges_in(p.pool.id).any(|(range, r)| {
                let slots = p.pool.geometry.slots_of(range.slice);
                !r.owner.is_none()
                    && slots.is_some_and(|(a, b)| {
                        p.pool.geometry.prefix_at(a).bits() <= last
                            && first <= p.pool.geometry.prefix_at(b).last_bits()
                    })
            });
            owned || self.unfreed_lease_between(p, first, last)
        })
    }

    fn unfreed_lease_between(&self, pool: &PoolState, first: u128, last: u128) -> bool {
        // A delegated prefix that begins before `first` can reach into it: begin at its own boundary.
        let unit = u32::from(pool.pool.geometry.length_bits());
        let Ok(start) = Prefix::containing(first, unit) else { return true };
        self.leases
            .range(start..=Prefix::address(last))
            .any(|(_, l)| l.pool == pool.pool.id && l.state != LeaseState::Free)
    }

    fn give(&mut self, range: RangeId, owner: Epoch, frontend: &FrontendId, fresh: bool, out: &mut Applied) {
        let unclean = self.ranges.get(&range).is_some_and(|r| r.unclean);
        self.ranges.insert(range, RangeState { owner, closed: false, unclean });
        self.touch(RowKey::Range(range));
        let record = RangeRecord { range, owner, frontend: Some(frontend.clone()), closed: false, fresh };
        self.tell_range(record, out);
    }

    fn tell_range(&self, record: RangeRecord, out: &mut Applied) {
        if let Some(pool) = self.pools.get(&record.range.pool) {
            out.tell(Audience::Relationship(pool.pool.relationship), StoreEvent::Range(record));
        }
    }

    /// Ranges given back by their owner: free for anyone at once (it says that nothing in them is untold).
    pub(super) fn take_back(&mut self, epoch: Epoch, returned: &[RangeId], out: &mut Applied) {
        for range in returned {
            if self.ranges.get(range).is_some_and(|r| r.owner == epoch && !r.closed) {
                self.free_range(*range, true, out);
            }
        }
    }

    /// All of a session's ranges (of one pool, if named) become nobody's, cleanly.
    pub(super) fn release_ranges_of(&mut self, epoch: Epoch, pool: Option<PoolId>, out: &mut Applied) {
        for range in self.owned_by(epoch, pool) {
            self.free_range(range, true, out);
        }
    }

    fn free_range(&mut self, range: RangeId, clean: bool, out: &mut Applied) {
        let Some(state) = self.ranges.get_mut(&range) else { return };
        state.owner = Epoch::NONE;
        state.closed = false;
        state.unclean |= !clean;
        if let Some(pool) = self.pools.get_mut(&range.pool) {
            pool.free_slices.insert(range.slice);
        }
        self.touch(RowKey::Range(range));
        let record = RangeRecord { range, owner: Epoch::NONE, frontend: None, closed: false, fresh: false };
        self.tell_range(record, out);
    }

    pub(super) fn owned_by(&self, epoch: Epoch, pool: Option<PoolId>) -> Vec<RangeId> {
        self.ranges
            .iter()
            .filter(|(range, r)| r.owner == epoch && pool.is_none_or(|p| p == range.pool))
            .map(|(range, _)| *range)
            .collect()
    }

    /// R6: nobody issues from them; they open again when their owner is dead for certain.
    pub(super) fn close_ranges_of(&mut self, epoch: Epoch, out: &mut Applied) {
        let frontend = self.sessions.get(&epoch).map(|s| s.frontend.clone());
        for range in self.owned_by(epoch, None) {
            if let Some(state) = self.ranges.get_mut(&range) {
                state.closed = true;
            }
            self.touch(RowKey::Range(range));
            let record =
                RangeRecord { range, owner: epoch, frontend: frontend.clone(), closed: true, fresh: false };
            self.tell_range(record, out);
        }
    }

    /// R4: opens the ranges of a session in every pool for which it is dead for certain.
    pub(super) fn reopen_ranges_of_dead(&mut self, epoch: Epoch, out: &mut Applied) -> bool {
        let mut any = false;
        for range in self.owned_by(epoch, None) {
            let dead = match (self.sessions.get(&epoch), self.pools.get(&range.pool)) {
                (Some(session), Some(pool)) => self.is_dead(session, pool, ClusterTime::ZERO),
                _ => false,
            };
            if dead {
                self.free_range(range, false, out);
                self.counters.reopened += 1;
                any = true;
            }
        }
        any
    }

    /// The earliest moment at which a range of a session that is gone opens again.
    pub(super) fn next_reopening(&self, epoch: Epoch) -> ClusterTime {
        let Some(session) = self.sessions.get(&epoch) else { return ClusterTime::NEVER };
        let mut pools: Vec<PoolId> = self.owned_by(epoch, None).into_iter().map(|r| r.pool).collect();
        pools.dedup();
        pools
            .into_iter()
            .filter_map(|p| self.pools.get(&p))
            .map(|p| self.dead_moment(session, p, ClusterTime::ZERO))
            .min()
            .unwrap_or(ClusterTime::NEVER)
    }
}

fn closed_max(pool: &PoolState) -> u64 {
    (pool.pool.geometry.last_slice() / CLOSED_SHARE).max(CLOSED_MIN)
}
