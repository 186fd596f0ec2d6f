//! From a datagram to an event: whose it is, and what it says.
//!
//! Owns the matching of filters and the facts of a message. Refuses to know what is decided. What cannot be decoded is
//! matched by its sender's address alone. Octets that a client chose stay octets; long ones are cut at
//! [`OCTETS_MAX`].

use crate::codec::wire::CLIENT_HEADER_LEN;
use crate::codec::{Decoded, MessageKind, RelayChain, RelayHeader, RelayLevel, decode};
use crate::engine::Packet;
use crate::engine::admission::peek;
use crate::engine::exchange::kind_number;
use leasehold_proto::trace::{TraceFilter, TracedClient};
use leasehold_proto::v1;
use std::net::Ipv6Addr;

/// Octets of one opaque value in an event. Why 256: above any DUID and all identifiers in use.
const OCTETS_MAX: usize = 256;
/// Octets of the hardware type before a link-layer address (RFC 6939).
const HARDWARE_TYPE_LEN: usize = 2;

/// The marks by which a client is known.
#[derive(Debug, Clone, Copy)]
struct Marks<'a> {
    duid: Option<&'a [u8]>,
    link_layer: Option<&'a [u8]>,
    address: Ipv6Addr,
}

impl Marks<'_> {
    fn fit(&self, client: &TracedClient) -> bool {
        match client {
            TracedClient::Duid(duid) => self.duid == Some(duid.as_bytes()),
            TracedClient::LinkLayer(octets) => self.link_layer == Some(octets.as_slice()),
            TracedClient::Peer(bits) => self.address.to_bits() == *bits,
        }
    }
}

/// What a datagram says, if it is one of the traced clients'.
pub(super) fn event(filters: &[TraceFilter], packet: &Packet<'_>) -> Option<v1::TraceEvent> {
    let decoded = decode(packet.bytes).ok();
    let marks = marks(packet, decoded.as_ref());
    let traces: Vec<u64> = filters.iter().filter(|f| marks.fit(&f.client)).map(|f| f.id).collect();
    if traces.is_empty() {
        return None;
    }
    let mut event = v1::TraceEvent {
        traces,
        source: packet.source.octets().to_vec(),
        link_layer: marks.link_layer.map(clipped).unwrap_or_default(),
        duid: marks.duid.map(clipped).unwrap_or_default(),
        ..v1::TraceEvent::default()
    };
    match decoded {
        Some(decoded) => tell(&decoded, &mut event),
        None => tell_header(packet, &mut event),
    }
    Some(event)
}

fn marks<'a>(packet: &Packet<'a>, decoded: Option<&Decoded<'a>>) -> Marks<'a> {
    let Some(decoded) = decoded else {
        let innermost = peek(packet.bytes).innermost_relay.and_then(RelayHeader::read);
        let address = innermost.map_or(packet.source, |header| header.peer_address);
        return Marks { duid: None, link_layer: None, address };
    };
    let chain = decoded.relay();
    Marks {
        duid: decoded.message().client_id,
        link_layer: chain.and_then(RelayChain::client_link_layer).and_then(|o| o.get(HARDWARE_TYPE_LEN..)),
        address: chain.map_or(packet.source, |chain| chain.innermost().header.peer_address),
    }
}

fn tell(decoded: &Decoded<'_>, event: &mut v1::TraceEvent) {
    let message = decoded.message();
    event.relays = decoded.relay().map(RelayChain::levels).unwrap_or_default().iter().map(relay).collect();
    message.kind.name().clone_into(&mut event.message);
    event.transaction_id = message.transaction_id.0.to_vec();
    event.server_duid = message.server_id.map(clipped).unwrap_or_default();
    event.elapsed_ms = u32::from(message.elapsed_centisecs) * 10;
    event.rapid_commit = message.rapid_commit;
    event.requested_options = message.oro.iter().map(u32::from).collect();
    let ias = message.ias.iter().map(|ia| v1::TraceIa {
        kind: kind_number(ia.kind),
        iaid: ia.iaid,
        leases: ia
            .leases()
            .map(|lease| v1::TraceLease {
                prefix: Some(v1::Prefix {
                    address: lease.bits.to_be_bytes().to_vec(),
                    length_bits: u32::from(lease.len_bits),
                }),
                ..v1::TraceLease::default()
            })
            .collect(),
        ..v1::TraceIa::default()
    });
    event.asked = ias.collect();
}

/// Type and transaction id of what is not sound, as far as they can be found.
fn tell_header(packet: &Packet<'_>, event: &mut v1::TraceEvent) {
    let Some(header) = peek(packet.bytes).message else { return };
    let [kind, transaction_id @ ..]: [u8; CLIENT_HEADER_LEN] = header;
    event.message = match MessageKind::from_wire(kind) {
        Ok(kind) => kind.name().to_owned(),
        Err(_) => format!("type {kind}"),
    };
    event.transaction_id = transaction_id.to_vec();
}

fn relay(level: &RelayLevel<'_>) -> v1::TraceRelay {
    let octets = |value: Option<&[u8]>| value.map(clipped).unwrap_or_default();
    v1::TraceRelay {
        link_address: level.header.link_address.octets().to_vec(),
        peer_address: level.header.peer_address.octets().to_vec(),
        interface_id: octets(level.interface_id),
        remote_id: octets(level.remote_id),
        relay_id: octets(level.relay_id),
        subscriber_id: octets(level.subscriber_id),
        hop_count: u32::from(level.header.hop_count),
    }
}

fn clipped(octets: &[u8]) -> Vec<u8> {
    octets.get(..OCTETS_MAX).unwrap_or(octets).to_vec()
}
