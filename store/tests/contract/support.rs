//! What the storage contract tests share: a small replicated state machine whose rows prove that they are exactly
//! one prefix of the log, and nodes that talk over loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use leasehold_proto::identity::{Caller, PeerInfo};
use leasehold_store::raft::{
    Applied, NodeAddress, NodeConfig, NodeMetrics, NodeRole, ProposeError, Replicated, RestoreError, Row,
    StartError, StoreNode, plaintext_connector,
};
use tokio::runtime::Runtime;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Nothing in these tests takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const SLOTS: u64 = 50;

/// Counts what it applies. Row `total` holds the count and a chained checksum, row `slot-N` the last count that fell
/// into it: rows of two different prefixes contradict each other.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) total: u64,
    pub(crate) chain: u64,
    slots: BTreeMap<u64, u64>,
    /// The total right after the last restore.
    pub(crate) restored: u64,
    pub(crate) restores: u32,
}

pub(crate) fn chained(chain: u64, payload: &[u8]) -> u64 {
    payload.iter().fold(chain ^ 0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The payload that the tests propose as number `n`, counted from 0.
pub(crate) fn payload(n: u64) -> Bytes {
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.resize(64, 7);
    bytes.into()
}

impl Counter {
    /// Checks that the state is what `total` proposals of [`payload`], in order, make.
    pub(crate) fn check(&self) {
        let chain = (0..self.total).fold(0, |chain, n| chained(chain, &payload(n)));
        assert_eq!(self.chain, chain, "the chain of {} entries", self.total);
        for slot in 0..SLOTS.min(self.total) {
            let last = (0..self.total).rev().find(|n| n % SLOTS == slot);
            assert_eq!(self.slots.get(&slot).copied(), last, "slot {slot} of {}", self.total);
        }
    }
}

impl Replicated for Counter {
    type Outcome = u64;

    fn apply(&mut self, _log_index: u64, _term: u64, payload: &[u8]) -> Applied<u64> {
        let slot = self.total % SLOTS;
        self.slots.insert(slot, self.total);
        let mut rows = vec![Row {
            key: format!("slot-{slot:04}").into_bytes(),
            value: Some(self.total.to_be_bytes().to_vec()),
        }];
        self.chain = chained(self.chain, payload);
        self.total += 1;
        let mut total = self.total.to_be_bytes().to_vec();
        total.extend(self.chain.to_be_bytes());
        rows.push(Row { key: b"total".to_vec(), value: Some(total) });
        Applied { outcome: self.total, rows }
    }

    fn restore(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), RestoreError> {
        let restores = self.restores + 1;
        *self = Self { restores, ..Self::default() };
        let mut last = None;
        for row in rows {
            assert!(last < Some(row.key.clone()), "rows come in key order");
            last = Some(row.key.clone());
            let value = row.value.expect("restored rows have values");
            let number = |at: usize| u64::from_be_bytes(value[at..at + 8].try_into().unwrap());
            if row.key == b"total" {
                (self.total, self.chain) = (number(0), number(8));
            } else {
                let slot = String::from_utf8(row.key[5..].to_vec()).unwrap().parse().unwrap();
                self.slots.insert(slot, number(0));
            }
        }
        self.restored = self.total;
        if std::env::var("LEASEHOLD_CONTRACT_RECOVER").is_err() {
            self.check();
        }
        Ok(())
    }
}

/// A node and its gRPC server.
pub(crate) struct Running {
    pub(crate) node: StoreNode<Counter>,
    pub(crate) holder: Arc<Mutex<Counter>>,
    /// Of its own, so that ending it ends the connections too, as the end of a process does.
    server: Runtime,
}

impl Running {
    pub(crate) fn total(&self) -> u64 {
        self.holder.lock().unwrap().total
    }

    pub(crate) fn now(&self) -> NodeMetrics {
        self.node.metrics().borrow().clone()
    }

    /// Stops serving and stops the node.
    pub(crate) async fn stop(self) {
        self.server.shutdown_background();
        self.node.shutdown().await;
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        until(what, || condition(self)).await;
    }
}

/// Waits for a condition, bounded.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came about: {what}"));
}

/// Starts a node, waiting while an earlier one in this process still has its databases open.
pub(crate) async fn start(config: NodeConfig) -> Result<Running, StartError> {
    let address: SocketAddr = config.own_address().unwrap().address.parse().unwrap();
    let mut tries = 0;
    let (node, holder) = loop {
        let holder = Arc::new(Mutex::new(Counter::default()));
        match StoreNode::start(config.clone(), plaintext_connector(), Arc::clone(&holder)).await {
            Ok(node) => break (node, holder),
            Err(error) if error.to_string().contains("lock") && tries < 500 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error),
        }
    };
    let service = InterceptedService::new(node.service(), move |mut request: tonic::Request<()>| {
        request.extensions_mut().insert(PeerInfo { address, caller: Caller::InsecureLoopback });
        Ok(request)
    });
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    server.spawn(async move {
        let mut tries = 0;
        let incoming = loop {
            match TcpIncoming::bind(address) {
                Ok(incoming) => break incoming.with_nodelay(Some(true)),
                Err(_) if tries < 500 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{address}: {error}"),
            }
        };
        Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    Ok(Running { node, holder, server })
}

/// Addresses on loopback that were free a moment ago.
pub(crate) fn addresses(names: &[&str]) -> Vec<NodeAddress> {
    let listeners: Vec<_> =
        names.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    names
        .iter()
        .zip(&listeners)
        .map(|(name, listener)| NodeAddress {
            name: (*name).to_owned(),
            address: listener.local_addr().unwrap().to_string(),
        })
        .collect()
}

/// A configuration with small limits, so that snapshots and purges happen within a test.
pub(crate) fn config(name: &str, members: &[NodeAddress], data_dir: &Path) -> NodeConfig {
    let mut config = NodeConfig::new("berlin", name, members.to_vec(), data_dir.to_owned());
    config.snapshot_every_entries = 200;
    config.keep_entries = 20;
    config.limits.log_buffer_bytes = 4 << 20;
    config.limits.state_buffer_bytes = 4 << 20;
    config.limits.block_cache_bytes = 4 << 20;
    config
}

/// Several nodes of one cluster in this process.
pub(crate) struct Cluster {
    pub(crate) members: Vec<NodeAddress>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) nodes: BTreeMap<String, Running>,
}

impl Cluster {
    pub(crate) async fn start(names: &[&str]) -> Self {
        let members = addresses(names);
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { members, folder, nodes: BTreeMap::new() };
        for name in names {
            cluster.launch(name).await;
        }
        for running in cluster.nodes.values() {
            running.until("every node votes", |node| node.now().is_voter()).await;
        }
        cluster
    }

    pub(crate) fn data_dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self, name: &str) -> NodeConfig {
        config(name, &self.members, &self.data_dir(name))
    }

    pub(crate) async fn launch(&mut self, name: &str) {
        let running = start(self.config(name)).await.unwrap();
        self.nodes.insert(name.to_owned(), running);
    }

    pub(crate) async fn halt(&mut self, name: &str) {
        self.nodes.remove(name).unwrap().stop().await;
    }

    /// The name of the node that leads and that all running nodes know to lead.
    pub(crate) async fn leader(&self) -> String {
        let agreed = || {
            let leader = self.nodes.iter().find(|(_, node)| node.now().role == NodeRole::Leader)?;
            let id = leader.1.node.raft_id();
            self.nodes.values().all(|node| node.now().leader_id == Some(id)).then(|| leader.0.clone())
        };
        until("a leader", || agreed().is_some()).await;
        agreed().expect("just found")
    }

    pub(crate) fn follower(&self, leader: &str) -> String {
        self.nodes.keys().find(|name| *name != leader).unwrap().clone()
    }

    /// Proposes payload number `n` until it is certain that it was applied exactly once.
    pub(crate) async fn propose(&self, n: u64) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        // Bounded by the deadline.
        loop {
            let leader = self.leader().await;
            match self.nodes[&leader].node.propose(payload(n)).await {
                Ok(total) => {
                    assert_eq!(total, n + 1, "applied once and in order");
                    return;
                }
                Err(ProposeError::NotLeader { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("proposal {n}: {error}"),
            }
            assert!(tokio::time::Instant::now() < deadline, "proposal {n} is never taken");
        }
    }

    pub(crate) async fn converged(&self, total: u64) {
        for (name, node) in &self.nodes {
            node.until(&format!("{name} has applied {total}"), |node| node.total() == total).await;
            node.holder.lock().unwrap().check();
        }
    }

    pub(crate) async fn stop(mut self) {
        while let Some((_, node)) = self.nodes.pop_first() {
            node.stop().await;
        }
    }
}
