//! Store nodes in this process, and an administrator's way to them.

use crate::authority::Authority;
use leasehold_proto::identity::Role;
use leasehold_proto::tls::{ExpectedServer, Security, channel};
use leasehold_proto::v1;
use leasehold_proto::v1::admin_client::AdminClient;
use leasehold_store::raft::{NodeAddress, OnDamage, Timing};
use leasehold_store::rocks::DiskLimits;
use leasehold_store::service::{
    LEADER_METADATA, RestoreFrom, Running, StartError, StoreConfig, StoreProcess, StoreSecurity,
};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Nothing in these tests takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NodeAddress>,
    pub(crate) folder: TempDir,
    pub(crate) authority: Option<Authority>,
    restore: Option<RestoreFrom>,
    pub(crate) running: BTreeMap<String, Running>,
}

/// Addresses on loopback that were free a moment ago.
pub(crate) fn addresses(names: &[&str]) -> Vec<NodeAddress> {
    let listeners: Vec<TcpListener> =
        names.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let named = names.iter().zip(&listeners);
    named
        .map(|(name, listener)| NodeAddress {
            name: (*name).to_owned(),
            address: listener.local_addr().unwrap().to_string(),
        })
        .collect()
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came about: {what}"));
}

impl Cluster {
    pub(crate) async fn start(authority: Option<Authority>) -> Self {
        Self::start_from(authority, None).await
    }

    /// Founded from an export, if one is given: to the node that is listed first.
    pub(crate) async fn start_from(authority: Option<Authority>, restore: Option<RestoreFrom>) -> Self {
        let names = ["s1", "s2", "s3"];
        let folder = tempfile::tempdir().unwrap();
        let nodes = addresses(&names);
        let mut cluster = Self { nodes, folder, authority, restore, running: BTreeMap::new() };
        for name in names {
            cluster.launch(name).await;
        }
        cluster.leader().await;
        cluster
    }

    pub(crate) fn config(&self, name: &str) -> StoreConfig {
        let own = self.nodes.iter().find(|n| n.name == name).unwrap();
        let small = 4 << 20;
        StoreConfig {
            cluster: "berlin".into(),
            name: name.into(),
            data_dir: self.folder.path().join(name),
            listen: own.address.parse().unwrap(),
            advertise: own.address.clone(),
            nodes: self.nodes.clone(),
            security: match &self.authority {
                Some(authority) => StoreSecurity::Tls(authority.issue("berlin", Role::Store, name)),
                None => StoreSecurity::InsecureLoopback,
            },
            timing: Timing::default(),
            on_damage: OnDamage::Refuse,
            limits: DiskLimits {
                log_buffer_bytes: small,
                state_buffer_bytes: small,
                block_cache_bytes: small,
            },
            restore: self.restore.clone().filter(|_| own.name == self.nodes[0].name),
        }
    }

    /// Starts a node, waiting while an earlier one in this process still holds its address or databases.
    pub(crate) async fn launch(&mut self, name: &str) {
        let mut tries = 0;
        let running = loop {
            match StoreProcess::start(self.config(name)).await {
                Ok(running) => break running,
                Err(StartError::Listen { .. } | StartError::Raft(_)) if tries < 1000 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{name}: {error}"),
            }
        };
        self.running.insert(name.to_owned(), running);
    }

    /// Stops a node as a crash would: nobody hands anything over.
    pub(crate) async fn kill(&mut self, name: &str) {
        self.running.remove(name).unwrap().shutdown().await;
    }

    /// The name of the node that leads.
    pub(crate) async fn leader(&self) -> String {
        let leads = || {
            let leaders = self.running.iter().filter(|(_, node)| *node.leading().borrow());
            // One that was deposed may not know it yet.
            leaders.max_by_key(|(_, node)| node.metrics().borrow().term).map(|(name, _)| name.clone())
        };
        until("a leader", || leads().is_some()).await;
        leads().unwrap()
    }

    pub(crate) fn address(&self, name: &str) -> String {
        self.nodes.iter().find(|n| n.name == name).unwrap().address.clone()
    }

    pub(crate) fn security(&self, role: Role, name: &str) -> Security {
        self.authority.as_ref().map_or(Security::InsecureLoopback, |a| a.security(role, name))
    }

    pub(crate) fn channel(&self, node: &str, role: Role, name: &str) -> Channel {
        let expected = ExpectedServer::store("berlin", node);
        channel(&self.address(node), &self.security(role, name), expected).unwrap()
    }

    pub(crate) fn admin_at(&self, node: &str) -> AdminClient<Channel> {
        AdminClient::new(self.channel(node, Role::Admin, "root"))
    }

    /// Asks the leader, again while there is none.
    pub(crate) async fn admin<T>(
        &self,
        ask: impl AsyncFn(AdminClient<Channel>) -> Result<tonic::Response<T>, Status>,
    ) -> T {
        for _ in 0..1000 {
            let leader = self.leader().await;
            match ask(self.admin_at(&leader)).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) if matches!(status.code(), Code::Unavailable | Code::FailedPrecondition) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(status) => panic!("{status}"),
            }
        }
        panic!("no leader answers")
    }

    pub(crate) async fn apply_network(&self, network: v1::Network) -> u64 {
        let request = v1::ApplyNetworkRequest { network: Some(network), expected_version: 0, dry_run: false };
        self.admin(async |mut admin| admin.apply_network(request.clone()).await).await.version
    }

    pub(crate) async fn leases(&self, request: v1::ListLeasesRequest) -> Vec<v1::LeaseInfo> {
        self.admin(async |mut admin| {
            let mut stream = admin.list_leases(request.clone()).await?.into_inner();
            let mut leases = Vec::new();
            while let Some(lease) = stream.message().await? {
                leases.push(lease);
            }
            Ok(tonic::Response::new(leases))
        })
        .await
    }

    pub(crate) async fn stop(mut self) {
        while let Some((_, node)) = self.running.pop_first() {
            node.shutdown().await;
        }
    }
}

pub(crate) fn leader_named_by(status: &Status) -> Option<String> {
    status.metadata().get(LEADER_METADATA)?.to_str().ok().map(str::to_owned)
}

pub(crate) fn octets(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().unwrap().octets().to_vec()
}

/// One link with one pool of 4096 addresses in ranges of 256, of one pair of frontends.
pub(crate) fn network() -> v1::Network {
    v1::Network {
        links: vec![v1::Link {
            name: "lan".into(),
            prefixes: vec![v1::Prefix { address: octets("2001:db8::"), length_bits: 64 }],
            ..Default::default()
        }],
        pools: vec![v1::Pool {
            name: "pool".into(),
            link: "lan".into(),
            kind: v1::IaKind::Na.into(),
            first: octets("2001:db8::"),
            last: octets("2001:db8::fff"),
            length_bits: 128,
            range_bits: Some(8),
            ..Default::default()
        }],
        relationships: vec![v1::Relationship {
            name: "pair".into(),
            primary: "fe-a".into(),
            secondary: "fe-b".into(),
            pools: vec!["pool".into()],
            ..Default::default()
        }],
        ..Default::default()
    }
}
