//! A DHCPv6 client that obeys RFC 9915, with a clock of its own: what it does and when.
//!
//! Owns the client's state: its leases as Replies told it, its exchange in progress, its timers. It knows nothing of
//! servers but what they say. Messages are written and read in `client_talk`. It tells the oracle of every lease it
//! accepts, gives up, or says that it uses. Times of retransmission are RFC 9915's shape, scaled to short lifetimes.
//! A client is quiet for a while after a Release, a Decline or a reboot: what of its messages is still on its way
//! could otherwise be taken for its new wishes, which DHCPv6 cannot tell apart. Source: RFC 9915 §15, §18.2.

use super::clock::{DriftClock, Nanos};
use super::odd::Oddity;
use super::oracle::Holder;
use super::reconfigured::Keys;
use super::world::{Event, World, note};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{IaKind, Prefix};
use rand::Rng;
use std::collections::BTreeSet;
use std::time::Duration;

/// A client is quiet for so long where its old messages could be misunderstood: flight, and a partner's keeping.
const QUIET: Duration = Duration::from_secs(15);

/// How a client reaches servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attachment {
    /// By multicast on the servers' own link.
    Direct,
    /// Through so many relays.
    Relayed(u8),
}

impl Attachment {
    /// The link on which it is.
    pub(super) fn link(self) -> &'static str {
        if self == Self::Direct { "direct" } else { "relayed" }
    }
}

/// What a client is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientPlan {
    /// How it is attached.
    pub(super) attachment: Attachment,
    /// IA_NAs it wants.
    pub(super) addresses: u8,
    /// IA_PDs it wants.
    pub(super) prefixes: u8,
    /// Whether it asks for Rapid Commit.
    pub(super) rapid_commit: bool,
    /// How often, of a hundred renewals, it does something else: release, decline, go away, come back.
    pub(super) restless: u32,
    /// How it misbehaves.
    pub(super) oddity: Oddity,
    /// Whether it accepts Reconfigure.
    pub(super) accepts_reconfigure: bool,
    /// Whether it makes addresses of its own and registers them.
    pub(super) registers: bool,
}

/// One IA.
#[derive(Debug, Clone)]
pub(super) struct Association {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    /// What is leased, and until when by the client's own clock.
    pub(super) leases: Vec<(Prefix, LocalTime)>,
}

/// What it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing, until then.
    Away(LocalTime),
    Soliciting,
    Requesting,
    Bound,
    Renewing,
    Rebinding,
    Confirming,
    Informing,
    Releasing,
    Declining,
}

/// A message sent until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) message: u8,
    pub(super) xid: [u8; 3],
    pub(super) began: LocalTime,
    /// What is listed in it.
    pub(super) ias: Vec<(IaKind, u32, Vec<Prefix>)>,
    pub(super) with_server: bool,
    next_at: LocalTime,
    timeout: Duration,
    sent: u32,
}

/// A frontend that hears a client answers it within this, the partner's liveness included: later is silence.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// First timeout, longest timeout, most transmissions (0: no bound). Source: RFC 9915 §7.6, scaled.
fn retransmission(message: u8) -> (Duration, Duration, u32) {
    let (first, longest, times) = match message {
        msg::SOLICIT => (1, 20, 0),
        msg::REQUEST => (1, 8, 6),
        msg::RENEW => (2, 20, 0),
        msg::REBIND => (2, 20, 0),
        msg::CONFIRM => (1, 4, 4),
        _ => (1, 4, 4),
    };
    (Duration::from_secs(first), Duration::from_secs(longest), times)
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) plan: ClientPlan,
    pub(super) clock: DriftClock,
    pub(super) duid: Vec<u8>,
    pub(super) doing: Doing,
    pub(super) associations: Vec<Association>,
    pub(super) exchange: Option<Exchange>,
    pub(super) server: Option<Vec<u8>>,
    pub(super) t1: LocalTime,
    pub(super) t2: LocalTime,
    /// What it had before, to ask for again.
    pub(super) hints: Vec<(IaKind, u32, Prefix)>,
    /// Slot of the frontend that answered last.
    pub(super) answered_by: Option<usize>,
    /// What it declined, ever: to be given that again and to lose it again is nobody's fault.
    pub(super) declined: BTreeSet<Prefix>,
    /// What it is rolled back to, of clients that are.
    pub(super) remembered: Vec<Association>,
    /// When a Reply was taken last.
    pub(super) told_at: LocalTime,
    pub(super) keys: Keys,
    /// The message that it was asked for by Reconfigure, until it is answered.
    pub(super) asked_for: Option<u8>,
    turn: u64,
}

impl Client {
    /// A client that was never here before.
    pub(super) fn new(number: usize, plan: ClientPlan, clock: DriftClock) -> Self {
        let named = if let Oddity::CloneOf(of) = plan.oddity { of } else { number };
        let low = u16::try_from(named).expect("a run has fewer than 65,536 clients").to_be_bytes();
        let duid = vec![0, 3, 0, 1, 2, 0, 0, 0, low[0], low[1]];
        let associations = [(IaKind::Na, plan.addresses), (IaKind::Pd, plan.prefixes)]
            .into_iter()
            .flat_map(|(kind, count)| (1..=u32::from(count)).map(move |iaid| (kind, iaid)))
            .map(|(kind, iaid)| Association { kind, iaid, leases: Vec::new() })
            .collect();
        Self {
            number,
            plan,
            clock,
            duid,
            doing: Doing::Away(LocalTime::ZERO),
            associations,
            exchange: None,
            server: None,
            t1: LocalTime::NEVER,
            t2: LocalTime::NEVER,
            hints: Vec::new(),
            answered_by: None,
            declined: BTreeSet::new(),
            remembered: Vec::new(),
            told_at: LocalTime::ZERO,
            keys: Keys::default(),
            asked_for: None,
            turn: 0,
        }
    }

    fn holds_nothing(&self) -> bool {
        self.associations.iter().all(|a| a.leases.is_empty())
    }

    /// Whether every IA has a lease.
    pub(super) fn is_content(&self) -> bool {
        self.associations.iter().all(|a| !a.leases.is_empty())
    }

    /// Every IA with what it holds.
    fn used(&self) -> Vec<(IaKind, u32, Vec<Prefix>)> {
        let used = |a: &Association| (a.kind, a.iaid, a.leases.iter().map(|l| l.0).collect());
        self.associations.iter().map(used).collect()
    }

    /// Every IA with what it would like.
    fn wished(&self) -> Vec<(IaKind, u32, Vec<Prefix>)> {
        let hints = |a: &Association| {
            let fits = self.hints.iter().filter(|h| h.0 == a.kind && h.1 == a.iaid);
            fits.map(|h| h.2).take(1).collect()
        };
        self.associations.iter().map(|a| (a.kind, a.iaid, hints(a))).collect()
    }

    fn next_moment(&self) -> LocalTime {
        let expiry = self.associations.iter().flat_map(|a| &a.leases).map(|l| l.1).min();
        let expiry = expiry.unwrap_or(LocalTime::NEVER);
        let sends = self.exchange.as_ref().map_or(LocalTime::NEVER, |e| e.next_at);
        match self.doing {
            Doing::Away(until) => until,
            Doing::Bound => self.t1.min(self.t2).min(expiry),
            Doing::Renewing => sends.min(self.t2).min(expiry),
            Doing::Rebinding | Doing::Confirming | Doing::Informing => sends.min(expiry),
            Doing::Soliciting | Doing::Requesting | Doing::Releasing | Doing::Declining => sends,
        }
    }
}

impl World {
    /// A client does what is due.
    pub(super) fn client_wake(&mut self, number: usize, turn: u64) {
        if self.clients[number].turn != turn {
            return;
        }
        let now = self.clients[number].clock.local(self.now);
        self.client_expire(number, now);
        self.client_act(number, now);
        self.client_plan_wake(number);
    }

    /// Plans the next waking; earlier plans are void.
    pub(super) fn client_plan_wake(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.turn += 1;
        let moment = client.next_moment();
        if moment != LocalTime::NEVER {
            let (at, turn) = (client.clock.when(moment), client.turn);
            self.at(at, Event::ClientWake { client: number, turn });
        }
    }

    fn client_expire(&mut self, number: usize, now: LocalTime) {
        let client = &mut self.clients[number];
        let mut lost = Vec::new();
        for association in &mut client.associations {
            let gone = association
                .leases
                .iter()
                .filter(|l| l.1 <= now)
                .map(|l| (association.kind, association.iaid, l.0));
            lost.extend(gone);
            association.leases.retain(|l| l.1 > now);
        }
        if lost.is_empty() {
            return;
        }
        client.hints.clone_from(&lost);
        // One that came back in the last moment and whose answer is on its way was not met with silence.
        let asked =
            client.exchange.as_ref().is_some_and(|e| now.saturating_since(e.began) >= ANSWERED_WITHIN);
        if asked && matches!(client.doing, Doing::Renewing | Doing::Rebinding) {
            self.counts.lost_by_silence += lost.len() as u64;
            note!(self, "client {number} lost {lost:?}: nobody answered");
            self.judge_silence(number, &lost);
        }
    }

    fn client_act(&mut self, number: usize, now: LocalTime) {
        let client = &self.clients[number];
        let sends = client.exchange.as_ref().is_some_and(|e| e.next_at <= now);
        match client.doing {
            Doing::Away(until) if until <= now => self.client_comes(number, now),
            Doing::Away(_) => {}
            Doing::Bound | Doing::Renewing | Doing::Rebinding | Doing::Confirming | Doing::Informing
                if client.holds_nothing() =>
            {
                self.client_solicits(number, now);
            }
            Doing::Bound if client.t2 <= now => self.client_begins(number, now, msg::REBIND),
            Doing::Bound if client.t1 <= now => self.client_at_t1(number, now),
            Doing::Renewing if client.t2 <= now => self.client_begins(number, now, msg::REBIND),
            _ if sends => self.client_sends_again(number, now),
            _ => {}
        }
    }

    /// It is new here, or comes back; with leases it asks whether they still stand.
    fn client_comes(&mut self, number: usize, now: LocalTime) {
        let client = &self.clients[number];
        if client.holds_nothing() {
            self.client_solicits(number, now);
            return;
        }
        self.counts.client_returns += 1;
        // Confirm speaks of addresses only (RFC 9915 §18.2.3); with prefixes it rebinds (§18.2.12).
        let with_prefixes = client.associations.iter().any(|a| a.kind == IaKind::Pd && !a.leases.is_empty());
        self.client_begins(number, now, if with_prefixes { msg::REBIND } else { msg::CONFIRM });
    }

    pub(super) fn client_solicits(&mut self, number: usize, now: LocalTime) {
        self.clients[number].server = None;
        self.client_begins(number, now, msg::SOLICIT);
    }

    /// At T1 most clients renew; some do something else while faults last.
    fn client_at_t1(&mut self, number: usize, now: LocalTime) {
        let restless = self.clients[number].plan.restless;
        if self.healed_at.is_some() || self.rng.random_range(0..100) >= restless {
            self.client_begins(number, now, msg::RENEW);
            return;
        }
        if self.client_is_odd(number, now) {
            return;
        }
        // What one clone releases the other uses: that is nobody's fault but theirs.
        let shared = self.is_shared(number);
        let away = Duration::from_millis(self.rng.random_range(15_000..300_000));
        match self.rng.random_range(0..4) {
            0 if !shared => {
                self.counts.releases += 1;
                self.client_begins(number, now, msg::RELEASE);
            }
            1 if !shared
                && self.clients[number]
                    .associations
                    .iter()
                    .any(|a| a.kind == IaKind::Na && !a.leases.is_empty()) =>
            {
                self.counts.declines += 1;
                self.client_begins(number, now, msg::DECLINE);
            }
            2 => {
                // It forgets all, as after a reboot, or another machine with the same DUID would.
                self.counts.client_reboots += 1;
                note!(self, "client {number} reboots");
                let client = &mut self.clients[number];
                client.associations.iter_mut().for_each(|a| a.leases.clear());
                client.keys.forget();
                client.exchange = None;
                client.doing = Doing::Away(now + away);
            }
            _ => {
                // It goes away with its leases and comes back.
                note!(self, "client {number} goes away");
                let client = &mut self.clients[number];
                client.exchange = None;
                client.doing = Doing::Away(now + away);
            }
        }
    }

    /// Begins an exchange.
    pub(super) fn client_begins(&mut self, number: usize, now: LocalTime, message: u8) {
        let xid: [u8; 3] = self.rng.random();
        let (first, _, _) = retransmission(message);
        let client = &mut self.clients[number];
        let with_server =
            !matches!(message, msg::SOLICIT | msg::REBIND | msg::CONFIRM | msg::INFORMATION_REQUEST);
        let (doing, ias) = match message {
            msg::SOLICIT => (Doing::Soliciting, client.wished()),
            msg::REQUEST => (Doing::Requesting, client.wished()),
            msg::RENEW => (Doing::Renewing, client.used()),
            msg::REBIND => (Doing::Rebinding, client.used()),
            msg::CONFIRM => (
                Doing::Confirming,
                client.used().into_iter().filter(|i| i.0 == IaKind::Na && !i.2.is_empty()).collect(),
            ),
            msg::INFORMATION_REQUEST => (Doing::Informing, Vec::new()),
            msg::RELEASE => {
                (Doing::Releasing, client.used().into_iter().filter(|i| !i.2.is_empty()).collect())
            }
            _ => {
                let held = client.used().into_iter().filter(|i| i.0 == IaKind::Na && !i.2.is_empty());
                (Doing::Declining, held.take(1).collect::<Vec<_>>())
            }
        };
        client.doing = doing;
        client.exchange = Some(Exchange {
            message,
            xid,
            began: now,
            ias: ias.clone(),
            with_server,
            next_at: now,
            timeout: first,
            sent: 0,
        });
        match message {
            msg::RELEASE | msg::DECLINE => {
                // Use of what is released or declined ends before the message is sent (RFC 9915 §18.2.7, §18.2.8).
                for (kind, iaid, prefixes) in ias {
                    self.waits_where_paused(Holder { client: number, kind, iaid }, &prefixes);
                    for prefix in prefixes {
                        if message == msg::DECLINE {
                            self.clients[number].declined.insert(prefix);
                        }
                        self.client_drops(number, kind, iaid, prefix);
                    }
                }
            }
            msg::RENEW | msg::REBIND => {
                let client = self.identity(number);
                for (kind, iaid, prefixes) in ias {
                    self.oracle.uses(Holder { client, kind, iaid }, &prefixes);
                }
            }
            _ => {}
        }
        self.client_sends_again(number, now);
    }

    pub(super) fn client_drops(&mut self, number: usize, kind: IaKind, iaid: u32, prefix: Prefix) {
        let associations = &mut self.clients[number].associations;
        for association in associations.iter_mut().filter(|a| a.kind == kind && a.iaid == iaid) {
            association.leases.retain(|l| l.0 != prefix);
        }
        let client = self.identity(number);
        self.oracle.given_up(client, prefix);
    }

    /// Sends the message of the exchange, for the first time or again, or gives up.
    fn client_sends_again(&mut self, number: usize, now: LocalTime) {
        let spread = self.rng.random_range(90..=110u32);
        let client = &mut self.clients[number];
        let Some(exchange) = client.exchange.as_mut() else { return };
        let (_, longest, times) = retransmission(exchange.message);
        if times > 0 && exchange.sent >= times {
            self.client_gives_up(number, now);
            return;
        }
        if exchange.sent > 0 {
            exchange.timeout = (exchange.timeout * 2).min(longest);
        }
        exchange.timeout = exchange.timeout * spread / 100;
        exchange.next_at = now + exchange.timeout;
        exchange.sent += 1;
        self.client_transmits(number, now);
    }

    fn client_gives_up(&mut self, number: usize, now: LocalTime) {
        match self.clients[number].doing {
            // Nobody says that the link is another, or anything else: the leases stand (RFC 9915 §18.2.3).
            Doing::Confirming | Doing::Informing => {
                let client = &mut self.clients[number];
                client.exchange = None;
                client.doing = Doing::Bound;
            }
            Doing::Releasing | Doing::Declining => self.client_finishes(number, now),
            _ => self.client_solicits(number, now),
        }
    }

    /// A Release or Decline is over, answered or not.
    pub(super) fn client_finishes(&mut self, number: usize, now: LocalTime) {
        let more = if self.healed_at.is_none() { self.rng.random_range(0..120) } else { 0 };
        let client = &mut self.clients[number];
        client.exchange = None;
        client.hints.clear();
        client.doing = Doing::Away(now + QUIET + Duration::from_secs(more));
    }

    /// Until when, in true time, a lifetime that was heard of now lasts on the client's clock.
    pub(super) fn client_until(&self, number: usize, now: LocalTime, secs: u32) -> (LocalTime, Nanos) {
        let until = now + Duration::from_secs(u64::from(secs));
        (until, self.clients[number].clock.when(until))
    }
}
