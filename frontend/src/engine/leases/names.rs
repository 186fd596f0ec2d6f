//! The network configuration as seen by one frontend: which pools are of its relationships, found by id and by
//! address.

use crate::engine::pool_index::PoolIndex;
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::network::{Limits, Network};
use leasehold_proto::pool::Pool;
use leasehold_proto::words::{FrontendId, LinkId, PoolId, Prefix};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An empty batch goes out after this share of the shortest autonomy.
const EXTEND_SHARE: u32 = 20;
/// ... and at the latest after this long.
const EXTEND_AT_MOST: Duration = Duration::from_secs(10);

/// The configuration and the ways into it.
pub(super) struct Names {
    network: Option<Arc<Network>>,
    /// This frontend's pools.
    own: PoolIndex,
    /// SEC-02, by link.
    limits: BTreeMap<LinkId, Limits>,
    extend_every: Duration,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            network: None,
            own: PoolIndex::default(),
            limits: BTreeMap::new(),
            extend_every: EXTEND_AT_MOST,
        }
    }
}

impl Names {
    pub(super) fn set(&mut self, network: Arc<Network>, me: &FrontendId) {
        self.own = PoolIndex::new(&network, |pool| {
            network.relationship(pool.relationship).is_some_and(|r| r.has_partner(me))
        });
        let shortest = self.own.pools(&network).map(|pool| pool.autonomy).min().unwrap_or(Duration::MAX);
        self.limits = network.links.iter().map(|link| (link.id, link.limits)).collect();
        self.extend_every = (shortest / EXTEND_SHARE).min(EXTEND_AT_MOST);
        self.network = Some(network);
    }

    pub(super) fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    pub(super) fn timing(&self) -> Timing {
        self.network.as_ref().map_or_else(Timing::default, |n| n.timing)
    }

    /// Version in use; 0 = none.
    pub(super) fn version(&self) -> u64 {
        self.network.as_ref().map_or(0, |n| n.version)
    }

    /// How often the session is to be extended.
    pub(super) fn extend_every(&self) -> Duration {
        self.extend_every
    }

    /// A pool of this frontend's relationships.
    pub(super) fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.own.pool(self.network.as_ref()?, id)
    }

    /// The pool of this frontend's relationships of which this is a unit.
    pub(super) fn pool_of(&self, prefix: Prefix) -> Option<&Pool> {
        self.own.pool_of(self.network.as_ref()?, prefix)
    }

    /// SEC-02: the bounds of a link.
    pub(super) fn limits(&self, link: LinkId) -> Limits {
        self.limits.get(&link).copied().unwrap_or_default()
    }

    /// The bounds of all links.
    pub(super) fn all_limits(&self) -> impl Iterator<Item = &Limits> {
        self.limits.values()
    }

    /// All of this frontend's pools, by id.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.network.iter().flat_map(|network| self.own.pools(network))
    }
}
