//! A client of a scenario: writes its messages, reads the answers, remembers what it was told.
//!
//! Owns one IA_NA and one IA_PD, each with IAID 1, as far as asked for. Sends when it is told to, and again each second
//! until it is answered; judges nothing.

use super::{Heard, Pair};
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_frontend::codec::wire::{msg, opt};
use leasehold_frontend::codec::{IaKind, LeaseTimes, Timers, TransactionId, Writer};
use leasehold_proto::words::Prefix;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Between two transmissions.
const RETRANSMIT_EVERY: Duration = Duration::from_secs(1);

/// What one answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The frontend that said it.
    pub by: String,
    /// Advertise or Reply.
    pub is_reply: bool,
    /// How long after the first transmission.
    pub after: Duration,
    /// How often the client had sent by then.
    pub sent: u32,
    /// Leases with their valid lifetimes in seconds, in wire order.
    pub leases: Vec<(Prefix, u32)>,
    /// Preferred lifetime, T1 and T2 of the first IA in seconds.
    pub times: (u32, u32, u32),
    /// Status codes inside IAs, in wire order.
    pub statuses: Vec<u16>,
}

impl Said {
    /// The lease that it is about, in force.
    #[must_use]
    pub fn lease(&self) -> Option<Prefix> {
        self.leases.iter().find(|l| l.1 > 0).map(|l| l.0)
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    number: u16,
    kinds: Vec<IaKind>,
    server: Option<Vec<u8>>,
    /// What it holds.
    pub leases: Vec<(IaKind, Prefix)>,
    transaction: u32,
    /// Whether every message says that it is the first of its exchange.
    pub hides_elapsed_time: bool,
}

impl Client {
    /// One that wants an address.
    #[must_use]
    pub fn new(number: u16) -> Self {
        Self {
            number,
            kinds: vec![IaKind::Na],
            server: None,
            leases: Vec::new(),
            transaction: u32::from(number) << 8,
            hides_elapsed_time: false,
        }
    }

    /// One that wants a prefix.
    #[must_use]
    pub fn of_prefix(number: u16) -> Self {
        Self { kinds: vec![IaKind::Pd], ..Self::new(number) }
    }

    /// One that wants both.
    #[must_use]
    pub fn of_both(number: u16) -> Self {
        Self { kinds: vec![IaKind::Na, IaKind::Pd], ..Self::new(number) }
    }

    /// The address or prefix that it holds first.
    #[must_use]
    pub fn lease(&self) -> Option<Prefix> {
        self.leases.first().map(|l| l.1)
    }

    /// Its DUID.
    #[must_use]
    pub fn duid(&self) -> Vec<u8> {
        let [high, low] = self.number.to_be_bytes();
        vec![0, 3, 0, 1, 2, 0, 0, 0, high, low]
    }

    fn source(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xc, self.number)
    }

    fn message(&self, kind: u8, elapsed: Duration) -> Vec<u8> {
        let mut out = Vec::new();
        let [_, a, b, c] = self.transaction.to_be_bytes();
        let elapsed = if self.hides_elapsed_time { Duration::ZERO } else { elapsed };
        let with_server = !matches!(kind, msg::SOLICIT | msg::REBIND | msg::CONFIRM);
        let mut write = || {
            let mut w = Writer::new(&mut out, 1400);
            w.message(kind, TransactionId([a, b, c]))?;
            w.option(opt::CLIENT_ID, &self.duid())?;
            if let Some(server) = self.server.as_ref().filter(|_| with_server) {
                w.option(opt::SERVER_ID, server)?;
            }
            w.option_u16(opt::ELAPSED_TIME, u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX))?;
            for wanted in &self.kinds {
                w.begin_ia(*wanted, 1, Timers::default())?;
                for (kind, prefix) in self.leases.iter().filter(|l| l.0 == *wanted) {
                    match kind {
                        IaKind::Na => w.ia_address(prefix.bits(), LeaseTimes::default())?,
                        IaKind::Pd => w.ia_prefix(prefix.bits(), prefix.len_bits(), LeaseTimes::default())?,
                    }
                }
                w.end_option()?;
            }
            w.finish().map(|_| ())
        };
        write().expect("a scenario's message is short");
        out
    }

    /// Sends a message once, and reads no answer.
    pub fn send(&mut self, pair: &mut Pair, kind: u8) {
        self.transaction += 1;
        let message = self.message(kind, Duration::ZERO);
        pair.multicast(self.source(), &message);
    }

    /// Sends the same message to one frontend only.
    pub fn send_to(&mut self, pair: &mut Pair, frontend: &str, kind: u8) {
        self.transaction += 1;
        let message = self.message(kind, Duration::ZERO);
        pair.deliver(frontend, self.source(), &message);
    }

    /// Sends a message each second until it is answered, for so long at most; takes the first answer.
    pub fn ask(&mut self, pair: &mut Pair, kind: u8, patience: Duration) -> Option<Said> {
        self.ask_at(pair, None, kind, patience)
    }

    /// The same, heard by one frontend only.
    pub fn ask_at(
        &mut self,
        pair: &mut Pair,
        only: Option<&str>,
        kind: u8,
        patience: Duration,
    ) -> Option<Said> {
        self.transaction += 1;
        pair.heard();
        let began = pair.now();
        let (mut sent, mut send_at) = (0, began);
        while pair.now().saturating_since(began) <= patience {
            if pair.now() >= send_at {
                let message = self.message(kind, pair.now().saturating_since(began));
                match only {
                    Some(frontend) => pair.deliver(frontend, self.source(), &message),
                    None => pair.multicast(self.source(), &message),
                }
                sent += 1;
                send_at = pair.now() + RETRANSMIT_EVERY;
            }
            let heard = pair.heard();
            let mut answers = heard.iter().filter_map(|h| self.read(h));
            if let Some((mut said, server)) = answers.next() {
                said.after = pair.now().saturating_since(began);
                said.sent = sent;
                self.take(kind, &said, server);
                return Some(said);
            }
            pair.advance(super::STEP);
        }
        None
    }

    /// Solicit and Request, as long as it takes within `patience`; what it was given.
    pub fn obtain(&mut self, pair: &mut Pair, patience: Duration) -> Option<Said> {
        self.obtain_at(pair, None, patience)
    }

    /// The same, heard by one frontend only.
    pub fn obtain_at(&mut self, pair: &mut Pair, only: Option<&str>, patience: Duration) -> Option<Said> {
        let until = pair.now() + patience;
        while pair.now() < until {
            let left = until.saturating_since(pair.now());
            let offer = self.ask_at(pair, only, msg::SOLICIT, left)?;
            if offer.lease().is_none() {
                // An offer of nothing is passed over; the client goes on soliciting (RFC 9915 §18.2.9).
                pair.advance(RETRANSMIT_EVERY);
                continue;
            }
            let offered = self.leases.clone();
            let said = self.ask_at(pair, only, msg::REQUEST, left)?;
            if said.lease().is_some() {
                return Some(said);
            }
            self.leases = offered;
            self.leases.clear();
            pair.advance(RETRANSMIT_EVERY);
        }
        None
    }

    /// Forgets what it holds, as after a reboot.
    pub fn forget(&mut self) {
        self.leases.clear();
        self.server = None;
    }

    fn read(&self, heard: &Heard) -> Option<(Said, Option<Vec<u8>>)> {
        let message = ServerMessage::decode(&heard.bytes).expect("what frontends send can be read");
        let [_, a, b, c] = self.transaction.to_be_bytes();
        if heard.to != self.source() || message.transaction_id.0 != [a, b, c] {
            return None;
        }
        let leases = message.ias.iter().flat_map(|ia| ia.leases());
        let prefix = |bits, len: u8| Prefix::containing(bits, u32::from(len)).expect("a checked length");
        let times = message.ias.first().map_or((0, 0, 0), |ia| {
            let preferred = ia.leases().next().map_or(0, |l| l.preferred_secs);
            (preferred, ia.timers.t1_secs, ia.timers.t2_secs)
        });
        let said = Said {
            by: heard.by.clone(),
            is_reply: message.kind == ServerMessageKind::Reply,
            after: Duration::ZERO,
            sent: 0,
            leases: leases.map(|l| (prefix(l.bits, l.len_bits), l.valid_secs)).collect(),
            times,
            statuses: message.ias.iter().filter_map(|ia| ia.status).map(|s| s.code).collect(),
        };
        Some((said, message.server_id.map(<[u8]>::to_vec)))
    }

    fn take(&mut self, kind: u8, said: &Said, server: Option<Vec<u8>>) {
        if matches!(kind, msg::RELEASE | msg::DECLINE) {
            self.leases.clear();
            return;
        }
        self.server = server;
        self.leases
            .retain(|held| !said.leases.iter().any(|(prefix, valid)| *prefix == held.1 && *valid == 0));
        if kind == msg::SOLICIT {
            self.leases.clear();
        }
        for (prefix, valid) in &said.leases {
            let kind = if prefix.is_address() { IaKind::Na } else { IaKind::Pd };
            if *valid > 0 && !self.leases.contains(&(kind, *prefix)) {
                self.leases.push((kind, *prefix));
            }
        }
    }
}
