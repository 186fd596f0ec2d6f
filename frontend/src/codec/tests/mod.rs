//! Tests of the codec. One file each for decoding, relays, writing, the client's view, properties, and dhcproto 0.15
//! as a second opinion. Names begin with the requirement that a test shows.
//!
//! This file owns the builders that the others share: messages written by the codec's own writer where they are well
//! formed, and by hand, octet by octet, where they must not be.

mod decode;
mod differential;
mod encode;
mod property;
mod relay;
mod reply;

use std::net::Ipv6Addr;

use super::wire::opt;
use super::{EncodeError, IaKind, LeaseTimes, RelayHeader, Timers, TransactionId, Writer};

const XID: TransactionId = TransactionId([0xab, 0xcd, 0xef]);
const CLIENT_DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
const SERVER_DUID: &[u8] = &[0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const ADDRESS: u128 = 0x2001_0db8_0000_0001_0000_0000_0000_00aa;
const PREFIX: u128 = 0x2001_0db8_1234_5600_0000_0000_0000_0000;
const TIMES: LeaseTimes = LeaseTimes { preferred_secs: 3_600, valid_secs: 7_200 };

/// A message of any type with what `fill` writes.
fn build(kind: u8, fill: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 65_535);
    writer.message(kind, XID).unwrap();
    fill(&mut writer).unwrap();
    writer.finish().unwrap();
    out
}

/// One option by hand; the length is that of `data`.
fn tlv(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&code.to_be_bytes()[..], &len.to_be_bytes()[..], data].concat()
}

/// A message by hand from whole options.
fn message_of(kind: u8, options: &[Vec<u8>]) -> Vec<u8> {
    [&[kind][..], &XID.0[..], &options.concat()[..]].concat()
}

/// An IA option by hand.
fn ia(kind: IaKind, iaid: u32, options: &[Vec<u8>]) -> Vec<u8> {
    tlv(kind.option_code(), &[&iaid.to_be_bytes()[..], &[0; 8], &options.concat()[..]].concat())
}

/// An IA Address by hand.
fn ia_addr(address: u128) -> Vec<u8> {
    tlv(opt::IA_ADDR, &[&address.to_be_bytes()[..], &[0; 8]].concat())
}

/// An IA Prefix by hand.
fn ia_prefix(prefix: u128, len_bits: u8) -> Vec<u8> {
    tlv(opt::IA_PREFIX, &[&[0; 8][..], &[len_bits], &prefix.to_be_bytes()].concat())
}

/// A relay header whose addresses tell the level.
fn relay_header(hop_count: u8) -> RelayHeader {
    RelayHeader {
        hop_count,
        link_address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(hop_count) + 1),
        peer_address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(hop_count) + 1),
    }
}

/// A Relay-forward level by hand around `inner`.
fn forward(header: RelayHeader, options: &[Vec<u8>], inner: &[u8]) -> Vec<u8> {
    let mut out = vec![12, header.hop_count];
    out.extend(header.link_address.octets());
    out.extend(header.peer_address.octets());
    out.extend(options.concat());
    out.extend(tlv(opt::RELAY_MESSAGE, inner));
    out
}

/// `levels` Relay-forward levels around `inner`; the outermost has the highest hop-count.
fn nest(levels: u8, inner: &[u8]) -> Vec<u8> {
    (0..levels).fold(inner.to_vec(), |inner, hop_count| forward(relay_header(hop_count), &[], &inner))
}

/// A valid Solicit with every option that has a rule.
fn rich_solicit() -> Vec<u8> {
    build(1, |w| {
        w.option(opt::CLIENT_ID, CLIENT_DUID)?;
        w.code_list(opt::ORO, &[23, 24, 82])?;
        w.option_u16(opt::ELAPSED_TIME, 250)?;
        w.option(opt::RAPID_COMMIT, &[])?;
        w.option(opt::RECONF_ACCEPT, &[])?;
        w.option(opt::USER_CLASS, &[0, 2, b'u', b'c'])?;
        w.option(opt::VENDOR_CLASS, &[0, 0, 1, 1, 0, 2, b'v', b'c'])?;
        w.option(opt::VENDOR_OPTS, &[0, 0, 1, 1, 0, 1, 0, 1, 9])?;
        w.option(opt::CLIENT_FQDN, &[1, 1, b'h', 0])?;
        w.option(opt::CLIENT_ARCH_TYPE, &[0, 7])?;
        w.option(opt::CLIENT_NII, &[1, 3, 16])?;
        w.begin_ia(IaKind::Na, 1, Timers { t1_secs: 11, t2_secs: 22 })?;
        w.begin_ia_address(ADDRESS, TIMES)?;
        w.status_code(0, "ok")?;
        w.end_option()?;
        w.ia_address(ADDRESS + 1, TIMES)?;
        w.end_option()?;
        w.begin_ia(IaKind::Pd, 1, Timers::default())?;
        w.ia_prefix(PREFIX, 56, TIMES)?;
        w.ia_prefix(0, 60, TIMES)?;
        w.end_option()?;
        w.option(0xfff0, b"unknown")
    })
}

/// A valid Relay-forward of two levels with every relay option that is read, around `inner`.
fn rich_relayed(inner: &[u8]) -> Vec<u8> {
    let innermost = forward(
        relay_header(0),
        &[
            tlv(opt::INTERFACE_ID, b"eth0"),
            tlv(opt::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 1]),
            tlv(opt::REMOTE_ID, &[0, 0, 0, 9, 7]),
            tlv(opt::SUBSCRIBER_ID, b"subscriber"),
            tlv(opt::ECHO_REQUEST, &[0, 37, 0, 18, 0, 9, 0xff, 0xf0]),
            tlv(0xfff0, b"echo me"),
        ],
        inner,
    );
    forward(
        relay_header(1),
        &[
            tlv(opt::RELAY_SOURCE_PORT, &[0, 0]),
            tlv(opt::RELAY_ID, &[0, 3, 0, 1, 9]),
            tlv(opt::INTERFACE_ID, b"up"),
        ],
        &innermost,
    )
}
