//! Reconfigure: giving clients their keys, and asking them to come (requirements 3.7).
//!
//! Owns what is kept between packets: the keys' source, orders not yet gone through, and clients asked and not heard
//! since. `rkap` knows keys and digests, `message` the octets, `clients` the bounded set with its deadlines, `sending` the
//! work done in turns. Refuses to know who ordered what: the store's stream brings orders in the order of its log.
//! Invariants: a client is asked only if it accepted and was given its key (SV-401); at most
//! [`clients::CLIENTS_MAX`] are waited for at once and [`SENDS_PER_PACE`] messages leave in [`PACE_EVERY`]; the packet path
//! pays for none of it while nobody is asked. Source: RFC 9915 §18.3.11, §20.4.

mod clients;
mod message;
mod rkap;
mod sending;

use crate::codec::wire::{msg, opt};
use crate::codec::{ClientMessage, EncodeError, MessageKind, Writer};
use clients::Clients;
use hashbrown::HashSet;
use leasehold_proto::network::{Link, Relationship};
use leasehold_proto::reconfigure::{ReconfigureOrder, ReconfigureSecret, replay_of_key};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::Epoch;
use rkap::{ClientKey, Keys};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Between two pieces of work.
const PACE_EVERY: Duration = Duration::from_millis(50);
/// Messages sent in one piece. Why 50: a thousand clients a second come back, which one frontend answers beside its
/// other work, and the batch of replies has room.
const SENDS_PER_PACE: usize = 50;
/// Records looked at in one piece. Why: at some 20 ns each, packets wait for a third of a millisecond.
const RECORDS_PER_PACE: u32 = 16_384;
/// Orders kept until they are gone through.
const ORDERS_MAX: usize = 64;

/// An order, and how far the records were gone through for it.
#[derive(Debug)]
struct Walk {
    order: Arc<ReconfigureOrder>,
    /// The next record to look at.
    at: u32,
    /// The session that numbers the records.
    epoch: Epoch,
    /// Clients asked: one with several leases is asked once.
    asked: HashSet<u64>,
}

/// What is kept between packets.
#[derive(Debug, Default)]
pub(super) struct Reconfigures {
    keys: Option<Keys>,
    orders_read: u64,
    walks: VecDeque<Walk>,
    clients: Clients,
    /// No piece of work before this.
    next_pace: LocalTime,
    /// Where a message is written before it is signed.
    scratch: Vec<u8>,
}

impl Reconfigures {
    /// The cluster's secret, and how many orders it has given.
    pub(super) fn set_secret(&mut self, secret: &ReconfigureSecret, orders: u64) {
        self.keys = Some(Keys::new(secret));
        self.orders_read = orders;
    }

    /// Takes an order; false when too many wait. `epoch`: the session that numbers the records now.
    pub(super) fn take_order(&mut self, order: Arc<ReconfigureOrder>, epoch: Epoch) -> bool {
        self.orders_read = self.orders_read.max(order.number);
        if self.walks.len() >= ORDERS_MAX {
            return false;
        }
        self.walks.push_back(Walk { order, at: 0, epoch, asked: HashSet::new() });
        true
    }

    /// Clients that were asked and not heard since.
    pub(super) fn waiting(&self) -> usize {
        self.clients.len()
    }

    /// When the next piece of work is due.
    pub(super) fn next_due(&self) -> Option<LocalTime> {
        if !self.walks.is_empty() {
            return Some(self.next_pace);
        }
        self.clients.next_due().map(|due| due.max(self.next_pace))
    }

    /// What the answer to a message says of Reconfigure. `now`: cluster time, as far as it is known; without it nothing
    /// can be promised to be above earlier replay values, so no key is given.
    pub(super) fn offer(
        &self,
        message: &ClientMessage<'_>,
        link: &Link,
        relationship: &Relationship,
        incarnation: u16,
        now: impl FnOnce() -> Option<ClusterTime>,
    ) -> Offer {
        let (true, true, Some(client), Some(keys)) =
            (link.reconfigure, message.reconfigure_accept, message.client_id, &self.keys)
        else {
            return Offer::Nothing;
        };
        let gives_key = match message.kind {
            MessageKind::Request | MessageKind::InformationRequest => true,
            MessageKind::Solicit => message.rapid_commit && link.rapid_commit,
            _ => false,
        };
        if !gives_key {
            return Offer::Accept;
        }
        let Some(now) = now() else { return Offer::Nothing };
        let key = keys.of_client(relationship.server_duid.as_bytes(), client);
        Offer::Key { key, replay: replay_of_key(incarnation, self.orders_read, now) }
    }
}

/// What an answer says of Reconfigure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    /// The client does not accept, or its link is not for it.
    Nothing,
    /// That it is supported (SV-307).
    Accept,
    /// The same, and the client's key (SV-401).
    Key {
        /// The key.
        key: ClientKey,
        /// Above all values that the client knows (SV-405).
        replay: u64,
    },
}

impl Offer {
    /// Whether the client has its key from now on.
    pub(super) fn gives_key(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Writes the options. A key stands in a Reply only.
    pub(super) fn write(&self, message_type: u8, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        if *self == Self::Nothing {
            return Ok(());
        }
        out.option(opt::RECONF_ACCEPT, &[])?;
        match self {
            Self::Key { key, replay } if message_type == msg::REPLY => {
                out.option(opt::AUTH, &rkap::key_option(key, *replay))
            }
            _ => Ok(()),
        }
    }
}
