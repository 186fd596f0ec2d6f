//! How pools stand, for people: what is granted, closed and free, and how many leases are in which state.
//!
//! Reads counts that are kept as records change; walks neither leases nor ranges, so that it may be asked under the
//! lock. Changes nothing.

use super::state::{Machine, PoolState};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{PoolId, RangeId, RelationshipId};

/// When the closed ranges of a pool open again, unless their owners are proven gone or declared down before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedUntil {
    /// The first of them; [`ClusterTime::NEVER`]: with unlimited autonomy.
    pub first: ClusterTime,
    /// The last of them.
    pub last: ClusterTime,
}

/// A pool generation as it stands. Slots are addresses or delegated prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// Which.
    pub id: PoolId,
    /// Its name.
    pub name: String,
    /// Whose.
    pub relationship: RelationshipId,
    /// Not in the configuration any more: it runs out.
    pub retired: bool,
    /// It was cut, and something past its new end is left.
    pub shrinking: bool,
    /// Slots offered.
    pub slots: u128,
    /// Slots in ranges from which their owners issue.
    pub granted: u128,
    /// Slots in ranges whose owners are gone but not dead for certain.
    pub closed: u128,
    /// When these open again; none are closed: nothing.
    pub closed_until: Option<ClosedUntil>,
    /// Slots that can be granted, or will be once other pools let go of them.
    pub free: u128,
    /// Lease records by state, in the order of [`LeaseState::ALL`], zeros included. Free records are of those who held
    /// an address last.
    pub leases: Vec<(LeaseState, u64)>,
}

impl Machine {
    /// All pool generations, by number.
    pub fn pool_views(&self) -> impl Iterator<Item = PoolView> {
        self.pools.values().map(|p| self.pool_view(p))
    }

    fn pool_view(&self, state: &PoolState) -> PoolView {
        let id = state.pool.id;
        let tally = self.tallies.get(&id).cloned().unwrap_or_default();
        let geometry = &state.pool.geometry;
        let last = geometry.last_slice();
        let missing =
            ((u128::from(last) + 1) << geometry.range_bits()) - (u128::from(geometry.last_slot()) + 1);
        let last_range = self.ranges.get(&RangeId { pool: id, slice: last }).filter(|r| !r.owner.is_none());
        let slots_of = |ranges: u64, has_last: bool| {
            (u128::from(ranges) << geometry.range_bits()) - if has_last { missing } else { 0 }
        };
        let granted = slots_of(tally.granted, last_range.is_some_and(|r| !r.closed));
        let closed = slots_of(tally.closed.values().sum(), last_range.is_some_and(|r| r.closed));
        let moments = tally
            .closed
            .keys()
            .filter_map(|epoch| self.sessions.get(epoch))
            .map(|session| self.dead_moment(session, state, ClusterTime::ZERO));
        let closed_until = moments.fold(None, |until: Option<ClosedUntil>, moment| {
            Some(until.map_or(ClosedUntil { first: moment, last: moment }, |u| ClosedUntil {
                first: u.first.min(moment),
                last: u.last.max(moment),
            }))
        });
        let retired = state.retired.is_some();
        let slots = if retired { 0 } else { u128::from(state.offered_last_slot) + 1 };
        let count = |s: LeaseState| tally.leases.get(s as usize).copied().unwrap_or(0);
        PoolView {
            id,
            name: state.pool.name.clone(),
            relationship: state.pool.relationship,
            retired,
            shrinking: state.cut.is_some(),
            slots,
            granted,
            closed,
            closed_until,
            free: slots.saturating_sub(granted).saturating_sub(closed),
            leases: LeaseState::ALL.iter().map(|s| (*s, count(*s))).collect(),
        }
    }
}
