//! What each DHCPv6 message means, who answers it, and with what.
//!
//! `desk` takes a datagram from its octets to a reply: `link` chooses the link, `server` the logical server spoken to,
//! `answer` judges whose turn it is, `access` whether it may speak at all, `classes` what it is told apart by, `parked`
//! keeps what was left to the partner, `held` Replies that wait for the commit, `later` looks at both again, one module
//! for each message fills a `plan`, `reply` writes it; `reconfigure` asks clients to come; `pools` indexes the
//! configuration for all of them. It asks `leases` for all that is leased, and knows nothing of ranges, sequences and
//! the store. Inputs are packets and the news that can change who answers; outputs are replies in a sink, and counts.
//! Invariants: a message is answered at most once; what is left alone leaves no trace but its copy; nothing in a packet
//! can make it panic or hold more than the limits. Source: RFC 9915 §16, §18.3.

mod access;
mod answer;
mod claim;
mod classes;
mod confirm;
mod context;
mod decline;
mod desk;
mod ending;
mod exclude;
mod giving;
mod heard;
mod held;
mod information_request;
mod later;
mod legacy;
mod link;
mod link_pools;
mod options;
mod parked;
mod plan;
mod pools;
mod rate;
mod rebind;
mod reconfigure;
mod register;
mod relay_data;
mod relay_supplied;
mod release;
mod renew;
mod reply;
mod request;
mod server;
mod solicit;
mod traced;

#[cfg(test)]
mod tests;

pub use answer::Cause;

use super::Interface;
use heard::HeardOnLinks;
use held::Held;
use leasehold_proto::network::Network;
use leasehold_proto::reconfigure::ReconfigureSecret;
use leasehold_proto::session::LinkReport;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::FrontendId;
use link::InterfaceLinks;
use parked::{Parked, Releasing};
use pools::Topology;
use rate::Rates;
use reconfigure::Reconfigures;
use siphasher::sip::SipHasher13;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

pub(super) use desk::Desk;
pub(super) use traced::kind_number;

/// All but the leases that answering needs between packets.
#[derive(Debug)]
pub(super) struct Exchange {
    interfaces: Vec<Interface>,
    topology: Option<Topology>,
    interface_links: InterfaceLinks,
    parked: Parked,
    held: Held,
    /// Kept messages that are to be answered, a bounded number in each turn: which, and how far.
    releasing: VecDeque<(Releasing, Range<u64>)>,
    message_hash: SipHasher13,
    heard: HeardOnLinks,
    rates: Rates,
    reconfigures: Reconfigures,
}

impl Exchange {
    /// Nothing configured, nothing kept.
    pub(super) fn new(hash_key: &[u8; 16], parked_messages_max: usize) -> Self {
        Self {
            interfaces: Vec::new(),
            topology: None,
            interface_links: InterfaceLinks::default(),
            parked: Parked::new(parked_messages_max),
            held: Held::default(),
            releasing: VecDeque::new(),
            message_hash: SipHasher13::new_with_key(hash_key),
            heard: HeardOnLinks::default(),
            rates: Rates::default(),
            reconfigures: Reconfigures::default(),
        }
    }

    /// Takes the interfaces as they are now.
    pub(super) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces;
        self.pair_interfaces();
    }

    /// Takes a configuration.
    pub(super) fn set_network(&mut self, network: Arc<Network>, frontend: &FrontendId) {
        self.topology = Some(Topology::new(network, frontend));
        self.pair_interfaces();
    }

    fn pair_interfaces(&mut self) {
        if let Some(topology) = &self.topology {
            self.interface_links = InterfaceLinks::new(&self.interfaces, topology);
        }
    }

    /// Names of interfaces whose link the configuration does not have; none before there is one.
    pub(super) fn interfaces_without_link(&self) -> Vec<String> {
        let Some(topology) = &self.topology else { return Vec::new() };
        let unknown = |i: &&Interface| i.link.as_deref().is_some_and(|l| topology.link_named(l).is_none());
        self.interfaces.iter().filter(unknown).map(|i| i.name.clone()).collect()
    }

    /// What was heard on each link since this was asked last: for the next heartbeat.
    pub(super) fn take_link_reports(&mut self) -> Vec<LinkReport> {
        self.heard.take()
    }

    /// How many messages are kept.
    pub(super) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// The secret from which clients' reconfigure keys follow, and how many orders to ask clients were given so far.
    pub(super) fn set_reconfigure_secret(&mut self, secret: &ReconfigureSecret, orders: u64) {
        self.reconfigures.set_secret(secret, orders);
    }

    /// How many clients were asked by Reconfigure and not heard since.
    pub(super) fn reconfigures_waiting(&self) -> usize {
        self.reconfigures.waiting()
    }

    /// How many Replies wait for the commit.
    pub(super) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Lets go of the Replies that wait for the commit: local time is in doubt. How many there were.
    pub(super) fn drop_held(&mut self) -> u64 {
        self.held.clear()
    }

    /// When [`Desk::turn`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<LocalTime> {
        if !self.releasing.is_empty() {
            return Some(LocalTime::ZERO);
        }
        [self.parked.next_due(), self.held.next_due(), self.reconfigures.next_due()]
            .into_iter()
            .flatten()
            .min()
    }
}
