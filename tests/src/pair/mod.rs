//! One store node and a few frontends under one clock, for scenarios told step by step.
//!
//! Owns the wiring: the real machine, hub and engines, with everything that crosses a wire really encoded and decoded,
//! and connections that can be cut. Nothing is random and nothing drifts: where the simulation searches, a scenario here
//! tells one story. Refuses to judge: the test does. Time moves in steps of [`STEP`]; every message takes one step.

mod client;
mod network;

pub use client::{Client, Said};
pub use network::{network, pool_of};

use leasehold_frontend::engine::leases::News;
use leasehold_frontend::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::session::{FromStore, HostProof, InterfaceHealth, ToStore};
use leasehold_proto::time::LocalTime;
use leasehold_proto::v1;
use leasehold_proto::words::{FrontendId, LogIndex, Prefix};
use leasehold_store::hub::{ConnectionId, Hub, HubOutput, HubSettings, LeaderClock};
use leasehold_store::machine::{Applied, Command, CommandBatch, Found, Machine, Outcome};
use prost::Message;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Time moves so far at once.
pub const STEP: Duration = Duration::from_millis(10);
/// Interface of every frontend on the link `lan`.
const INTERFACE: u32 = 2;
/// ff02::1:2.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// A reply, who sent it and when.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The frontend.
    pub by: String,
    /// When it left.
    pub at: LocalTime,
    /// To whom.
    pub to: Ipv6Addr,
    /// The message.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Sink {
    buffer: Vec<u8>,
    replies: Vec<(ReplyTo, Vec<u8>)>,
}

impl ReplySink for Sink {
    fn begin(&mut self) -> &mut Vec<u8> {
        self.buffer.clear();
        &mut self.buffer
    }

    fn commit(&mut self, to: ReplyTo) {
        self.replies.push((to, self.buffer.clone()));
    }
}

struct Front {
    engine: Engine,
    sink: Sink,
    connection: Option<ConnectionId>,
    /// On their way to it.
    inbox: VecDeque<Vec<u8>>,
    /// No way to the store.
    cut: bool,
    /// Hears no client.
    deaf: bool,
    /// Does nothing at all, as after SIGSTOP.
    stopped: bool,
}

/// The cluster. See the module.
pub struct Pair {
    /// The store's machine.
    pub machine: Machine,
    hub: Hub,
    clock: LeaderClock,
    index: u64,
    now: LocalTime,
    fronts: BTreeMap<String, Front>,
    hosts: BTreeMap<String, HostProof>,
    connections: u64,
    /// Whether the store answers.
    store_up: bool,
    /// Replies that left, in order; taken by [`Pair::heard`].
    replies: Vec<Heard>,
}

impl Pair {
    /// A founded store with a configuration, and no frontend yet.
    #[must_use]
    pub fn new(network: v1::Network) -> Self {
        let now = LocalTime::from_millis(1_000_000);
        let mut pair = Self {
            machine: Machine::default(),
            hub: Hub::new(HubSettings::default()),
            clock: LeaderClock::lead(leasehold_proto::time::ClusterTime::ZERO, now),
            index: 0,
            now,
            fronts: BTreeMap::new(),
            hosts: BTreeMap::new(),
            connections: 0,
            store_up: true,
            replies: Vec::new(),
        };
        let found =
            Found { cluster: "pair".to_owned(), incarnation: 1, server_duid_seed: [7; 16], restored: None };
        pair.command(Command::Found(found));
        pair.hub.lead(now, &pair.machine);
        pair.configure(network);
        pair
    }

    /// The same with these frontends, loaded and serving.
    #[must_use]
    pub fn serving(network: v1::Network, frontends: &[&str]) -> Self {
        let mut pair = Self::new(network);
        frontends.iter().for_each(|f| pair.start(f));
        pair.advance(Duration::from_secs(3));
        pair
    }

    /// Applies a configuration.
    pub fn configure(&mut self, mut network: v1::Network) {
        leasehold_proto::network::fill_defaults(&mut network);
        let outcome = self.command(Command::ApplyNetwork { expected_version: 0, network: Box::new(network) });
        assert!(matches!(outcome, Outcome::NetworkApplied { .. }), "{outcome:?}");
    }

    /// Has a command applied; what it brings is told at once.
    pub fn command(&mut self, command: Command) -> Outcome {
        let applied = self.apply(vec![command]);
        self.pump_hub();
        applied.outcomes.into_iter().next().unwrap_or(Outcome::NotFounded)
    }

    /// Starts a frontend's process with nothing in memory.
    pub fn start(&mut self, name: &str) {
        let settings = Settings {
            frontend: FrontendId::new(name).expect("scenarios name frontends well"),
            hash_key: [u8::try_from(self.fronts.len()).unwrap_or(0); 16],
            limits: Limits::default(),
        };
        let mut engine = Engine::new(settings);
        engine.set_interfaces(vec![Interface {
            index: INTERFACE,
            name: "lan0".to_owned(),
            link: Some("lan".to_owned()),
            relays: false,
        }]);
        let front = Front {
            engine,
            sink: Sink::default(),
            connection: None,
            inbox: VecDeque::new(),
            cut: false,
            deaf: false,
            stopped: false,
        };
        self.fronts.insert(name.to_owned(), front);
        self.carrier(name, true);
    }

    /// Kills a frontend's process; the store's end of its connection breaks at once.
    pub fn crash(&mut self, name: &str) {
        if let Some(front) = self.fronts.remove(name)
            && let Some(id) = front.connection
        {
            self.hub.disconnected(self.now, id);
            self.pump_hub();
        }
    }

    /// Where a frontend's processes say that they run from now on (R6).
    pub fn host(&mut self, name: &str, proof: HostProof) {
        self.hosts.insert(name.to_owned(), proof);
    }

    /// Cuts a frontend off from the store: both ends find out.
    pub fn cut(&mut self, name: &str) {
        self.front(name).cut = true;
        self.hang_up(name);
    }

    /// Opens its way again.
    pub fn heal(&mut self, name: &str) {
        self.front(name).cut = false;
    }

    /// The store stops answering, or goes on.
    pub fn store(&mut self, up: bool) {
        self.store_up = up;
        if !up {
            let names: Vec<String> = self.fronts.keys().cloned().collect();
            names.iter().for_each(|n| self.hang_up(n));
        }
    }

    /// A frontend hears no client, though its interface has carrier; or hears them again.
    pub fn deaf(&mut self, name: &str, deaf: bool) {
        self.front(name).deaf = deaf;
    }

    /// Its client-facing interface loses carrier, and it hears nobody; or has it again.
    pub fn carrier(&mut self, name: &str, carrier: bool) {
        let front = self.front(name);
        front.deaf = !carrier;
        let health = InterfaceHealth {
            name: "lan0".to_owned(),
            link: "lan".to_owned(),
            present: true,
            carrier,
            packets_seen: 0,
            errors: 0,
        };
        front.engine.report_health(vec![health], Vec::new());
    }

    /// SIGSTOP, or SIGCONT.
    pub fn stopped(&mut self, name: &str, stopped: bool) {
        self.front(name).stopped = stopped;
    }

    /// Begins a clean stop.
    pub fn begin_stop(&mut self, name: &str) {
        let now = self.now;
        self.front(name).engine.begin_stop(now);
    }

    /// A frontend's engine, to be looked at.
    #[must_use]
    pub fn engine(&self, name: &str) -> &Engine {
        &self.fronts.get(name).expect("it runs").engine
    }

    /// Now, by everybody's clock.
    #[must_use]
    pub fn now(&self) -> LocalTime {
        self.now
    }

    /// The store's record of a lease.
    #[must_use]
    pub fn lease(&self, prefix: Prefix) -> Option<&Lease> {
        self.machine.lease(prefix).map(AsRef::as_ref)
    }

    /// Where that stands.
    #[must_use]
    pub fn state(&self, prefix: Prefix) -> Option<LeaseState> {
        self.lease(prefix).map(|l| l.state)
    }

    /// A datagram of a client reaches every frontend that hears clients.
    pub fn multicast(&mut self, source: Ipv6Addr, bytes: &[u8]) {
        let names: Vec<String> = self.fronts.keys().cloned().collect();
        for name in names {
            self.deliver(&name, source, bytes);
        }
    }

    /// The same, to one frontend only.
    pub fn deliver(&mut self, name: &str, source: Ipv6Addr, bytes: &[u8]) {
        let now = self.now;
        let front = self.front(name);
        if front.deaf || front.stopped {
            return;
        }
        let packet =
            Packet { bytes, source, source_port: 546, destination: ALL_SERVERS, interface_index: INTERFACE };
        front.engine.batch_begin(now);
        front.engine.handle(now, &packet, &mut front.sink);
        self.finish_round(name);
    }

    /// Replies that left since this was asked last.
    pub fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.replies)
    }

    /// Lets time pass.
    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.step();
        }
    }

    /// Lets time pass until something holds, for a minute at most.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let give_up = self.now + Duration::from_secs(60);
        while !holds(self) {
            assert!(self.now < give_up, "in vain: {what}");
            self.step();
        }
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        let names: Vec<String> = self.fronts.keys().cloned().collect();
        for name in &names {
            self.step_front(name);
        }
        self.hub.turn(self.now, &self.machine);
        let stamp = self.clock.stamp(self.now);
        if self.machine.next_due().is_some_and(|due| due <= stamp) {
            self.apply(Vec::new());
        }
        self.pump_hub();
    }

    fn step_front(&mut self, name: &str) {
        let (now, store_up) = (self.now, self.store_up);
        let front = self.front(name);
        if front.stopped {
            return;
        }
        if front.connection.is_none() && !front.cut && store_up {
            self.connections += 1;
            let id = ConnectionId(self.connections);
            let front = self.front(name);
            front.connection = Some(id);
            front.engine.connected(now);
        }
        let front = self.front(name);
        front.engine.batch_begin(now);
        while let Some(bytes) = front.inbox.pop_front() {
            let raw = v1::StoreMessage::decode(&bytes[..]).expect("the store's messages can be read");
            let message = FromStore::try_from(&raw).expect("the store's messages make sense");
            front.engine.apply(now, message, &mut front.sink);
            let over = |n: &News| matches!(n, News::SessionOver | News::ConnectionRefused(_));
            if front.engine.news().iter().any(over) {
                front.inbox.clear();
                self.hang_up(name);
                break;
            }
        }
        let front = self.front(name);
        front.engine.turn(now, &mut front.sink);
        self.finish_round(name);
    }

    /// What the engine has for the store goes there before the replies leave (R4).
    fn finish_round(&mut self, name: &str) {
        let now = self.now;
        let host = self.hosts.get(name).copied();
        let mut out = Vec::new();
        let front = self.front(name);
        front.engine.drain(now, &mut out);
        let may_send = front.engine.may_send(now);
        let replies = std::mem::take(&mut front.sink.replies);
        let connection = front.connection;
        for (to, bytes) in replies.into_iter().filter(|_| may_send) {
            self.replies.push(Heard { by: name.to_owned(), at: now, to: to.address, bytes });
        }
        let Some(id) = connection else { return };
        for mut message in out {
            if let ToStore::Hello(hello) = &mut message {
                hello.host = host;
            }
            let bytes = v1::FrontendMessage::from(&message).encode_to_vec();
            let raw = v1::FrontendMessage::decode(&bytes[..]).expect("a frontend's messages can be read");
            let message = ToStore::try_from(&raw).expect("a frontend's messages make sense");
            self.hub.receive(now, id, message, &self.machine);
        }
        self.pump_hub();
    }

    fn hang_up(&mut self, name: &str) {
        let now = self.now;
        let front = self.front(name);
        front.inbox.clear();
        if let Some(id) = front.connection.take() {
            front.engine.disconnected(now);
            self.hub.disconnected(now, id);
            self.pump_hub();
        }
    }

    fn pump_hub(&mut self) {
        loop {
            let mut out = Vec::new();
            self.hub.drain(&mut out);
            if out.is_empty() {
                return;
            }
            for output in out {
                match output {
                    HubOutput::Send(id, message) => {
                        let bytes = v1::StoreMessage::from(&message).encode_to_vec();
                        if let Some(front) = self.fronts.values_mut().find(|f| f.connection == Some(id)) {
                            front.inbox.push_back(bytes);
                        }
                    }
                    HubOutput::Close(id) => {
                        let closed = self.fronts.iter().find(|(_, f)| f.connection == Some(id));
                        if let Some(name) = closed.map(|(name, _)| name.clone()) {
                            let now = self.now;
                            let front = self.front(&name);
                            front.connection = None;
                            front.engine.disconnected(now);
                        }
                    }
                    HubOutput::Propose { token, command } => {
                        let applied = self.apply(vec![command]);
                        let outcome = applied.outcomes.into_iter().next().ok_or(());
                        self.hub.proposed(self.now, token, outcome, &self.machine);
                    }
                }
            }
        }
    }

    fn apply(&mut self, commands: Vec<Command>) -> Applied {
        self.index += 1;
        let batch = CommandBatch::new(self.clock.stamp(self.now), commands);
        let batch = CommandBatch::decode(&batch.encode()).expect("an entry can be read");
        let applied = self.machine.apply(LogIndex(self.index), &batch);
        if let Err(broken) = leasehold_store::machine::invariants::check(&self.machine) {
            panic!("machine: {broken}");
        }
        self.hub.applied(self.now, LogIndex(self.index), &applied, &self.machine);
        applied
    }

    fn front(&mut self, name: &str) -> &mut Front {
        self.fronts.get_mut(name).unwrap_or_else(|| panic!("no process of `{name}` runs"))
    }
}
