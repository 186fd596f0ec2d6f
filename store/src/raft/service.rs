//! The gRPC service that other store nodes call.
//!
//! Owns: checking who calls and what for, and handing the calls to openraft. Refuses to know: openraft's rules; who
//! may found or join (`formation`, `join`).
//! Inputs: messages from other nodes, never trusted. Outputs: answers, or a refusal with its reason.
//! Invariants: only a store node's certificate, in that node's own name, gets past [`Gate`]; a call for another
//! cluster or another incarnation changes nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt, stream};
use leasehold_proto::identity::{Caller, Role, require_role};
use leasehold_proto::v1;
use leasehold_proto::v1::raft_append_answer::Result as AppendResult;
use leasehold_proto::v1::raft_server::Raft as RaftApi;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest,
};
use openraft::storage::Snapshot;
use tonic::{Request, Response, Status, Streaming};

use super::codec::{self, CodecError};
use super::node::Inner;
use super::replicated::Replicated;
use super::snapshot::SnapshotData;
use super::types::Types;
use super::{join, metrics, transfer};

/// No message between store nodes is larger, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The service; made by `StoreNode::service`.
pub struct RaftService<R: Replicated> {
    inner: Arc<Inner<R>>,
}

impl<R: Replicated> RaftService<R> {
    pub(crate) const fn new(inner: Arc<Inner<R>>) -> Self {
        Self { inner }
    }

    fn gate<T>(&self, request: &Request<T>) -> Result<Gate, Status> {
        Ok(Gate {
            caller: require_role(request, &[Role::Store])?,
            cluster: self.inner.config.cluster.clone(),
            name: self.inner.config.name.clone(),
            raft_id: self.inner.raft_id,
        })
    }
}

/// Judges calls.
struct Gate {
    caller: Caller,
    cluster: String,
    name: String,
    raft_id: u64,
}

impl Gate {
    fn call(&self, call: Option<&v1::RaftCall>) -> Result<(), Status> {
        let call =
            call.ok_or_else(|| Status::invalid_argument("the call does not say what it is meant for"))?;
        self.sender(&call.cluster, &call.from_name)?;
        if call.to_raft_id != self.raft_id {
            return Err(Status::failed_precondition(format!(
                "`{}` has raft id {}, the call is for {}: an earlier incarnation of it, perhaps",
                self.name, self.raft_id, call.to_raft_id
            )));
        }
        Ok(())
    }

    fn sender(&self, cluster: &str, name: &str) -> Result<(), Status> {
        if cluster != self.cluster {
            return Err(Status::failed_precondition(format!(
                "`{}` belongs to cluster `{}`, `{name}` to `{cluster}`",
                self.name, self.cluster
            )));
        }
        self.caller.require_self(Role::Store, name)
    }
}

fn malformed(error: CodecError) -> Status {
    Status::invalid_argument(format!("the message {error}"))
}

fn append_request(message: v1::RaftAppendRequest) -> Result<AppendEntriesRequest<Types>, CodecError> {
    Ok(AppendEntriesRequest {
        vote: codec::vote_from(message.ballot.as_ref())?,
        prev_log_id: message.previous.as_ref().map(codec::log_id_from),
        entries: message.entries.into_iter().map(codec::entry_from).collect::<Result<_, _>>()?,
        leader_commit: message.commit.as_ref().map(codec::log_id_from),
    })
}

fn append_answer(result: StreamAppendResult<Types>) -> v1::RaftAppendAnswer {
    let result = match result {
        Ok(matched) => {
            AppendResult::Matched(v1::RaftMatched { log_id: matched.as_ref().map(codec::log_id_to) })
        }
        Err(StreamAppendError::Conflict(id)) => AppendResult::Conflict(codec::log_id_to(&id)),
        Err(StreamAppendError::HigherVote(vote)) => AppendResult::Higher(codec::vote_to(&vote)),
    };
    v1::RaftAppendAnswer { result: Some(result) }
}

/// The appends of a stream up to the first one that is refused; the refusal is kept in `refused`.
fn appends(
    messages: Streaming<v1::RaftAppendRequest>,
    gate: Gate,
    refused: Arc<Mutex<Option<Status>>>,
) -> impl Stream<Item = AppendEntriesRequest<Types>> + Send + 'static {
    stream::unfold((messages, gate, refused), |(mut messages, gate, refused)| async move {
        let checked = match messages.next().await? {
            Ok(message) => {
                gate.call(message.call.as_ref()).and_then(|()| append_request(message).map_err(malformed))
            }
            Err(error) => Err(error),
        };
        match checked {
            Ok(request) => Some((request, (messages, gate, refused))),
            Err(status) => {
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                None
            }
        }
    })
}

type AppendAnswers = Pin<Box<dyn Stream<Item = Result<v1::RaftAppendAnswer, Status>> + Send>>;

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("the node has stopped: {error}"))
}

#[tonic::async_trait]
impl<R: Replicated> RaftApi for RaftService<R> {
    type AppendStream = AppendAnswers;

    async fn append(
        &self,
        request: Request<Streaming<v1::RaftAppendRequest>>,
    ) -> Result<Response<AppendAnswers>, Status> {
        let gate = self.gate(&request)?;
        let refused = Arc::new(Mutex::new(None));
        let requests = appends(request.into_inner(), gate, Arc::clone(&refused));
        let answers =
            self.inner.raft.stream_append(requests).map(|answer| answer.map(append_answer).map_err(stopped));
        // The answers end when the requests do; then comes why they ended, if that was a refusal.
        let end = stream::once(async move { refused.lock().unwrap_or_else(PoisonError::into_inner).take() })
            .filter_map(|status| async move { status.map(Err) });
        Ok(Response::new(Box::pin(answers.chain(end))))
    }

    async fn vote(
        &self,
        request: Request<v1::RaftVoteRequest>,
    ) -> Result<Response<v1::RaftVoteAnswer>, Status> {
        let gate = self.gate(&request)?;
        let message = request.into_inner();
        gate.call(message.call.as_ref())?;
        let mut vote = VoteRequest::new(
            codec::vote_from(message.ballot.as_ref()).map_err(malformed)?,
            message.last.as_ref().map(codec::log_id_from),
        );
        vote.leadership_transfer = message.leadership_transfer;
        let answer = match message.pre_vote {
            true => self.inner.raft.pre_vote(vote).await,
            false => self.inner.raft.vote(vote).await,
        }
        .map_err(stopped)?;
        Ok(Response::new(v1::RaftVoteAnswer {
            ballot: Some(codec::vote_to(&answer.vote)),
            granted: answer.vote_granted,
            last: answer.last_log_id.as_ref().map(codec::log_id_to),
        }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<v1::RaftSnapshotChunk>>,
    ) -> Result<Response<v1::RaftSnapshotAnswer>, Status> {
        let gate = self.gate(&request)?;
        let inner = &self.inner;
        let incoming = transfer::receive(
            request.into_inner(),
            |call| gate.call(call),
            &inner.folder,
            inner.config.limits,
            &inner.stop,
        )
        .await?;
        let snapshot = Snapshot { meta: incoming.meta, snapshot: SnapshotData::Received(incoming.filling) };
        let answer = inner.raft.install_full_snapshot(incoming.vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(v1::RaftSnapshotAnswer { ballot: Some(codec::vote_to(&answer.vote)) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::RaftTransferRequest>,
    ) -> Result<Response<v1::RaftTransferAnswer>, Status> {
        let gate = self.gate(&request)?;
        let message = request.into_inner();
        gate.call(message.call.as_ref())?;
        let from = codec::vote_from(message.from.as_ref()).map_err(malformed)?;
        let last = message.last.as_ref().map(codec::log_id_from);
        let request = TransferLeaderRequest::new(from, message.to_raft_id, last);
        let refused = match self.inner.raft.handle_transfer_leader(request).await.map_err(stopped)? {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        Ok(Response::new(v1::RaftTransferAnswer { refused }))
    }

    async fn probe(
        &self,
        request: Request<v1::RaftProbeRequest>,
    ) -> Result<Response<v1::RaftProbeAnswer>, Status> {
        let gate = self.gate(&request)?;
        let message = request.into_inner();
        gate.sender(&message.cluster, &message.name)?;
        let initialized = self.inner.raft.is_initialized().await.map_err(stopped)?;
        let (membership, leader) = metrics::membership_and_leader(&self.inner.raft);
        Ok(Response::new(v1::RaftProbeAnswer {
            name: self.inner.config.name.clone(),
            raft_id: self.inner.raft_id,
            blank: !initialized,
            membership: Some(codec::membership_to(&membership)),
            leader,
        }))
    }

    async fn join(
        &self,
        request: Request<v1::RaftJoinRequest>,
    ) -> Result<Response<v1::RaftJoinAnswer>, Status> {
        let gate = self.gate(&request)?;
        let message = request.into_inner();
        let node = message.node.ok_or_else(|| Status::invalid_argument("the message names no node"))?;
        gate.sender(&message.cluster, &node.name)?;
        let outcome = join::step(&self.inner, &node).await;
        Ok(Response::new(v1::RaftJoinAnswer { outcome: Some(outcome) }))
    }
}
