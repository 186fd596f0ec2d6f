//! A whole store node in one process.
//!
//! Owns: starting everything in order (certificates, listener, disk and Raft, the leader's task, the services), and
//! stopping it. Refuses to know: configuration files, signals, how a process exits.
//! Inputs: a [`StoreConfig`]. Outputs: a running node, or why there is none; at last the reason why it stopped.
//! Invariants: it listens before it opens its disk, so that a second process of the same node fails early and says so;
//! a node that cannot go on says why and serves nobody. Its futures are boxed, since whoever awaits another crate's async
//! fn compiles it: all of openraft and tonic below it, for the program and again for each test.

use super::admin::AdminService;
use super::config::{StartError, StoreConfig};
use super::leader::Leader;
use super::replica::{Replica, SharedReplica, lock};
use super::session::{MESSAGE_BYTES_MAX, SessionService};
use crate::hub::HubSettings;
use crate::machine::Counters;
use crate::raft::{ConnectError, Connector, MAX_MESSAGE_BYTES, NodeAddress, NodeMetrics, StoreNode};
use futures::FutureExt;
use futures::future::BoxFuture;
use leasehold_proto::tls::{self, ExpectedServer, Incoming, IncomingStats, Limits, Security};
use leasehold_proto::v1::admin_server::AdminServer;
use leasehold_proto::v1::frontend_session_server::FrontendSessionServer;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;

/// Commands of administrators that wait.
const ADMIN_QUEUE: usize = 16;
/// For connections to end by themselves when the node stops.
const GOODBYE: Duration = Duration::from_secs(2);
/// For a connection to another store node to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts store nodes.
#[derive(Debug)]
pub struct StoreProcess;

/// Why a node stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to.
    Asked,
    /// It cannot go on: print this and exit with a failure.
    Failed(String),
}

/// Counts since the process started, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Frontends connected to this node.
    pub connections: usize,
    /// Frontends disconnected because they read too slowly.
    pub slow_readers: u64,
    /// Connections of any kind refused: certificates, limits.
    pub refused_connections: u64,
    /// What the machine did.
    pub machine: Counters,
}

/// A running store node. Dropping it leaves it running until its runtime ends; [`Self::shutdown`] ends it well.
pub struct Running {
    node: StoreNode<Replica>,
    replica: SharedReplica,
    address: SocketAddr,
    incoming: Arc<IncomingStats>,
    leading: watch::Receiver<bool>,
    stop: CancellationToken,
    stopped: watch::Receiver<Option<StopReason>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl StoreProcess {
    /// Starts a node. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: names, certificates, the address, the disk, a damaged log. Refusals by the other nodes (a wrong
    /// cluster, a name in use) come later, by [`Running::wait`].
    pub fn start(config: StoreConfig) -> BoxFuture<'static, Result<Running, StartError>> {
        Self::started(config).boxed()
    }

    async fn started(config: StoreConfig) -> Result<Running, StartError> {
        let security = config.open_security()?;
        let failed = |detail: String| StartError::Listen { address: config.listen, detail };
        let listener = TcpListener::bind(config.listen).await.map_err(|error| failed(error.to_string()))?;
        let incoming = tls::listen(listener, &security, Limits::default())?;
        let (address, stats) = (incoming.local_address(), incoming.stats());

        let wake = Arc::new(Notify::new());
        let replica = Arc::new(Mutex::new(Replica::new(HubSettings::default(), Arc::clone(&wake))));
        let broken = lock(&replica).broken();
        let connector = connector(config.cluster.clone(), security);
        let node = StoreNode::start(config.raft(), connector, Arc::clone(&replica)).await?;

        let (commands, waiting) = mpsc::channel(ADMIN_QUEUE);
        let (sender, leading) = watch::channel(false);
        let leader =
            Leader::new(node.clone(), config.cluster.clone(), config.restore.clone(), wake, waiting, sender);
        let admin = AdminService {
            node: node.clone(),
            replica: Arc::clone(&replica),
            commands,
            name: config.name.clone(),
            cluster: config.cluster.clone(),
        };
        let stop = CancellationToken::new();
        let (ended, stopped) = watch::channel(None);
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(leasehold_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| StartError::Descriptors(error.to_string()))?;
        let session = FrontendSessionServer::new(SessionService::new(Arc::clone(&replica)))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let router = tls::server()
            .add_service(session)
            .add_service(AdminServer::new(admin).max_encoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(node.service())
            .add_service(health_service)
            .add_service(reflection);
        let server = tokio::spawn(serve(router, incoming, stop.clone(), ended.clone()));
        let tasks = vec![
            tokio::spawn(leader.run()),
            tokio::spawn(report_health(health, leading.clone())),
            tokio::spawn(watch_failures(node.stopped(), broken, ended)),
        ];
        tracing::info!(name = %config.name, cluster = %config.cluster, %address, "the store node is up");
        Ok(Running {
            node,
            replica,
            address,
            incoming: stats,
            leading,
            stop,
            stopped,
            tasks: Mutex::new(tasks),
            server: Mutex::new(Some(server)),
        })
    }
}

/// Channels to the other store nodes, each known by its name.
fn connector(cluster: String, security: Security) -> Connector {
    Arc::new(move |node: &NodeAddress| {
        let endpoint = tls::endpoint(&node.address)
            .map_err(|error| ConnectError { node: node.clone(), detail: error.to_string() })?;
        let expected = ExpectedServer::store(cluster.clone(), node.name.clone());
        let connector = tls::connector(&security, expected).with_timeout(CONNECT_TIMEOUT);
        Ok(endpoint.connect_with_connector_lazy(connector))
    })
}

async fn serve(
    router: tonic::transport::server::Router,
    incoming: Incoming,
    stop: CancellationToken,
    ended: watch::Sender<Option<StopReason>>,
) {
    let served = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()).await;
    if !stop.is_cancelled() {
        let detail = served.err().map_or_else(|| "the listener ended".to_owned(), |error| error.to_string());
        end(&ended, StopReason::Failed(format!("the gRPC server ended: {detail}")));
    }
}

fn end(ended: &watch::Sender<Option<StopReason>>, reason: StopReason) {
    ended.send_if_modified(|current| {
        let first = current.is_none();
        if first {
            *current = Some(reason);
        }
        first
    });
}

/// For load balancers and scripts: frontends are served by the leader only.
async fn report_health(health: tonic_health::server::HealthReporter, mut leading: watch::Receiver<bool>) {
    loop {
        let leads = *leading.borrow_and_update();
        let status = if leads { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("leasehold.v1.FrontendSession", status).await;
        if leading.changed().await.is_err() {
            return;
        }
    }
}

/// Waits until Raft, the disk or the machine cannot go on.
async fn watch_failures(
    mut raft: watch::Receiver<Option<String>>,
    mut machine: watch::Receiver<Option<String>>,
    ended: watch::Sender<Option<StopReason>>,
) {
    tokio::select! {
        // The machine's own reason first: Raft sees only that it has failed.
        biased;
        Ok(reason) = machine.wait_for(Option::is_some) => failed(&reason, &ended),
        Ok(reason) = raft.wait_for(Option::is_some) => failed(&reason, &ended),
        else => {}
    }
}

fn failed(reason: &Option<String>, ended: &watch::Sender<Option<StopReason>>) {
    if let Some(reason) = reason {
        end(ended, StopReason::Failed(reason.clone()));
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    /// The address listened on, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether this node leads and serves frontends; watch it for changes.
    #[must_use]
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Raft's metrics, kept current.
    #[must_use]
    pub fn metrics(&self) -> watch::Receiver<NodeMetrics> {
        self.node.metrics()
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let replica = lock(&self.replica);
        let (connections, slow_readers) = replica.connection_counts();
        let machine = replica.machine.counters().clone();
        StoreStats { connections, slow_readers, refused_connections: self.incoming.refused(), machine }
    }

    /// Waits until the node has stopped, and says why.
    pub async fn wait(&self) -> StopReason {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            reason = stopped.wait_for(Option::is_some) => match reason {
                Ok(reason) => reason.clone().unwrap_or(StopReason::Asked),
                Err(_) => StopReason::Asked,
            },
            () = self.stop.cancelled() => StopReason::Asked,
        }
    }

    /// Stops: frontends are told to go elsewhere, what is pending is written, databases are closed. Idempotent.
    pub fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.shut_down().boxed()
    }

    async fn shut_down(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks {
            task.abort();
        }
        lock(&self.replica).follow(None);
        self.node.shutdown().await;
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = server
            && tokio::time::timeout(GOODBYE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}
