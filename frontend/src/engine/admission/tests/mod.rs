//! Tests of the admission queue: the glance, the order, the bounds, and an avalanche in miniature.
//!
//! Owns the builders that the others share. Senders are told apart by their address; the key is fixed, so that which
//! of them share a queue is the same in every run.

mod avalanche;
mod bounds;
mod order;
mod peeking;

use std::net::Ipv6Addr;

use leasehold_proto::time::LocalTime;

use super::{Admission, Arrival, Bounds};
use crate::codec::wire::{msg, opt};

const KEY: [u8; 16] = [9; 16];
const NOW: LocalTime = LocalTime::from_millis(1_000_000);
const ROOMY: Bounds = Bounds { messages_max: 1 << 20, bytes_max: 1 << 30 };

/// A client's message: type, transaction id, and so many bytes of an option nobody knows.
fn message(kind: u8, transaction: u32, filling_len: u16) -> Vec<u8> {
    let [_, a, b, c] = transaction.to_be_bytes();
    let mut out = vec![kind, a, b, c, 0xff, 0xff];
    out.extend(filling_len.to_be_bytes());
    out.resize(out.len() + usize::from(filling_len), 0);
    out
}

/// A Relay-forward around it, the client's number in the peer-address, with an Interface-Id before the message.
fn relayed(client: u32, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![msg::RELAY_FORWARD, 0];
    out.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
    out.extend((0xfe80_u128 << 112 | u128::from(client)).to_be_bytes());
    out.extend(opt::INTERFACE_ID.to_be_bytes());
    out.extend([0, 2, b'i', b'f']);
    out.extend(opt::RELAY_MESSAGE.to_be_bytes());
    out.extend(u16::try_from(inner.len()).unwrap().to_be_bytes());
    out.extend(inner);
    out
}

fn relay(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, number)
}

/// What comes back with a datagram in these tests: relay, message type, client.
type Tag = (u16, u8, u32);

/// Offers a client's message through a relay.
fn offer(queue: &mut Admission<Tag>, now: LocalTime, tag: Tag, filling_len: u16) {
    let (relay_number, kind, client) = tag;
    let bytes = relayed(client, &message(kind, client, filling_len));
    let arrival = Arrival { bytes: &bytes, sender: relay(relay_number), interface_index: 1 };
    queue.offer(now, &arrival, tag);
}

fn take(queue: &mut Admission<Tag>, now: LocalTime) -> Option<Tag> {
    queue.take(now).map(|(_, tag)| *tag)
}

/// Takes all that waits.
fn take_all(queue: &mut Admission<Tag>, now: LocalTime) -> Vec<Tag> {
    std::iter::from_fn(|| take(queue, now)).collect()
}
