//! The table of leases: the one place where a record comes in or goes, with what is counted of it.
//!
//! Owns the records' presence and the counts by pool and state. Refuses to know why a record changes: that is
//! `leases::put_lease`, and the queues it keeps. A record that became free is dropped at once where its address is not
//! offered any more: nothing waits for it, and other pools wait until it is gone.

use super::rows::RowKey;
use super::state::{Machine, PoolState, RangeState};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::words::{PoolId, Prefix};
use std::sync::Arc;

impl PoolState {
    /// Whether something of it is to be let go: all of it, or what is past its end.
    pub(super) fn is_unsettled(&self) -> bool {
        self.retired.is_some() || self.cut.is_some() || self.sweep_from.is_some()
    }

    /// Whether this address or prefix of the pool may still be leased.
    pub(super) fn offers(&self, prefix: Prefix) -> bool {
        self.retired.is_none()
            && self.pool.geometry.slot_of(prefix).is_some_and(|slot| slot <= self.offered_last_slot)
    }
}

impl Machine {
    /// Puts a record in, in the place of the one before.
    pub(super) fn store_lease(&mut self, lease: Lease) {
        let prefix = lease.prefix;
        if let Some(old) = self.leases.get(&prefix).map(Arc::clone) {
            self.count_lease(&old, false);
        }
        if lease.state == LeaseState::Free && !self.pools.get(&lease.pool).is_some_and(|p| p.offers(prefix)) {
            self.leases.remove(&prefix);
            self.forget_record(&lease);
            return;
        }
        self.count_lease(&lease, true);
        self.bindings.insert((lease.binding.clone(), prefix));
        self.leases.insert(prefix, Arc::new(lease));
        self.touch(RowKey::Lease(prefix));
    }

    /// Takes a free record out.
    pub(super) fn drop_lease(&mut self, prefix: Prefix) {
        if let Some(lease) = self.leases.remove(&prefix) {
            self.count_lease(&lease, false);
            self.forget_record(&lease);
        }
    }

    fn forget_record(&mut self, lease: &Lease) {
        self.bindings.remove(&(lease.binding.clone(), lease.prefix));
        self.touch(RowKey::Lease(lease.prefix));
        // R7 adopts only where there never was a record: its range remembers that there was one.
        let range = self.pools.get(&lease.pool).and_then(|p| p.pool.range_of(lease.prefix));
        if let Some(range) = range
            && let Some(state) = self.ranges.get(&range).filter(|r| !r.unclean).copied()
        {
            self.set_range(range, RangeState { unclean: true, ..state });
        }
    }

    pub(super) fn count_lease(&mut self, lease: &Lease, comes: bool) {
        let is_cut =
            self.pools.get(&lease.pool).is_some_and(|p| p.retired.is_none() && !p.offers(lease.prefix));
        let tally = self.tallies.entry(lease.pool).or_default();
        let change = |count: &mut u64| *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        if let Some(count) = tally.leases.get_mut(lease.state as usize) {
            change(count);
        }
        if is_cut {
            change(&mut tally.leases_cut);
        }
    }

    /// Makes counts and indexes anew from the rows: after a restart, and once all rows of an old cluster are there.
    pub(super) fn rebuild_tables(&mut self) {
        self.tallies.clear();
        self.owned.clear();
        self.by_owner.clear();
        self.leavers.clear();
        let ranges: Vec<_> = self.ranges.iter().map(|(range, state)| (*range, *state)).collect();
        for (range, state) in ranges {
            self.index_range(range, state);
        }
        let leases: Vec<Arc<Lease>> = self.leases.values().map(Arc::clone).collect();
        for lease in leases {
            self.count_lease(&lease, true);
        }
        let unsettled = self.pools.iter().filter(|(_, p)| p.is_unsettled()).map(|(id, _)| *id);
        self.unsettled = unsettled.collect();
        for (relationship, members) in &self.relationships {
            let left = members.frontends.iter().filter(|(_, left)| left.is_some());
            self.leavers.extend(left.map(|(frontend, _)| (*relationship, frontend.clone())));
        }
    }

    /// Counts the records past what a pool offers anew: after it was cut, or grew again.
    pub(super) fn count_cut_leases(&mut self, id: PoolId) {
        let Some(state) = self.pools.get(&id) else { return };
        let geometry = &state.pool.geometry;
        let cut = if state.retired.is_some() {
            None
        } else {
            state.offered_last_slot.checked_add(1).filter(|slot| *slot <= geometry.last_slot())
        };
        let counted = cut.map_or(0, |slot| {
            let span = geometry.prefix_at(slot)..=Prefix::address(geometry.last_bits());
            self.leases.range(span).filter(|(_, l)| l.pool == id).count()
        });
        self.tallies.entry(id).or_default().leases_cut = u64::try_from(counted).unwrap_or(u64::MAX);
    }
}
