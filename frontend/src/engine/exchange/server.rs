//! Which logical server does a message speak to, and who speaks? (design section 3, requirements 3.2 and FO-908)
//!
//! Owns the choice among relationships: by Server ID; for a Rebind by the pools in which its leases lie; else by the
//! spread of clients over the relationships of the link, which others join once the client has waited. Refuses to
//! know which partner of the relationship answers. A pure function of message and configuration.

use super::answer::spread;
use super::context::all_named;
use super::pools::{LinkAt, RelationshipAt, Topology};
use crate::codec::{ClientMessage, Discard, MessageKind, RelayChain};
use crate::engine::Packet;

/// The client as far as choices among servers and partners go: its DUID, or its address if it has sent none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speaker<'a> {
    duid: Option<&'a [u8]>,
    address: [u8; 16],
}

impl<'a> Speaker<'a> {
    /// Who has sent a message: for one without a DUID the innermost peer-address, or the source of a direct one.
    pub(super) fn new(
        message: &ClientMessage<'a>,
        relay: Option<&RelayChain<'_>>,
        packet: &Packet<'_>,
    ) -> Self {
        let address = relay.map_or(packet.source, |chain| chain.innermost().header.peer_address);
        Self { duid: message.client_id, address: address.octets() }
    }

    /// What stands for the client in hashes.
    pub(super) fn octets(&self) -> &[u8] {
        self.duid.unwrap_or(&self.address)
    }
}

/// The client's Elapsed Time in milliseconds.
pub(super) fn elapsed_ms(message: &ClientMessage<'_>) -> u32 {
    u32::from(message.elapsed_centisecs) * 10
}

/// The relationship of this frontend that a message speaks to.
///
/// Errors: it speaks to another server, or another relationship of the link goes first.
pub(super) fn choose(
    topology: &Topology,
    message: &ClientMessage<'_>,
    link: LinkAt,
    speaker: &Speaker<'_>,
) -> Result<RelationshipAt, Discard> {
    if let Some(server_duid) = message.server_id {
        return topology.mine_with_duid(server_duid).ok_or(Discard::OtherServer);
    }
    let count = topology.relationships_on(link);
    if message.kind == MessageKind::Rebind
        && count > 1
        && let Some(owners) = owners_of_leases(topology, message)
    {
        // The leases tell which server they are from; no other one has anything to say about them.
        return owners.ok_or(Discard::NotOurs);
    }
    let first = spread(speaker.octets(), count);
    for turn in 0..count {
        let Some(at) = topology.relationship_on(link, (first + turn) % count) else { continue };
        if topology.is_mine(at) {
            let waited = elapsed_ms(message) > topology.relationship(at).takeover_after_ms;
            return if turn == 0 || waited { Ok(at) } else { Err(Discard::NotOurs) };
        }
    }
    Err(Discard::NotOurs)
}

/// The other relationships of this frontend on a link, in the order of the spread.
pub(super) fn others(
    topology: &Topology,
    link: LinkAt,
    server: RelationshipAt,
) -> impl Iterator<Item = RelationshipAt> {
    let count = topology.relationships_on(link);
    let own = (0..count).position(|n| topology.relationship_on(link, n) == Some(server)).unwrap_or(0);
    let after = (1..count).filter_map(move |turn| topology.relationship_on(link, (own + turn) % count));
    after.filter(|at| topology.is_mine(*at))
}

/// The relationship in whose pools the leases of a message lie: nothing if they lie in none; `Some(None)` if only in
/// those of relationships in which this frontend has no part.
fn owners_of_leases(topology: &Topology, message: &ClientMessage<'_>) -> Option<Option<RelationshipAt>> {
    let mut found = None;
    for prefix in message.ias.iter().flat_map(all_named) {
        match topology.relationship_of(prefix) {
            Some(at) if topology.is_mine(at) => return Some(Some(at)),
            Some(_) => found = Some(None),
            None => {}
        }
    }
    found
}
