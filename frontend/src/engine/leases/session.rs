//! The session with the store: opening, resuming, what is in flight, being superseded, ending.
//!
//! Owns the numbers: the epoch, the sequence up, the stream position down, what was acknowledged. A connection begins
//! with Hello; nothing else is sent before Welcome. A session that the store no longer knows is over: all that it had
//! not told is void, since the store waited until nothing of it could be in force (R4), and another is opened. A
//! superseded one (R6) is never opened again: it extends what it knows while its autonomy lasts and creates nothing.

use super::{Leases, News};
use leasehold_proto::lease::LeaseUpdate;
use leasehold_proto::session::{
    Heartbeat, Hello, InterfaceHealth, RefusalReason, Refused, SessionBatch, ToStore, Welcome,
};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, LogIndex, UpdateSeq};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Batches sent and not answered.
pub(super) const IN_FLIGHT_MAX: usize = 8;
/// Between heartbeats (design section 1).
const HEARTBEAT_EVERY: Duration = Duration::from_millis(200);
/// Between batches that carry nothing but an acknowledgement.
const ACK_EVERY: Duration = Duration::from_millis(100);
/// Kept slots looked at in one turn.
const KEPT_PER_TURN: u32 = 8192;
/// For so long after a session is over its successor is expected; later the store counts as out of reach.
const REOPEN_WITHIN: Duration = Duration::from_secs(2);

struct InFlight {
    /// Before the first sending; a batch sent again keeps it.
    first_sent: LocalTime,
    batch: Arc<SessionBatch>,
    /// Everything below this position among the dirty is in this batch or in earlier ones.
    told_before: u64,
}

/// The state of the session and of the connection that carries it.
pub(super) struct Session {
    connected: bool,
    hello_due: bool,
    welcomed: bool,
    resend: bool,
    pub(super) epoch: Epoch,
    /// Every event up to here was applied.
    pub(super) last_index: LogIndex,
    pub(super) next_sequence: UpdateSeq,
    pub(super) in_flight: VecInFlight,
    /// May be said to be applied, after all earlier updates.
    pub(super) acknowledgeable: LogIndex,
    /// Was said.
    acked: LogIndex,
    /// The last event for which the store waits.
    pub(super) need_ack: LogIndex,
    /// Everything below this position among the dirty was decided.
    pub(super) committed_before: u64,
    last_sent: Option<LocalTime>,
    /// Last batch without updates.
    pub(super) last_bare: Option<LocalTime>,
    /// Outcomes of batches below this prove nothing about time: they were sent before the clock was found to jump.
    pub(super) fresh_from: UpdateSeq,
    /// R6: a newer session exists, as of this log index.
    pub(super) superseded_at: Option<LogIndex>,
    /// The store does not extend the session any more: it is past its deadline.
    pub(super) is_over: bool,
    /// It has nothing left to tell: the next connection opens another.
    open_anew: bool,
    /// Until then nothing is promised that would have to be told first.
    quiet_until: LocalTime,
    pub(super) stopping: bool,
    /// Ranges are given back, nothing is created, clients are the partner's as soon as the store has made it so.
    pub(super) draining: bool,
    /// What the last heartbeat said of serving.
    pub(super) said_serving: bool,
    closing: bool,
    pub(super) stopped: bool,
    heartbeat_at: LocalTime,
    interfaces: Vec<InterfaceHealth>,
    relays_heard: Vec<u128>,
}

/// Batches in flight, in the order of their numbers.
#[derive(Default)]
pub(super) struct VecInFlight(VecDeque<InFlight>);

impl VecInFlight {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Updates in them.
    pub(super) fn updates(&self) -> usize {
        self.0.iter().map(|f| f.batch.updates.len()).sum()
    }

    /// These updates themselves.
    pub(super) fn all_updates(&self) -> impl Iterator<Item = &LeaseUpdate> {
        self.0.iter().flat_map(|f| &f.batch.updates)
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            connected: false,
            hello_due: false,
            welcomed: false,
            resend: false,
            epoch: Epoch::NONE,
            last_index: LogIndex(0),
            next_sequence: UpdateSeq(1),
            in_flight: VecInFlight::default(),
            acknowledgeable: LogIndex(0),
            acked: LogIndex(0),
            need_ack: LogIndex(0),
            committed_before: 0,
            last_sent: None,
            last_bare: None,
            fresh_from: UpdateSeq(1),
            superseded_at: None,
            is_over: false,
            open_anew: false,
            quiet_until: LocalTime::ZERO,
            stopping: false,
            draining: false,
            said_serving: false,
            closing: false,
            stopped: false,
            heartbeat_at: LocalTime::ZERO,
            interfaces: Vec::new(),
            relays_heard: Vec::new(),
        }
    }
}

impl Session {
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// A newer session of this frontend exists (R6).
    pub(super) fn is_superseded(&self) -> bool {
        self.superseded_at.is_some()
    }

    /// Hello was answered: messages can go both ways.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    pub(super) fn is_window_full(&self) -> bool {
        self.in_flight.len() >= IN_FLIGHT_MAX
    }

    /// What this session promised is being told, and another answers for it or follows at once: to promise on would put
    /// that off for as long as clients come. Without the store it goes on for as long as it may.
    pub(super) fn gives_way(&self, now: LocalTime) -> bool {
        let reopens = self.open_anew && now < self.quiet_until;
        self.stopping || (self.is_over && (self.welcomed || reopens))
    }

    /// The closing batch was made: nothing follows it.
    pub(super) fn has_closed(&self) -> bool {
        self.closing
    }

    /// A batch is in flight whose outcome will prove something about time.
    pub(super) fn is_proof_under_way(&self) -> bool {
        self.in_flight.0.back().is_some_and(|f| f.batch.sequence >= self.fresh_from)
    }

    /// When a batch is due to extend the session; never for one that cannot be extended.
    pub(super) fn extend_at(&self, every: Duration) -> Option<LocalTime> {
        if self.is_superseded() || self.is_over {
            return None;
        }
        Some(self.last_sent.map_or(LocalTime::ZERO, |at| at + every))
    }

    /// When a batch is due to acknowledge events for which the store waits.
    pub(super) fn ack_at(&self) -> Option<LocalTime> {
        if self.need_ack <= self.acked || self.acknowledgeable <= self.acked {
            return None;
        }
        Some(self.last_bare.map_or(LocalTime::ZERO, |at| at + ACK_EVERY))
    }

    pub(super) fn sent(&mut self, now: LocalTime, batch: Arc<SessionBatch>, told_before: u64) {
        self.next_sequence = self.next_sequence.next();
        self.last_sent = Some(now);
        self.acked = self.acked.max(batch.acked_index);
        self.closing |= batch.closing;
        self.in_flight.0.push_back(InFlight { first_sent: now, batch, told_before });
    }

    /// The batch that an outcome is about, with the moment before its first sending. Outcomes come in order; one of
    /// a batch that is not the first in flight was answered before, or is not this session's.
    pub(super) fn answered(&mut self, sequence: UpdateSeq) -> Option<(LocalTime, Arc<SessionBatch>)> {
        self.in_flight.0.front().filter(|f| f.batch.sequence == sequence)?;
        self.pop_decided().map(|f| (f.first_sent, f.batch))
    }

    /// The next batch that was taken and whose answer is lost.
    pub(super) fn take_untold(&mut self, up_to: UpdateSeq) -> Option<Arc<SessionBatch>> {
        self.in_flight.0.front().filter(|f| f.batch.sequence <= up_to)?;
        self.pop_decided().map(|f| f.batch)
    }

    fn pop_decided(&mut self) -> Option<InFlight> {
        let decided = self.in_flight.0.pop_front()?;
        self.committed_before = decided.told_before;
        Some(decided)
    }
}

impl Leases {
    /// A connection to a store node is there: Hello is queued.
    pub fn connected(&mut self, _now: LocalTime) {
        self.session.connected = true;
        self.session.welcomed = false;
        self.session.hello_due = true;
        // What was promised since the session was found to be over is told first.
        if self.session.open_anew && self.session.in_flight.is_empty() && self.dirty.is_empty() {
            self.forget_session();
        }
        self.session.open_anew = false;
    }

    /// The connection is gone. What was in flight stays to be sent again.
    pub fn disconnected(&mut self, _now: LocalTime) {
        self.session.connected = false;
        self.session.welcomed = false;
        self.session.hello_due = false;
        self.lookups.clear();
    }

    /// Moves to `out` what is to be sent now: Hello, batches sent again and new ones (bounded in number and size),
    /// look-ups, a heartbeat when due. To be called after anything else was, and at [`Leases::next_deadline`].
    /// `now` must be read before the messages are handed to the connection.
    pub fn drain(&mut self, now: LocalTime, out: &mut Vec<ToStore>) {
        self.work();
        self.release_kept(now, KEPT_PER_TURN);
        if std::mem::take(&mut self.session.hello_due) {
            out.push(ToStore::Hello(Hello {
                frontend: self.frontend.clone(),
                resume_epoch: self.session.epoch,
                resume_index: self.session.last_index,
                loaded: self.load.loaded,
                host: self.host,
            }));
        }
        if !self.session.welcomed {
            return;
        }
        if std::mem::take(&mut self.session.resend) {
            out.extend(self.session.in_flight.0.iter().map(|f| ToStore::Batch(Arc::clone(&f.batch))));
        }
        self.lookups.drain(out);
        while let Some(batch) = self.next_batch(now) {
            out.push(ToStore::Batch(batch));
        }
        let serving = self.is_serving(now);
        let due = self.session.heartbeat_at <= now;
        if due {
            self.session.heartbeat_at = now + HEARTBEAT_EVERY;
        }
        if due || serving != self.session.said_serving {
            self.session.said_serving = serving;
            out.push(ToStore::Heartbeat(Heartbeat {
                epoch: self.session.epoch,
                network_version: self.names.version(),
                dirty_leases: self.unacknowledged(),
                interfaces: self.session.interfaces.clone(),
                relays_heard: self.session.relays_heard.clone(),
                serving,
                // The exchange knows.
                links: Vec::new(),
            }));
        }
    }

    /// Whether this frontend answers its clients: all is loaded, it is not drained, its autonomy holds for some pool.
    /// Told with each heartbeat, at once when it changes: until it is so the partner answers.
    fn is_serving(&self, now: LocalTime) -> bool {
        let within = |p: &leasehold_proto::pool::Pool| self.autonomy.deadline(p).is_some_and(|d| now < d);
        let over = self.session.stopping || self.session.is_superseded() || self.session.is_over;
        self.load.loaded && !over && !self.session.draining && self.names.pools().any(within)
    }

    /// When [`Leases::drain`] is to be called though nothing happens; a moment gone by means now. Nothing while
    /// there is neither a connection nor work left over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<LocalTime> {
        if self.has_work() || self.session.hello_due {
            return Some(LocalTime::ZERO);
        }
        if !self.session.welcomed {
            return None;
        }
        let mut at = self.session.heartbeat_at;
        if !self.session.is_window_full() && !self.session.has_closed() && !self.session.stopping {
            let extend = self.session.extend_at(self.names.extend_every());
            let retry = if self.may_ask() { self.ranges.next_retry() } else { None };
            at = [extend, self.session.ack_at(), retry].into_iter().flatten().fold(at, LocalTime::min);
        }
        Some(at)
    }

    /// What the next heartbeats say of this frontend's interfaces and of the relays heard of late.
    /// Whether an interface can be used is told at once when it changes (FO-206).
    pub fn report_health(&mut self, interfaces: Vec<InterfaceHealth>, relays_heard: Vec<u128>) {
        let usable =
            |all: &[InterfaceHealth]| -> Vec<bool> { all.iter().map(|i| i.present && i.carrier).collect() };
        if usable(&interfaces) != usable(&self.session.interfaces) {
            self.session.heartbeat_at = LocalTime::ZERO;
        }
        self.session.interfaces = interfaces;
        self.session.relays_heard = relays_heard;
    }

    /// Clean stop: nothing new is promised from now on; what is dirty is told, then all ranges are given back with
    /// a closing batch, after which nothing of this session is waited for.
    pub fn begin_stop(&mut self, _now: LocalTime) {
        self.session.stopping = true;
        self.adoptions.forget_queued();
    }

    /// The closing batch was acknowledged, or there is no session that could have anything to close.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let has_session = !self.session.epoch.is_none();
        self.session.stopping && (self.session.stopped || (!has_session && self.dirty.is_empty()))
    }

    /// Local time was found not to have run evenly (design section 4): nothing is promised, and nothing computed is
    /// sent, until the store answered a batch made after this.
    pub fn clock_jumped(&mut self, _now: LocalTime) {
        self.clock.forget();
        self.autonomy.forget();
        self.session.fresh_from = self.session.next_sequence;
    }

    pub(super) fn take_welcome(&mut self, now: LocalTime, welcome: &Welcome, news: &mut Vec<News>) {
        if !self.session.connected {
            return;
        }
        self.session.welcomed = true;
        self.session.resend = true;
        self.session.heartbeat_at = now;
        if welcome.epoch != self.session.epoch {
            self.forget_session();
            self.session.epoch = welcome.epoch;
        }
        if !welcome.resumed {
            self.untold_outcomes(now, welcome.applied_sequence, news);
            self.load.begin(self.records.len() > 0);
            self.records.registered.begin_load();
            self.ranges.begin_load();
            self.session.last_index = welcome.index;
        }
        self.set_draining(welcome.draining);
        if let Some(secret) = &welcome.reconfigure_secret {
            let orders = welcome.reconfigure_orders;
            news.push(News::ReconfigureSecret { secret: secret.clone(), orders });
        }
        if let Some(network) = &welcome.network {
            self.take_network(now, network, news);
        }
    }

    pub(super) fn take_refusal(&mut self, refused: &Refused, news: &mut Vec<News>) {
        self.session.welcomed = false;
        match refused.reason {
            // It came after all that was read of the stream, and nothing more will be read.
            RefusalReason::Superseded => self.superseded(self.session.last_index, news),
            RefusalReason::UnknownSession if !self.session.is_superseded() => self.forget_session(),
            _ => {}
        }
        news.push(News::ConnectionRefused(refused.clone()));
    }

    /// R6: from now on nothing is created, and nothing extended that was born after log index `at`.
    pub(super) fn superseded(&mut self, at: LogIndex, news: &mut Vec<News>) {
        if !self.session.is_superseded() {
            self.session.superseded_at = Some(at);
            news.push(News::Superseded);
        }
    }

    /// A session past its deadline, with everything told and answered, is to be followed by another.
    pub(super) fn note_session_over(&mut self, now: LocalTime, news: &mut Vec<News>) {
        let s = &mut self.session;
        if s.is_over && !s.open_anew && !s.is_superseded() && s.in_flight.is_empty() && self.dirty.is_empty()
        {
            s.open_anew = true;
            s.quiet_until = now + REOPEN_WITHIN;
            news.push(News::SessionOver);
        }
    }

    /// Leases of which the store was told nothing, or has not answered.
    pub(super) fn unacknowledged(&self) -> u64 {
        (self.dirty.len() + self.session.in_flight.updates()) as u64
    }

    /// The session is over: nothing that it promised is in force any more, nothing is owned, nothing is known.
    fn forget_session(&mut self) {
        let mut records = super::records::Records::new(self.key);
        records.count_ports(self.records.ports().kinds());
        let mut old = std::mem::replace(&mut self.records, records);
        // Registrations are no session's.
        self.records.registered = std::mem::take(&mut old.registered);
        // The last first: of what was told of one address it is what stands.
        for update in self.session.in_flight.0.iter().rev().flat_map(|f| f.batch.registrations.iter().rev()) {
            self.records.registered.tell_again(update);
        }
        if old.len() > 0 {
            self.graveyard.push(old);
        }
        self.dirty.forget();
        self.ranges.forget(self.names.pools());
        self.load.forget();
        self.lookups.clear();
        self.adoptions.forget();
        self.clock.forget();
        self.autonomy.forget();
        let s = std::mem::take(&mut self.session);
        self.session = Session {
            connected: s.connected,
            hello_due: s.hello_due,
            welcomed: s.welcomed,
            resend: s.resend,
            superseded_at: s.superseded_at,
            stopping: s.stopping,
            stopped: s.stopped,
            heartbeat_at: s.heartbeat_at,
            interfaces: s.interfaces,
            relays_heard: s.relays_heard,
            ..Session::default()
        };
    }
}
