//! A frontend reduced to its session: it promises what it is told to, sends again what is not acknowledged, and goes
//! to whichever node leads.

use crate::cluster::{Cluster, PATIENCE};
use leasehold_proto::identity::Role;
use leasehold_proto::lease::{Lease, LeaseUpdate, UpdateKind};
use leasehold_proto::network::Network;
use leasehold_proto::reconfigure::{ReconfigureOrder, ReconfigureSecret};
use leasehold_proto::registration::Registration;
use leasehold_proto::session::{
    BatchOutcome, FromStore, Heartbeat, Hello, RangeRequest, RefusalReason, Refused, SessionBatch,
    StoreEvent, ToStore, Welcome,
};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::trace::TraceFilter;
use leasehold_proto::v1;
use leasehold_proto::v1::frontend_session_client::FrontendSessionClient;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LogIndex, Prefix, RangeId, UpdateSeq,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

pub(crate) struct Connection {
    pub(crate) sender: mpsc::Sender<v1::FrontendMessage>,
    pub(crate) stream: Streaming<v1::StoreMessage>,
}

impl Connection {
    pub(crate) async fn open(channel: Channel) -> Result<Self, Status> {
        let (sender, receiver) = mpsc::channel(64);
        let mut client = FrontendSessionClient::new(channel).max_decoding_message_size(64 << 20);
        let stream = client.session(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { sender, stream })
    }

    pub(crate) async fn say(&self, message: &ToStore) -> bool {
        self.sender.send(message.into()).await.is_ok()
    }

    /// The next message; nothing when the connection ended or broke.
    pub(crate) async fn next(&mut self) -> Option<FromStore> {
        let message =
            tokio::time::timeout(PATIENCE, self.stream.message()).await.expect("the store says nothing");
        message.ok()?.map(|m| FromStore::try_from(&m).unwrap())
    }

    /// Expects to be refused.
    pub(crate) async fn refused(&mut self) -> Refused {
        match self.next().await {
            Some(FromStore::Refused(refused)) => refused,
            other => panic!("not refused: {other:?}"),
        }
    }
}

pub(crate) struct Frontend {
    pub(crate) name: String,
    pub(crate) epoch: Epoch,
    index: LogIndex,
    pub(crate) loaded: bool,
    sequence: u64,
    unacknowledged: VecDeque<Arc<SessionBatch>>,
    pub(crate) network: Option<Arc<Network>>,
    pub(crate) ranges: BTreeSet<RangeId>,
    /// What the store has told of others' leases.
    pub(crate) told: BTreeMap<Prefix, Arc<Lease>>,
    pub(crate) registered: BTreeMap<u128, Arc<Registration>>,
    pub(crate) outcomes: Vec<BatchOutcome>,
    pub(crate) live: BTreeMap<String, bool>,
    pub(crate) draining: bool,
    pub(crate) secret: Option<ReconfigureSecret>,
    pub(crate) orders: Vec<Arc<ReconfigureOrder>>,
    pub(crate) traces: Vec<TraceFilter>,
    pub(crate) connects: u32,
    connection: Option<Connection>,
}

impl Frontend {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            epoch: Epoch::NONE,
            index: LogIndex(0),
            loaded: false,
            sequence: 0,
            unacknowledged: VecDeque::new(),
            network: None,
            ranges: BTreeSet::new(),
            told: BTreeMap::new(),
            registered: BTreeMap::new(),
            outcomes: Vec::new(),
            live: BTreeMap::new(),
            draining: false,
            secret: None,
            orders: Vec::new(),
            traces: Vec::new(),
            connects: 0,
            connection: None,
        }
    }

    pub(crate) fn hello(&self) -> ToStore {
        ToStore::Hello(Hello {
            frontend: FrontendId::new(&self.name).unwrap(),
            resume_epoch: self.epoch,
            resume_index: self.index,
            loaded: self.loaded,
            host: None,
        })
    }

    /// Tries node after node until one that leads welcomes it; sends again what was not acknowledged.
    async fn connect(&mut self, cluster: &Cluster) {
        self.connection = None;
        for attempt in 0..1000 {
            let node = &cluster.nodes[attempt % cluster.nodes.len()].name;
            let channel = cluster.channel(node, Role::Frontend, &self.name);
            let Ok(mut connection) = Connection::open(channel).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            connection.say(&self.hello()).await;
            match connection.next().await {
                Some(FromStore::Welcome(welcome)) => {
                    self.welcomed(&welcome);
                    for batch in &self.unacknowledged {
                        connection.say(&ToStore::Batch(Arc::clone(batch))).await;
                    }
                    self.connection = Some(connection);
                    self.connects += 1;
                    return;
                }
                Some(FromStore::Refused(refused)) => {
                    assert_eq!(refused.reason, RefusalReason::NotLeader, "{}", refused.detail);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                None => tokio::time::sleep(Duration::from_millis(10)).await,
                Some(other) => panic!("before Welcome: {other:?}"),
            }
        }
        panic!("no node welcomes {}", self.name);
    }

    fn welcomed(&mut self, welcome: &Welcome) {
        assert!(self.epoch.is_none() || self.epoch == welcome.epoch);
        self.epoch = welcome.epoch;
        self.index = welcome.index;
        self.loaded &= welcome.resumed;
        self.network.clone_from(&welcome.network);
        self.secret.clone_from(&welcome.reconfigure_secret);
        if !welcome.resumed {
            // Their outcomes are not told again; that they were taken is.
            self.unacknowledged.retain(|b| b.sequence > welcome.applied_sequence);
        }
    }

    /// Reads until a condition holds, connecting as often as it takes.
    pub(crate) async fn until(&mut self, cluster: &Cluster, what: &str, condition: impl Fn(&Self) -> bool) {
        let name = self.name.clone();
        let reading = async {
            while !condition(self) {
                let Some(connection) = self.connection.as_mut() else {
                    self.connect(cluster).await;
                    continue;
                };
                match connection.next().await {
                    Some(message) => self.read(message),
                    None => self.connection = None,
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.unwrap_or_else(|_| panic!("{name}: never came about: {what}"));
    }

    fn read(&mut self, message: FromStore) {
        match message {
            FromStore::Entry(entry) => {
                assert!(entry.index > self.index, "entries come in order, once each");
                self.index = entry.index;
                entry.events.into_iter().for_each(|event| self.read_event(event));
            }
            FromStore::Load(chunk) => {
                for lease in chunk.leases {
                    self.told.insert(lease.prefix, lease);
                }
                self.registered.extend(chunk.registrations.into_iter().map(|r| (r.address, r)));
                let own = chunk.ranges.iter().filter(|r| r.owner == self.epoch && !r.closed);
                self.ranges.extend(own.map(|r| r.range));
                self.loaded |= chunk.done.is_some();
                self.index = self.index.max(chunk.done.unwrap_or_default());
            }
            FromStore::HeartbeatAnswer { log_index } => self.index = self.index.max(log_index),
            FromStore::Liveness(l) => {
                self.live.insert(l.frontend.to_string(), l.live);
            }
            FromStore::Refused(refused) => {
                assert_eq!(refused.reason, RefusalReason::NotLeader, "{}", refused.detail);
                self.connection = None;
            }
            FromStore::Traces(traces) => self.traces = traces,
            FromStore::Welcome(_) | FromStore::Lookup { .. } => panic!("not asked for"),
        }
    }

    fn read_event(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Batch(outcome) => {
                self.unacknowledged.retain(|b| b.sequence != outcome.sequence);
                self.outcomes.push(outcome);
            }
            StoreEvent::Lease(lease) => {
                self.told.insert(lease.prefix, lease);
            }
            StoreEvent::Range(range) if range.owner == self.epoch && !range.closed => {
                self.ranges.insert(range.range);
            }
            StoreEvent::Range(range) => {
                self.ranges.remove(&range.range);
            }
            StoreEvent::Network(network) => self.network = Some(network),
            StoreEvent::PoolDry { .. } | StoreEvent::Superseded { .. } | StoreEvent::GiveBack { .. } => {}
            StoreEvent::Draining { on } => self.draining = on,
            StoreEvent::ReconfigureSecret(secret) => self.secret = Some(secret),
            StoreEvent::Reconfigure(order) => self.orders.push(order),
            StoreEvent::Registration(registration) => match registration.is_over() {
                true => drop(self.registered.remove(&registration.address)),
                false => drop(self.registered.insert(registration.address, registration)),
            },
        }
    }

    pub(crate) async fn send(&mut self, change: impl FnOnce(&mut SessionBatch)) -> Arc<SessionBatch> {
        self.sequence += 1;
        let mut batch = SessionBatch {
            epoch: self.epoch,
            sequence: UpdateSeq(self.sequence),
            updates: Vec::new(),
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: self.index,
            closing: false,
            registrations: Vec::new(),
        };
        change(&mut batch);
        let batch = Arc::new(batch);
        self.unacknowledged.push_back(Arc::clone(&batch));
        self.say(&ToStore::Batch(Arc::clone(&batch))).await;
        batch
    }

    pub(crate) async fn say(&mut self, message: &ToStore) {
        if let Some(connection) = &self.connection
            && !connection.say(message).await
        {
            self.connection = None;
        }
    }

    pub(crate) async fn heartbeat(&mut self) {
        let heartbeat = Heartbeat {
            epoch: self.epoch,
            network_version: self.network.as_ref().map_or(0, |n| n.version),
            dirty_leases: 7,
            interfaces: Vec::new(),
            relays_heard: Vec::new(),
            serving: true,
            links: Vec::new(),
        };
        self.say(&ToStore::Heartbeat(heartbeat)).await;
    }

    /// Connects, loads, and has a range.
    pub(crate) async fn ready(&mut self, cluster: &Cluster) {
        self.until(cluster, "the load", |f| f.loaded && f.network.is_some()).await;
        let pool = self.network.as_ref().unwrap().pools[0].id;
        self.send(|b| b.requests.push(RangeRequest { pool, ranges: 1 })).await;
        self.until(cluster, "a range", |f| !f.ranges.is_empty() && f.is_acknowledged()).await;
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// The n-th address of the first range owned.
    pub(crate) fn address(&self, n: u64) -> Prefix {
        let network = self.network.as_ref().unwrap();
        let range = self.ranges.first().unwrap();
        let geometry = network.pool(range.pool).unwrap().geometry;
        geometry.prefix_at(geometry.slots_of(range.slice).unwrap().0 + n)
    }

    /// A promise of it, to a client of its own.
    pub(crate) fn promise(&self, n: u64) -> LeaseUpdate {
        let prefix = self.address(n);
        let network = self.network.as_ref().unwrap();
        let now = self.outcomes.last().map_or(ClusterTime::ZERO, |o| o.stamp);
        let client = prefix.bits().to_be_bytes();
        LeaseUpdate {
            kind: UpdateKind::Promise,
            prefix,
            pool: network.pools[0].id,
            binding: BindingKey {
                link: network.links[0].id,
                duid: Duid::new(&client).unwrap(),
                kind: IaKind::Na,
                iaid: Iaid(1),
            },
            valid_until: now + Duration::from_secs(3600),
            preferred: Lifetime::from_wire(1800),
            valid: Lifetime::from_wire(3600),
            ack_until: now + Duration::from_secs(7200),
            client_last_contact: now,
            base_version: LogIndex(0),
            extra: None,
        }
    }

    /// Reads until the store ends the connection.
    pub(crate) async fn until_sent_away(&mut self) {
        while let Some(connection) = self.connection.as_mut() {
            match connection.next().await {
                Some(message) => self.read(message),
                None => self.connection = None,
            }
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }
}
