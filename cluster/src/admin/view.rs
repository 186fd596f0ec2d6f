//! What `leasehold admin` prints, as data: the JSON form, whose field names are stable.
//!
//! Owns the way from the `Admin` service's answers to what programs read. Refuses to lay anything out ([`super::table`]
//! does). Times are cluster time in milliseconds, `null` for never; spans count from the answer's own cluster time, and
//! are negative for the past. What clients control is hexadecimal or escaped; reconfigure keys are left out (SEC-07).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use leasehold_proto::v1;
use serde::Serialize;

use super::hex;

/// The cluster at a glance.
#[derive(Debug, Serialize)]
pub(super) struct StatusView {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) leader: Option<String>,
    pub(super) term: u64,
    pub(super) applied_index: u64,
    pub(super) cluster_time_ms: u64,
    pub(super) incarnation: u32,
    /// Founded anew from an old cluster: no range is granted before this.
    pub(super) grants_held_until_ms: Option<u64>,
    pub(super) network_version: u64,
    pub(super) leases: BTreeMap<String, u64>,
    pub(super) relationships: Vec<RelationshipView>,
}

/// One relationship's state.
#[derive(Debug, Serialize)]
pub(super) struct RelationshipView {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) since_ms: u64,
    pub(super) primary: String,
    pub(super) primary_live: bool,
    pub(super) secondary: Option<String>,
    pub(super) secondary_live: Option<bool>,
}

impl StatusView {
    pub(super) fn of(answer: &v1::StatusAnswer) -> Self {
        let leases = answer.leases.iter().map(|entry| (state_name(entry.state), entry.count));
        let relationships = answer.relationships.iter().map(|r| RelationshipView {
            name: r.name.clone(),
            state: r.state.clone(),
            reason: some(&r.reason),
            since_ms: r.since_ms,
            primary: r.primary.clone(),
            primary_live: r.primary_live,
            secondary: some(&r.secondary),
            secondary_live: some(&r.secondary).map(|_| r.secondary_live),
        });
        Self {
            cluster: answer.cluster.clone(),
            node: answer.node.clone(),
            leader: some(&answer.leader),
            term: answer.term,
            applied_index: answer.applied_index,
            cluster_time_ms: answer.cluster_time_ms,
            incarnation: answer.incarnation,
            grants_held_until_ms: (answer.grants_held_until_ms > answer.cluster_time_ms)
                .then_some(answer.grants_held_until_ms),
            network_version: answer.network_version,
            leases: leases.collect(),
            relationships: relationships.collect(),
        }
    }
}

/// One lease.
#[derive(Debug, Serialize)]
pub(super) struct LeaseView {
    pub(super) lease: String,
    pub(super) state: String,
    pub(super) link: String,
    pub(super) pool: String,
    pub(super) duid: String,
    pub(super) ia: &'static str,
    pub(super) iaid: u32,
    pub(super) cluster_time_ms: u64,
    pub(super) valid_until_ms: Option<u64>,
    pub(super) valid_for_ms: Option<i64>,
    pub(super) preferred_lifetime_secs: Option<u32>,
    pub(super) valid_lifetime_secs: Option<u32>,
    pub(super) acked_until_ms: Option<u64>,
    pub(super) acked_for_ms: Option<i64>,
    pub(super) state_since_ms: u64,
    pub(super) client_last_contact_ms: u64,
    pub(super) frontend: Option<String>,
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) relay_peer_address: Option<Ipv6Addr>,
    pub(super) relay_chain: Option<String>,
    /// Its client accepted Reconfigure and has its key.
    pub(super) reconfigure: bool,
    pub(super) fqdn: Option<String>,
}

impl LeaseView {
    pub(super) fn of(info: &v1::LeaseInfo) -> Self {
        let lease = info.lease.clone().unwrap_or_default();
        let binding = lease.binding.unwrap_or_default();
        let now = info.cluster_time_ms;
        // Without a chain it is the address of a client that was heard directly.
        let relayed = lease.relay.as_ref().filter(|relay| !relay.relay_chain.is_empty());
        Self {
            lease: lease.prefix.as_ref().map(prefix_text).unwrap_or_default(),
            state: state_name(lease.state),
            link: info.link_name.clone(),
            pool: info.pool_name.clone(),
            duid: hex(&binding.duid),
            ia: match v1::IaKind::try_from(binding.kind) {
                Ok(v1::IaKind::Na) => "na",
                Ok(v1::IaKind::Pd) => "pd",
                _ => "unknown",
            },
            iaid: binding.iaid,
            cluster_time_ms: now,
            valid_until_ms: moment(lease.valid_until_ms),
            valid_for_ms: moment(lease.valid_until_ms).map(|at| difference(at, now)),
            preferred_lifetime_secs: lifetime(lease.preferred_lifetime_secs),
            valid_lifetime_secs: lifetime(lease.valid_lifetime_secs),
            acked_until_ms: moment(lease.acked_until_ms),
            acked_for_ms: moment(lease.acked_until_ms).map(|at| difference(at, now)),
            state_since_ms: lease.state_since_ms,
            client_last_contact_ms: lease.client_last_contact_ms,
            frontend: some(&info.frontend),
            epoch: lease.epoch,
            version: lease.version,
            relay_peer_address: relayed.and_then(|relay| address(&relay.peer_address)),
            relay_chain: relayed.map(|relay| hex(&relay.relay_chain)),
            reconfigure: lease.reconfigure,
            fqdn: lease.name.as_ref().map(|name| name.fqdn.escape_default().to_string()),
        }
    }
}

/// One range.
#[derive(Debug, Serialize)]
pub(super) struct RangeView {
    pub(super) pool: String,
    pub(super) slice: u64,
    pub(super) first: Option<Ipv6Addr>,
    pub(super) last: Option<Ipv6Addr>,
    pub(super) length_bits: u32,
    pub(super) state: String,
    pub(super) frontend: Option<String>,
    pub(super) epoch: u64,
    pub(super) leases: u64,
}

impl RangeView {
    pub(super) fn of(info: &v1::RangeInfo) -> Self {
        Self {
            pool: info.pool.clone(),
            slice: info.slice,
            first: address(&info.first),
            last: address(&info.last),
            length_bits: info.length_bits,
            state: info.state.clone(),
            frontend: some(&info.frontend),
            epoch: info.epoch,
            leases: info.leases,
        }
    }
}

/// One session of a frontend.
#[derive(Debug, Serialize)]
pub(super) struct FrontendView {
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) current: bool,
    pub(super) live: bool,
    pub(super) closed: bool,
    pub(super) draining: bool,
    pub(super) declared_down: bool,
    pub(super) proven_gone: bool,
    pub(super) ended: bool,
    pub(super) links_down: Vec<String>,
    pub(super) extended_ms_ago: u64,
    pub(super) acked_index: u64,
    pub(super) applied_sequence: u64,
    pub(super) ranges_granted: u64,
    pub(super) ranges_closed: u64,
    pub(super) dirty_leases: u64,
    pub(super) network_version: u64,
}

impl FrontendView {
    pub(super) fn of(info: &v1::FrontendInfo) -> Self {
        Self {
            name: info.name.clone(),
            epoch: info.epoch,
            current: info.current,
            live: info.live,
            closed: info.closed,
            draining: info.draining,
            declared_down: info.declared_down,
            proven_gone: info.proven_gone,
            ended: info.ended,
            links_down: info.links_down.clone(),
            extended_ms_ago: info.extended_ms_ago,
            acked_index: info.acked_index,
            applied_sequence: info.applied_sequence,
            ranges_granted: info.ranges_granted,
            ranges_closed: info.ranges_closed,
            dirty_leases: info.dirty_leases,
            network_version: info.network_version,
        }
    }
}

/// One store node.
#[derive(Debug, Serialize)]
pub(super) struct NodeView {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) raft_id: u64,
    pub(super) role: String,
    pub(super) reachable: bool,
    pub(super) matched_index: u64,
}

impl NodeView {
    pub(super) fn of(info: &v1::StoreNodeInfo) -> Self {
        Self {
            name: info.name.clone(),
            address: info.address.clone(),
            raft_id: info.raft_id,
            role: info.role.clone(),
            reachable: info.reachable,
            matched_index: info.matched_index,
        }
    }
}

/// One pool generation. Counts are of addresses or delegated prefixes; decimal text, since a pool may have 2^64.
#[derive(Debug, Serialize)]
pub(super) struct PoolView {
    pub(super) pool: String,
    pub(super) id: u32,
    pub(super) relationship: Option<String>,
    pub(super) retired: bool,
    pub(super) shrinking: bool,
    pub(super) slots: String,
    pub(super) granted: String,
    pub(super) closed: String,
    pub(super) free: String,
    /// Until the first and the last closed range open; `null` for never without an operator.
    pub(super) closed_for_ms: Option<(Option<i64>, Option<i64>)>,
    pub(super) leases: BTreeMap<String, u64>,
}

/// Pools, by name.
pub(super) fn pools(answer: &v1::ListPoolsAnswer) -> Vec<PoolView> {
    let count = |octets: &[u8]| {
        <[u8; 16]>::try_from(octets).map_or_else(|_| hex(octets), |o| u128::from_be_bytes(o).to_string())
    };
    let until = |ms| moment(ms).map(|at| difference(at, answer.cluster_time_ms));
    let view = |info: &v1::PoolInfo| PoolView {
        pool: info.name.clone(),
        id: info.id,
        relationship: some(&info.relationship),
        retired: info.retired,
        shrinking: info.shrinking,
        slots: count(&info.slots),
        granted: count(&info.granted),
        closed: count(&info.closed),
        free: count(&info.free),
        closed_for_ms: (info.closed_first_ms > 0)
            .then(|| (until(info.closed_first_ms), until(info.closed_last_ms))),
        leases: info.leases.iter().map(|entry| (state_name(entry.state), entry.count)).collect(),
    };
    answer.pools.iter().map(view).collect()
}

/// One conflict that reconciliation found.
#[derive(Debug, Serialize)]
pub(super) struct ConflictView {
    pub(super) number: u64,
    pub(super) at_ms: u64,
    pub(super) ago_ms: u64,
    pub(super) kind: String,
    pub(super) lease: String,
    pub(super) other_lease: Option<String>,
    pub(super) kept_duid: String,
    pub(super) lost_duid: Option<String>,
    pub(super) lost_valid_until_ms: Option<u64>,
    pub(super) frontend: String,
}

/// Conflicts, oldest first.
pub(super) fn conflicts(answer: &v1::ListConflictsAnswer) -> Vec<ConflictView> {
    let view = |info: &v1::ConflictInfo| ConflictView {
        number: info.number,
        at_ms: info.at_ms,
        ago_ms: answer.cluster_time_ms.saturating_sub(info.at_ms),
        kind: info.kind.clone(),
        lease: info.prefix.as_ref().map(prefix_text).unwrap_or_default(),
        other_lease: info.other_prefix.as_ref().map(prefix_text),
        kept_duid: hex(&info.kept_duid),
        lost_duid: (!info.lost_duid.is_empty()).then(|| hex(&info.lost_duid)),
        lost_valid_until_ms: moment(info.lost_valid_until_ms).filter(|_| !info.lost_duid.is_empty()),
        frontend: info.frontend.clone(),
    };
    answer.conflicts.iter().map(view).collect()
}

/// One thing that the leader saw.
#[derive(Debug, Serialize)]
pub(super) struct EventView {
    pub(super) number: u64,
    pub(super) at_ms: u64,
    pub(super) ago_ms: u64,
    pub(super) subject: String,
    pub(super) what: String,
    pub(super) reason: String,
}

/// Events, oldest first.
pub(super) fn events(answer: &v1::ListEventsAnswer) -> Vec<EventView> {
    let view = |info: &v1::EventInfo| EventView {
        number: info.number,
        at_ms: info.at_ms,
        ago_ms: answer.cluster_time_ms.saturating_sub(info.at_ms),
        subject: info.subject.clone(),
        what: info.what.clone(),
        reason: info.reason.clone(),
    };
    answer.events.iter().map(view).collect()
}

/// The outcome of an act about a frontend.
#[derive(Debug, Serialize)]
pub(super) struct ActView {
    pub(super) frontend: String,
    pub(super) done: String,
    /// Epochs of the sessions concerned.
    pub(super) sessions: Vec<u64>,
}

/// The outcome of `reconfigure`.
#[derive(Debug, Serialize)]
pub(super) struct ReconfigureView {
    /// The number of the order in the cluster's life.
    pub(super) number: u64,
    /// Whose clients can be asked.
    pub(super) leases: u64,
    pub(super) message: &'static str,
}

/// The outcome of `network apply`.
#[derive(Debug, Serialize)]
pub(super) struct AppliedView {
    pub(super) version: u64,
    pub(super) dry_run: bool,
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn moment(ms: u64) -> Option<u64> {
    (ms != u64::MAX).then_some(ms)
}

fn lifetime(secs: u32) -> Option<u32> {
    (secs != u32::MAX).then_some(secs)
}

fn difference(at: u64, now: u64) -> i64 {
    i64::try_from(i128::from(at) - i128::from(now)).unwrap_or(i64::MAX)
}

pub(super) fn address(octets: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(octets).ok().map(Ipv6Addr::from)
}

pub(super) fn prefix_text(prefix: &v1::Prefix) -> String {
    match address(&prefix.address) {
        Some(address) if prefix.length_bits == 128 => address.to_string(),
        Some(address) => format!("{address}/{}", prefix.length_bits),
        None => hex(&prefix.address),
    }
}

/// RFC 8156's names.
fn state_name(raw: i32) -> String {
    let known = leasehold_proto::lease::LeaseState::ALL.into_iter().find(|state| *state as i32 == raw);
    known.map_or_else(|| format!("UNKNOWN-{raw}"), |state| state.name().to_owned())
}
