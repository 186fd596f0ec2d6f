//! How pools stand: from the machine's views to the messages of `admin.proto`.

use super::super::replica::Replica;
use crate::machine::PoolView;
use leasehold_proto::v1;

/// Every pool generation, by name and number.
pub(super) fn pools(replica: &Replica) -> v1::ListPoolsAnswer {
    let mut pools: Vec<v1::PoolInfo> =
        replica.machine.pool_views().map(|view| info(replica, &view)).collect();
    pools.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    v1::ListPoolsAnswer { pools, cluster_time_ms: replica.time().as_millis() }
}

fn info(replica: &Replica, view: &PoolView) -> v1::PoolInfo {
    let octets = |count: u128| count.to_be_bytes().to_vec();
    let relationship = replica.machine.network().and_then(|n| n.relationship(view.relationship));
    v1::PoolInfo {
        name: view.name.clone(),
        id: view.id.0,
        relationship: relationship.map(|r| r.name.clone()).unwrap_or_default(),
        retired: view.retired,
        shrinking: view.shrinking,
        slots: octets(view.slots),
        granted: octets(view.granted),
        closed: octets(view.closed),
        free: octets(view.free),
        closed_first_ms: view.closed_until.map_or(0, |until| until.first.as_millis()),
        closed_last_ms: view.closed_until.map_or(0, |until| until.last.as_millis()),
        leases: view
            .leases
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| v1::StateCount {
                state: v1::LeaseState::from(*state).into(),
                count: *count,
            })
            .collect(),
    }
}
