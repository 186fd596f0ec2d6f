//! What a node shows of itself and its cluster.
//!
//! Owns: the translation of openraft's metrics into ours, kept current. Refuses to know: who watches.
//! Inputs: openraft's metrics. Outputs: [`NodeMetrics`] in a watch channel; the reason to stop if Raft has stopped.

use std::time::Duration;

use leasehold_proto::v1;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant, Raft, RaftMetrics, ServerState};
use tokio::sync::watch;

use super::apply::Machine;
use super::codec;
use super::config::NodeAddress;
use super::replicated::Replicated;
use super::stop::Stop;
use super::types::{Membership, Types};

/// What a node does for its cluster at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeRole {
    /// Receives the log and does not vote.
    #[default]
    Learner,
    /// Follows a leader and votes.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Has stopped.
    Stopped,
}

/// One member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetrics {
    /// The Raft id of its incarnation.
    pub raft_id: u64,
    /// Name and address.
    pub node: NodeAddress,
    /// Whether it votes.
    pub voter: bool,
    /// On the leader: the last log index that it is known to hold.
    pub matched: Option<u64>,
    /// On the leader: how many entries it lacks.
    pub lag_entries: Option<u64>,
    /// On the leader: how long ago it answered, as of these metrics; `None` if it never did.
    pub heard_ago: Option<Duration>,
}

/// A node's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMetrics {
    /// The Raft id of this incarnation.
    pub raft_id: u64,
    /// What it does.
    pub role: NodeRole,
    /// The term.
    pub term: u64,
    /// The leader's Raft id, if known.
    pub leader_id: Option<u64>,
    /// The leader, if known.
    pub leader: Option<NodeAddress>,
    /// The last log index.
    pub last_log: Option<u64>,
    /// The last index known to be committed.
    pub committed: Option<u64>,
    /// The last index applied.
    pub applied: Option<u64>,
    /// The last index in the snapshot.
    pub snapshot: Option<u64>,
    /// The last index purged from the log.
    pub purged: Option<u64>,
    /// All members, this one included, by Raft id.
    pub members: Vec<MemberMetrics>,
}

impl NodeMetrics {
    /// Whether this node votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.members.iter().any(|member| member.raft_id == self.raft_id && member.voter)
    }

    fn of(raft: &RaftMetrics<Types>) -> Self {
        let membership = raft.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let members: Vec<MemberMetrics> = membership
            .nodes()
            .map(|(id, node)| {
                let matched = raft.replication.as_ref().and_then(|all| all.get(id));
                let matched_next = matched.map(|id| id.as_ref().map_or(0, |id| id.index.saturating_add(1)));
                let next = raft.last_log_index.map_or(0, |index| index.saturating_add(1));
                let heard = raft.heartbeat.as_ref().and_then(|all| all.get(id)).and_then(Option::as_ref);
                MemberMetrics {
                    raft_id: *id,
                    node: NodeAddress { name: node.name.clone(), address: node.address.clone() },
                    voter: voters.contains(id),
                    matched: matched.and_then(|id| id.as_ref().map(|id| id.index)),
                    lag_entries: matched_next.map(|at| next.saturating_sub(at)),
                    heard_ago: heard.map(|at| at.elapsed()),
                }
            })
            .collect();
        let leader = raft
            .current_leader
            .and_then(|id| members.iter().find(|member| member.raft_id == id))
            .map(|member| member.node.clone());
        Self {
            raft_id: raft.id,
            role: match raft.state {
                ServerState::Learner => NodeRole::Learner,
                ServerState::Follower => NodeRole::Follower,
                ServerState::Candidate => NodeRole::Candidate,
                ServerState::Leader => NodeRole::Leader,
                ServerState::Shutdown => NodeRole::Stopped,
            },
            term: raft.current_term,
            leader_id: raft.current_leader,
            leader,
            last_log: raft.last_log_index,
            committed: raft.local_committed.map(|id| id.index),
            applied: raft.last_applied.map(|id| id.index),
            snapshot: raft.snapshot.map(|id| id.index),
            purged: raft.purged.map(|id| id.index),
            members,
        }
    }
}

/// The effective membership, and the leader as a member.
pub(crate) fn membership_and_leader<R: Replicated>(
    raft: &Raft<Types, Machine<R>>,
) -> (Membership, Option<v1::RaftMember>) {
    let receiver = raft.metrics();
    let metrics = receiver.borrow_watched();
    let membership = metrics.membership_config.membership().clone();
    let leader =
        metrics.current_leader.and_then(|id| membership.get_node(&id).map(|node| codec::member_to(id, node)));
    (membership, leader)
}

/// The metrics as of now.
pub(crate) fn now<R: Replicated>(raft: &Raft<Types, Machine<R>>) -> NodeMetrics {
    NodeMetrics::of(&raft.metrics().borrow_watched())
}

/// Keeps `sender` current until Raft stops.
pub(crate) async fn follow<R: Replicated>(
    raft: Raft<Types, Machine<R>>,
    sender: watch::Sender<NodeMetrics>,
    stop: Stop,
) {
    let mut receiver = raft.metrics();
    // Ends when Raft does.
    loop {
        let failed = {
            let metrics = receiver.borrow_watched();
            sender.send_replace(NodeMetrics::of(&metrics));
            match &metrics.running_state {
                Ok(()) | Err(openraft::errors::Fatal::Stopped) => None,
                Err(error) => Some(error.to_string()),
            }
        };
        if let Some(error) = failed {
            stop.because(format!("Raft has stopped: {error}"));
        }
        if receiver.changed().await.is_err() {
            return;
        }
    }
}
