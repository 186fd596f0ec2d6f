//! The judge of what passed on the clients' link: what each Reply promised, and how long each client waited for it.
//!
//! Owns: every promise from when it passed, every wait from the first transmission of a message on, and what is wrong
//! with them. Refuses to know: servers, stores, processes, and how datagrams are had ([`Capture`](crate::netns::Capture)).
//! In: datagrams, in the order in which they passed. Out: [`DoublePromise`](leasehold::load::oracle::DoublePromise)s in
//! words, [`Wait`]s, and what is held at a moment. Pure: time comes with the datagrams.
//! Invariants: only Replies promise, only a client's own Release or Decline, a lifetime of 0 or time ends a promise.
//! A Reply counts although the client may never have got it: the judge is stricter than any client.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use leasehold::load::oracle::{ClientNumber, Oracle};
use leasehold_frontend::codec::message::{ClientMessage, MessageKind, TransactionId};
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use leasehold_frontend::codec::wire::{SERVER_PORT, msg, status};
use leasehold_frontend::codec::{Decoded, decode};
use leasehold_proto::time::{Lifetime, LocalTime};
use leasehold_proto::words::Prefix;

use crate::netns::Datagram;

/// Findings kept in words; the rest is counted.
const EXAMPLES_MAX: usize = 5;

/// What a client waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// A first lease: from the first Solicit, or Request, to the Reply.
    New,
    /// What an Advertise offered: from the first Request to the Reply.
    Offered,
    /// An extension: from the first Renew, or Rebind, to the Reply.
    Renewal,
}

/// One wait of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whose.
    pub duid: Vec<u8>,
    /// For what.
    pub wanted: Wanted,
    /// When the message that began it first passed.
    pub since: Duration,
    /// When the Reply passed; `None` while it is still waited for.
    pub until: Option<Duration>,
}

/// A lease promised to a client that did not hold it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPromise {
    /// When the Reply passed.
    pub at: Duration,
    /// Who sent it: a frontend's address.
    pub from: Ipv6Addr,
    /// The address or prefix.
    pub lease: Prefix,
}

#[derive(Debug)]
struct Client {
    number: ClientNumber,
    transaction: Option<TransactionId>,
    waiting: BTreeMap<Wanted, Duration>,
}

#[derive(Clone, Debug)]
struct Holding {
    duid: Vec<u8>,
    until: LocalTime,
}

/// The judge.
#[derive(Debug, Default)]
pub struct Wire {
    clients: BTreeMap<Vec<u8>, Client>,
    oracle: Oracle,
    held: BTreeMap<Prefix, Holding>,
    waits: Vec<Wait>,
    new_promises: Vec<NewPromise>,
    /// When each Reply passed, and who sent it.
    replies: Vec<(Duration, Ipv6Addr)>,
    /// When each message passed that had passed before.
    repeats: Vec<Duration>,
    given_twice: u64,
    taken_back: u64,
    unreadable: u64,
    examples: Vec<String>,
}

impl Wire {
    /// Takes in a datagram that passed; what is not DHCPv6 is passed over.
    pub fn see(&mut self, datagram: &Datagram<'_>) {
        if datagram.destination.1 == SERVER_PORT && datagram.payload.first() != Some(&msg::RELAY_REPLY) {
            match decode(datagram.payload) {
                Ok(Decoded::Client(message) | Decoded::Relayed(_, message)) => {
                    self.asked(datagram.at, &message);
                }
                Err(_) => self.unreadable += 1,
            }
        } else if datagram.source.1 == SERVER_PORT {
            let inner = match datagram.payload.first() {
                Some(&msg::RELAY_REPLY) => unwrap_relay_reply(datagram.payload).map(|reply| reply.payload),
                _ => Ok(datagram.payload),
            };
            match inner.and_then(ServerMessage::decode) {
                Ok(message) => self.answered(datagram.at, datagram.source.0, &message),
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn asked(&mut self, at: Duration, message: &ClientMessage<'_>) {
        let Some(duid) = message.client_id else { return };
        let client = client(&mut self.clients, duid);
        if client.transaction.replace(message.transaction_id) == Some(message.transaction_id) {
            self.repeats.push(at);
        }
        let wanted = match message.kind {
            MessageKind::Solicit | MessageKind::Request => Wanted::New,
            MessageKind::Renew | MessageKind::Rebind => Wanted::Renewal,
            MessageKind::Release | MessageKind::Decline => {
                client.waiting.clear();
                let number = client.number;
                for lease in message.ias.iter().flat_map(|ia| ia.leases()) {
                    if let Ok(lease) = Prefix::new(lease.bits, lease.len_bits.into()) {
                        self.end(number, duid, lease);
                    }
                }
                return;
            }
            MessageKind::Confirm | MessageKind::InformationRequest | MessageKind::AddrRegInform => return,
        };
        if wanted == Wanted::New {
            // It has given up what it wanted to extend.
            client.waiting.remove(&Wanted::Renewal);
        }
        client.waiting.entry(wanted).or_insert(at);
        if message.kind == MessageKind::Request {
            client.waiting.entry(Wanted::Offered).or_insert(at);
        }
    }

    fn answered(&mut self, at: Duration, from: Ipv6Addr, message: &ServerMessage<'_>) {
        if message.kind != ServerMessageKind::Reply {
            return;
        }
        self.replies.push((at, from));
        let Some(duid) = message.client_id else { return };
        let number = client(&mut self.clients, duid).number;
        let mut promised = false;
        for ia in &message.ias {
            for lease in ia.leases() {
                let refused = lease.status().is_some_and(|status| status.code != status::SUCCESS);
                let Ok(prefix) = Prefix::new(lease.bits, lease.len_bits.into()) else {
                    self.unreadable += 1;
                    continue;
                };
                if !refused {
                    promised |= self.promised(at, from, (number, duid), prefix, lease.valid_secs);
                }
            }
        }
        if promised && let Some(client) = self.clients.get_mut(duid) {
            for (wanted, since) in std::mem::take(&mut client.waiting) {
                self.waits.push(Wait { duid: duid.to_vec(), wanted, since, until: Some(at) });
            }
        }
    }

    /// Takes in one lease of a Reply; says whether it promises anything.
    fn promised(
        &mut self,
        at: Duration,
        from: Ipv6Addr,
        (number, duid): (ClientNumber, &[u8]),
        lease: Prefix,
        valid_secs: u32,
    ) -> bool {
        let (now, valid) = (local(at), Lifetime::from_wire(valid_secs));
        let holds = self.held.get(&lease).is_some_and(|held| held.duid == duid && held.until > now);
        if valid == Lifetime::ZERO {
            if holds {
                self.taken_back += 1;
                self.example(|| format!("{} was told to stop using {lease}", hex(duid)));
            }
            self.end(number, duid, lease);
            return false;
        }
        if let Some(double) = self.oracle.promised(now, number, lease, valid) {
            self.given_twice += 1;
            let holder = self.held.get(&double.held).map(|held| hex(&held.duid)).unwrap_or_default();
            let left = double.held_until.saturating_since(now).as_secs_f64();
            self.example(|| {
                format!(
                    "{lease} promised to {} while {holder} holds {} for {left:.1} s",
                    hex(duid),
                    double.held
                )
            });
        }
        if !holds {
            self.new_promises.push(NewPromise { at, from, lease });
        }
        let until = valid.finite_secs().map_or(LocalTime::NEVER, |_| now + valid.span());
        self.held.insert(lease, Holding { duid: duid.to_vec(), until });
        true
    }

    fn end(&mut self, number: ClientNumber, duid: &[u8], lease: Prefix) {
        self.oracle.released(number, lease);
        if self.held.get(&lease).is_some_and(|held| held.duid == duid) {
            self.held.remove(&lease);
        }
    }

    fn example(&mut self, words: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }

    /// How many Replies have passed.
    #[must_use]
    pub fn replies(&self) -> usize {
        self.replies.len()
    }

    /// When the first Reply of this sender passed, from a moment on.
    #[must_use]
    pub fn first_reply_from(&self, sender: Ipv6Addr, moment: Duration) -> Option<Duration> {
        self.replies.iter().find(|(at, from)| *at >= moment && *from == sender).map(|(at, _)| *at)
    }

    /// How many messages passed again, from a moment on: same client and transaction. What a relay sends to two servers
    /// counts, too.
    #[must_use]
    pub fn repeats_from(&self, moment: Duration) -> usize {
        self.repeats.iter().filter(|at| **at >= moment).count()
    }

    /// Promises of what another client held.
    #[must_use]
    pub fn given_twice(&self) -> u64 {
        self.given_twice
    }

    /// Leases that a client held and was told to stop using.
    #[must_use]
    pub fn taken_back(&self) -> u64 {
        self.taken_back
    }

    /// Messages to or from the server port that could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The first findings, in words.
    #[must_use]
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// What is held at a moment, with the DUID of its holder in hexadecimal digits.
    #[must_use]
    pub fn held(&self, at: Duration) -> BTreeMap<Prefix, String> {
        let now = local(at);
        let in_force = self.held.iter().filter(|(_, held)| held.until > now);
        in_force.map(|(lease, held)| (*lease, hex(&held.duid))).collect()
    }

    /// All waits that were not over at a moment, or began later: those that have ended, and those that have not.
    pub fn waits_from(&self, moment: Duration) -> impl Iterator<Item = Wait> + '_ {
        let over = self.waits.iter().filter(move |wait| wait.until >= Some(moment)).cloned();
        let open = self.clients.iter().flat_map(|(duid, client)| {
            client.waiting.iter().map(|(wanted, since)| Wait {
                duid: duid.clone(),
                wanted: *wanted,
                since: *since,
                until: None,
            })
        });
        over.chain(open)
    }

    /// Leases that were promised, from a moment on, to clients that did not hold them already.
    pub fn new_promises_from(&self, moment: Duration) -> impl Iterator<Item = &NewPromise> {
        self.new_promises.iter().filter(move |promise| promise.at >= moment)
    }
}

fn client<'a>(clients: &'a mut BTreeMap<Vec<u8>, Client>, duid: &[u8]) -> &'a mut Client {
    let number = ClientNumber::try_from(clients.len()).unwrap_or(ClientNumber::MAX);
    clients.entry(duid.to_vec()).or_insert_with(|| Client {
        number,
        transaction: None,
        waiting: BTreeMap::new(),
    })
}

fn local(at: Duration) -> LocalTime {
    LocalTime::from_nanos(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
