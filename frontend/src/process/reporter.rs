//! Words for people about what changes in the engine: one line for each change, silence in a steady state.
//!
//! Owns what was said last. Refuses to judge anything but whether it changed. In: the engine's news and figures.
//! Out: log lines.

use std::collections::BTreeSet;

use leasehold_proto::network::Network;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::PoolId;

use crate::engine::leases::{News, PoolStatus};
use crate::engine::{Engine, EngineStatus};

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// Pools from which this session may promise on its own.
    autonomous: BTreeSet<PoolId>,
    /// Pools of which the store has nothing left.
    dry: BTreeSet<PoolId>,
    interfaces_without_link: Vec<String>,
    /// Options left out of answers, and the version of the configuration under which that was last told.
    left_out: u64,
    left_out_told: Option<u64>,
}

impl Reporter {
    /// Tells what the last message of the store brought.
    pub(super) fn tell_news(&self, engine: &Engine, now: LocalTime) {
        for news in engine.news() {
            match news {
                News::Network => {
                    if let Some(network) = engine.network() {
                        let (version, pools) = (network.version, network.pools.len());
                        tracing::info!(version, pools, "the network configuration is in use");
                    }
                }
                News::Liveness { frontend, live } if frontend == engine.frontend() => {
                    tracing::info!(live, "the store's word on whether this frontend serves");
                }
                News::Links { frontend, down, up } if frontend == engine.frontend() => {
                    tracing::warn!(
                        ?down,
                        ?up,
                        "the store's word on which links this frontend serves changed"
                    );
                }
                News::Links { frontend, down, up } => tracing::warn!(
                    %frontend, ?down, ?up,
                    "the store's word on which links a partner serves changed: answering for it where it does not"
                ),
                News::Liveness { frontend, live: true } => {
                    tracing::info!(%frontend, "the store says that this frontend's partner is live");
                }
                News::Liveness { frontend, live: false } => {
                    tracing::warn!(%frontend, "the store does not hear this frontend's partner: answering for it");
                }
                News::Loaded => {
                    let status = engine.status(now).leases;
                    let (epoch, leases) = (status.epoch, status.known_leases);
                    tracing::info!(%epoch, leases, "all leases are loaded");
                }
                News::Superseded => tracing::warn!(
                    "a newer session of this frontend exists: another process runs under its name. This one gives no \
                     new leases, renews what it knows while its autonomy lasts, and can be stopped"
                ),
                News::SessionOver => tracing::warn!(
                    "this session was out of reach for longer than its autonomy, and the store has ended it; opening a new one"
                ),
                News::ConnectionRefused(refused) => {
                    tracing::debug!(reason = ?refused.reason, detail = %refused.detail, "the store refused");
                }
                News::Draining { on: true } => {
                    tracing::info!(
                        "drained: ranges go back, nothing new is leased, the partners take the clients"
                    );
                }
                News::Draining { on: false } => tracing::info!("no more drained: serves again"),
                News::Reconfigure(order) => tracing::info!(
                    order = order.number,
                    message_type = order.message.msg_type(),
                    "clients that accepted Reconfigure are asked for a message"
                ),
                News::ReconfigureSecret { .. } => {
                    tracing::debug!("clients that accept Reconfigure can be given keys");
                }
                News::RangeGranted(pool) => tracing::debug!(%pool, "a range was granted"),
                News::Relays { .. } | News::LookedUp { .. } | News::Adopted { .. } | News::PoolWord(_) => {}
            }
        }
    }

    /// Tells, once for each configuration, that answers had no room for all options (SV-113).
    pub(super) fn tell_left_out(&mut self, engine: &Engine) {
        let left_out = engine.counters().options_left_out;
        let version = engine.network().map(|network| network.version);
        if left_out > self.left_out && self.left_out_told != version {
            tracing::warn!(
                "answers have no room for all options asked for: the least important ones are left out. Shorten their \
                 values, or raise answer_octets"
            );
            self.left_out_told = version;
        }
        self.left_out = left_out;
    }

    /// Tells what has changed since the last call.
    pub(super) fn tell_changes(&mut self, status: &EngineStatus, network: Option<&Network>) {
        let name =
            |id: PoolId| network.and_then(|n| n.pool(id)).map_or_else(|| id.to_string(), |p| p.name.clone());
        let having = |what: fn(&PoolStatus) -> bool| -> BTreeSet<PoolId> {
            status.leases.pools.iter().filter(|pool| what(pool)).map(|pool| pool.pool).collect()
        };
        let dry = having(|pool| pool.is_dry);
        for pool in dry.difference(&self.dry) {
            tracing::warn!(pool = name(*pool), "the store has no range left of this pool");
        }
        for pool in self.dry.difference(&dry) {
            tracing::info!(pool = name(*pool), "this pool is dry no more");
        }
        self.dry = dry;
        let autonomous = having(|pool| !pool.autonomy_left.is_zero());
        for pool in autonomy_ended(&self.autonomous, &autonomous, network) {
            tracing::warn!(
                pool = name(pool),
                "autonomy has ended: until the store extends it, nothing is promised from this pool beyond what it has acknowledged"
            );
        }
        for pool in autonomous.difference(&self.autonomous) {
            tracing::info!(pool = name(*pool), "this frontend may lease from this pool on its own");
        }
        self.autonomous = autonomous;
        if status.interfaces_without_link != self.interfaces_without_link {
            self.interfaces_without_link.clone_from(&status.interfaces_without_link);
            if !self.interfaces_without_link.is_empty() {
                tracing::warn!(
                    interfaces = self.interfaces_without_link.join(", "),
                    "these interfaces name a link that the network configuration does not have: no client on them is served"
                );
            }
        }
    }
}

/// Of which pools autonomy has ended. With a pool that was taken out it ends as well, and nobody is to mind.
fn autonomy_ended(
    before: &BTreeSet<PoolId>,
    now: &BTreeSet<PoolId>,
    network: Option<&Network>,
) -> Vec<PoolId> {
    let is_configured = |id: &PoolId| network.is_some_and(|network| network.pool(*id).is_some());
    before.difference(now).copied().filter(is_configured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_autonomy_is_told_of_pools_that_are_configured() {
        let mut network = (*crate::process::tests::store::network()).clone();
        let pool = network.pools[0].id;
        let (before, now) = (BTreeSet::from([pool, PoolId(77)]), BTreeSet::new());
        assert_eq!(autonomy_ended(&before, &now, Some(&network)), [pool]);
        network.pools.clear();
        assert_eq!(autonomy_ended(&before, &now, Some(&network)), []);
    }
}
