//! Ways into the pools of one version of the network configuration: by number and by address.
//!
//! Owns places in [`Network::pools`], of the same network that is handed in with each question. Refuses to know which
//! pools matter to whom: who makes an index says so. Look-ups allocate nothing.

use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::words::{PoolId, Prefix};
use std::collections::BTreeMap;

/// The index of some of a network's pools.
#[derive(Debug, Default)]
pub(super) struct PoolIndex {
    by_id: BTreeMap<PoolId, usize>,
    /// By first address. Pools do not overlap.
    by_address: Vec<(u128, usize)>,
}

impl PoolIndex {
    /// Of the pools that are wanted.
    pub(super) fn new(network: &Network, is_wanted: impl Fn(&Pool) -> bool) -> Self {
        let mut index = Self::default();
        for (place, pool) in network.pools.iter().enumerate().filter(|(_, pool)| is_wanted(pool)) {
            index.by_id.insert(pool.id, place);
            index.by_address.push((pool.geometry.first_bits(), place));
        }
        index.by_address.sort_unstable();
        index
    }

    /// A pool by its number.
    pub(super) fn pool<'n>(&self, network: &'n Network, id: PoolId) -> Option<&'n Pool> {
        network.pools.get(*self.by_id.get(&id)?)
    }

    /// The pool of which this is a leasable unit.
    pub(super) fn pool_of<'n>(&self, network: &'n Network, prefix: Prefix) -> Option<&'n Pool> {
        let after = self.by_address.partition_point(|(first, _)| *first <= prefix.bits());
        let (_, place) = self.by_address.get(after.checked_sub(1)?)?;
        network.pools.get(*place).filter(|pool| pool.geometry.slot_of(prefix).is_some())
    }

    /// All of them, by number.
    pub(super) fn pools<'n>(&self, network: &'n Network) -> impl Iterator<Item = &'n Pool> + use<'n, '_> {
        self.by_id.values().filter_map(|place| network.pools.get(*place))
    }
}
