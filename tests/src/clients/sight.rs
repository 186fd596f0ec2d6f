//! What each client and the frontends said to each other, as it passed on the frontends' link.
//!
//! Owns: the capture, and the pairing of Replies with what they answer. Refuses to know: what should have been said.
//! In: the lab. Out: [`Exchange`]s and counts by client, a client being named by its link-local address, which a relay
//! keeps as the peer-address.
//! Invariants: a Reply answers the last message of its client with its transaction id; a client that uses one id for
//! several kinds of message is read rightly as long as it awaits one answer before it sends the next kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

use super::message::{Message, kind, option};
use crate::netns::{Capture, Datagram, Lab, Prefix};

const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

/// A message and the Reply to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was asked, one of [`kind`].
    pub asked: u8,
    /// When that first passed.
    pub since: Duration,
    /// When the Reply passed.
    pub at: Duration,
    /// Who sent the Reply.
    pub from: Ipv6Addr,
    /// The Reply.
    pub reply: Message,
}

/// What a client was given in Replies.
#[derive(Clone, Debug, Default)]
pub struct Gain {
    /// Addresses and prefixes with a valid lifetime.
    pub leases: BTreeSet<Prefix>,
    /// The same in the order in which they were first given.
    pub in_order: Vec<Prefix>,
    /// The longest wait from a message's first transmission to the Reply.
    pub wait: Duration,
    /// When the last Reply passed.
    pub at: Duration,
    /// Who sent the Replies.
    pub from: BTreeSet<Ipv6Addr>,
    /// The most relay levels of a Reply.
    pub levels: usize,
}

/// A Reconfigure on its way to a client.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// When it passed.
    pub at: Duration,
    /// Who sent it.
    pub from: Ipv6Addr,
    /// What it says.
    pub message: Message,
    /// The datagram's octets, with the levels of relays around the message.
    pub payload: Vec<u8>,
}

#[derive(Debug, Default)]
struct Record {
    asked: Vec<(Duration, u8, [u8; 3])>,
    answered: Vec<Exchange>,
    prompts: Vec<Prompt>,
    accepts_reconfigure: bool,
}

/// The eyes on the frontends' link.
#[derive(Debug)]
pub struct Sight {
    records: Arc<Mutex<BTreeMap<Ipv6Addr, Record>>>,
    capture: Capture,
}

impl Sight {
    /// Looks from now on.
    ///
    /// # Errors
    /// When the kernel refuses the capture.
    pub fn open(lab: &Lab) -> Result<Self> {
        let records = Arc::new(Mutex::new(BTreeMap::new()));
        let seen = Arc::clone(&records);
        let capture = lab.capture("near", move |datagram| {
            see(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), datagram);
        })?;
        Ok(Self { records, capture })
    }

    /// Ends the capture; what was concluded from silence holds only if the kernel dropped nothing.
    ///
    /// # Errors
    /// When it did, or the capture failed.
    pub fn close(self) -> Result<()> {
        let missed = self.capture.stop()?;
        ensure!(missed == 0, "the capture missed {missed} frames");
        Ok(())
    }

    /// How often a client has sent a kind of message, from a moment on; what a relay sends to two servers counts twice.
    #[must_use]
    pub fn asked(&self, client: Ipv6Addr, asked: u8, since: Duration) -> usize {
        self.of(client, |record| {
            record.asked.iter().filter(|(at, kind, _)| *kind == asked && *at >= since).count()
        })
    }

    /// How many transactions of a kind a client has begun, from a moment on; fewer where it uses an id again.
    #[must_use]
    pub fn begun(&self, client: Ipv6Addr, asked: u8, since: Duration) -> usize {
        self.of(client, |record| {
            let of_kind = record.asked.iter().filter(|(at, kind, _)| *kind == asked && *at >= since);
            of_kind.map(|(.., id)| *id).collect::<BTreeSet<_>>().len()
        })
    }

    /// When a client first sent a kind of message, from a moment on.
    #[must_use]
    pub fn first_asked(&self, client: Ipv6Addr, asked: u8, since: Duration) -> Option<Duration> {
        self.of(client, |record| {
            record.asked.iter().find(|(at, kind, _)| *kind == asked && *at >= since).map(|(at, ..)| *at)
        })
    }

    /// The first Reply to a kind of message of a client, from a moment on.
    #[must_use]
    pub fn answered(&self, client: Ipv6Addr, asked: u8, since: Duration) -> Option<Exchange> {
        self.of(client, |record| {
            record.answered.iter().find(|exchange| exchange.asked == asked && exchange.at >= since).cloned()
        })
    }

    /// What a client was given in answer to these kinds of messages, from a moment on.
    #[must_use]
    pub fn gained(&self, client: Ipv6Addr, asked: &[u8], since: Duration) -> Gain {
        let mut gain = Gain::default();
        self.of(client, |record| {
            for exchange in record.answered.iter().filter(|e| asked.contains(&e.asked) && e.at >= since) {
                for lease in exchange.reply.leases.iter().filter(|lease| lease.valid_secs > 0) {
                    if gain.leases.insert(lease.prefix) {
                        gain.in_order.push(lease.prefix);
                    }
                }
                gain.wait = gain.wait.max(exchange.at.saturating_sub(exchange.since));
                gain.at = gain.at.max(exchange.at);
                gain.from.insert(exchange.from);
                gain.levels = gain.levels.max(exchange.reply.levels);
            }
        });
        gain
    }

    /// The Reconfigures that were sent to a client, from a moment on, oldest first.
    #[must_use]
    pub fn prompts(&self, client: Ipv6Addr, since: Duration) -> Vec<Prompt> {
        self.of(client, |record| record.prompts.iter().filter(|prompt| prompt.at >= since).cloned().collect())
    }

    /// Whether a client has ever said that it accepts Reconfigure.
    #[must_use]
    pub fn accepts_reconfigure(&self, client: Ipv6Addr) -> bool {
        self.of(client, |record| record.accepts_reconfigure)
    }

    fn of<T: Default>(&self, client: Ipv6Addr, look: impl FnOnce(&Record) -> T) -> T {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(&client).map(look).unwrap_or_default()
    }
}

/// Now, by the capture's clock.
///
/// # Errors
/// When the clock stands before 1970.
pub fn now() -> Result<Duration> {
    SystemTime::UNIX_EPOCH.elapsed().context("the clock stands before 1970")
}

fn see(records: &mut BTreeMap<Ipv6Addr, Record>, datagram: &Datagram<'_>) {
    let Some(message) = Message::read(datagram.payload) else { return };
    if message.kind == kind::REPLY {
        if datagram.source.1 != SERVER_PORT {
            return;
        }
        let client = message.peer.unwrap_or(datagram.destination.0);
        let Some(record) = records.get_mut(&client) else { return };
        let Some(asked) = record.asked.iter().rev().find(|(.., id)| *id == message.transaction) else {
            return;
        };
        let asked = asked.1;
        let before = record.answered.iter().rev();
        let before = before
            .filter(|exchange| exchange.asked == asked && exchange.reply.transaction == message.transaction)
            .map(|exchange| exchange.at)
            .next();
        let since = record
            .asked
            .iter()
            .find(|(at, kind, id)| {
                *kind == asked && *id == message.transaction && before.is_none_or(|b| *at > b)
            })
            .map_or(datagram.at, |(at, ..)| *at);
        let (at, from) = (datagram.at, datagram.source.0);
        record.answered.push(Exchange { asked, since, at, from, reply: message });
    } else if message.kind == kind::RECONFIGURE {
        let (at, from, payload) = (datagram.at, datagram.source.0, datagram.payload.to_vec());
        let client = message.peer.unwrap_or(datagram.destination.0);
        records.entry(client).or_default().prompts.push(Prompt { at, from, message, payload });
    } else if datagram.destination.1 == SERVER_PORT || datagram.source.1 == CLIENT_PORT {
        let client = message.peer.unwrap_or(datagram.source.0);
        let record = records.entry(client).or_default();
        record.asked.push((datagram.at, message.kind, message.transaction));
        record.accepts_reconfigure |= message.options.contains(&option::RECONFIGURE_ACCEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(records: &mut BTreeMap<Ipv6Addr, Record>, at: u64, kind: u8, id: u8) {
        let (client, server): (Ipv6Addr, Ipv6Addr) = ("fe80::c".parse().unwrap(), "fe80::a".parse().unwrap());
        let (source, destination) = if kind == kind::REPLY {
            ((server, SERVER_PORT), (client, CLIENT_PORT))
        } else {
            ((client, CLIENT_PORT), (server, SERVER_PORT))
        };
        let payload = [kind, 0, 0, id];
        see(records, &Datagram { at: Duration::from_secs(at), source, destination, payload: &payload });
    }

    #[test]
    fn a_reply_is_paired_with_the_last_message_of_its_id_and_counts_from_its_first_transmission() {
        let mut records = BTreeMap::new();
        let said = [
            (1, kind::REQUEST, 7),
            (2, kind::REPLY, 7),
            (20, kind::RENEW, 7),
            (30, kind::RENEW, 7),
            (31, kind::REPLY, 7),
            (50, kind::RENEW, 7),
            (51, kind::REPLY, 7),
            (52, kind::REPLY, 9),
        ];
        for (at, kind, id) in said {
            pass(&mut records, at, kind, id);
        }
        let record = records.values().next().unwrap();
        let waits: Vec<_> = record.answered.iter().map(|e| (e.asked, (e.at - e.since).as_secs())).collect();
        assert_eq!(waits, [(kind::REQUEST, 1), (kind::RENEW, 11), (kind::RENEW, 1)]);
    }

    #[test]
    fn a_reconfigure_is_kept_for_whom_it_is_sent_to() {
        let (client, server): (Ipv6Addr, Ipv6Addr) = ("fe80::c".parse().unwrap(), "fe80::a".parse().unwrap());
        let payload = [kind::RECONFIGURE, 0, 0, 0];
        let (source, destination) = ((server, SERVER_PORT), (client, CLIENT_PORT));
        let mut records = BTreeMap::new();
        see(&mut records, &Datagram { at: Duration::from_secs(3), source, destination, payload: &payload });
        let record = &records[&client];
        assert!(record.asked.is_empty() && records.len() == 1, "it is no message of anybody's client");
        let prompts: Vec<_> =
            record.prompts.iter().map(|p| (p.at.as_secs(), p.from, &p.payload[..])).collect();
        assert_eq!(prompts, [(3, server, &payload[..])]);
    }
}
