//! What whose turn it is rests on, gathered for one message.
//!
//! Owns where a message was found to belong, and the way from it, leases and the store's word to a [`Claim`]. Refuses to
//! judge: `answer` does.

use super::answer::{Cause, Claim, OfferedBy};
use super::context::named;
use super::desk::Desk;
use super::parked::Waiting;
use super::pools::{LinkAt, RelationshipAt, Topology};
use super::server::{self, Speaker};
use crate::codec::{ClientMessage, MessageKind};
use crate::engine::ReplySink;
use crate::engine::leases::{Owner, Service};
use leasehold_proto::network::{Answering, Relationship};
use leasehold_proto::words::{FrontendId, LinkId};
use std::time::Duration;

/// How soon after the first the same message is taken for a copy on another path and not for the client's trying
/// again. Why: the first retransmission comes 0.9 s after the message at the earliest (RFC 9915 §15).
const COPY_WITHIN: Duration = Duration::from_millis(250);

/// Where a message was found to belong.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) topology: &'t Topology,
    pub(super) link: LinkAt,
    pub(super) server: RelationshipAt,
}

impl<'t> Place<'t> {
    pub(super) fn relationship(&self) -> &'t Relationship {
        self.topology.relationship(self.server)
    }

    pub(super) fn link_id(&self) -> LinkId {
        self.topology.link(self.link).id
    }
}

impl<S: ReplySink> Desk<'_, S> {
    /// What decides whether this frontend answers for its relationship. `relay`: the source of the datagram, if a relay
    /// sent it.
    pub(super) fn claim<'c>(
        &'c self,
        place: Place<'c>,
        message: &ClientMessage<'_>,
        speaker: &Speaker<'_>,
        key: u64,
        relay: Option<u128>,
    ) -> Claim<'c> {
        let (relationship, link) = (place.relationship(), place.link_id());
        let me = self.leases.frontend();
        let partner = relationship.partner_of(me);
        let seen_again = match self.exchange.parked.find(key) {
            Some((since, Waiting::Partner { .. })) => self.now.saturating_since(since) >= COPY_WITHIN,
            _ => false,
        };
        Claim {
            relationship,
            me,
            mine: self.leases.own_service(link, relay),
            partners: partner.map_or(Service::FULL, |partner| self.leases.service_of(partner, link, relay)),
            bucket: place.topology.bucket_key(place.server).bucket(speaker.octets()),
            offered: partner.and_then(|partner| self.offered_by(relationship, partner, message)),
            elapsed_ms: server::elapsed_ms(message),
            seen_again,
        }
    }

    /// For a Request: in whose range the first lease lies that it asks for and that either partner may have offered.
    fn offered_by(
        &self,
        relationship: &Relationship,
        partner: &FrontendId,
        message: &ClientMessage<'_>,
    ) -> Option<OfferedBy> {
        if message.kind != MessageKind::Request || relationship.answering == Answering::Any {
            return None;
        }
        let asked_for = message.ias.iter().flat_map(|ia| ia.leases()).filter_map(|lease| named(&lease));
        asked_for.into_iter().find_map(|prefix| match self.leases.owner_of(prefix) {
            Owner::Me => Some(OfferedBy::Me),
            Owner::Partner(owner) if owner == partner => Some(OfferedBy::Partner),
            _ => None,
        })
    }
}

/// Whether a message that is answered for the partner shows that the partner did not answer it: it came again. Elapsed
/// Time alone speaks of the client's first choice among the relationships of a link, and of relays that are heard.
pub(super) fn came_again(
    claim: &Claim<'_>,
    cause: Option<Cause>,
    place: Place<'_>,
    message: &ClientMessage<'_>,
) -> bool {
    let is_first_choice = message.server_id.is_some() || place.topology.relationships_on(place.link) == 1;
    let came_again = match cause {
        Some(Cause::SeenAgain) => true,
        Some(Cause::Elapsed) => claim.seen_again || is_first_choice,
        _ => false,
    };
    came_again && claim.partners.hears_relay
}
