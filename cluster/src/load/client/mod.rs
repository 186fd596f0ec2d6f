//! One DHCPv6 client as a pure state machine: what it sends when, and what it makes of an answer.
//!
//! Owns a client's states, timers, transaction ids and leases. Refuses to know sockets, clocks and entropy: the time
//! is an argument and randomness comes from a seed, so that the simulation drives it as well as the load generator.
//! In: [`Client::poll`] when its deadline is over, [`Client::handle`] with a server's message. Out: messages,
//! [`Handled`], promises for the judge. Unlike a patient client it takes the first Advertise that offers something,
//! as RFC 9915 §18.2.9 allows only for preference 255: a load generator would measure the wait instead.
//! Source: RFC 9915 §15, §18.2.

mod answer;

use std::time::Duration;

use leasehold_frontend::codec::encode::{EncodeError, Writer};
use leasehold_frontend::codec::ia::IaKind;
use leasehold_frontend::codec::message::{MessageKind, TransactionId};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::Prefix;

use super::judge::Fault;
use super::message::{ClientDuid, IaToWrite, Message, write};
use super::retransmit::{REBIND, RELEASE, RENEW, REQUEST, Rand, Retransmission, SOLICIT, Schedule};

/// How all clients of a run behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Ask for an address.
    pub addresses: bool,
    /// Ask for a delegated prefix.
    pub prefixes: bool,
    /// Take a Reply to a Solicit.
    pub rapid_commit: bool,
    /// Renew so long after each Reply, whatever T1 says; never later than T2.
    pub renew_after: Option<Duration>,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It wants nothing.
    Idle,
    /// Looks for servers.
    Soliciting,
    /// Asks one server for what it offered.
    Requesting,
    /// Has leases and is content until T1.
    Bound,
    /// Extends its leases at their server.
    Renewing,
    /// Extends its leases at any server.
    Rebinding,
    /// Gives its leases back.
    Releasing,
}

impl Phase {
    /// Whether an answer is waited for.
    #[must_use]
    pub fn is_asking(self) -> bool {
        !matches!(self, Self::Idle | Self::Bound)
    }

    fn message_kind(self) -> Option<MessageKind> {
        match self {
            Self::Idle | Self::Bound => None,
            Self::Soliciting => Some(MessageKind::Solicit),
            Self::Requesting => Some(MessageKind::Request),
            Self::Renewing => Some(MessageKind::Renew),
            Self::Rebinding => Some(MessageKind::Rebind),
            Self::Releasing => Some(MessageKind::Release),
        }
    }
}

/// One lease as its client holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Address or prefix.
    pub prefix: Prefix,
    /// When the client must stop using it.
    pub valid_until: LocalTime,
}

/// A message that [`Client::poll`] has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its kind.
    pub kind: MessageKind,
    /// Whether it was sent before.
    pub again: bool,
}

/// What happened when [`Client::poll`] was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// The message written, if there is one to send.
    pub sent: Option<Sent>,
    /// Leases that ran out, unextended, and were given up.
    pub expired: u32,
}

/// What a client made of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// An offer was taken: [`Client::poll`] has the Request at once.
    Offered {
        /// Since the Solicit was first sent.
        after: Duration,
    },
    /// Leases were given or extended.
    Bound {
        /// Which message was answered.
        by: MessageKind,
        /// Since that message was first sent.
        after: Duration,
        /// Since the client began to wait: its first Solicit, or the Renew that this was about.
        waited: Duration,
        /// Leases that it held and that the server took back or knows nothing of.
        lost: u32,
    },
    /// The server knows nothing of any lease, or took all back: the client begins anew.
    Lost {
        /// How many it held.
        leases: u32,
        /// Which message was answered.
        by: MessageKind,
        /// Since that message was first sent.
        after: Duration,
    },
    /// A Release was answered.
    Released {
        /// Since the Release was first sent.
        after: Duration,
    },
    /// Refused by a status code; the client tries again.
    Refused {
        /// The status code.
        status: u16,
    },
    /// Another answer to a message that was answered before.
    Late,
    /// Not an answer to anything that this client waits for.
    Unasked,
    /// An answer that no right server gives; the client ignores it.
    Wrong(Fault),
}

#[derive(Clone, Debug)]
struct Association {
    kind: IaKind,
    leases: Vec<HeldLease>,
}

/// One client. Its IAID is the same for both kinds of IA, whose number spaces are separate.
#[derive(Clone, Debug)]
pub struct Client {
    duid: ClientDuid,
    iaid: u32,
    phase: Phase,
    /// When [`Client::poll`] has something to do.
    deadline: LocalTime,
    transaction: TransactionId,
    answered_transaction: Option<TransactionId>,
    /// The message waited for; `None`: it is still to be sent for the first time.
    retry: Option<Retransmission>,
    waiting_since: LocalTime,
    server: Vec<u8>,
    associations: Vec<Association>,
    t2_at: LocalTime,
    random: u64,
}

impl Client {
    /// A client that wants nothing yet.
    #[must_use]
    pub fn new(duid: ClientDuid, iaid: u32, behaviour: &Behaviour, seed: u64) -> Self {
        let kinds = [(behaviour.addresses, IaKind::Na), (behaviour.prefixes, IaKind::Pd)];
        let associations = kinds
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, kind)| Association { kind, leases: Vec::new() })
            .collect();
        Self {
            duid,
            iaid,
            phase: Phase::Idle,
            deadline: LocalTime::NEVER,
            transaction: TransactionId([0; 3]),
            answered_transaction: None,
            retry: None,
            waiting_since: LocalTime::ZERO,
            server: Vec::new(),
            associations,
            t2_at: LocalTime::NEVER,
            random: seed,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its DUID.
    #[must_use]
    pub fn duid(&self) -> &ClientDuid {
        &self.duid
    }

    /// Its IAID, of every IA.
    #[must_use]
    pub fn iaid(&self) -> u32 {
        self.iaid
    }

    /// When [`Client::poll`] is to be called; `NEVER` when it waits for nothing.
    #[must_use]
    pub fn next_deadline(&self) -> LocalTime {
        self.deadline
    }

    /// Since when it has been waiting for the leases, or the extension, that it asks for.
    #[must_use]
    pub fn waiting_since(&self) -> Option<LocalTime> {
        (self.phase.is_asking() && self.phase != Phase::Releasing).then_some(self.waiting_since)
    }

    /// What it holds, expired leases included until it notices.
    pub fn leases(&self) -> impl Iterator<Item = (IaKind, HeldLease)> {
        self.associations.iter().flat_map(|ia| ia.leases.iter().map(|lease| (ia.kind, *lease)))
    }

    /// Begins to look for leases, from whatever it was doing.
    pub fn start(&mut self, now: LocalTime) {
        self.begin(now, Phase::Soliciting);
        self.waiting_since = now;
    }

    /// Begins to give its leases back: it stops using them now.
    pub fn release(&mut self, now: LocalTime) {
        self.begin(now, Phase::Releasing);
    }

    /// Extends its leases now, whatever T1 and T2 say, as after an outage: at their server, or at any. Nothing unless
    /// it is bound.
    pub fn extend(&mut self, now: LocalTime, at_any_server: bool) {
        if self.phase == Phase::Bound {
            self.waiting_since = now;
            self.begin(now, if at_any_server { Phase::Rebinding } else { Phase::Renewing });
        }
    }

    fn begin(&mut self, now: LocalTime, phase: Phase) {
        self.phase = phase;
        self.retry = None;
        self.deadline = now;
    }

    fn rest(&mut self) {
        self.phase = Phase::Idle;
        self.retry = None;
        self.deadline = LocalTime::NEVER;
        self.drop_leases();
    }

    fn drop_leases(&mut self) -> u32 {
        let mut dropped = 0;
        for ia in &mut self.associations {
            dropped += ia.leases.len();
            ia.leases.clear();
        }
        u32::try_from(dropped).unwrap_or(u32::MAX)
    }

    fn rand(&mut self) -> u64 {
        // SplitMix64: one addition and three mixing steps from a seed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Does what is due, and writes the message to be sent, if any, into `out`.
    ///
    /// # Errors
    /// When the message does not fit into the writer's limit.
    pub fn poll(
        &mut self,
        now: LocalTime,
        behaviour: &Behaviour,
        out: &mut Writer<'_>,
    ) -> Result<Polled, EncodeError> {
        let mut polled = Polled::default();
        if now < self.deadline {
            return Ok(polled);
        }
        self.advance(now, &mut polled);
        let Some(kind) = self.phase.message_kind() else { return Ok(polled) };
        let again = match self.retry {
            None => {
                self.send_first(now, kind);
                false
            }
            Some(mut retry) => {
                let rand = Rand::new(self.rand());
                if !retry.again(now, rand) {
                    self.give_up(now);
                    return Ok(polled);
                }
                self.retry = Some(retry);
                true
            }
        };
        self.deadline = self.wake_at();
        self.write(now, kind, behaviour, out)?;
        polled.sent = Some(Sent { kind, again });
        Ok(polled)
    }

    /// Moves on by time alone: T1, T2 and the end of leases.
    fn advance(&mut self, now: LocalTime, polled: &mut Polled) {
        if !matches!(self.phase, Phase::Bound | Phase::Renewing | Phase::Rebinding) {
            return;
        }
        for ia in &mut self.associations {
            let before = ia.leases.len();
            ia.leases.retain(|lease| lease.valid_until > now);
            polled.expired += u32::try_from(before - ia.leases.len()).unwrap_or(u32::MAX);
        }
        if self.associations.iter().all(|ia| ia.leases.is_empty()) {
            self.start(now);
        } else if self.phase == Phase::Bound {
            self.waiting_since = now;
            self.begin(now, if now >= self.t2_at { Phase::Rebinding } else { Phase::Renewing });
        } else if self.phase == Phase::Renewing && now >= self.t2_at {
            self.begin(now, Phase::Rebinding);
        }
    }

    fn send_first(&mut self, now: LocalTime, kind: MessageKind) {
        let random = self.rand();
        let [x0, x1, x2, ..] = random.to_be_bytes();
        self.transaction = TransactionId([x0, x1, x2]);
        let random = self.rand();
        let (schedule, rand): (Schedule, Rand) = match kind {
            MessageKind::Solicit => (SOLICIT, Rand::above_zero(random)),
            MessageKind::Request => (REQUEST, Rand::new(random)),
            MessageKind::Renew => (RENEW, Rand::new(random)),
            MessageKind::Rebind => (REBIND, Rand::new(random)),
            _ => (RELEASE, Rand::new(random)),
        };
        self.retry = Some(Retransmission::start(schedule, now, rand));
    }

    /// A message was sent as often as it may be (MRC).
    fn give_up(&mut self, now: LocalTime) {
        match self.phase {
            // The wait goes on: it counts from the first Solicit.
            Phase::Requesting => {
                self.drop_leases();
                self.begin(now, Phase::Soliciting);
            }
            _ => self.rest(),
        }
    }

    /// The next moment at which something is to be done while an answer is waited for, or while bound.
    fn wake_at(&self) -> LocalTime {
        let resend = self.retry.map_or(LocalTime::NEVER, |retry| retry.next_at());
        match self.phase {
            Phase::Renewing => resend.min(self.t2_at).min(self.first_expiry()),
            Phase::Rebinding => resend.min(self.first_expiry()),
            _ => resend,
        }
    }

    fn first_expiry(&self) -> LocalTime {
        self.leases().map(|(_, lease)| lease.valid_until).min().unwrap_or(LocalTime::NEVER)
    }

    fn write(
        &self,
        now: LocalTime,
        kind: MessageKind,
        behaviour: &Behaviour,
        out: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        let to_one_server = matches!(self.phase, Phase::Requesting | Phase::Renewing | Phase::Releasing);
        let message = Message {
            kind,
            transaction: self.transaction,
            client: &self.duid,
            server: to_one_server.then_some(self.server.as_slice()),
            elapsed_centisecs: self.retry.map_or(0, |retry| retry.elapsed_centisecs(now)),
            rapid_commit: self.phase == Phase::Soliciting && behaviour.rapid_commit,
        };
        let mut names = Vec::new();
        let ranges: Vec<_> = self
            .associations
            .iter()
            .filter(|ia| self.phase != Phase::Releasing || !ia.leases.is_empty())
            .map(|ia| {
                let start = names.len();
                names.extend(ia.leases.iter().map(|lease| lease.prefix));
                (ia.kind, start..names.len())
            })
            .collect();
        let ias = ranges.into_iter().map(|(kind, range)| IaToWrite {
            kind,
            iaid: self.iaid,
            leases: &names[range],
        });
        write(out, &message, ias)
    }
}
