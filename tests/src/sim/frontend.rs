//! The frontends: the real engine in a shell of the simulation.
//!
//! Owns what the shell of a frontend does: packets and store messages into the engine in rounds, what it drains to
//! the connection, replies out after R4's last check, reconnecting, crashing, pausing, stopping. A frontend has two
//! slots, so that a second process of the same id can run. A round may be interrupted by a pause between computing
//! and sending, which is what R4's last check is for.

use super::claims::Claims;
use super::clock::{DriftClock, Nanos, ms, secs};
use super::faults::{Fault, Path};
use super::network::{DIRECT, Datagram, LINK_INTERFACE, RELAY_INTERFACE, RELAYED};
use super::registered::Registered;
use super::world::{Event, World, note};
use leasehold_frontend::codec::Discard;
use leasehold_frontend::codec::wire::SERVER_PORT;
use leasehold_frontend::engine::leases::News;
use leasehold_frontend::engine::{Engine, Interface, Limits, Packet, ReplySink, ReplyTo, Settings};
use leasehold_proto::network::Network;
use leasehold_proto::session::{
    FromStore, HostProof, InterfaceHealth, RefusalReason, SessionBatch, StoreEvent, ToStore,
};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId, UpdateSeq};
use prost::Message;
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Inputs taken in one round.
const ROUND_MAX: usize = 8;
/// Inputs kept while paused: a socket's buffer is bounded.
const INBOX_MAX: usize = 4096;
/// Shortest time between two wakings by the clock.
const WAKE_MIN: Nanos = ms(1);

/// What a frontend's process is given.
#[derive(Debug)]
pub(super) enum Input {
    Datagram(Datagram),
    Connected { connection: u64 },
    Store { connection: u64, bytes: Arc<[u8]> },
    Gone { connection: u64 },
}

/// Replies of one round.
#[derive(Debug, Default)]
pub(super) struct Sink {
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

/// One process slot of a frontend.
pub(super) struct Front {
    pub(super) id: FrontendId,
    pub(super) clock: DriftClock,
    pub(super) life: u64,
    pub(super) up: bool,
    pub(super) engine: Engine,
    pub(super) connection: Option<u64>,
    pub(super) leader_hint: Option<String>,
    pub(super) next_node: usize,
    pub(super) dialling: bool,
    /// Hears no client, by so many faults, by way.
    pub(super) deaf: [u32; 2],
    /// No client hears it, by so many faults, by way.
    pub(super) mute: [u32; 2],
    /// The carrier of its clients' link is gone, by so many faults.
    pub(super) link_down: u32,
    /// Those before the one in use, of this round and the last before: a Reply may have been computed by any.
    pub(super) networks_before: Vec<Arc<Network>>,
    /// The bound of cluster time before it last read the store: a Reply may have been computed by it.
    pub(super) bound_before: Option<ClusterTime>,
    /// By how much its clock is behind since it stood still for moments that nobody noticed.
    pub(super) behind: Duration,
    /// The session that it was welcomed to last.
    pub(super) session: Epoch,
    pub(super) claims: Claims,
    /// Orders to ask clients that it has read of.
    pub(super) orders_read: u64,
    /// The same when its round began.
    pub(super) orders_read_before: u64,
    /// Addresses that it knows to be registered.
    pub(super) registered: Registered,
    /// Where it runs: its slot's lock can be held by one process at a time.
    host: HostProof,
    /// When each relay was heard last.
    relays: BTreeMap<u128, LocalTime>,
    heard: u64,
    health_at: LocalTime,
    pub(super) stopping: bool,
    paused: bool,
    /// Until when it is, or was last.
    pub(super) paused_until: Nanos,
    /// Paused with the clock standing still, since then.
    clock_stopped_at: Option<Nanos>,
    inbox: VecDeque<Input>,
    sink: Sink,
    wake_at: Nanos,
    /// Batches sent and not answered, to judge what the answers promise.
    batches: BTreeMap<(Epoch, UpdateSeq), Arc<SessionBatch>>,
    exiting: bool,
}

impl Front {
    /// A slot in which nothing runs.
    pub(super) fn new(name: &str, slot: usize, clock: DriftClock) -> Self {
        let id = FrontendId::new(name).expect("plans name frontends well");
        Self {
            engine: engine(&id, 0, Limits::default()),
            id,
            clock,
            life: 0,
            up: false,
            connection: None,
            leader_hint: None,
            next_node: 0,
            dialling: false,
            deaf: [0; 2],
            mute: [0; 2],
            link_down: 0,
            networks_before: Vec::new(),
            bound_before: None,
            behind: Duration::ZERO,
            session: Epoch::NONE,
            claims: Claims::default(),
            orders_read: 0,
            orders_read_before: 0,
            registered: Registered::default(),
            host: HostProof {
                boot_id: [1; 16],
                lock_id: [u8::try_from(slot).expect("a run has a handful of frontends"); 16],
                holding: 0,
            },
            relays: BTreeMap::new(),
            heard: 0,
            health_at: LocalTime::ZERO,
            stopping: false,
            paused: false,
            paused_until: 0,
            clock_stopped_at: None,
            inbox: VecDeque::new(),
            sink: Sink::default(),
            wake_at: Nanos::MAX,
            batches: BTreeMap::new(),
            exiting: false,
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }
}

fn engine(id: &FrontendId, life: u64, limits: Limits) -> Engine {
    let mut hash_key = [3; 16];
    hash_key[..8].copy_from_slice(&life.to_be_bytes());
    let mut engine = Engine::new(Settings { frontend: id.clone(), hash_key, limits });
    let interface = |index, name: &str, link: Option<&str>| Interface {
        index,
        name: name.to_owned(),
        link: link.map(str::to_owned),
        relays: true,
    };
    engine.set_interfaces(vec![
        interface(LINK_INTERFACE, "lan", Some("direct")),
        interface(RELAY_INTERFACE, "uplink", None),
    ]);
    engine
}

impl World {
    // ---- the process's life

    /// A process starts with nothing.
    pub(super) fn front_start(&mut self, slot: usize) {
        let front = &mut self.fronts[slot];
        if front.up {
            return;
        }
        front.up = true;
        front.life += 1;
        let limits = Limits { updates_per_batch_max: self.plan.updates_per_batch_max, ..Limits::default() };
        front.engine = engine(&front.id, front.life, limits);
        front.paused = false;
        front.clock_stopped_at = None;
        front.stopping = false;
        front.exiting = false;
        front.dialling = false;
        front.connection = None;
        front.wake_at = Nanos::MAX;
        front.inbox.clear();
        front.sink = Sink::default();
        front.batches.clear();
        front.relays.clear();
        front.health_at = LocalTime::ZERO;
        front.orders_read = 0;
        front.orders_read_before = 0;
        front.registered = Registered::default();
        self.forget_all_claims(slot);
        note!(self, "frontend {slot} starts");
        self.dial_later(slot);
    }

    /// A process is gone, by a crash or by its own will: its memory is lost.
    pub(super) fn front_die(&mut self, slot: usize) {
        let front = &mut self.fronts[slot];
        if !front.up {
            return;
        }
        front.up = false;
        front.life += 1;
        front.connection = None;
        self.count_engine(slot);
        let notice = self.rng.random_range(ms(1)..secs(3));
        self.break_connections_of_front(slot, notice);
        note!(self, "frontend {slot} is gone");
    }

    /// A process ends that was to end.
    pub(super) fn front_exit(&mut self, slot: usize, life: u64) {
        if self.fronts[slot].life == life && self.fronts[slot].up {
            self.front_die(slot);
        }
        self.ensure_runs(slot);
    }

    /// Makes sure that one process of a frontend runs, or will.
    fn ensure_runs(&mut self, slot: usize) {
        if !self.fronts[slot].up && !self.fronts[slot ^ 1].up {
            let delay = self.rng.random_range(ms(100)..secs(5));
            self.after(delay, Event::FrontStart { slot });
        }
    }

    /// A process stops running for a while; with `stops_clock`, its whole machine does, its clock too.
    pub(super) fn front_pause(&mut self, slot: usize, span: Nanos, stops_clock: bool) {
        let front = &mut self.fronts[slot];
        if !front.up || front.paused {
            return;
        }
        front.paused = true;
        front.paused_until = self.now.saturating_add(span);
        front.clock_stopped_at = stops_clock.then_some(self.now);
        let life = front.life;
        note!(self, "frontend {slot} is paused{}", if stops_clock { ", clock and all" } else { "" });
        self.after(span, Event::FrontResume { slot, life });
    }

    /// It runs again.
    pub(super) fn front_resume(&mut self, slot: usize, life: u64) {
        let now = self.now;
        let front = &mut self.fronts[slot];
        if front.life != life {
            return;
        }
        front.paused = false;
        if let Some(since) = front.clock_stopped_at.take() {
            front.clock.stood_still(since, now);
            let local = front.clock.local(now);
            // The shell sees that its clocks moved apart by more than a second before it does anything else.
            if now - since > secs(1) {
                front.engine.clock_jumped(local);
            } else {
                front.behind += Duration::from_nanos(now - since);
            }
        }
        note!(self, "frontend {slot} goes on");
        self.send_replies(slot);
        self.front_rounds(slot);
    }

    // ---- rounds

    /// A datagram reaches a frontend's machine.
    pub(super) fn datagram(&mut self, slot: usize, datagram: Datagram) {
        let direct = datagram.interface_index == LINK_INTERFACE;
        let front = &mut self.fronts[slot];
        if front.deaf[if direct { DIRECT } else { RELAYED }] > 0 || (direct && front.link_down > 0) {
            self.counts.datagrams_lost += 1;
            return;
        }
        front.heard += u64::from(direct);
        if !direct {
            let local = front.clock.local(self.now);
            front.relays.insert(datagram.source.to_bits(), local);
        }
        self.front_takes(slot, Input::Datagram(datagram));
    }

    /// Something reaches a frontend's process.
    pub(super) fn front_takes(&mut self, slot: usize, input: Input) {
        let front = &mut self.fronts[slot];
        if !front.up {
            return;
        }
        let full = front.inbox.len() >= INBOX_MAX;
        if !full || !matches!(input, Input::Datagram(_)) {
            front.inbox.push_back(input);
        }
        self.front_rounds(slot);
    }

    /// The clock says that something is due.
    pub(super) fn front_wake(&mut self, slot: usize, life: u64) {
        let front = &mut self.fronts[slot];
        if front.life != life || !front.up || front.wake_at > self.now {
            return;
        }
        front.wake_at = Nanos::MAX;
        self.front_rounds(slot);
        self.give_up_silent(slot);
    }

    /// Rounds until nothing is left to take.
    fn front_rounds(&mut self, slot: usize) {
        loop {
            if !self.fronts[slot].up || self.fronts[slot].paused {
                return;
            }
            self.front_round(slot);
            if self.fronts[slot].inbox.is_empty() {
                break;
            }
        }
        self.plan_wake(slot);
    }

    fn front_round(&mut self, slot: usize) {
        let now = self.fronts[slot].clock.local(self.now);
        let front = &mut self.fronts[slot];
        front.registered.begin_round();
        let old = front.networks_before.len().saturating_sub(1);
        front.networks_before.drain(..old);
        front.orders_read_before = front.orders_read;
        self.report_health(slot, now);
        self.fronts[slot].engine.batch_begin(now);
        for _ in 0..ROUND_MAX {
            let Some(input) = self.fronts[slot].inbox.pop_front() else { break };
            self.front_input(slot, now, input);
            if !self.fronts[slot].up {
                return;
            }
        }
        let front = &mut self.fronts[slot];
        front.engine.turn(now, &mut front.sink);
        self.drain_front(slot, now);
        // Judged as computed: what is dropped before sending was promised in the frontend's books all the same.
        let computed: Vec<Vec<u8>> =
            self.fronts[slot].sink.replies.iter().map(|(_, bytes)| bytes.clone()).collect();
        computed.iter().for_each(|bytes| self.judge_reply(slot, bytes));
        if !self.fronts[slot].sink.replies.is_empty()
            && self.healed_at.is_none()
            && self.rng.random_bool(self.plan.held_up)
        {
            // The process is stopped between computing and sending.
            let span = self.rng.random_range(ms(100)..secs(20));
            self.counts.frontend_pauses += 1;
            self.front_pause(slot, span, false);
            if self.plan.deaf_while_held_up {
                let fault = Fault::ClientCut { slot, path: Path::All, deaf: true, mute: false };
                self.break_it(fault);
                self.after(span, Event::Mend(fault));
            }
            return;
        }
        self.send_replies(slot);
    }

    /// Tells the engine what its next heartbeats say of interfaces and relays.
    fn report_health(&mut self, slot: usize, now: LocalTime) {
        let front = &mut self.fronts[slot];
        if now < front.health_at {
            return;
        }
        front.health_at = now + Duration::from_secs(1);
        front.relays.retain(|_, at| now.saturating_since(*at) < Duration::from_secs(60));
        let health = InterfaceHealth {
            name: "lan".to_owned(),
            link: "direct".to_owned(),
            present: true,
            carrier: front.link_down == 0,
            packets_seen: front.heard,
            errors: 0,
        };
        front.engine.report_health(vec![health], front.relays.keys().copied().collect());
    }

    fn front_input(&mut self, slot: usize, now: LocalTime, input: Input) {
        let front = &mut self.fronts[slot];
        match input {
            Input::Datagram(datagram) => {
                let packet = Packet {
                    bytes: &datagram.bytes,
                    source: datagram.source,
                    source_port: SERVER_PORT,
                    destination: datagram.destination,
                    interface_index: datagram.interface_index,
                };
                front.engine.handle(now, &packet, &mut front.sink);
            }
            Input::Connected { connection } if front.connection == Some(connection) => {
                front.engine.connected(now)
            }
            Input::Gone { connection } if front.connection == Some(connection) => {
                front.connection = None;
                front.engine.disconnected(now);
                self.dial_later(slot);
            }
            Input::Store { connection, bytes } if front.connection == Some(connection) => {
                self.front_hears(slot, now, &bytes);
            }
            Input::Connected { .. } | Input::Gone { .. } | Input::Store { .. } => {}
        }
    }

    fn front_hears(&mut self, slot: usize, now: LocalTime, bytes: &[u8]) {
        let message = v1::StoreMessage::decode(bytes).map_err(|e| e.to_string());
        let message = match message.and_then(|m| FromStore::try_from(&m).map_err(|e| e.to_string())) {
            Ok(message) => message,
            Err(error) => {
                self.fail(format!("frontend {slot} cannot read what the store sent: {error}"));
                return;
            }
        };
        self.judge_message(slot, &message);
        let front = &mut self.fronts[slot];
        let before = front.engine.network().cloned();
        front.bound_before = front.engine.cluster_time_at_most(now);
        front.engine.apply(now, message.clone(), &mut front.sink);
        if front.engine.network().map(|n| n.version) != before.as_ref().map(|n| n.version) {
            front.networks_before.extend(before);
        }
        self.note_claims(slot, &message);
        self.note_orders_read(slot, &message);
        self.note_registered(slot, &message);
        let front = &mut self.fronts[slot];
        let news: Vec<News> = front.engine.news().to_vec();
        for item in news {
            match item {
                News::ConnectionRefused(refused) => {
                    note!(self, "frontend {slot} is refused: {:?}, {}", refused.reason, refused.detail);
                    if refused.reason == RefusalReason::Protocol {
                        self.fail(format!("the store refused frontend {slot}: {}", refused.detail));
                    }
                    self.fronts[slot].leader_hint = refused.leader_address;
                    self.hang_up(slot, now);
                }
                News::SessionOver => {
                    note!(self, "the session of frontend {slot} is over");
                    self.hang_up(slot, now);
                }
                News::Superseded => {
                    note!(self, "frontend {slot} is superseded");
                    self.leave_later(slot);
                }
                _ => {}
            }
        }
    }

    /// A superseded process goes on serving what it knows for a while, then ends.
    fn leave_later(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.fronts[slot].exiting, true) {
            let life = self.fronts[slot].life;
            let delay = self.rng.random_range(self.plan.lingering.clone());
            self.after(delay, Event::FrontExit { slot, life });
        }
    }

    fn hang_up(&mut self, slot: usize, now: LocalTime) {
        let Some(id) = self.fronts[slot].connection else { return };
        self.fronts[slot].engine.disconnected(now);
        self.close_from_front(id);
    }

    /// Checks what the store's answers promise, before the engine reads them.
    fn judge_message(&mut self, slot: usize, message: &FromStore) {
        match message {
            FromStore::Welcome(welcome) => {
                self.counts.sessions_resumed += u64::from(welcome.resumed);
                note!(
                    self,
                    "frontend {slot} is welcome: session {}, index {}, resumed {}",
                    welcome.epoch.0 & 0xffff,
                    welcome.index,
                    welcome.resumed
                );
            }
            FromStore::Entry(entry) => {
                for event in &entry.events {
                    if let StoreEvent::Batch(outcome) = event {
                        let epoch = self.fronts[slot].session;
                        let key = (epoch, outcome.sequence);
                        if let Some(batch) = self.fronts[slot].batches.remove(&key) {
                            self.judge_outcome(slot, &batch, outcome, entry.index);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn drain_front(&mut self, slot: usize, now: LocalTime) {
        let mut out = Vec::new();
        self.fronts[slot].engine.drain(now, &mut out);
        let connection = self.fronts[slot].connection;
        let stopping = self.fronts[slot].stopping;
        for mut message in out {
            if let ToStore::Hello(hello) = &mut message {
                hello.host = self
                    .plan
                    .host_proofs
                    .then_some(HostProof { holding: self.fronts[slot].life, ..self.fronts[slot].host });
            }
            if let ToStore::Batch(batch) = &message {
                let known =
                    self.fronts[slot].batches.insert((batch.epoch, batch.sequence), Arc::clone(batch));
                if known.is_none() {
                    self.note_returned(slot, batch.sequence, &batch.returned);
                    self.counts.ranges_given_back += if stopping { 0 } else { batch.returned.len() as u64 };
                }
                if known.is_some_and(|known| known != *batch) {
                    self.fail(format!("frontend {slot} changed the content of batch {}", batch.sequence));
                }
            }
            if let ToStore::Batch(batch) = &message {
                message = ToStore::Batch(self.rogue_batch(slot, batch));
            }
            if let Some(connection) = connection {
                self.send_up(connection, &message);
            }
        }
        let front = &self.fronts[slot];
        if front.stopping && front.engine.is_stopped() {
            let life = front.life;
            self.counts.clean_stops += 1;
            note!(self, "frontend {slot} has stopped cleanly");
            self.fronts[slot].stopping = false;
            self.after(ms(1), Event::FrontExit { slot, life });
        }
    }

    /// Sends the replies of the round, if R4 lets them go.
    fn send_replies(&mut self, slot: usize) {
        let front = &mut self.fronts[slot];
        let replies = std::mem::take(&mut front.sink.replies);
        if replies.is_empty() {
            return;
        }
        let now = front.clock.local(self.now);
        if !front.engine.may_send(now) {
            front.engine.dropped_unsent(replies.len() as u64);
            self.counts.replies_kept_back += replies.len() as u64;
            return;
        }
        for (to, bytes) in replies {
            let bytes = self.sabotaged(slot, bytes);
            self.send_to_client(slot, to, &bytes);
        }
    }

    fn plan_wake(&mut self, slot: usize) {
        let now = self.now;
        let front = &mut self.fronts[slot];
        // Without a deadline the shell still looks at its connection now and then.
        let lazily = now + ms(500);
        let due = front.engine.next_deadline().map_or(lazily, |d| front.clock.when(d)).min(lazily);
        let at = due.max(now + WAKE_MIN);
        if at < front.wake_at {
            front.wake_at = at;
            let life = front.life;
            self.at(at, Event::FrontWake { slot, life });
        }
    }

    /// Adds an engine's counts before it is forgotten.
    pub(super) fn count_engine(&mut self, slot: usize) {
        let counters = self.fronts[slot].engine.counters().clone();
        for reason in Discard::ALL {
            let count = counters.discarded(*reason);
            if count > 0 {
                *self.counts.discards.entry(reason.name().to_owned()).or_default() += count;
            }
        }
    }
}
