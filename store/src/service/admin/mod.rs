//! The gRPC service for administrators.
//!
//! Owns: who may (Admin all, Viewer reads), linearizable reads, and the way of each call. Refuses to know: how things
//! look to people. Inputs: requests, never trusted. Outputs: views of the machine, the hub and Raft (`view`), lists in
//! bounded pieces (`leases`).
//! Invariants: a read that is not asked to be stale sees all that was committed before it, or fails and names the
//! leader; the lock is held for one piece at a time.

mod acts;
mod leases;
mod pools;
mod reconfigure;
mod registrations;
mod trace;
mod view;

use super::leader::AdminCommand;
use super::replica::{Replica, SharedReplica, lock};
use crate::machine::{Command, NetworkRefusal, Outcome};
use crate::raft::{NodeAddress, ProposeError, ReadError, StoreNode};
use futures::Stream;
use leasehold_proto::convert;
use leasehold_proto::identity::{Caller, Role, require_role};
use leasehold_proto::network::auto::keep_shards;
use leasehold_proto::network::fill_defaults;
use leasehold_proto::v1;
use leasehold_proto::v1::admin_server::Admin;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status};

/// The metadata key in which a node that cannot answer names the leader's address.
pub const LEADER_METADATA: &str = "leasehold-leader";

/// For a quorum to confirm a read or to take a change.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The service.
pub(super) struct AdminService {
    pub(super) node: StoreNode<Replica>,
    pub(super) replica: SharedReplica,
    pub(super) commands: mpsc::Sender<AdminCommand>,
    /// This node's name.
    pub(super) name: String,
    /// The cluster's name.
    pub(super) cluster: String,
}

fn may_read<T>(request: &Request<T>) -> Result<(), Status> {
    require_role(request, &[Role::Admin, Role::Viewer]).map(drop)
}

/// Who did it, for the journal.
fn operator(caller: &Caller) -> String {
    match caller.identity() {
        Some(identity) => format!("by {}", identity.name()),
        None => "by somebody on the store's own host".to_owned(),
    }
}

fn not_leader(leader: Option<&NodeAddress>) -> Status {
    let Some(leader) = leader else {
        return Status::unavailable("no store node leads at the moment: try again");
    };
    let mut status = Status::failed_precondition(format!("not the leader; that is {leader}"));
    if let Ok(address) = AsciiMetadataValue::try_from(leader.address.as_str()) {
        status.metadata_mut().insert(LEADER_METADATA, address);
    }
    status
}

fn late() -> Status {
    Status::unavailable(format!("too few store nodes answered within {} s", ANSWER_TIMEOUT.as_secs()))
}

/// From this length on no further line is added to a refusal. Why 3000: an octet may take three in a header, and clients
/// take 16 KiB of headers.
const REFUSAL_LEN: usize = 3000;
/// Characters of one line.
const REFUSAL_LINE_LEN: usize = 400;

/// What is wrong, a line each; as much of it as fits into the headers in which a status travels.
fn refusal(errors: impl IntoIterator<Item = String>) -> Status {
    let mut text = "the configuration is not consistent:".to_owned();
    let mut errors = errors.into_iter();
    while text.len() < REFUSAL_LEN
        && let Some(error) = errors.next()
    {
        text.push('\n');
        text.extend(error.chars().take(REFUSAL_LINE_LEN));
    }
    let more = errors.count();
    if more > 0 {
        text += &format!("\nand {more} more");
    }
    Status::invalid_argument(text)
}

impl AdminService {
    async fn read(&self, stale: bool) -> Result<(), Status> {
        if stale {
            return Ok(());
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, self.node.linearizable()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ReadError::NotLeader { leader })) => Err(not_leader(leader.as_ref())),
            Ok(Err(error @ (ReadError::NoQuorum(_) | ReadError::Stopped(_)))) => {
                Err(Status::unavailable(error.to_string()))
            }
            Err(_) => Err(late()),
        }
    }

    async fn propose(&self, command: Command) -> Result<Outcome, Status> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.commands.send(AdminCommand { command, reply }).await;
        sent.map_err(|_| Status::unavailable("the node stops"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, outcome).await {
            Ok(Ok(Ok(outcome))) => Ok(outcome),
            Ok(Ok(Err(ProposeError::NotLeader { leader }))) => Err(not_leader(leader.as_ref())),
            Ok(Ok(Err(error @ ProposeError::TooLarge { .. }))) => {
                Err(Status::invalid_argument(error.to_string()))
            }
            Ok(Ok(Err(error @ (ProposeError::Unknown | ProposeError::Stopped(_))))) => {
                Err(Status::unavailable(error.to_string()))
            }
            Ok(Err(_)) => Err(Status::unavailable("the node stops")),
            Err(_) => Err(Status::unavailable(format!(
                "not committed within {} s; it may be yet: look before asking again",
                ANSWER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Fills defaults in, so that the log says everything, and checks a configuration as the machine would.
    fn check(&self, request: &v1::ApplyNetworkRequest) -> Result<(u64, v1::Network), Status> {
        let replica = lock(&self.replica);
        let machine = &replica.machine;
        let current = machine.network().map_or(0, |n| n.version);
        if request.expected_version != 0 && request.expected_version != current {
            let refusal = NetworkRefusal::Version { expected: request.expected_version, current };
            return Err(Status::aborted(refusal.to_string()));
        }
        let mut network = request.network.clone().unwrap_or_default();
        keep_shards(&mut network, machine.written_network().as_ref());
        fill_defaults(&mut network);
        machine.check_network(&network).map_err(|refused| match refused {
            NetworkRefusal::Invalid(lines) => refusal(lines),
            version @ NetworkRefusal::Version { .. } => Status::aborted(version.to_string()),
        })?;
        Ok((current + 1, network))
    }
}

type Traced = Pin<Box<dyn Stream<Item = Result<v1::TraceAnswer, Status>> + Send>>;
type Leases = Pin<Box<dyn Stream<Item = Result<v1::LeaseInfo, Status>> + Send>>;

#[tonic::async_trait]
impl Admin for AdminService {
    type ListLeasesStream = Leases;
    type TraceStream = Traced;

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        let leases = leases::count(&self.replica).await;
        let metrics = self.node.metrics().borrow().clone();
        let mut replica = lock(&self.replica);
        replica.look_at_states();
        let (cluster, incarnation) = replica.machine.cluster().unwrap_or((&self.cluster, 0));
        Ok(Response::new(v1::StatusAnswer {
            cluster: cluster.to_owned(),
            node: self.name.clone(),
            leader: metrics.leader.map(|l| l.name).unwrap_or_default(),
            term: metrics.term,
            applied_index: replica.machine.applied().0,
            cluster_time_ms: replica.time().as_millis(),
            network_version: replica.machine.network().map_or(0, |n| n.version),
            leases,
            relationships: view::relationships(&replica),
            incarnation: u32::from(incarnation),
            grants_held_until_ms: replica.machine.grants_held_until().as_millis(),
        }))
    }

    async fn list_leases(&self, request: Request<v1::ListLeasesRequest>) -> Result<Response<Leases>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        let filter = leases::Filter::of(request.get_ref(), &lock(&self.replica).machine)?;
        let pieces = leases::stream(Arc::clone(&self.replica), filter);
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn find_lease(
        &self,
        request: Request<v1::FindLeaseRequest>,
    ) -> Result<Response<v1::LeaseInfo>, Status> {
        may_read(&request)?;
        let address = convert::address(&request.get_ref().address, "address")
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.read(request.get_ref().stale).await?;
        let replica = lock(&self.replica);
        match replica.machine.lease_covering(address) {
            Some(lease) => Ok(Response::new(view::lease(&replica, lease))),
            None => {
                let address = std::net::Ipv6Addr::from_bits(address);
                Err(Status::not_found(format!("there is no record of {address}: it was never leased")))
            }
        }
    }

    async fn list_frontends(
        &self,
        request: Request<v1::ListFrontendsRequest>,
    ) -> Result<Response<v1::ListFrontendsAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        let frontends = view::frontends(&lock(&self.replica));
        Ok(Response::new(v1::ListFrontendsAnswer { frontends }))
    }

    async fn list_ranges(
        &self,
        request: Request<v1::ListRangesRequest>,
    ) -> Result<Response<v1::ListRangesAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        let wanted = request.get_ref().pool.as_str();
        let (found, listed) = {
            let replica = lock(&self.replica);
            (
                wanted.is_empty() || view::has_pool(&replica, wanted),
                replica.machine.ranges().collect::<Vec<_>>(),
            )
        };
        if !found {
            return Err(Status::not_found(format!("there is no pool `{wanted}`")));
        }
        let mut ranges = Vec::new();
        for range in listed {
            // One range at a time: counting its leases takes as long as it has leases.
            ranges.extend(view::range(&lock(&self.replica), &range, wanted));
            tokio::task::yield_now().await;
        }
        Ok(Response::new(v1::ListRangesAnswer { ranges }))
    }

    async fn list_store_nodes(
        &self,
        request: Request<v1::ListStoreNodesRequest>,
    ) -> Result<Response<v1::ListStoreNodesAnswer>, Status> {
        may_read(&request)?;
        let metrics = self.node.metrics().borrow().clone();
        // Only the leader knows how far each node is; with no leader, any node's view is better than none.
        if let Some(leader) = metrics.leader.as_ref().filter(|_| metrics.leader_id != Some(metrics.raft_id)) {
            return Err(not_leader(Some(leader)));
        }
        Ok(Response::new(v1::ListStoreNodesAnswer { nodes: view::store_nodes(&metrics) }))
    }

    async fn show_network(
        &self,
        request: Request<v1::ShowNetworkRequest>,
    ) -> Result<Response<v1::Network>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        match lock(&self.replica).machine.written_network() {
            Some(network) => Ok(Response::new(network)),
            None => Err(Status::not_found("no network configuration was applied yet")),
        }
    }

    async fn apply_network(
        &self,
        request: Request<v1::ApplyNetworkRequest>,
    ) -> Result<Response<v1::ApplyNetworkAnswer>, Status> {
        require_role(&request, &[Role::Admin])?;
        let request = request.into_inner();
        if request.network.is_none() {
            return Err(Status::invalid_argument("the request carries no configuration"));
        }
        self.read(false).await?;
        let (version, network) = self.check(&request)?;
        if request.dry_run {
            return Ok(Response::new(v1::ApplyNetworkAnswer { version }));
        }
        self.provide_secret(&network).await?;
        let expected_version = request.expected_version;
        match self.propose(Command::ApplyNetwork { expected_version, network: Box::new(network) }).await? {
            Outcome::NetworkApplied { version } => {
                tracing::info!(version, "a network configuration was applied");
                Ok(Response::new(v1::ApplyNetworkAnswer { version }))
            }
            Outcome::NetworkRefused(NetworkRefusal::Invalid(lines)) => Err(refusal(lines)),
            Outcome::NetworkRefused(version) => Err(Status::aborted(version.to_string())),
            other => Err(Status::internal(format!("the store answered {other:?}"))),
        }
    }

    async fn declare_frontend_down(
        &self,
        request: Request<v1::DeclareFrontendDownRequest>,
    ) -> Result<Response<v1::DeclareFrontendDownAnswer>, Status> {
        let by = operator(&require_role(&request, &[Role::Admin])?);
        Ok(Response::new(self.declare(request.get_ref(), &by).await?))
    }

    async fn drain_frontend(
        &self,
        request: Request<v1::DrainFrontendRequest>,
    ) -> Result<Response<v1::DrainFrontendAnswer>, Status> {
        let by = operator(&require_role(&request, &[Role::Admin])?);
        Ok(Response::new(self.drain(request.get_ref(), &by).await?))
    }

    async fn list_conflicts(
        &self,
        request: Request<v1::ListConflictsRequest>,
    ) -> Result<Response<v1::ListConflictsAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        Ok(Response::new(self.conflicts(request.get_ref().after)))
    }

    async fn list_pools(
        &self,
        request: Request<v1::ListPoolsRequest>,
    ) -> Result<Response<v1::ListPoolsAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        Ok(Response::new(pools::pools(&lock(&self.replica))))
    }

    async fn reconfigure(
        &self,
        request: Request<v1::ReconfigureRequest>,
    ) -> Result<Response<v1::ReconfigureAnswer>, Status> {
        let by = operator(&require_role(&request, &[Role::Admin])?);
        Ok(Response::new(self.order_reconfigure(request.get_ref(), &by).await?))
    }

    async fn trace(&self, request: Request<v1::TraceRequest>) -> Result<Response<Traced>, Status> {
        let by = operator(&require_role(&request, &[Role::Admin, Role::Viewer])?);
        let tracing = self.trace_client(request.get_ref(), &by).await?;
        Ok(Response::new(Box::pin(tracing.into_stream())))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsAnswer>, Status> {
        may_read(&request)?;
        // Only the leader has any.
        self.read(false).await?;
        Ok(Response::new(self.events(request.get_ref().after)))
    }

    async fn list_registrations(
        &self,
        request: Request<v1::ListRegistrationsRequest>,
    ) -> Result<Response<v1::ListRegistrationsAnswer>, Status> {
        may_read(&request)?;
        self.read(request.get_ref().stale).await?;
        let replica = lock(&self.replica);
        let filter = registrations::Filter::of(request.get_ref(), &replica)?;
        Ok(Response::new(registrations::piece(&replica, &filter)))
    }
}
