//! What administrators are shown: from the machine, the hub and Raft to the messages of `admin.proto`.

use super::super::replica::Replica;
use crate::machine::{RangeStanding, RangeView, SessionView};
use crate::raft::{MemberMetrics, NodeMetrics, NodeRole};
use leasehold_proto::lease::Lease;
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A member that answered the leader so recently is reachable.
const REACHABLE_WITHIN: Duration = Duration::from_secs(2);

/// A lease with names for numbers.
pub(super) fn lease(replica: &Replica, lease: &Lease) -> v1::LeaseInfo {
    let machine = &replica.machine;
    let link = machine.network().and_then(|n| n.link(lease.binding.link));
    v1::LeaseInfo {
        lease: Some(v1::Lease::from(lease)),
        link_name: link.map(|l| l.name.clone()).unwrap_or_default(),
        pool_name: machine.pool(lease.pool).map(|p| p.name.clone()).unwrap_or_default(),
        frontend: machine.session(lease.epoch).map(|s| s.frontend.to_string()).unwrap_or_default(),
        cluster_time_ms: replica.time().as_millis(),
    }
}

/// Every relationship, with RFC 8156's name of its state. Source: RFC 8156 §8.
pub(super) fn relationships(replica: &Replica) -> Vec<v1::RelationshipStatus> {
    let liveness: BTreeMap<FrontendId, bool> = replica.hub.liveness().collect();
    let live = |f: &FrontendId| liveness.get(f).copied().unwrap_or(false);
    let relationships = replica.machine.network().into_iter().flat_map(|n| n.relationships.iter());
    let status = relationships.map(|r| {
        let primary_live = live(&r.primary);
        let secondary_live = r.secondary.as_ref().is_some_and(live);
        // A follower hears nobody.
        let standing = replica.states.standing(r.id);
        v1::RelationshipStatus {
            name: r.name.clone(),
            primary: r.primary.to_string(),
            secondary: r.secondary.as_ref().map(ToString::to_string).unwrap_or_default(),
            primary_live,
            secondary_live,
            state: standing.map_or("UNKNOWN", |s| s.state.name()).to_owned(),
            reason: standing.map(|s| s.reason.clone()).unwrap_or_default(),
            since_ms: standing.map_or(0, |s| s.since.as_millis()),
        }
    });
    status.collect()
}

/// Every session that still matters, and the configured frontends that never had one; by name, then by age.
pub(super) fn frontends(replica: &Replica) -> Vec<v1::FrontendInfo> {
    let liveness: BTreeMap<FrontendId, bool> = replica.hub.liveness().collect();
    let mut owned: BTreeMap<Epoch, (u64, u64)> = BTreeMap::new();
    for range in replica.machine.ranges() {
        if let Some((epoch, _)) = range.owner {
            let (granted, closed) = owned.entry(epoch).or_default();
            *granted += u64::from(range.standing == RangeStanding::Granted);
            *closed += u64::from(range.standing == RangeStanding::Closed);
        }
    }
    let mut sessions: Vec<SessionView> = replica.machine.sessions().collect();
    sessions.sort_by(|a, b| (&a.frontend, a.epoch).cmp(&(&b.frontend, b.epoch)));
    let mut frontends: Vec<v1::FrontendInfo> = sessions
        .iter()
        .map(|s| {
            let live = s.current && liveness.get(&s.frontend).copied().unwrap_or(false);
            let (ranges_granted, ranges_closed) = owned.get(&s.epoch).copied().unwrap_or_default();
            let heartbeat = replica.hub.heartbeat_of(s.epoch);
            v1::FrontendInfo {
                name: s.frontend.to_string(),
                epoch: s.epoch.0,
                current: s.current,
                live,
                extended_ms_ago: millis(replica.time().saturating_since(s.extended_at)),
                acked_index: s.acked_index.0,
                applied_sequence: s.applied_sequence.0,
                ranges_granted,
                ranges_closed,
                dirty_leases: heartbeat.map_or(0, |h| h.dirty_leases),
                network_version: heartbeat.map_or(0, |h| h.network_version),
                closed: s.closed,
                draining: s.current && replica.machine.is_draining(&s.frontend),
                declared_down: s.declared_down.is_some(),
                proven_gone: s.proven_gone.is_some(),
                ended: s.ended,
                links_down: if s.current { links_down(replica, &s.frontend) } else { Vec::new() },
            }
        })
        .collect();
    for (frontend, _) in liveness {
        if sessions.iter().all(|s| s.frontend != frontend) {
            frontends.push(v1::FrontendInfo { name: frontend.to_string(), ..Default::default() });
        }
    }
    frontends
}

/// Where a frontend does not serve its clients though it lives, with the reason (RFC 7031 §4.7).
fn links_down(replica: &Replica, frontend: &FrontendId) -> Vec<String> {
    let network = replica.machine.network();
    let name = |link| network.and_then(|n| n.link(link)).map_or_else(|| link.to_string(), |l| l.name.clone());
    let down = replica.hub.links().filter(|down| down.frontend == *frontend);
    down.map(|down| format!("{}: {}", name(down.link), down.reason)).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whether any generation of a pool, retired ones with ranges included, has that name.
pub(super) fn has_pool(replica: &Replica, name: &str) -> bool {
    let configured = replica.machine.network().into_iter().flat_map(|n| n.pools.iter());
    let mut names = configured.map(|p| p.name.as_str());
    names.any(|n| n == name)
        || replica
            .machine
            .ranges()
            .any(|r| replica.machine.pool(r.range.pool).is_some_and(|p| p.name == name))
}

/// A range, unless its pool is not the wanted one (empty: all) or was forgotten meanwhile.
pub(super) fn range(replica: &Replica, range: &RangeView, wanted: &str) -> Option<v1::RangeInfo> {
    let pool = replica.machine.pool(range.range.pool)?;
    if !wanted.is_empty() && pool.name != wanted {
        return None;
    }
    let (first, last) = pool.geometry.slots_of(range.range.slice)?;
    let octets = |slot| pool.geometry.prefix_at(slot).bits().to_be_bytes().to_vec();
    let (epoch, frontend) = match &range.owner {
        Some((epoch, frontend)) => (epoch.0, frontend.to_string()),
        None => (0, String::new()),
    };
    let state = match range.standing {
        RangeStanding::Granted => "granted",
        RangeStanding::Closed => "closed",
        RangeStanding::Free => "free",
    };
    Some(v1::RangeInfo {
        pool: pool.name.clone(),
        slice: range.range.slice,
        first: octets(first),
        last: octets(last),
        length_bits: u32::from(pool.geometry.length_bits()),
        frontend,
        epoch,
        state: state.to_owned(),
        leases: replica.machine.leases_in(range.range),
    })
}

/// The store's nodes as this one sees them, by name.
pub(super) fn store_nodes(metrics: &NodeMetrics) -> Vec<v1::StoreNodeInfo> {
    let mut members: Vec<&MemberMetrics> = metrics.members.iter().collect();
    members.sort_by(|a, b| (&a.node.name, a.raft_id).cmp(&(&b.node.name, b.raft_id)));
    let info = members.into_iter().map(|member| {
        let own = member.raft_id == metrics.raft_id;
        let role = if metrics.leader_id == Some(member.raft_id) {
            "leader"
        } else if own && metrics.role == NodeRole::Candidate {
            "candidate"
        } else if member.voter {
            "follower"
        } else {
            "learner"
        };
        v1::StoreNodeInfo {
            name: member.node.name.clone(),
            address: member.node.address.clone(),
            raft_id: member.raft_id,
            role: role.to_owned(),
            matched_index: if own { metrics.last_log } else { member.matched }.unwrap_or(0),
            reachable: own || member.heard_ago.is_some_and(|ago| ago <= REACHABLE_WITHIN),
        }
    });
    info.collect()
}
