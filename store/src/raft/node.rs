//! A store node's consensus: what the rest of the crate holds.
//!
//! Owns: starting and stopping all the parts in the right order, and the calls of [`StoreNode`]. Refuses to know: what
//! is proposed, who serves the gRPC service.
//! Inputs: a configuration, a connector, the holder of the state machine. Outputs: outcomes of proposals, permission
//! to read, metrics, the reason to stop.
//! Invariant: the disk is checked before openraft sees it; a node that cannot trust its log never starts voting.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use leasehold_proto::v1::raft_server::RaftServer;
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::{Raft, ReadPolicy};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::apply::Machine;
use super::codec::StateMark;
use super::config::{Connector, NodeAddress, NodeConfig, OnDamage};
use super::copier::{self, Copier};
use super::error::{ProposeError, ReadError, StartError, TransferError};
use super::formation;
use super::log::{Flushed, LogStore, OpenLogError};
use super::log_check::{self, LogDamage};
use super::metrics::{self, NodeMetrics};
use super::network::Network;
use super::replicated::Replicated;
use super::service::{MAX_MESSAGE_BYTES, RaftService};
use super::snapshot::{self, LoadError};
use super::stop::Stop;
use super::types::{Payload, Types};
use crate::rocks::{self, DataFolder, DiskError, DiskIdentity, LogDb, StateDb};

/// An entry's payload is no larger, in bytes.
const MAX_PAYLOAD_BYTES: usize = MAX_MESSAGE_BYTES / 2;

pub(crate) struct Inner<R: Replicated> {
    pub(crate) config: NodeConfig,
    pub(crate) raft_id: u64,
    pub(crate) raft: Raft<Types, Machine<R>>,
    pub(crate) network: Network,
    pub(crate) folder: Arc<DataFolder>,
    pub(crate) stop: Stop,
    /// Held while a node joins.
    pub(crate) joining: tokio::sync::Mutex<()>,
    holder: Arc<Mutex<R>>,
    log: LogStore,
    copier: Copier,
    metrics: watch::Receiver<NodeMetrics>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// A running store node. Clones are the same node.
pub struct StoreNode<R: Replicated> {
    inner: Arc<Inner<R>>,
}

impl<R: Replicated> Clone for StoreNode<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// What is open of a data folder.
struct Disk {
    folder: Arc<DataFolder>,
    raft_id: u64,
    log: LogStore,
    copier: Copier,
    mark: StateMark,
}

impl<R: Replicated> StoreNode<R> {
    /// Opens the data folder, loads `holder` from it, and starts. Must be called within a tokio runtime. The caller
    /// then serves [`Self::service`] at this node's address, through a listener that attaches who is calling
    /// (`leasehold_proto::identity`), and watches [`Self::stopped`].
    ///
    /// # Errors
    /// [`StartError`]: the configuration, the disk, or a damaged log.
    pub async fn start(
        config: NodeConfig,
        connector: Connector,
        holder: Arc<Mutex<R>>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let raft_config = Arc::new(config.raft()?);
        let stop = Stop::new();
        let (opened, loaded, stopping) = (config.clone(), Arc::clone(&holder), stop.clone());
        let disk = tokio::task::spawn_blocking(move || open(&opened, &loaded, &stopping))
            .await
            .map_err(|error| StartError::Raft(error.to_string()))??;
        let network = Network::new(&config, disk.raft_id, connector);
        let machine = Machine::new(
            Arc::clone(&holder),
            disk.mark,
            disk.copier.clone(),
            Arc::clone(&disk.folder),
            config.limits,
            disk.log.synced(),
        );
        let raft = Raft::new(disk.raft_id, raft_config, network.clone(), disk.log.clone(), machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let (sender, metrics) = watch::channel(metrics::now(&raft));
        let following = tokio::spawn(metrics::follow(raft.clone(), sender, stop.clone()));
        let inner = Arc::new(Inner {
            config,
            raft_id: disk.raft_id,
            raft,
            network,
            folder: disk.folder,
            stop,
            joining: tokio::sync::Mutex::new(()),
            holder,
            log: disk.log,
            copier: disk.copier,
            metrics,
            tasks: Mutex::new(vec![following]),
        });
        let forming = tokio::spawn(formation::run(Arc::clone(&inner)));
        inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(forming);
        Ok(Self { inner })
    }

    /// The gRPC service for the other store nodes, with its limits on message sizes.
    #[must_use]
    pub fn service(&self) -> RaftServer<RaftService<R>> {
        RaftServer::new(RaftService::new(Arc::clone(&self.inner)))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The Raft id of this incarnation.
    #[must_use]
    pub fn raft_id(&self) -> u64 {
        self.inner.raft_id
    }

    /// The state machine's holder, for reading. Read after [`Self::linearizable`] unless stale data will do.
    #[must_use]
    pub fn holder(&self) -> &Arc<Mutex<R>> {
        &self.inner.holder
    }

    /// Has a payload agreed on and applied; returns its outcome. Many callers at once are one synced write.
    ///
    /// # Errors
    /// [`ProposeError`], which tells whether it may have been committed all the same.
    pub async fn propose(&self, payload: Bytes) -> Result<R::Outcome, ProposeError> {
        check_size(&payload)?;
        match self.inner.raft.client_write(Payload(payload)).await {
            Ok(written) => written.data.take().ok_or(ProposeError::Unknown),
            Err(RaftError::APIError(error)) => Err(propose_error(error)),
            Err(RaftError::Fatal(error)) => Err(ProposeError::Stopped(self.reason(&error))),
        }
    }

    /// The same for several, in this order, as entries next to each other unless leadership is lost in between.
    /// Returns one result for each.
    pub async fn propose_many(&self, payloads: Vec<Bytes>) -> Vec<Result<R::Outcome, ProposeError>> {
        let count = payloads.len();
        if let Some(error) = payloads.iter().find_map(|payload| check_size(payload).err()) {
            return payloads.iter().map(|_| Err(error.clone())).collect();
        }
        let mut results = Vec::with_capacity(count);
        match self.inner.raft.client_write_many(payloads.into_iter().map(Payload)).await {
            Ok(mut stream) => {
                while let Some(result) = stream.next().await {
                    results.push(match result {
                        Ok(Ok(written)) => written.response.take().ok_or(ProposeError::Unknown),
                        Ok(Err(error)) => Err(propose_error(error)),
                        Err(error) => Err(ProposeError::Stopped(self.reason(&error))),
                    });
                }
            }
            Err(error) => results.push(Err(ProposeError::Stopped(self.reason(&error)))),
        }
        let last = results.last().and_then(|result| result.as_ref().err()).cloned();
        results.resize_with(count, || Err(last.clone().unwrap_or(ProposeError::Unknown)));
        results
    }

    /// Waits until this node, the leader, has applied everything committed before the call (ReadIndex: the leader
    /// asks a quorum; no clock is trusted). What is read from [`Self::holder`] afterwards is current as of the call.
    /// Returns the log index that the state covers at least.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn linearizable(&self) -> Result<u64, ReadError> {
        match self.inner.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(read) => Ok(read.index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(ReadError::NotLeader { leader: leader_of(forward) })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(error))) => {
                Err(ReadError::NoQuorum(error.to_string()))
            }
            Err(RaftError::Fatal(error)) => Err(ReadError::Stopped(self.reason(&error))),
        }
    }

    /// The node's metrics, kept current.
    #[must_use]
    pub fn metrics(&self) -> watch::Receiver<NodeMetrics> {
        self.inner.metrics.clone()
    }

    /// Holds the reason once the node has to stop: print it and exit with a failure.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.inner.stop.subscribe()
    }

    /// Asks to hand the leadership over to the voter of that name. Watch the metrics for the result.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn transfer_leader(&self, name: &str) -> Result<(), TransferError> {
        let now = metrics::now(&self.inner.raft);
        if now.role != metrics::NodeRole::Leader {
            return Err(TransferError::NotLeader);
        }
        let target = now
            .members
            .iter()
            .find(|member| member.voter && member.node.name == name)
            .ok_or_else(|| TransferError::UnknownName(name.to_owned()))?;
        let transferred = self.inner.raft.trigger().transfer_leader(target.raft_id).await;
        transferred.map_err(|error| TransferError::Stopped(self.reason(&error)))
    }

    /// Makes a snapshot now and lets the log be purged, as happens by itself each so many entries.
    ///
    /// # Errors
    /// The reason why the node has stopped.
    pub async fn snapshot(&self) -> Result<(), String> {
        self.inner.raft.trigger().snapshot().await.map_err(|error| self.reason(&error))
    }

    /// Stops taking part, writes what is pending and closes the databases. Idempotent.
    pub async fn shutdown(&self) {
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks {
            task.abort();
        }
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not end well");
        }
        let (log, copier) = (self.inner.log.clone(), self.inner.copier.clone());
        let closing = tokio::task::spawn_blocking(move || {
            copier.close();
            log.close();
        });
        if let Err(error) = closing.await {
            tracing::warn!(%error, "the databases did not close well");
        }
    }

    /// Why the node has stopped: the first cause if there is one, rather than what openraft saw of it.
    fn reason(&self, error: &dyn std::fmt::Display) -> String {
        self.inner.stop.reason().unwrap_or_else(|| error.to_string())
    }
}

fn check_size(payload: &Bytes) -> Result<(), ProposeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(ProposeError::TooLarge { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
    }
    Ok(())
}

fn leader_of(forward: ForwardToLeader<Types>) -> Option<NodeAddress> {
    // A leader that lost its quorum forwards to itself: nobody is known to lead.
    if forward.reason == ForwardReason::LeaseExpired {
        return None;
    }
    forward.leader_node.map(|node| NodeAddress { name: node.name, address: node.address })
}

fn propose_error(error: ClientWriteError<Types>) -> ProposeError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => ProposeError::NotLeader { leader: leader_of(forward) },
        // The others are about changes of the membership; for a proposal nothing is certain then.
        _ => ProposeError::Unknown,
    }
}

/// Opens the data folder; a damaged one is set aside first if the configuration says so. Blocks.
fn open<R: Replicated>(config: &NodeConfig, holder: &Mutex<R>, stop: &Stop) -> Result<Disk, StartError> {
    match open_once(config, holder, stop) {
        Err(StartError::Damaged(damage)) if config.on_damage == OnDamage::Rejoin => {
            let aside = rocks::set_aside(&config.data_dir)?;
            tracing::error!(%damage, aside = %aside.display(), "damaged data is set aside; the node rejoins blank");
            open_once(config, holder, stop)
        }
        result => result,
    }
}

fn open_once<R: Replicated>(config: &NodeConfig, holder: &Mutex<R>, stop: &Stop) -> Result<Disk, StartError> {
    let folder = Arc::new(DataFolder::open(&config.data_dir).map_err(damage)?);
    let db = Arc::new(LogDb::open(&folder.log(), &config.limits).map_err(damage)?);
    folder.clean().map_err(damage)?;
    let raft_id = identify(&db, config)?;
    let state = match folder.current_state()? {
        Some(path) => StateDb::open(&path, &config.limits).map_err(damage)?,
        None => {
            let path = folder.new_state();
            let state = StateDb::open(&path, &config.limits)?;
            folder.switch_to(&path)?;
            state
        }
    };
    let mark = copier::mark_of(&state).map_err(damage)?;
    let flushed = Flushed::default();
    let opened =
        LogStore::open(Arc::clone(&db), &folder, flushed.clone(), stop).map_err(|error| match error {
            OpenLogError::Disk(error) => damage(error),
            OpenLogError::Damage(damage) => damage.into(),
        })?;
    log_check::check_against_state(&db, opened.last, &mark)?;
    snapshot::load(&state, holder).map_err(|error| match error {
        LoadError::Disk(error) => damage(error),
        LoadError::Restore(error) => error.into(),
    })?;
    state.flush()?;
    flushed.raise(mark.applied.as_ref());
    let copier = Copier::start(state, flushed, stop.clone())
        .map_err(|error| DiskError::system("starting the copier's thread", folder.root(), &error))?;
    tracing::info!(raft_id, applied = ?mark.applied.map(|id| id.index), "the data folder is open");
    Ok(Disk { folder, raft_id, log: opened.store, copier, mark })
}

/// The Raft id on disk, or a new one on a blank disk.
fn identify(db: &LogDb, config: &NodeConfig) -> Result<u64, StartError> {
    if let Some(found) = db.identity().map_err(damage)? {
        if found.cluster != config.cluster || found.name != config.name {
            return Err(StartError::Disk(DiskError::Foreign {
                path: config.data_dir.clone(),
                found: format!("node `{}` of cluster `{}`", found.name, found.cluster),
                wanted: format!("node `{}` of cluster `{}`", config.name, config.cluster),
            }));
        }
        return Ok(found.raft_id);
    }
    let random = getrandom::u64().map_err(|error| StartError::Random(error.to_string()))?;
    // Zero is no Raft id.
    let raft_id = random.max(1);
    db.claim(&DiskIdentity { cluster: config.cluster.clone(), name: config.name.clone(), raft_id })?;
    Ok(raft_id)
}

/// Damage of a database found while opening is damage of the node.
fn damage(error: DiskError) -> StartError {
    match error {
        DiskError::Damaged { path, key, detail } => {
            LogDamage { path, what: format!("{key}: {detail}") }.into()
        }
        error => error.into(),
    }
}
