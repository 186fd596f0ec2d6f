//! Going through orders and sending what is due, a piece at a time.
//!
//! Owns the choice of whom this frontend asks: clients that accepted and were given a key (SV-401), of leases of its
//! relationships on links that are for it, and that it would answer itself, by the same judgement as for answering; and
//! the way to each: directly, or back through its relays (SV-406). A Reconfigure promises nothing; it leaves with the
//! replies of its batch. Source: RFC 9915 §18.3.11, §19.3.

use super::super::answer::{Claim, is_mine};
use super::super::desk::Desk;
use super::super::pools::{LinkAt, RelationshipAt, Topology};
use super::clients::Asked;
use super::message::Reconfigure;
use super::{PACE_EVERY, RECORDS_PER_PACE, SENDS_PER_PACE};
use crate::codec::wire::CLIENT_PORT;
use crate::codec::{RelayChain, Writer, encode_relay_reply};
use crate::engine::exchange::reply::PAYLOAD_LEN_MAX;
use crate::engine::leases::{Acceptor, Service};
use crate::engine::{ReplySink, ReplyTo};
use leasehold_proto::lease::RelayData;
use leasehold_proto::reconfigure::{ReconfigureMessage, ReconfigureOrder, ReconfigureWhom};
use leasehold_proto::words::{LinkId, RelationshipId};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// What became of a Reconfigure that was due.
enum Sending {
    Sent,
    /// The Reply that gives the client its key may still wait for its commit: this counts as a try (SV-401). The next one
    /// comes later than any Reply waits.
    TooEarly,
    /// The client was heard since it was asked, by the partner.
    Heard,
    /// It was sent often enough.
    Unanswered,
    /// The lease has ended, its link is not for Reconfigure any more, or there is no way to the client.
    Gone,
}

/// Where a lease stands in the configuration.
#[derive(Clone, Copy)]
struct Standing {
    link: LinkAt,
    server: RelationshipAt,
    relationship: RelationshipId,
}

impl<S: ReplySink> Desk<'_, S> {
    /// An order has come.
    pub(in crate::engine) fn take_order(&mut self, order: Arc<ReconfigureOrder>) {
        if !self.exchange.reconfigures.take_order(order, self.leases.records_epoch()) {
            self.counters.reconfigure_orders_dropped += 1;
        }
    }

    /// The next piece of work, if its time has come.
    pub(in crate::engine::exchange) fn reconfigure(&mut self) {
        let kept = &mut self.exchange.reconfigures;
        if kept.next_due().is_none_or(|due| due > self.now) {
            return;
        }
        kept.next_pace = self.now + PACE_EVERY;
        if !self.leases.asks_clients() {
            return;
        }
        let Some(topology) = self.exchange.topology.take() else { return };
        self.walk_on(&topology);
        self.send_due(&topology);
        self.exchange.topology = Some(topology);
    }

    /// A sound message of a client came in, for whomever.
    pub(in crate::engine::exchange) fn heard_of_asked(
        &mut self,
        relationship: RelationshipId,
        link: LinkId,
        duid: Option<&[u8]>,
        msg_type: u8,
    ) {
        let Some(duid) = duid.filter(|_| !self.exchange.reconfigures.clients.is_empty()) else { return };
        let key = key(self.exchange.message_hash, relationship, link, duid);
        if self.exchange.reconfigures.clients.heard(key, msg_type) {
            self.counters.reconfigures_answered += 1;
        }
    }

    /// Goes on looking for clients that the first order means.
    fn walk_on(&mut self, topology: &Topology) {
        let Some(mut walk) = self.exchange.reconfigures.walks.pop_front() else { return };
        let epoch = self.leases.records_epoch();
        if walk.epoch != epoch {
            (walk.at, walk.epoch) = (0, epoch);
        }
        let end = self.leases.records_end();
        let until = walk.at.saturating_add(RECORDS_PER_PACE).min(end);
        let mut found = 0;
        while walk.at < until && found < SENDS_PER_PACE && self.exchange.reconfigures.clients.has_room() {
            if let Some((key, asked)) = self.to_ask(topology, &walk.order, walk.at)
                && walk.asked.insert(key)
            {
                self.exchange.reconfigures.clients.ask(self.now, key, asked);
                found += 1;
            }
            walk.at += 1;
        }
        if walk.at < end {
            self.exchange.reconfigures.walks.push_front(walk);
        }
    }

    /// The client of a record, if an order means it and this frontend is to ask it.
    fn to_ask(&self, topology: &Topology, order: &ReconfigureOrder, at: u32) -> Option<(u64, Asked)> {
        let acceptor = self.leases.acceptor_at(at)?;
        let binding = acceptor.binding;
        let is_meant = match &order.whom {
            ReconfigureWhom::Client(duid) => binding.duid == *duid,
            ReconfigureWhom::Link(link) => binding.link == *link,
            ReconfigureWhom::Pool(pool) => acceptor.pool == *pool,
            ReconfigureWhom::Everyone => true,
        };
        if !is_meant {
            return None;
        }
        let standing = standing(topology, &acceptor)?;
        if !is_mine(&self.claim_on(topology, standing, &acceptor)) {
            return None;
        }
        let duid = binding.duid.as_bytes();
        let key = key(self.exchange.message_hash, standing.relationship, binding.link, duid);
        let asked =
            Asked::new(binding.duid.clone(), acceptor.prefix, order.message, order.replay, acceptor.contact);
        Some((key, asked))
    }

    /// What decides whether this frontend would answer a client of which it knows a lease.
    fn claim_on<'c>(
        &'c self,
        topology: &'c Topology,
        standing: Standing,
        acceptor: &Acceptor<'_>,
    ) -> Claim<'c> {
        let (me, link) = (self.leases.frontend(), acceptor.binding.link);
        let relationship = topology.relationship(standing.server);
        let relay = acceptor.relay.relay_source.map(|(address, _)| address);
        let partner = relationship.partner_of(me);
        Claim {
            relationship,
            me,
            mine: self.leases.own_service(link, relay),
            partners: partner.map_or(Service::FULL, |partner| self.leases.service_of(partner, link, relay)),
            bucket: topology.bucket_key(standing.server).bucket(acceptor.binding.duid.as_bytes()),
            offered: None,
            elapsed_ms: 0,
            seen_again: false,
        }
    }

    fn send_due(&mut self, topology: &Topology) {
        for _ in 0..SENDS_PER_PACE {
            let Some((key, asked)) = self.exchange.reconfigures.clients.take_due(self.now) else { return };
            match self.send_to(topology, &asked) {
                Sending::Sent => {
                    self.counters.reconfigures_sent += 1;
                    self.exchange.reconfigures.clients.sent(self.now, key, asked);
                }
                Sending::TooEarly => self.exchange.reconfigures.clients.sent(self.now, key, asked),
                Sending::Heard => self.counters.reconfigures_answered += 1,
                Sending::Unanswered => self.counters.reconfigures_unanswered += 1,
                Sending::Gone => self.counters.reconfigures_ended += 1,
            }
        }
    }

    fn send_to(&mut self, topology: &Topology, asked: &Asked) -> Sending {
        let acceptor = self.leases.acceptor(asked.prefix);
        let acceptor = acceptor.filter(|acceptor| acceptor.binding.duid == asked.duid);
        let Some(acceptor) = acceptor else { return Sending::Gone };
        let Some(standing) = standing(topology, &acceptor) else { return Sending::Gone };
        // The partner may hear what this frontend does not, and tells of it: it was a Renew, or did what a Renew does.
        if asked.message == ReconfigureMessage::Renew && acceptor.contact > asked.contact {
            return Sending::Heard;
        }
        if asked.is_exhausted() {
            return Sending::Unanswered;
        }
        let waits = |pool| topology.pool(pool).is_some_and(|pool| pool.commit_wait_ms > 0);
        if asked.is_new() && acceptor.is_untold && waits(acceptor.pool) {
            return Sending::TooEarly;
        }
        let interface = self.exchange.interface_links.interface_of(standing.link);
        let Some(to) = way_to(acceptor.relay, interface) else { return Sending::Gone };
        let server_duid = topology.relationship(standing.server).server_duid.as_bytes();
        let kept = &mut self.exchange.reconfigures;
        let Some(keys) = &kept.keys else { return Sending::Gone };
        let key = keys.of_client(server_duid, asked.duid.as_bytes());
        let message = Reconfigure {
            server_duid,
            client_duid: asked.duid.as_bytes(),
            message: asked.message,
            replay: asked.replay,
            key: &key,
        };
        let is_written = message.write(&mut kept.scratch).is_ok();
        if !is_written || !wrap(acceptor.relay, &kept.scratch, self.replies.begin()) {
            return Sending::Gone;
        }
        self.replies.commit(to);
        Sending::Sent
    }
}

/// Nothing when the lease is not of a relationship of this frontend, or its link is not for Reconfigure.
fn standing(topology: &Topology, acceptor: &Acceptor<'_>) -> Option<Standing> {
    let server = topology.mine_of_pool(acceptor.pool)?;
    let relationship = topology.relationship(server).id;
    let link = topology.link_with_id(acceptor.binding.link)?;
    topology.link(link).reconfigure.then_some(Standing { link, server, relationship })
}

/// Where a Reconfigure goes; nothing when a link-local address is to be reached and no interface serves its link.
fn way_to(relay: &RelayData, interface: Option<u32>) -> Option<ReplyTo> {
    let (bits, port) = match relay.relay_source {
        Some(outermost) => outermost,
        None if relay.relay_chain.is_empty() => (relay.peer_address, CLIENT_PORT),
        // Recorded before relays' addresses were.
        None => return None,
    };
    let address = Ipv6Addr::from_bits(bits);
    if address.is_unicast_link_local() && interface.is_none() {
        return None;
    }
    Some(ReplyTo { address, port, interface_index: interface.unwrap_or_default(), source: None })
}

/// Puts a message into `out`, inside as many Relay-reply levels as the client was last heard through. False when the
/// recorded chain cannot be read, or is too long: it came out of a datagram, so neither is to be expected.
fn wrap(relay: &RelayData, message: &[u8], out: &mut Vec<u8>) -> bool {
    if relay.relay_chain.is_empty() {
        out.extend_from_slice(message);
        return true;
    }
    let Ok(chain) = RelayChain::decode_stored(&relay.relay_chain) else { return false };
    let mut writer = Writer::new(out, PAYLOAD_LEN_MAX);
    encode_relay_reply(&chain, &mut writer, |inner| inner.raw(message)).is_ok() && writer.finish().is_ok()
}

/// Knows a client of a logical server on a link again.
fn key(mut hash: SipHasher13, relationship: RelationshipId, link: LinkId, duid: &[u8]) -> u64 {
    hash.write(&relationship.0.to_be_bytes());
    hash.write(&link.0.to_be_bytes());
    hash.write(duid);
    hash.finish()
}
