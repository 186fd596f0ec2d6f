//! What a store node is told when it starts.
//!
//! Owns: names, addresses, timings, limits, and how channels to other nodes are made. Refuses to know: files and
//! TLS (the caller injects a [`Connector`]).
//! Invariant: [`NodeConfig::check`] passes before anything is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::error::StartError;
use crate::rocks::DiskLimits;

/// A store node's name and where its gRPC server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeAddress {
    /// The name, as in its certificate.
    pub name: String,
    /// `host:port`.
    pub address: String,
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

/// Why no channel to a node can be made (not: why it does not answer).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to {node}: {detail}")]
pub struct ConnectError {
    /// The node.
    pub node: NodeAddress,
    /// What is wrong.
    pub detail: String,
}

/// Makes a channel to a node. The channel must be lazy (`Endpoint::connect_lazy` or
/// `connect_with_connector_lazy`): it connects when it is used and again when the connection broke. It should set
/// nodelay, a connect timeout of about a second, and HTTP/2 keep-alive.
pub type Connector = Arc<dyn Fn(&NodeAddress) -> Result<Channel, ConnectError> + Send + Sync>;

/// A connector without TLS, for loopback.
#[must_use]
pub fn plaintext_connector() -> Connector {
    Arc::new(|node| {
        let endpoint = Endpoint::from_shared(format!("http://{}", node.address))
            .map_err(|error| ConnectError { node: node.clone(), detail: error.to_string() })?;
        Ok(endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(1))
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .connect_lazy())
    })
}

/// What to do when the log is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Do not start; say what is wrong.
    #[default]
    Refuse,
    /// Set the data aside in `damaged-N` and start blank: the node rejoins under a new Raft id.
    Rejoin,
}

/// How fast nodes notice each other's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of the leader. Must be less than a quarter of `silence`.
    pub heartbeat: Duration,
    /// A follower that hears nothing of the leader for a random time of three quarters of this to all of it stands
    /// for election; a leader that reaches no quorum for half of it takes no more proposals.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(100), silence: Duration::from_millis(600) }
    }
}

/// All that a store node is told.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The cluster's name; nodes of other clusters are refused.
    pub cluster: String,
    /// This node's name; one of `members`.
    pub name: String,
    /// All store nodes, this one included. The first founds the cluster. Their addresses here go before those in
    /// the membership, so that a node can move.
    pub members: Vec<NodeAddress>,
    /// The data folder, of this node alone.
    pub data_dir: PathBuf,
    /// What to do when the log is damaged.
    pub on_damage: OnDamage,
    /// Timings.
    pub timing: Timing,
    /// A snapshot is made each so many entries.
    pub snapshot_every_entries: u64,
    /// So many entries before the last snapshot are kept, for followers that lag a little.
    pub keep_entries: u64,
    /// Memory.
    pub limits: DiskLimits,
}

impl NodeConfig {
    /// A configuration with the defaults for all the rest.
    #[must_use]
    pub fn new(cluster: &str, name: &str, members: Vec<NodeAddress>, data_dir: PathBuf) -> Self {
        Self {
            cluster: cluster.to_owned(),
            name: name.to_owned(),
            members,
            data_dir,
            on_damage: OnDamage::default(),
            timing: Timing::default(),
            snapshot_every_entries: 10_000,
            keep_entries: 5_000,
            limits: DiskLimits::default(),
        }
    }

    /// This node's own address.
    #[must_use]
    pub fn own_address(&self) -> Option<&NodeAddress> {
        self.members.iter().find(|member| member.name == self.name)
    }

    /// The other members.
    pub(crate) fn others(&self) -> impl Iterator<Item = &NodeAddress> {
        self.members.iter().filter(|member| member.name != self.name)
    }

    /// Checks what can be checked without opening anything.
    ///
    /// # Errors
    /// [`StartError::Config`].
    pub fn check(&self) -> Result<(), StartError> {
        let fail = |text: String| Err(StartError::Config(text));
        if self.cluster.is_empty() {
            return fail("the cluster has no name".into());
        }
        if self.own_address().is_none() {
            return fail(format!(
                "`{}` is not among the listed store nodes: add it or correct the name",
                self.name
            ));
        }
        for (at, member) in self.members.iter().enumerate() {
            if self.members[..at].iter().any(|other| other.name == member.name) {
                return fail(format!("the store node `{}` is listed twice", member.name));
            }
            if self.members[..at].iter().any(|other| other.address == member.address) {
                return fail(format!("the address {} is listed twice", member.address));
            }
        }
        if self.snapshot_every_entries == 0 {
            return fail("a snapshot each 0 entries is not possible: use 1 or more".into());
        }
        Ok(())
    }

    /// The same for openraft.
    pub(crate) fn raft(&self) -> Result<openraft::Config, StartError> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        openraft::Config {
            cluster_name: self.cluster.clone(),
            heartbeat_interval: millis(self.timing.heartbeat),
            // A follower stands after its lease (the maximum) *and* a random time from minimum to maximum.
            election_timeout_min: millis(self.timing.silence / 4),
            election_timeout_max: millis(self.timing.silence / 2),
            enable_pre_vote: Some(true),
            // The state copy is written behind, so a restarted leader must be elected anew.
            enable_leader_restore: Some(false),
            // Only an upper bound: requests are cut by bytes (`log`).
            max_payload_entries: 4_096,
            max_append_entries: Some(4_096),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_every_entries),
            max_in_snapshot_log_to_keep: self.keep_entries,
            replication_lag_threshold: self
                .snapshot_every_entries
                .saturating_mul(2)
                .saturating_add(self.keep_entries),
            purge_batch_size: 64,
            install_snapshot_timeout: 60_000,
            backoff: "50ms 100ms 200ms ...500ms".into(),
            ..openraft::Config::default()
        }
        .validate()
        .map_err(|error| StartError::Config(error.to_string()))
    }
}
