//! Who may speak to this server at all: relays (SEC-04, SEC-05), clients by class (SEC-10) and by rate (SEC-01).
//!
//! Owns the judgement before anything is looked up. Refuses to know leases. A message that may not be answered gets no
//! answer and no hint of why.

use super::classes::{Classes, Sender};
use super::pools::{LinkAt, Topology};
use super::rate::{Rates, Work};
use crate::codec::{ClientMessage, Discard, MessageKind, RelayChain};
use crate::engine::{Interface, Packet};
use leasehold_proto::network::{Limits, Network};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{LinkId, Prefix};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// Whether a Relay-forward may come from there: its source is on the list, if there is one, and the interface is not one
/// for clients alone, from which relay data would be forged.
pub(super) fn check_relay(
    network: &Network,
    interfaces: &[Interface],
    packet: &Packet<'_>,
) -> Result<(), Discard> {
    let source = Prefix::address(packet.source.to_bits());
    let is_listed = network.relays.is_empty() || network.relays.iter().any(|relays| relays.contains(source));
    let for_clients_alone =
        interfaces.iter().any(|i| i.index == packet.interface_index && i.link.is_some() && !i.relays);
    if is_listed && !for_clients_alone { Ok(()) } else { Err(Discard::RelayNotAllowed) }
}

/// Whether a client of these classes, that says this, is served on a link.
pub(super) fn check_client(
    topology: &Topology,
    link: LinkAt,
    classes: &Classes,
    message: &ClientMessage<'_>,
) -> Result<(), Discard> {
    let is_dropped = classes.iter().any(|at| topology.network().classes[*at].drop);
    let lacks_accept = topology.link(link).require_reconfigure_accept
        && message.kind == MessageKind::Solicit
        && !message.reconfigure_accept;
    if is_dropped || lacks_accept || !topology.serves(link, classes) {
        return Err(Discard::ClientNotAllowed);
    }
    Ok(())
}

/// Whether the client, and the port through which it is heard, may send one more message now. `client`: its hash under a
/// secret key.
pub(super) fn check_rate(
    rates: &mut Rates,
    hash: SipHasher13,
    now: LocalTime,
    (link, limits): (LinkId, &Limits),
    Sender { message, relay, packet }: Sender<'_, '_>,
    client: u64,
) -> Result<(), Discard> {
    let work = match message.kind {
        MessageKind::Solicit
        | MessageKind::Confirm
        | MessageKind::InformationRequest
        | MessageKind::AddrRegInform => Work::New,
        _ => Work::Leases,
    };
    let on_link = |whose: u64| whose ^ u64::from(link.0).rotate_left(32);
    let is_port_bounded = limits.messages_per_port != u32::MAX;
    if !rates.take(now, on_link(client), limits.messages_per_client, work)
        || is_port_bounded
            && !rates.take(now, on_link(port(hash, relay, packet)), limits.messages_per_port, work)
    {
        return Err(Discard::RateLimited);
    }
    Ok(())
}

/// The port through which a client is heard: its link-layer address where a relay tells it, else the Interface-Id of the
/// level next to it and the relay; of a direct client its own address.
fn port(mut hash: SipHasher13, relay: Option<&RelayChain<'_>>, packet: &Packet<'_>) -> u64 {
    let source = packet.source.octets();
    let parts: [&[u8]; 2] = match relay {
        None => [&source, &[]],
        Some(chain) => match (chain.client_link_layer(), chain.innermost().interface_id) {
            (Some(link_layer), _) => [link_layer, &[]],
            (None, interface_id) => [&source, interface_id.unwrap_or_default()],
        },
    };
    // No DUID has this length, so that no client's bucket is a port's.
    hash.write(&[0]);
    for part in parts {
        hash.write(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.write(part);
    }
    hash.finish()
}
