//! Who may speak to this server at all: relays (SEC-04, SEC-05), clients by class (SEC-10) and by rate (SEC-01).
//!
//! Owns the judgement before anything is looked up. Refuses to know leases. A message that may not be answered gets no
//! answer and no hint of why.

use super::classes::{Classes, Sender, is_of_one};
use super::rate::{Rates, Work};
use crate::codec::{ClientMessage, Discard, MessageKind};
use crate::engine::{Interface, Packet};
use leasehold_proto::network::{Limits, Link, Network};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{LinkId, Prefix};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// Whose bucket: a client's, or a port's.
const CLIENT: u8 = 1;
const PORT: u8 = 2;

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
    network: &Network,
    link: &Link,
    classes: &Classes,
    message: &ClientMessage<'_>,
) -> Result<(), Discard> {
    let is_dropped = classes.iter().any(|at| network.classes[*at].drop);
    let lacks_accept = link.require_reconfigure_accept
        && message.kind == MessageKind::Solicit
        && !message.reconfigure_accept;
    if is_dropped || lacks_accept || !is_of_one(network, classes, &link.classes) {
        return Err(Discard::ClientNotAllowed);
    }
    Ok(())
}

/// Whether the client, and the port through which it is heard, may send one more message now.
pub(super) fn check_rate(
    rates: &mut Rates,
    hash: SipHasher13,
    now: LocalTime,
    (link, limits): (LinkId, &Limits),
    Sender { message, relay, packet }: Sender<'_, '_>,
    client: &[u8],
) -> Result<(), Discard> {
    let work = match message.kind {
        MessageKind::Solicit | MessageKind::Confirm | MessageKind::InformationRequest => Work::New,
        _ => Work::Leases,
    };
    let bucket = |whose: u8, parts: [&[u8]; 2]| {
        let mut hash = hash;
        hash.write(&[whose]);
        hash.write(&link.0.to_be_bytes());
        for part in parts {
            hash.write(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.write(part);
        }
        hash.finish()
    };
    if !rates.take(now, bucket(CLIENT, [client, &[]]), limits.messages_per_client, work) {
        return Err(Discard::RateLimited);
    }
    if limits.messages_per_port == u32::MAX {
        return Ok(());
    }
    let source = packet.source.octets();
    let port = match relay {
        None => [&source[..], &[]],
        Some(chain) => match (chain.client_link_layer(), chain.innermost().interface_id) {
            (Some(link_layer), _) => [link_layer, &[]],
            (None, interface_id) => [&source[..], interface_id.unwrap_or_default()],
        },
    };
    if rates.take(now, bucket(PORT, port), limits.messages_per_port, work) {
        Ok(())
    } else {
        Err(Discard::RateLimited)
    }
}
