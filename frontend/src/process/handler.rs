//! What the packet thread drives: the engine between the packets, the session with the store, and the clock.
//!
//! Owns the order of things within one round: look at the clocks, answer packets, take what the session brought, let
//! the engine do what is due, hand over what it has to say. Refuses to decide about leases and about who answers:
//! the engine does. In: datagrams, [`FromSession`]s, [`Order`]s, the interface table. Out: replies, [`ToStore`]s.
//!
//! Invariants: replies of a round belong to one batch, begun before the first was computed, and every update that
//! they rest on is queued before they leave (R4); a turn takes a bounded piece of what the session brought, so a load
//! of millions of leases holds up no packet for long; a store that does not keep up costs the connection, never a
//! batch (the engine keeps it and sends it again).

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::time::LocalTime;
use tokio::sync::{mpsc, watch};

use super::config::FrontendInterface;
use super::health::{RelaysHeard, told};
use super::host_lock::HostLock;
use super::reporter::Reporter;
use super::shed::ShedTeller;
use super::status_socket::Published;
use super::survival_log::SurvivalLog;
use crate::engine::leases::News;
use crate::engine::{Counters, Engine, EngineStatus, Interface, Packet, ReplySink, ReplyTo};
use crate::io::clock::{ClockPair, PAUSE_SUSPECTED_AFTER};
use crate::io::{InterfaceTable, Outbox, PacketHandler, PacketStats, Received, ReplyPath};
use crate::session::{FromSession, Line, LineError};

/// Records of the store taken in one turn. Why: at about a microsecond each, packets wait for some milliseconds.
const RECORDS_PER_TURN: usize = 4_096;

/// How often health is reported and people are told of what crept up.
const REPORT_EACH: Duration = Duration::from_secs(1);

/// Between two pieces of the survey of known leases while a pass over them is under way.
const SURVEY_EACH: Duration = Duration::from_millis(50);

/// The least time between two turns that only a deadline asks for. Why: a turn has just done all that was due, so a
/// deadline that still stands in the past must not make this thread spin.
const TURN_APART: Duration = Duration::from_millis(1);

/// For how long the two clocks are compared with one reading. Why: drift within the bound (rho) must never add up to
/// a suspected pause.
const CLOCKS_COMPARED_FOR: Duration = Duration::from_secs(60);

/// What the rest of the process asks of the packet thread, in order.
#[derive(Debug)]
pub(super) enum Order {
    /// Say how things stand.
    Status(std_mpsc::SyncSender<(EngineStatus, Counters)>),
    /// Stop cleanly; say when the store has acknowledged it. Dropped without a word if that is never.
    Stop(std_mpsc::SyncSender<()>),
}

/// All that a handler is made of.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) interfaces: Vec<FrontendInterface>,
    pub(super) table: Arc<InterfaceTable>,
    pub(super) stats: Arc<PacketStats>,
    pub(super) from_session: mpsc::Receiver<FromSession>,
    pub(super) orders: std_mpsc::Receiver<Order>,
    /// Takes the survival budget, once a second.
    pub(super) budget: watch::Sender<Published>,
    /// Held for as long as anything may be sent (R6).
    pub(super) _host_lock: Option<HostLock>,
    /// Dropped with the handler, which tells that the packet thread has ended.
    pub(super) _alive: watch::Sender<()>,
}

/// Drives the engine from the packet thread.
pub struct EngineHandler {
    parts: Parts,
    /// The connection to the store, while there is one.
    line: Option<Line>,
    /// More waits in the inbox than the last turn was allowed to take.
    more_from_session: bool,
    /// Reused from turn to turn.
    to_store: Vec<ToStore>,
    /// The engine was told of this round's batch.
    batch_begun: bool,
    /// The generation of the interface table that the engine knows.
    generation: Option<u64>,
    clocks: ClockPair,
    relays: RelaysHeard,
    /// Relayed messages as counted by the engine before the packet in hand.
    relayed: u64,
    /// Replies withheld that the engine knows of.
    withheld_told: u64,
    report_due: LocalTime,
    survey_due: LocalTime,
    last_turn: LocalTime,
    stopping: Option<std_mpsc::SyncSender<()>>,
    reporter: Reporter,
    survival_log: SurvivalLog,
    shed: ShedTeller,
}

impl std::fmt::Debug for EngineHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineHandler").field("line", &self.line).finish_non_exhaustive()
    }
}

impl EngineHandler {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            line: None,
            more_from_session: false,
            to_store: Vec::new(),
            batch_begun: false,
            generation: None,
            clocks: ClockPair::sample(),
            relays: RelaysHeard::default(),
            relayed: 0,
            withheld_told: 0,
            report_due: LocalTime::ZERO,
            survey_due: LocalTime::ZERO,
            last_turn: LocalTime::ZERO,
            stopping: None,
            reporter: Reporter::default(),
            survival_log: SurvivalLog::default(),
            shed: ShedTeller::default(),
        }
    }

    /// Once a round, before anything is computed.
    fn begin_round(&mut self, now: LocalTime) {
        if std::mem::replace(&mut self.batch_begun, true) {
            return;
        }
        let clocks = ClockPair::sample();
        let drift = clocks.drift_since(&self.clocks);
        if drift > PAUSE_SUSPECTED_AFTER {
            tracing::warn!(
                drift_ms = drift.as_millis(),
                "monotonic and wall clock moved apart: this machine may have been paused, or its wall clock was set; \
                 nothing is promised until the store was heard"
            );
            self.parts.engine.clock_jumped(now);
            self.clocks = clocks;
        } else if clocks.local.saturating_since(self.clocks.local) >= CLOCKS_COMPARED_FOR {
            self.clocks = clocks;
        }
        self.parts.engine.batch_begin(now);
    }

    fn refresh_interfaces(&mut self) {
        let generation = self.parts.table.generation();
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        let configured = &self.parts.interfaces;
        let interfaces = self.parts.table.present().map(|(index, found)| {
            let interface = configured.iter().find(|i| i.name == found.name);
            Interface {
                index: index.get(),
                name: found.name.clone(),
                link: interface.and_then(|i| i.link.clone()),
                relays: interface.is_some_and(|i| i.relays),
            }
        });
        self.parts.engine.set_interfaces(interfaces.collect());
        // The next heartbeat shall say so.
        self.report_due = LocalTime::ZERO;
    }

    fn take_orders(&mut self, now: LocalTime) {
        while let Ok(order) = self.parts.orders.try_recv() {
            match order {
                Order::Status(answer) => {
                    // Who asked may have stopped waiting.
                    let _ = answer
                        .try_send((self.parts.engine.status(now), self.parts.engine.counters().clone()));
                }
                Order::Stop(done) => {
                    tracing::info!("clean stop: telling the store what it does not know yet");
                    self.parts.engine.begin_stop(now);
                    self.stopping = Some(done);
                }
            }
        }
    }

    /// Takes a bounded piece of what the session brought.
    fn listen(&mut self, now: LocalTime, out: &mut Outbox) {
        let mut budget = RECORDS_PER_TURN;
        while budget > 0 {
            let Ok(what) = self.parts.from_session.try_recv() else {
                self.more_from_session = false;
                return;
            };
            match what {
                FromSession::Connected(line) => {
                    if self.line.replace(line).is_some() {
                        self.parts.engine.disconnected(now);
                    }
                    self.parts.engine.connected(now);
                }
                FromSession::Disconnected => self.hang_up(now),
                // What still comes after we hung up belongs to no connection.
                FromSession::Message(_) if self.line.is_none() => {}
                FromSession::Message(message) => {
                    budget = budget.saturating_sub(records(&message));
                    self.parts.engine.apply(now, message, &mut Sink(out));
                    self.reporter.tell_news(&self.parts.engine, now);
                    if self.parts.engine.news().contains(&News::SessionOver) {
                        self.hang_up(now);
                    }
                }
            }
        }
        self.more_from_session = true;
    }

    /// Ends the connection, if there is one. The session makes another.
    fn hang_up(&mut self, now: LocalTime) {
        if self.line.take().is_some() {
            self.parts.engine.disconnected(now);
        }
    }

    /// Hands the session what the engine has to say.
    fn speak(&mut self, now: LocalTime) {
        let mut to_store = std::mem::take(&mut self.to_store);
        to_store.clear();
        self.parts.engine.drain(now, &mut to_store);
        for message in to_store.drain(..) {
            let Some(line) = &self.line else { break };
            match line.send(message) {
                Ok(()) => {}
                // Disconnected is on its way, and what explains it before that.
                Err(LineError::Broken) => break,
                Err(error @ LineError::Full) => {
                    tracing::warn!(%error, "the store does not keep up; connecting anew");
                    self.hang_up(now);
                }
            }
        }
        self.to_store = to_store;
    }

    fn report(&mut self, now: LocalTime) {
        if now < self.report_due {
            return;
        }
        self.report_due = now + REPORT_EACH;
        let found = self.parts.table.health();
        let relays = self.relays.list(now, &found);
        self.parts.engine.report_health(told(found, &self.parts.interfaces), relays);
        let counts = self.parts.stats.counts();
        let withheld = counts.replies_withheld;
        self.parts.engine.dropped_unsent(withheld.saturating_sub(self.withheld_told));
        self.withheld_told = withheld;
        self.shed.tell(&mut self.parts.engine, &counts);
        let engine = &self.parts.engine;
        self.reporter.tell_changes(&engine.status(now), engine.network().map(AsRef::as_ref));
        self.reporter.tell_left_out(engine);
        let budget = engine.survival_budget(now);
        self.survival_log.tell(&budget);
        self.parts.budget.send_replace(Some(Arc::new(budget)));
    }

    /// Counts known leases for the survival budget, a piece at a time.
    fn survey(&mut self, now: LocalTime) {
        if now >= self.survey_due {
            let pause = if self.parts.engine.survey(now) { SURVEY_EACH } else { REPORT_EACH };
            self.survey_due = now + pause;
        }
    }
}

impl PacketHandler for EngineHandler {
    fn handle(&mut self, now: LocalTime, packet: &Received<'_>, out: &mut Outbox) {
        self.begin_round(now);
        let datagram = Packet {
            bytes: packet.bytes,
            source: *packet.source.ip(),
            source_port: packet.source.port(),
            destination: packet.destination,
            interface_index: packet.interface_index,
        };
        self.parts.engine.handle(now, &datagram, &mut Sink(out));
        let relayed = self.parts.engine.counters().relayed;
        if relayed != self.relayed {
            self.relayed = relayed;
            if self.relays.hear(now, datagram.source, packet.interface_index) {
                // The partner waits to be told who hears it.
                self.report_due = LocalTime::ZERO;
            }
        }
    }

    fn turn(&mut self, now: LocalTime, out: &mut Outbox) {
        self.begin_round(now);
        self.refresh_interfaces();
        self.take_orders(now);
        self.listen(now, out);
        self.parts.engine.turn(now, &mut Sink(out));
        self.survey(now);
        self.report(now);
        self.speak(now);
        if self.parts.engine.is_stopped()
            && let Some(done) = self.stopping.take()
        {
            // Who asked may have stopped waiting.
            let _ = done.try_send(());
        }
        self.batch_begun = false;
        self.last_turn = now;
    }

    fn may_send(&mut self, now: LocalTime) -> bool {
        // A machine paused since the round began: its monotonic clock may not know, and R4 would be judged by it.
        let paused = ClockPair::sample().drift_since(&self.clocks) > PAUSE_SUSPECTED_AFTER;
        !paused && self.parts.engine.may_send(now)
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        if self.more_from_session {
            return Some(LocalTime::ZERO);
        }
        let engine = self.parts.engine.next_deadline().map(|due| due.max(self.last_turn + TURN_APART));
        let own = self.report_due.min(self.survey_due);
        Some(engine.map_or(own, |due| due.min(own)))
    }
}

/// How much work a message is.
fn records(message: &FromStore) -> usize {
    1 + match message {
        FromStore::Load(chunk) => chunk.leases.len() + chunk.ranges.len(),
        FromStore::Entry(entry) => entry.events.len(),
        FromStore::Lookup { leases, .. } => leases.len(),
        _ => 0,
    }
}

/// The outbox as the engine's sink.
struct Sink<'o>(&'o mut Outbox);

impl ReplySink for Sink<'_> {
    fn begin(&mut self) -> &mut Vec<u8> {
        self.0.begin()
    }

    fn commit(&mut self, to: ReplyTo) {
        // Only a link-local destination needs the interface; to others the routing table knows the way back.
        let interface_index = if to.address.is_unicast_link_local() { to.interface_index } else { 0 };
        let destination = std::net::SocketAddrV6::new(to.address, to.port, 0, 0);
        // A refusal is counted by the outbox, and the packet loop takes the count.
        let _ = self.0.commit(ReplyPath { destination, interface_index, source: to.source });
    }
}
