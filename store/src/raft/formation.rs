//! How a node finds its cluster, or founds it.
//!
//! Owns: the loop of a node that does not vote yet: ask all others, then found, join, or wait. Refuses to know: what
//! the leader does with a node that joins (`join`).
//! Inputs: the listed members, their answers. Outputs: a membership that this node votes in, or the reason to stop.
//! Invariants: only the first listed node founds, and only when *all* others say that they are blank; so a node that
//! lost its disk can never found a second cluster beside the first. A node id is never used again after its disk was
//! wiped: what joins is a new incarnation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_proto::v1;
use leasehold_proto::v1::raft_join_answer::Outcome;
use tonic::{Code, Status};

use super::config::NodeAddress;
use super::metrics;
use super::node::Inner;
use super::replicated::Replicated;
use super::types::MemberNode;

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often in a row the others must name a leader of this node's own name before it is believed: two and a half
/// seconds, far longer than they take to notice a leader's death.
const NAME_LEADS_TURNS: u32 = 5;

/// Runs until this node votes, or stops for a reason that trying again does not mend.
pub(crate) async fn run<R: Replicated>(inner: Arc<Inner<R>>) {
    let mut pause = FIRST_PAUSE;
    let mut said = String::new();
    let mut name_leads = 0;
    // Unbounded on purpose: a node waits for its cluster as long as it takes.
    while !metrics::now(&inner.raft).is_voter() {
        let turn = turn(&inner).await;
        name_leads = if matches!(turn, Ok(Turn::NameLeads)) { name_leads + 1 } else { 0 };
        match turn {
            Ok(Turn::NameLeads) if name_leads < NAME_LEADS_TURNS => {}
            Ok(Turn::NameLeads) => {
                let name = &inner.config.name;
                inner.stop.because(format!(
                    "the name `{name}` is in use by a live node, which leads the cluster: give this node another name, or stop the other one"
                ));
                return;
            }
            Ok(Turn::Progress) => pause = FIRST_PAUSE,
            Ok(Turn::Wait(why)) => {
                if why != said {
                    tracing::info!(%why, "waiting for the store cluster");
                    said = why;
                }
            }
            Err(reason) => {
                inner.stop.because(reason);
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Turn {
    Progress,
    Wait(String),
    /// Another incarnation of this node's name leads, so they say.
    NameLeads,
}

type Answers = Vec<(NodeAddress, Result<v1::RaftProbeAnswer, Status>)>;

async fn turn<R: Replicated>(inner: &Inner<R>) -> Result<Turn, String> {
    let answers = ask_all(inner).await;
    let refused: Vec<String> = answers
        .iter()
        .filter_map(|(node, answer)| match answer {
            Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied) => {
                Some(format!("{node} refuses this node: {}", status.message()))
            }
            _ => None,
        })
        .collect();
    // One that refuses may itself be wrong; all that answer are believed.
    let accepted = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    if accepted == 0
        && let Some(first) = refused.first()
        && refused.len() == inner.config.others().count()
    {
        return Err(first.clone());
    }
    let formed = answers.iter().find_map(|(node, answer)| match answer {
        Ok(answer) if !answer.blank => Some((node, answer)),
        _ => None,
    });
    match formed {
        Some((node, answer)) => meet(inner, node, answer).await,
        None => found_or_wait(inner, &answers, &refused).await,
    }
}

async fn ask_all<R: Replicated>(inner: &Inner<R>) -> Answers {
    let asked = inner.config.others().map(|node| async move {
        let request = v1::RaftProbeRequest {
            cluster: inner.config.cluster.clone(),
            name: inner.config.name.clone(),
            raft_id: inner.raft_id,
        };
        let answer = async {
            let mut client = inner.network.client(node)?;
            client.probe(request).await.map(tonic::Response::into_inner)
        };
        let answer = tokio::time::timeout(PROBE_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        (node.clone(), answer)
    });
    futures::future::join_all(asked).await
}

/// A node of a formed cluster answered.
async fn meet<R: Replicated>(
    inner: &Inner<R>,
    node: &NodeAddress,
    answer: &v1::RaftProbeAnswer,
) -> Result<Turn, String> {
    let membership = answer.membership.as_ref();
    let votes = membership
        .is_some_and(|all| all.configs.iter().any(|voters| voters.raft_ids.contains(&inner.raft_id)));
    if votes {
        return Ok(Turn::Wait("this node is a member; the leader has yet to reach it".into()));
    }
    let leader = match &answer.leader {
        Some(leader) => NodeAddress { name: leader.name.clone(), address: leader.address.clone() },
        None => node.clone(),
    };
    if leader.name == inner.config.name {
        // Not to be asked: under this name, this node would reach itself.
        return Ok(Turn::NameLeads);
    }
    let own = inner
        .config
        .own_address()
        .cloned()
        .unwrap_or_else(|| NodeAddress { name: inner.config.name.clone(), address: String::new() });
    let request = v1::RaftJoinRequest {
        cluster: inner.config.cluster.clone(),
        node: Some(v1::RaftMember { raft_id: inner.raft_id, name: own.name, address: own.address }),
    };
    let answer = async {
        let mut client = inner.network.client(&leader)?;
        client.join(request).await.map(tonic::Response::into_inner)
    };
    let answer = tokio::time::timeout(JOIN_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
    match answer.map(|answer| answer.outcome) {
        Ok(Some(Outcome::Joined(_))) => {
            tracing::info!(raft_id = inner.raft_id, "this node has joined the cluster");
            Ok(Turn::Progress)
        }
        Ok(Some(Outcome::Learning(_))) => Ok(Turn::Progress),
        Ok(Some(Outcome::Refused(reason))) => Err(format!("{leader} refuses this node: {reason}")),
        Ok(Some(Outcome::Retry(reason))) => Ok(Turn::Wait(format!("{leader}: {reason}"))),
        Ok(Some(Outcome::Redirect(_)) | None) => Ok(Turn::Wait(format!("{leader} is not the leader"))),
        Err(status) => Ok(Turn::Wait(format!("{leader}: {}", status.message()))),
    }
}

/// Nobody knows of a formed cluster.
async fn found_or_wait<R: Replicated>(
    inner: &Inner<R>,
    answers: &Answers,
    refused: &[String],
) -> Result<Turn, String> {
    let initialized = inner.raft.is_initialized().await.map_err(|error| error.to_string())?;
    if initialized {
        return Ok(Turn::Wait("no other member answers".into()));
    }
    let first = inner.config.members.first().map_or("", |node| node.name.as_str());
    if first != inner.config.name {
        return Ok(Turn::Wait(format!("`{first}` founds the cluster when all listed nodes answer")));
    }
    let mut members = BTreeMap::new();
    for (node, answer) in answers {
        let Ok(answer) = answer else {
            let why = refused.first().cloned().unwrap_or_else(|| {
                format!("{node} does not answer; a cluster is founded only when all listed nodes do")
            });
            return Ok(Turn::Wait(why));
        };
        if answer.name != node.name {
            return Err(format!(
                "at {} answers `{}`, not `{}`: correct the list of store nodes",
                node.address, answer.name, node.name
            ));
        }
        members.insert(answer.raft_id, MemberNode { name: node.name.clone(), address: node.address.clone() });
    }
    if let Some(own) = inner.config.own_address() {
        members.insert(inner.raft_id, MemberNode { name: own.name.clone(), address: own.address.clone() });
    }
    if members.len() != inner.config.members.len() {
        return Err("two listed store nodes are one: correct the list".into());
    }
    tracing::info!(members = members.len(), "this node founds the cluster");
    match inner.raft.initialize(members).await {
        Ok(()) => Ok(Turn::Progress),
        // Somebody was quicker.
        Err(error) => Ok(Turn::Wait(error.to_string())),
    }
}
