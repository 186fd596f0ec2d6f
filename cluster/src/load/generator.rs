//! Drives all clients of a run on the packet thread: who begins when, what is sent, what an answer means.
//!
//! Owns the clients, their timers, the pace, the oracle and the counters. Refuses to read clocks and sockets: it is a
//! [`PacketHandler`] of the frontend's packet loop, which receives and sends in batches. Invariants: at most
//! `in_flight` clients wait for answers; each client has one entry in the timer heap; nothing grows with time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leasehold_frontend::codec::encode::Writer;
use leasehold_frontend::codec::message::MessageKind;
use leasehold_frontend::codec::reply::ServerMessage;
use leasehold_frontend::io::receive::Received;
use leasehold_frontend::io::{Outbox, PacketHandler, ReplyPath, Waker};
use leasehold_proto::time::LocalTime;

use super::avalanche::{Account, Avalanche, AvalancheReport, Part};
use super::client::{Client, Handled, Phase, Polled};
use super::judge::{Fault, Promise};
use super::message::{ClientDuid, MESSAGE_LEN_MAX};
use super::oracle::{ClientNumber, Oracle};
use super::plan::Plan;
use super::stats::{EXAMPLES_MAX, Exchange, Progress, Snapshot, Stats};

/// Datagrams put out in one turn at most, so that answers are read in between.
const SENT_PER_TURN_MAX: usize = 256;

/// How far a pace that fell behind may catch up.
const CATCH_UP_MAX: Duration = Duration::from_millis(100);

/// How long the clients that shall return may take to get their leases.
const PREPARING_MAX: Duration = Duration::from_secs(300);

/// Between the last of these leases and the avalanche.
const SETTLING: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first turn has not come.
    Fresh,
    /// Clients that shall return in an avalanche get their leases until all have them, or this moment.
    Preparing { until: LocalTime },
    /// They have them; the servers' other work is let come to an end until this moment.
    Settling { until: LocalTime },
    /// Exchanges begin until this moment.
    Running { until: LocalTime },
    /// Leases are given back and answers awaited, no longer than this.
    Ending { until: LocalTime },
    /// Done.
    Over,
}

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) plan: Plan,
    pub(super) clients: Vec<Client>,
    pub(super) stats: Stats,
    pub(super) began: LocalTime,
    /// When the last exchange may have begun: the end of what is measured.
    pub(super) ended: LocalTime,
    /// Exchanges done and new leases given until then.
    pub(super) done_in_time: (u64, u64),
    /// How long clients that still waited when it ended had been waiting: for a new lease, for a renewal.
    pub(super) still_waiting: (Duration, Duration),
    paths: Vec<ReplyPath>,
    /// Each client's one entry of `timers`; `NEVER` = none.
    scheduled: Vec<LocalTime>,
    timers: BinaryHeap<Reverse<(LocalTime, ClientNumber)>>,
    /// Clients that want to begin an exchange, in the order in which they came to want it.
    ready: VecDeque<ClientNumber>,
    in_flight: u32,
    bound: u32,
    next_start: LocalTime,
    /// Between two beginnings; `None` is no limit.
    interval: Option<Duration>,
    in_flight_max: Option<u32>,
    stage: Stage,
    avalanche: Option<Account>,
    oracle: Oracle,
    /// Clients in the order in which they began to wait, for new leases and for renewals; some wait no longer.
    waiting_new: VecDeque<(LocalTime, ClientNumber)>,
    waiting_renewal: VecDeque<(LocalTime, ClientNumber)>,
    progress: Arc<Progress>,
    waker: Waker,
    message: Vec<u8>,
    promises: Vec<Promise>,
}

impl Generator {
    pub(super) fn new(plan: Plan, progress: Arc<Progress>, waker: Waker) -> Self {
        let clients = (0..plan.clients)
            .map(|n| {
                let seed = plan.seed ^ (u64::from(n) * 0x1_0000_0001);
                Client::new(ClientDuid::new(plan.run(), n), n, &plan.behaviour, seed)
            })
            .collect();
        Self {
            paths: plan.target.paths(),
            scheduled: vec![LocalTime::NEVER; plan.clients as usize],
            timers: BinaryHeap::with_capacity(plan.clients as usize),
            ready: (0..plan.clients).collect(),
            clients,
            stats: Stats::new(),
            began: LocalTime::ZERO,
            ended: LocalTime::ZERO,
            done_in_time: (0, 0),
            still_waiting: (Duration::ZERO, Duration::ZERO),
            interval: plan.rate_per_sec.map(interval),
            in_flight_max: plan.in_flight,
            in_flight: 0,
            bound: 0,
            next_start: LocalTime::ZERO,
            stage: Stage::Fresh,
            avalanche: None,
            oracle: Oracle::new(),
            waiting_new: VecDeque::new(),
            waiting_renewal: VecDeque::new(),
            progress,
            waker,
            message: Vec::with_capacity(MESSAGE_LEN_MAX),
            promises: Vec::new(),
            plan,
        }
    }

    /// How many clients wait for an answer now.
    pub(super) fn clients_waiting(&self) -> u64 {
        self.in_flight.into()
    }

    /// Answers taken, by server.
    pub(super) fn answers_by_server(&self) -> BTreeMap<SocketAddrV6, u64> {
        self.progress.shares.by_server()
    }

    /// How the avalanche went, or goes.
    pub(super) fn avalanche_report(&self) -> Option<AvalancheReport> {
        self.avalanche.as_ref().map(Account::report)
    }

    /// Runs a change of one client and keeps all that is counted and scheduled by its state right.
    fn change<T>(&mut self, number: ClientNumber, change: impl FnOnce(&mut Self) -> T) -> T {
        let index = number as usize;
        let before = self.clients[index].phase();
        let outcome = change(self);
        let client = &self.clients[index];
        let after = client.phase();
        self.in_flight = self.in_flight + u32::from(after.is_asking()) - u32::from(before.is_asking());
        self.bound = self.bound + u32::from(after == Phase::Bound) - u32::from(before == Phase::Bound);
        if before != after
            && let Some(since) = client.waiting_since()
        {
            match after {
                Phase::Soliciting => self.waiting_new.push_back((since, number)),
                Phase::Renewing => self.waiting_renewal.push_back((since, number)),
                _ => {}
            }
        }
        let deadline = client.next_deadline();
        if deadline < self.scheduled[index] {
            self.scheduled[index] = deadline;
            self.timers.push(Reverse((deadline, number)));
        }
        outcome
    }

    /// Lets a client do what is due, and puts its message out to every server.
    fn poll(&mut self, now: LocalTime, number: ClientNumber, out: &mut Outbox) {
        let polled = self.change(number, |all| {
            let client = &mut all.clients[number as usize];
            let mut writer = Writer::new(&mut all.message, MESSAGE_LEN_MAX);
            let mut polled = Polled::default();
            let behaviour = &all.plan.behaviour;
            let written = all.plan.target.wrap(number, &mut writer, |writer| {
                polled = client.poll(now, behaviour, writer)?;
                Ok(())
            });
            if written.is_err() {
                // A binding of many leases may outgrow a datagram: it is not sent, its timers go on.
                all.stats.discard("own_message_too_long");
                polled.sent = None;
            }
            polled
        });
        self.stats.expired += u64::from(polled.expired);
        let Some(sent) = polled.sent else { return };
        if sent.again {
            *self.stats.sent_again.entry(sent.kind.name()).or_default() += 1;
        }
        for path in &self.paths {
            self.stats.sent += 1;
            out.push(&self.message, *path);
        }
    }

    /// Does what timers ask for. Bound clients whose T1 has come queue up to begin; others act at once.
    fn fire_timers(&mut self, now: LocalTime, out: &mut Outbox) {
        while out.len() < SENT_PER_TURN_MAX
            && let Some(Reverse((at, number))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            let index = number as usize;
            self.scheduled[index] = LocalTime::NEVER;
            let client = &self.clients[index];
            let deadline = client.next_deadline();
            if deadline > now {
                // It was moved to later meanwhile.
                if deadline < LocalTime::NEVER {
                    self.scheduled[index] = deadline;
                    self.timers.push(Reverse((deadline, number)));
                }
            } else if client.phase() == Phase::Bound {
                if matches!(self.stage, Stage::Running { .. }) {
                    self.ready.push_back(number);
                }
            } else {
                self.poll(now, number, out);
            }
        }
    }

    /// Begins exchanges of clients that are ready, as the pace and the limit allow.
    fn begin_exchanges(&mut self, now: LocalTime, out: &mut Outbox) {
        if let Some(interval) = self.interval {
            // An avalanche that began late is to come all the same.
            let catch_up_max = self.plan.avalanche.map_or(CATCH_UP_MAX, |avalanche| avalanche.window);
            self.next_start = self.next_start.max(now - catch_up_max.max(interval));
        }
        while out.len() < SENT_PER_TURN_MAX && self.may_begin(now) {
            let Some(number) = self.ready.pop_front() else { break };
            if let Some(interval) = self.interval {
                self.next_start = self.next_start + interval;
            }
            match (self.clients[number as usize].phase(), self.stage) {
                (Phase::Bound, Stage::Running { .. }) if self.avalanche.is_some() => {
                    self.come_back(now, number, out);
                }
                (Phase::Idle, Stage::Running { .. } | Stage::Preparing { .. }) => {
                    if let Some(account) = &mut self.avalanche {
                        account.begin(now);
                    }
                    self.change(number, |all| all.clients[number as usize].start(now));
                    self.poll(now, number, out);
                }
                (Phase::Bound, Stage::Running { .. }) if !self.plan.cycle => self.poll(now, number, out),
                (Phase::Bound, _) => self.release(now, number, out),
                _ => {}
            }
        }
    }

    fn may_begin(&self, now: LocalTime) -> bool {
        let paced = self.interval.is_none() || self.next_start <= now;
        paced && self.in_flight_max.is_none_or(|most| self.in_flight < most)
    }

    /// A client of the avalanche extends the leases that it returns with.
    fn come_back(&mut self, now: LocalTime, number: ClientNumber, out: &mut Outbox) {
        let Some(account) = &mut self.avalanche else { return };
        account.begin(now);
        let at_any_server = account.part(number) == Part::Rebind;
        self.change(number, |all| all.clients[number as usize].extend(now, at_any_server));
        self.poll(now, number, out);
    }

    fn release(&mut self, now: LocalTime, number: ClientNumber, out: &mut Outbox) {
        for (_, lease) in self.clients[number as usize].leases() {
            self.oracle.released(number, lease.prefix);
        }
        self.change(number, |all| all.clients[number as usize].release(now));
        self.poll(now, number, out);
    }

    fn answer(&mut self, now: LocalTime, bytes: &[u8], source: SocketAddrV6, out: &mut Outbox) {
        self.stats.received += 1;
        let Some(unwrapped) = self.plan.target.unwrap(bytes) else {
            return self.stats.discard("no_relay_reply");
        };
        let Ok(message) = ServerMessage::decode(unwrapped.payload) else {
            return self.stats.discard("malformed");
        };
        let named = message.client_id.and_then(|duid| ClientDuid::client_of(self.plan.run(), duid));
        let Some(number) = named.filter(|number| *number < self.plan.clients) else {
            return self.stats.discard("unknown_client");
        };
        if !unwrapped.header_fits || unwrapped.client.is_some_and(|client| client != number) {
            return self.wrong(number, Fault::RelayHeader);
        }
        let mut promises = std::mem::take(&mut self.promises);
        let handled = self.change(number, |all| {
            all.clients[number as usize].handle(now, &all.plan.behaviour, &message, &mut promises)
        });
        if !matches!(handled, Handled::Late | Handled::Unasked | Handled::Wrong(_)) {
            self.progress.shares.count(source);
        }
        self.judge_promises(now, number, &promises);
        self.promises = promises;
        self.count(now, number, handled, out);
    }

    fn judge_promises(&mut self, now: LocalTime, number: ClientNumber, promises: &[Promise]) {
        for promise in promises {
            if let Some(double) = self.oracle.promised(now, number, promise.prefix, promise.valid) {
                self.stats.double_promises += 1;
                if self.stats.double_examples.len() < EXAMPLES_MAX {
                    self.stats.double_examples.push(format!(
                        "{} promised to client {} while client {} holds {} for {:.1} s more",
                        double.prefix,
                        double.client,
                        double.holder,
                        double.held,
                        double.held_until.saturating_since(now).as_secs_f64(),
                    ));
                }
            }
        }
    }

    fn count(&mut self, now: LocalTime, number: ClientNumber, handled: Handled, out: &mut Outbox) {
        match handled {
            Handled::Offered { after } => {
                self.stats.exchange(Exchange::Offer, after);
                self.poll(now, number, out);
            }
            Handled::Bound { by, after, waited, lost } => {
                self.stats.exchange(Exchange::replied(by), after);
                self.stats.lost += u64::from(lost);
                if let Some(account) = &mut self.avalanche {
                    account.bound(now, number);
                }
                match by {
                    MessageKind::Renew | MessageKind::Rebind => self.stats.renewal.record(waited),
                    _ => self.stats.new_lease.record(waited),
                }
                if self.plan.cycle {
                    self.ready.push_back(number);
                }
            }
            Handled::Lost { leases, by, after } => {
                self.stats.exchange(Exchange::replied(by), after);
                self.stats.lost += u64::from(leases);
                self.poll(now, number, out);
            }
            Handled::Released { after } => {
                self.stats.exchange(Exchange::Release, after);
                if self.plan.cycle && matches!(self.stage, Stage::Running { .. }) {
                    self.ready.push_back(number);
                }
            }
            Handled::Refused { status } => *self.stats.refused.entry(status).or_default() += 1,
            Handled::Late => self.stats.late += 1,
            Handled::Unasked => self.stats.discard("transaction"),
            Handled::Wrong(fault) => self.wrong(number, fault),
        }
    }

    fn wrong(&mut self, number: ClientNumber, fault: Fault) {
        *self.stats.wrong.entry(fault).or_default() += 1;
        if self.stats.wrong_examples.len() < EXAMPLES_MAX {
            self.stats.wrong_examples.push(format!("client {number}: {fault}"));
        }
    }

    fn move_stage(&mut self, now: LocalTime) {
        match self.stage {
            Stage::Fresh => {
                self.began = now;
                self.next_start = now;
                self.stage = match &self.plan.avalanche {
                    None => Stage::Running { until: now + self.plan.duration },
                    Some(avalanche) => {
                        self.ready.retain(|number| avalanche.part(*number) != Part::Solicit);
                        Stage::Preparing { until: now + PREPARING_MAX }
                    }
                };
            }
            Stage::Preparing { until } if now >= until || self.is_told_to_stop() || self.is_idle() => {
                self.ready.clear();
                self.stage = Stage::Settling { until: now + SETTLING };
            }
            Stage::Settling { until } if now >= until || self.is_told_to_stop() => self.let_loose(now),
            Stage::Running { until } if now >= until || self.is_told_to_stop() || self.all_are_back() => {
                self.ended = now;
                self.done_in_time = (self.stats.exchanges_done(), self.stats.new_lease.histogram.len());
                self.still_waiting = self.waits(now);
                self.stage = Stage::Ending { until: now + self.plan.grace };
                self.ready.clear();
                if self.plan.release_at_end || self.plan.cycle {
                    let bound =
                        self.clients.iter().zip(0..).filter(|(client, _)| client.phase() == Phase::Bound);
                    self.ready = bound.map(|(_, number)| number).collect();
                }
            }
            Stage::Ending { until } if now >= until || self.is_idle() => {
                self.stage = Stage::Over;
                self.progress.finished.store(true, Ordering::Release);
                self.waker.stop();
            }
            _ => {}
        }
    }

    fn is_told_to_stop(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// Nobody has begun, or wants to.
    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.in_flight == 0
    }

    fn all_are_back(&self) -> bool {
        self.avalanche.as_ref().is_some_and(Account::is_over)
    }

    /// The avalanche begins; what was counted before is forgotten.
    fn let_loose(&mut self, now: LocalTime) {
        let Some(shape) = self.plan.avalanche else { return };
        // A client that has got no lease to return with is one more new one.
        let part = |(client, number): (&Client, ClientNumber)| match client.phase() {
            Phase::Bound => shape.part(number),
            _ => Part::Solicit,
        };
        let parts = self.clients.iter().zip(0..).map(part).collect();
        self.avalanche = Some(Account::new(now, parts));
        self.ready = Avalanche::order(self.plan.clients, self.plan.seed).into();
        self.interval = Some(interval(shape.rate_per_sec(self.plan.clients)));
        self.in_flight_max = None;
        self.stats = Stats::new();
        self.progress.shares.forget();
        (self.began, self.next_start) = (now, now);
        self.stage = Stage::Running { until: now + self.plan.duration };
    }

    /// How long the client that waits longest has been waiting: for a new lease, for a renewal.
    fn waits(&mut self, now: LocalTime) -> (Duration, Duration) {
        let clients = &self.clients;
        let longest = |queue: &mut VecDeque<(LocalTime, ClientNumber)>, is_new: bool| {
            // Each entry is taken out once: the cost is spread over those who put them in.
            while let Some((since, number)) = queue.front() {
                let client = &clients[*number as usize];
                let renews = matches!(client.phase(), Phase::Renewing | Phase::Rebinding);
                if client.waiting_since() == Some(*since) && renews != is_new {
                    return now.saturating_since(*since);
                }
                queue.pop_front();
            }
            Duration::ZERO
        };
        (longest(&mut self.waiting_new, true), longest(&mut self.waiting_renewal, false))
    }

    fn show(&mut self, now: LocalTime) {
        let (waiting_new, waiting_renewal) = self.waits(now);
        let stats = &self.stats;
        let done = |exchange: Exchange| stats.exchanges[exchange as usize].histogram.len();
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let end = if self.ended > LocalTime::ZERO { self.ended } else { now };
        self.progress.show(&Snapshot {
            elapsed_ms: ms(end.saturating_since(self.began)),
            exchanges: stats.exchanges_done(),
            leases_given: stats.new_lease.histogram.len(),
            renewals_answered: stats.renewal.histogram.len(),
            releases_answered: done(Exchange::Release),
            retransmissions: stats.sent_again.values().sum(),
            clients_bound: self.bound.into(),
            clients_waiting: self.in_flight.into(),
            waiting_new_lease_ms: ms(waiting_new),
            waiting_renewal_ms: ms(waiting_renewal),
            longest_new_lease_ms: ms(stats.new_lease.longest.max(waiting_new)),
            longest_renewal_ms: ms(stats.renewal.longest.max(waiting_renewal)),
            leases_lost: stats.lost,
            leases_expired: stats.expired,
            refusals: stats.refused.values().sum(),
            wrong_answers: stats.wrong.values().sum(),
            double_promises: stats.double_promises,
        });
    }
}

/// Between two beginnings at a rate.
fn interval(rate_per_sec: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate_per_sec)
}

impl PacketHandler for Generator {
    fn handle(&mut self, now: LocalTime, packet: &Received<'_>, out: &mut Outbox) {
        self.answer(now, packet.bytes, packet.source, out);
    }

    fn turn(&mut self, now: LocalTime, out: &mut Outbox) {
        self.move_stage(now);
        self.fire_timers(now, out);
        self.begin_exchanges(now, out);
        self.show(now);
    }

    fn may_send(&mut self, _now: LocalTime) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<LocalTime> {
        let timer = self.timers.peek().map_or(LocalTime::NEVER, |Reverse((at, _))| *at);
        let below_limit = self.in_flight_max.is_none_or(|most| self.in_flight < most);
        let start = match (self.ready.is_empty() || !below_limit, self.interval) {
            (true, _) => LocalTime::NEVER,
            (false, None) => LocalTime::ZERO,
            (false, Some(_)) => self.next_start,
        };
        let stage = match self.stage {
            Stage::Fresh => LocalTime::ZERO,
            Stage::Preparing { until }
            | Stage::Settling { until }
            | Stage::Running { until }
            | Stage::Ending { until } => until,
            Stage::Over => LocalTime::NEVER,
        };
        Some(timer.min(start).min(stage))
    }
}
