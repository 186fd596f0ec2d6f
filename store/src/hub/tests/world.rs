//! One store node without Raft: what is proposed is committed when a test says so.

use crate::hub::{ConnectionId, Hub, HubOutput, HubSettings, LeaderClock, Token};
use crate::machine::{Command, CommandBatch, Found, Machine};
use leasehold_proto::lease::{LeaseUpdate, UpdateKind};
use leasehold_proto::session::{
    FromStore, Heartbeat, Hello, RangeRequest, SessionBatch, StoreEvent, StreamEntry, ToStore, Welcome,
};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{
    BindingKey, Duid, Epoch, FrontendId, IaKind, Iaid, LinkId, LogIndex, PoolId, Prefix, RangeId, UpdateSeq,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) hub: Hub,
    pub(super) now: LocalTime,
    clock: LeaderClock,
    index: u64,
    pub(super) pending: Vec<(Token, Command)>,
    inbox: BTreeMap<ConnectionId, Vec<FromStore>>,
    closed: BTreeSet<ConnectionId>,
}

pub(super) fn id(n: u64) -> ConnectionId {
    ConnectionId(n)
}

pub(super) fn name(text: &str) -> FrontendId {
    FrontendId::new(text).unwrap()
}

fn octets(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().unwrap().octets().to_vec()
}

/// One link, one pool of 256 addresses in ranges of 16, in one relationship.
pub(super) fn network(primary: &str, secondary: &str) -> v1::Network {
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
            last: octets("2001:db8::ff"),
            length_bits: 128,
            range_bits: Some(4),
            ..Default::default()
        }],
        relationships: vec![v1::Relationship {
            name: "pair".into(),
            primary: primary.into(),
            secondary: secondary.into(),
            pools: vec!["pool".into()],
            ..Default::default()
        }],
        ..Default::default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(HubSettings { load_piece_len: 4, replay_piece_len: 4, ..HubSettings::default() })
    }

    pub(super) fn with(settings: HubSettings) -> Self {
        let now = LocalTime::from_millis(1_000_000);
        let mut world = Self {
            machine: Machine::default(),
            hub: Hub::new(settings),
            now,
            clock: LeaderClock::lead(ClusterTime::ZERO, now),
            index: 0,
            pending: Vec::new(),
            inbox: BTreeMap::new(),
            closed: BTreeSet::new(),
        };
        world.apply(vec![Command::Found(Found {
            cluster: "berlin".into(),
            incarnation: 1,
            server_duid_seed: [7; 16],
            restored: None,
        })]);
        world.apply_network(network("fe-a", "fe-b"));
        world.lead();
        world
    }

    pub(super) fn lead(&mut self) {
        self.hub.lead(self.now, &self.machine);
        self.collect();
    }

    pub(super) fn apply_network(&mut self, mut network: v1::Network) {
        leasehold_proto::network::fill_defaults(&mut network);
        self.apply(vec![Command::ApplyNetwork { expected_version: 0, network: Box::new(network) }]);
    }

    /// Applies commands that no connection proposed.
    pub(super) fn apply(&mut self, commands: Vec<Command>) -> LogIndex {
        self.commit_with(commands)
    }

    /// Commits what was proposed.
    pub(super) fn commit(&mut self) -> LogIndex {
        self.commit_with(Vec::new())
    }

    fn commit_with(&mut self, mut commands: Vec<Command>) -> LogIndex {
        let others = commands.len();
        let pending = std::mem::take(&mut self.pending);
        commands.extend(pending.iter().map(|(_, c)| c.clone()));
        self.index += 1;
        let index = LogIndex(self.index);
        let batch = CommandBatch::new(self.clock.stamp(self.now), commands);
        let applied = self.machine.apply(index, &batch);
        crate::machine::invariants::check(&self.machine).unwrap();
        self.hub.applied(self.now, index, &applied, &self.machine);
        for ((token, _), outcome) in pending.into_iter().zip(applied.outcomes.into_iter().skip(others)) {
            self.hub.proposed(self.now, token, Ok(outcome), &self.machine);
        }
        self.collect();
        index
    }

    /// What was proposed is lost with the leadership that should have committed it.
    pub(super) fn lose_proposals(&mut self) {
        for (token, _) in std::mem::take(&mut self.pending) {
            self.hub.proposed(self.now, token, Err(()), &self.machine);
        }
        self.collect();
    }

    pub(super) fn collect(&mut self) {
        let mut out = Vec::new();
        self.hub.drain(&mut out);
        for output in out {
            match output {
                HubOutput::Send(id, message) => {
                    assert!(!self.closed.contains(&id), "{id:?} is sent {message:?} after it was closed");
                    self.inbox.entry(id).or_default().push(message);
                }
                HubOutput::Close(id) => {
                    self.closed.insert(id);
                }
                HubOutput::Propose { token, command } => self.pending.push((token, command)),
            }
        }
    }

    pub(super) fn say(&mut self, id: ConnectionId, message: ToStore) {
        self.hub.receive(self.now, id, message, &self.machine);
        self.collect();
    }

    pub(super) fn hello(&mut self, id: ConnectionId, frontend: &str, resume: Option<(Epoch, LogIndex)>) {
        let (resume_epoch, resume_index) = resume.unwrap_or_default();
        let frontend = name(frontend);
        self.say(
            id,
            ToStore::Hello(Hello {
                frontend,
                resume_epoch,
                resume_index,
                loaded: resume.is_some(),
                host: None,
            }),
        );
    }

    /// Opens a session and lets its load run to the end.
    pub(super) fn open(&mut self, id: ConnectionId, frontend: &str) -> Epoch {
        self.hello(id, frontend, None);
        self.commit();
        self.turns();
        let epoch = self.welcome(id).epoch;
        self.heartbeat(id, epoch);
        self.take(id);
        epoch
    }

    /// Turns until nothing is left to be cut.
    pub(super) fn turns(&mut self) {
        for _ in 0..1000 {
            if self.hub.next_deadline() != Some(LocalTime::ZERO) {
                return;
            }
            self.hub.turn(self.now, &self.machine);
            self.collect();
        }
        panic!("loads never end");
    }

    pub(super) fn turn(&mut self) {
        self.hub.turn(self.now, &self.machine);
        self.collect();
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.turn();
    }

    pub(super) fn heartbeat(&mut self, id: ConnectionId, epoch: Epoch) {
        self.heartbeat_with(id, epoch, |_| {});
    }

    pub(super) fn heartbeat_not_serving(&mut self, id: ConnectionId, epoch: Epoch) {
        self.heartbeat_with(id, epoch, |h| h.serving = false);
    }

    /// A heartbeat of a frontend that serves, but for what is changed.
    pub(super) fn heartbeat_with(
        &mut self,
        id: ConnectionId,
        epoch: Epoch,
        change: impl FnOnce(&mut Heartbeat),
    ) {
        let mut heartbeat = Heartbeat {
            epoch,
            network_version: 1,
            dirty_leases: 3,
            interfaces: Vec::new(),
            relays_heard: Vec::new(),
            serving: true,
            links: Vec::new(),
        };
        change(&mut heartbeat);
        self.say(id, ToStore::Heartbeat(heartbeat));
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        self.hub.disconnected(self.now, id);
        self.collect();
    }

    pub(super) fn is_closed(&self, id: ConnectionId) -> bool {
        self.closed.contains(&id)
    }

    /// Everything sent to a connection and not taken before.
    pub(super) fn take(&mut self, id: ConnectionId) -> Vec<FromStore> {
        self.inbox.remove(&id).unwrap_or_default()
    }

    pub(super) fn welcome(&self, id: ConnectionId) -> Welcome {
        let sent = self.inbox.get(&id).into_iter().flatten();
        let mut welcomes = sent.filter_map(|m| match m {
            FromStore::Welcome(w) => Some(w.clone()),
            _ => None,
        });
        welcomes.next().expect("a Welcome")
    }

    pub(super) fn pool(&self) -> PoolId {
        self.machine.network().unwrap().pools[0].id
    }

    pub(super) fn link(&self) -> LinkId {
        self.machine.network().unwrap().links[0].id
    }

    /// The n-th address of the pool.
    pub(super) fn address(n: u8) -> Prefix {
        Prefix::address("2001:db8::".parse::<Ipv6Addr>().unwrap().to_bits() + u128::from(n))
    }

    pub(super) fn promise(&self, n: u8) -> LeaseUpdate {
        let now = self.machine.time();
        LeaseUpdate {
            kind: UpdateKind::Promise,
            prefix: Self::address(n),
            pool: self.pool(),
            binding: BindingKey {
                link: self.link(),
                duid: Duid::new(&[0, 3, 0, 1, n]).unwrap(),
                kind: IaKind::Na,
                iaid: Iaid(u32::from(n)),
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

    pub(super) fn batch(
        &mut self,
        id: ConnectionId,
        epoch: Epoch,
        sequence: u64,
        change: impl FnOnce(&mut SessionBatch),
    ) {
        let mut batch = SessionBatch {
            epoch,
            sequence: UpdateSeq(sequence),
            updates: Vec::new(),
            requests: Vec::new(),
            returned: Vec::new(),
            acked_index: LogIndex(0),
            closing: false,
            registrations: Vec::new(),
        };
        change(&mut batch);
        self.say(id, ToStore::Batch(Arc::new(batch)));
    }

    /// Asks for a range; the first slice of the pool for the first who asks.
    pub(super) fn request_range(&mut self, id: ConnectionId, epoch: Epoch, sequence: u64) -> RangeId {
        let pool = self.pool();
        self.batch(id, epoch, sequence, |b| b.requests.push(RangeRequest { pool, ranges: 1 }));
        self.commit();
        let events = events(&self.take(id));
        let granted = events.iter().find_map(|e| match e {
            StoreEvent::Range(r) if r.owner == epoch => Some(r.range),
            _ => None,
        });
        granted.expect("a range")
    }
}

/// The entries among messages.
pub(super) fn entries(messages: &[FromStore]) -> Vec<StreamEntry> {
    let entries = messages.iter().filter_map(|m| match m {
        FromStore::Entry(e) => Some(e.clone()),
        _ => None,
    });
    entries.collect()
}

/// All events among messages, in order.
pub(super) fn events(messages: &[FromStore]) -> Vec<StoreEvent> {
    entries(messages).into_iter().flat_map(|e| e.events).collect()
}

/// The sequence numbers of the batches answered among messages.
pub(super) fn answered(messages: &[FromStore]) -> Vec<u64> {
    let outcomes = events(messages).into_iter().filter_map(|e| match e {
        StoreEvent::Batch(b) => Some(b.sequence.0),
        _ => None,
    });
    outcomes.collect()
}

/// What was said of a frontend's liveness, in order.
pub(super) fn liveness_of(messages: &[FromStore], frontend: &str) -> Vec<bool> {
    let told = messages.iter().filter_map(|m| match m {
        FromStore::Liveness(l) if l.frontend.as_str() == frontend => Some(l.live),
        _ => None,
    });
    told.collect()
}
