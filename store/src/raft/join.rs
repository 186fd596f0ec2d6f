//! How the leader takes a new incarnation of a node in.
//!
//! Owns: the rules of joining: a listed name, that no live node has; first a learner, then, caught up, a voter in the
//! place of the name's earlier incarnations. Refuses to know: how the joining node finds the leader (`formation`).
//! Inputs: a node that asks, again and again. Outputs: one step further each time, or the reason why not.
//! Invariants: a name has at most one voting incarnation after a step that says it is joined; a step that fails or is
//! repeated after a change of leader does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_proto::v1;
use leasehold_proto::v1::raft_join_answer::Outcome;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;

use super::config::NodeAddress;
use super::metrics::{self, NodeRole};
use super::node::Inner;
use super::replicated::Replicated;
use super::types::MemberNode;

/// A learner that lacks no more is made a voter.
const CAUGHT_UP_ENTRIES: u64 = 100;
/// A change of membership takes no longer, or is asked for again.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// An incarnation heard so recently, but not answering now, may be alive.
const RECENTLY: Duration = Duration::from_secs(2);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes `node` one step further.
pub(crate) async fn step<R: Replicated>(inner: &Inner<R>, node: &v1::RaftMember) -> Outcome {
    if !inner.config.members.iter().any(|listed| listed.name == node.name) {
        return Outcome::Refused(format!(
            "`{}` is not among the store nodes that `{}` has listed: add it to the configuration of all store nodes",
            node.name, inner.config.name
        ));
    }
    if node.raft_id == 0 {
        return Outcome::Refused("a raft id is never zero".into());
    }
    let now = metrics::now(&inner.raft);
    if now.role != NodeRole::Leader {
        let (_, leader) = metrics::membership_and_leader(&inner.raft);
        return Outcome::Redirect(v1::RaftRedirect { leader });
    }
    let Ok(_one_at_a_time) = inner.joining.try_lock() else {
        return Outcome::Retry("another node is joining".into());
    };
    {
        let receiver = inner.raft.metrics();
        let metrics = receiver.borrow_watched();
        if metrics.membership_config != metrics.committed_membership_config {
            return Outcome::Retry("a change of the membership is under way".into());
        }
    }
    let earlier: Vec<_> = now
        .members
        .iter()
        .filter(|member| member.node.name == node.name && member.raft_id != node.raft_id)
        .collect();
    for member in &earlier {
        match alive(inner, member.raft_id, &member.node, member.heard_ago).await {
            Alive::Yes => {
                return Outcome::Refused(format!(
                    "the name `{}` is in use by a live node at {}: give this node another name, or stop that one",
                    node.name, member.node.address
                ));
            }
            Alive::Perhaps => {
                return Outcome::Retry(format!(
                    "the earlier incarnation of `{}` was heard a moment ago",
                    node.name
                ));
            }
            Alive::No => {}
        }
    }
    let known = now.members.iter().find(|member| member.raft_id == node.raft_id);
    if earlier.is_empty() && known.is_some_and(|member| member.voter) {
        return Outcome::Joined(v1::RaftJoined {});
    }
    let Some(known) = known else {
        let member = MemberNode { name: node.name.clone(), address: node.address.clone() };
        tracing::info!(name = %node.name, raft_id = node.raft_id, "a node joins as a learner");
        let added = change(inner, ChangeMembers::AddNodes(BTreeMap::from([(node.raft_id, member)]))).await;
        return added.unwrap_or_else(|| {
            let entries_behind = now.last_log.map_or(0, |index| index.saturating_add(1));
            Outcome::Learning(v1::RaftLearning { entries_behind })
        });
    };
    match known.lag_entries {
        Some(lag) if lag <= CAUGHT_UP_ENTRIES => {}
        lag => {
            let entries_behind = lag.or(now.last_log).unwrap_or(0);
            return Outcome::Learning(v1::RaftLearning { entries_behind });
        }
    }
    let ids = |voter: bool| -> BTreeSet<u64> {
        earlier.iter().filter(|member| member.voter == voter).map(|member| member.raft_id).collect()
    };
    let (old_voters, old_learners) = (ids(true), ids(false));
    tracing::info!(name = %node.name, raft_id = node.raft_id, replaces = ?old_voters, "a node becomes a voter");
    let mut swap = vec![ChangeMembers::AddVoterIds(BTreeSet::from([node.raft_id]))];
    if !old_voters.is_empty() {
        swap.push(ChangeMembers::RemoveVoters(old_voters));
    }
    if let Some(failed) = change(inner, ChangeMembers::Batch(swap)).await {
        return failed;
    }
    if !old_learners.is_empty()
        && let Some(failed) = change(inner, ChangeMembers::RemoveNodes(old_learners)).await
    {
        return failed;
    }
    Outcome::Joined(v1::RaftJoined {})
}

/// Changes the membership; `None` if that was committed.
async fn change<R: Replicated>(inner: &Inner<R>, changes: ChangeMembers<u64, MemberNode>) -> Option<Outcome> {
    match tokio::time::timeout(CHANGE_TIMEOUT, inner.raft.change_membership(changes, false)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(Outcome::Retry(error.to_string())),
        Err(_) => Some(Outcome::Retry("the change of the membership is not committed yet".into())),
    }
}

enum Alive {
    Yes,
    Perhaps,
    No,
}

/// Whether an incarnation still runs: it answers with its own Raft id, or was heard just now.
async fn alive<R: Replicated>(
    inner: &Inner<R>,
    raft_id: u64,
    node: &NodeAddress,
    heard_ago: Option<Duration>,
) -> Alive {
    if raft_id == inner.raft_id {
        return Alive::Yes;
    }
    let request = v1::RaftProbeRequest {
        cluster: inner.config.cluster.clone(),
        name: inner.config.name.clone(),
        raft_id: inner.raft_id,
    };
    let answer = async {
        let mut client = inner.network.client(node)?;
        client.probe(request).await
    };
    match tokio::time::timeout(PROBE_TIMEOUT, answer).await {
        Ok(Ok(answer)) if answer.get_ref().raft_id == raft_id => Alive::Yes,
        Ok(Ok(_)) => Alive::No,
        _ if heard_ago.is_some_and(|ago| ago < RECENTLY) => Alive::Perhaps,
        _ => Alive::No,
    }
}
