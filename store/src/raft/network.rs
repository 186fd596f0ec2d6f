//! Calls to other store nodes.
//!
//! Owns: one channel per node and purpose, the calls that openraft makes, their limits of time. Refuses to know: TLS
//! (the connector), what openraft does with an answer.
//! Inputs: openraft's requests. Outputs: its answers, or that the node cannot be reached.
//! Invariants: every call names the cluster and the incarnation it is meant for; appends are pipelined on one stream
//! and answered in order; heartbeats have a connection of their own, so that no snapshot or batch delays them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use leasehold_proto::v1;
use leasehold_proto::v1::raft_append_answer::Result as AppendResult;
use leasehold_proto::v1::raft_client::RaftClient;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;
use openraft::{OptionalSend, StorageError};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::codec;
use super::config::{Connector, NodeAddress, NodeConfig};
use super::service::MAX_MESSAGE_BYTES;
use super::snapshot::SnapshotData;
use super::transfer;
use super::types::{CommittedLeaderId, MemberNode, Types, Vote};

/// Opening a stream takes no longer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// After a stream could not be opened, the next attempt is so much later: openraft waits only before it has something
/// to send, and asks for a stream before.
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// With requests under way, an answer comes within this time or the stream is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Receiving and installing a snapshot takes no longer.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Log,
    Heartbeat,
    Snapshot,
}

type Channels = BTreeMap<(String, Purpose), (NodeAddress, Channel)>;

/// Makes clients; clones share their channels.
#[derive(Clone)]
pub(crate) struct Network {
    inner: Arc<Shared>,
}

struct Shared {
    cluster: String,
    name: String,
    raft_id: u64,
    listed: Vec<NodeAddress>,
    connector: Connector,
    channels: Mutex<Channels>,
}

impl Network {
    pub(crate) fn new(config: &NodeConfig, raft_id: u64, connector: Connector) -> Self {
        Self {
            inner: Arc::new(Shared {
                cluster: config.cluster.clone(),
                name: config.name.clone(),
                raft_id,
                listed: config.members.clone(),
                connector,
                channels: Mutex::default(),
            }),
        }
    }

    /// A client for the calls that are not openraft's (probe, join).
    pub(crate) fn client(&self, node: &NodeAddress) -> Result<RaftClient<Channel>, Status> {
        self.channel(node, Purpose::Log).map(client_of)
    }

    fn channel(&self, node: &NodeAddress, purpose: Purpose) -> Result<Channel, Status> {
        // The own configuration knows best where a node is now.
        let node = self.inner.listed.iter().find(|listed| listed.name == node.name).unwrap_or(node);
        let mut channels = self.inner.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.name.clone(), purpose);
        if let Some((address, channel)) = channels.get(&key)
            && address == node
        {
            return Ok(channel.clone());
        }
        let channel = (self.inner.connector)(node).map_err(|error| Status::unavailable(error.to_string()))?;
        channels.insert(key, (node.clone(), channel.clone()));
        Ok(channel)
    }

    fn peer(&self, target: u64, node: &MemberNode, purpose: Purpose) -> Peer {
        let node = NodeAddress { name: node.name.clone(), address: node.address.clone() };
        Peer { network: self.clone(), target, node, purpose }
    }
}

fn client_of(channel: Channel) -> RaftClient<Channel> {
    RaftClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &MemberNode) -> Peer {
        self.peer(target, node, Purpose::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &MemberNode) -> Peer {
        self.peer(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &MemberNode) -> Peer {
        self.peer(target, node, Purpose::Snapshot)
    }
}

/// The client of one node for one purpose.
pub(crate) struct Peer {
    network: Network,
    target: u64,
    node: NodeAddress,
    purpose: Purpose,
}

impl Peer {
    fn client(&self) -> Result<RaftClient<Channel>, Status> {
        self.network.channel(&self.node, self.purpose).map(client_of)
    }

    fn call(&self) -> v1::RaftCall {
        v1::RaftCall {
            cluster: self.network.inner.cluster.clone(),
            to_raft_id: self.target,
            from_raft_id: self.network.inner.raft_id,
            from_name: self.network.inner.name.clone(),
        }
    }

    async fn ask<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} ms", limit.as_millis()))),
        }
    }

    fn unreachable(&self, error: &Status) -> Unreachable<Types> {
        Unreachable::from_string(format!("{}: {:?}: {}", self.node, error.code(), error.message()))
    }

    async fn ask_vote(
        &self,
        request: &VoteRequest<Types>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let message = v1::RaftVoteRequest {
            call: Some(self.call()),
            ballot: Some(codec::vote_to(&request.vote)),
            last: request.last_log_id.as_ref().map(codec::log_id_to),
            leadership_transfer: request.leadership_transfer,
            pre_vote,
        };
        let work = async {
            let mut client = self.client()?;
            let answer = self.ask(option.soft_ttl(), client.vote(message)).await?;
            let vote = codec::vote_from(answer.ballot.as_ref())
                .map_err(|error| Status::internal(format!("the answer {error}")))?;
            Ok(VoteResponse::new(vote, answer.last.as_ref().map(codec::log_id_from), answer.granted))
        };
        work.await.map_err(|error: Status| self.unreachable(&error).into())
    }
}

/// The request as a message.
fn append_message(call: v1::RaftCall, request: &AppendEntriesRequest<Types>) -> v1::RaftAppendRequest {
    v1::RaftAppendRequest {
        call: Some(call),
        ballot: Some(codec::vote_to(&request.vote)),
        previous: request.prev_log_id.as_ref().map(codec::log_id_to),
        entries: request.entries.iter().map(codec::entry_to).collect(),
        commit: request.leader_commit.as_ref().map(codec::log_id_to),
    }
}

fn append_answer(answer: v1::RaftAppendAnswer) -> Result<StreamAppendResult<Types>, Status> {
    let wrong = |error: codec::CodecError| Status::internal(format!("the answer {error}"));
    match answer.result.ok_or_else(|| Status::internal("the answer is empty"))? {
        AppendResult::Matched(matched) => Ok(Ok(matched.log_id.as_ref().map(codec::log_id_from))),
        AppendResult::Conflict(id) => Ok(Err(StreamAppendError::Conflict(codec::log_id_from(&id)))),
        AppendResult::Higher(ballot) => {
            Ok(Err(StreamAppendError::HigherVote(codec::vote_from(Some(&ballot)).map_err(wrong)?)))
        }
    }
}

type Answers<'s> = BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>;

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // openraft 0.10 appends by streams only; one request is a stream of one.
        let mut answers = RaftNetworkV2::stream_append(self, Box::pin(stream::iter([rpc])), option).await?;
        match answers.next().await {
            Some(answer) => Ok(answer?.into()),
            None => Err(NetworkError::from_string("the stream ended without an answer").into()),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let under_way = Arc::new(AtomicU64::new(0));
        let (call, sent) = (self.call(), Arc::clone(&under_way));
        let requests = input.map(move |request| {
            sent.fetch_add(1, Ordering::Relaxed);
            append_message(call.clone(), &request)
        });
        Box::pin(async move {
            let opened = match self.client() {
                Ok(mut client) => self.ask(OPEN_TIMEOUT, client.append(requests)).await,
                Err(error) => Err(error),
            };
            let answers = match opened {
                Ok(answers) => answers,
                Err(error) => {
                    tokio::time::sleep(OPEN_AGAIN_AFTER).await;
                    return Err(self.unreachable(&error).into());
                }
            };
            let peer: &'s Self = self;
            let stream = stream::unfold(Some(answers), move |state| {
                let under_way = Arc::clone(&under_way);
                async move {
                    let mut answers = state?;
                    let answer = loop {
                        match tokio::time::timeout(ANSWER_TIMEOUT, answers.next()).await {
                            Ok(answer) => break answer?,
                            // Idle: nothing was asked.
                            Err(_) if under_way.load(Ordering::Relaxed) == 0 => {}
                            Err(_) => break Err(Status::deadline_exceeded("no answer to an append")),
                        }
                    };
                    under_way.fetch_sub(1, Ordering::Relaxed);
                    match answer.and_then(append_answer) {
                        Ok(Ok(matched)) => Some((Ok(Ok(matched)), Some(answers))),
                        Ok(Err(refused)) => Some((Ok(Err(refused)), None)),
                        Err(error) => Some((Err(peer.unreachable(&error).into()), None)),
                    }
                }
            });
            let stream: Answers<'s> = Box::pin(stream);
            Ok(stream)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(&rpc, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(&rpc, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<CommittedLeaderId, u64, MemberNode, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let SnapshotData::Checkpoint(checkpoint) = snapshot.snapshot else {
            return Err(NetworkError::from_string("only a checkpoint made here can be sent").into());
        };
        let outgoing = transfer::send(checkpoint, self.call(), &vote);
        let work = async {
            let mut client = self.client()?;
            let answer = self
                .ask(SNAPSHOT_TIMEOUT, client.install_snapshot(ReceiverStream::new(outgoing.chunks)))
                .await?;
            codec::vote_from(answer.ballot.as_ref())
                .map_err(|error| Status::internal(format!("the answer {error}")))
        };
        let answer = tokio::select! {
            answer = work => answer,
            closed = cancel => return Err(closed.into()),
        };
        // What went wrong while reading explains a snapshot that was refused as incomplete.
        if let Ok(Err(error)) = outgoing.read.await {
            let error = openraft::AnyError::new(&error);
            return Err(
                StorageError::read_snapshot(None, openraft::errors::ErrorSource::from_error(&error)).into()
            );
        }
        match answer {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            Err(error) => {
                tracing::warn!(node = %self.node, error = error.message(), "a snapshot was not taken");
                Err(self.unreachable(&error).into())
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let message = v1::RaftTransferRequest {
            call: Some(self.call()),
            from: Some(codec::vote_to(request.from_leader())),
            to_raft_id: *request.to_node_id(),
            last: request.last_log_id().map(codec::log_id_to),
        };
        let work = async {
            let mut client = self.client()?;
            self.ask(option.soft_ttl(), client.transfer_leader(message)).await
        };
        match work.await {
            Ok(answer) if answer.refused.is_empty() => Ok(Ok(())),
            Ok(answer) => Err(Unreachable::from_string(format!("{}: {}", self.node, answer.refused)).into()),
            Err(error) => Err(self.unreachable(&error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::plaintext_connector;
    use super::*;

    #[tokio::test]
    async fn fo_913_a_node_that_is_down_is_not_dialled_in_a_loop() {
        // A port where nobody listens.
        let address = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().to_string();
        let shared = Shared {
            cluster: "test".to_owned(),
            name: "store-1".to_owned(),
            raft_id: 1,
            listed: Vec::new(),
            connector: plaintext_connector(),
            channels: Mutex::default(),
        };
        let network = Network { inner: Arc::new(shared) };
        let mut peer = network.peer(2, &MemberNode { name: "store-2".to_owned(), address }, Purpose::Log);
        let mut refused = 0;
        let dialling = async {
            loop {
                let nothing: BoxStream<'static, AppendEntriesRequest<Types>> = Box::pin(stream::pending());
                let opened = peer.stream_append(nothing, RPCOption::new(OPEN_TIMEOUT)).await;
                assert!(opened.is_err());
                refused += 1;
            }
        };
        // A slow machine dials less often, never more.
        let span = OPEN_AGAIN_AFTER * 5;
        assert!(tokio::time::timeout(span, dialling).await.is_err());
        assert!(refused <= 5, "{refused} times in {span:?}");
    }
}
