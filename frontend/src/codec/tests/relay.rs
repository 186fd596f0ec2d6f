//! Rules of unwrapping Relay-forwards and of wrapping Relay-replies.

use super::super::relay_encode::ForwardLevel;
use super::super::reply::unwrap_relay_reply;
use super::super::wire::{RELAY_LEVELS_MAX, msg, opt};
use super::super::{
    Decoded, Discard, MessageKind, RawOption, RelayChain, decode, encode_relay_forward, encode_relay_reply,
};
use super::*;

fn relayed(bytes: &[u8]) -> RelayChain<'_> {
    match decode(bytes).unwrap() {
        Decoded::Relayed(chain, _) => chain,
        Decoded::Client(_) => panic!("a relayed message"),
    }
}

fn discarded(bytes: &[u8]) -> Discard {
    decode(bytes).map(|_| ()).unwrap_err()
}

/// A Relay-reply to `chain` around `inner`.
fn answer(chain: &RelayChain<'_>, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 65_535);
    encode_relay_reply(chain, &mut writer, |w| w.raw(inner)).unwrap();
    writer.finish().unwrap();
    out
}

#[test]
fn sv_175_zero_to_forty_levels_are_unwrapped_up_to_the_bound() {
    let solicit = rich_solicit();
    for levels in 0..=40u8 {
        let bytes = nest(levels, &solicit);
        if usize::from(levels) > RELAY_LEVELS_MAX {
            assert_eq!(discarded(&bytes), Discard::RelayTooDeep, "{levels}");
            continue;
        }
        let decoded = decode(&bytes).unwrap();
        assert_eq!(decoded.message().kind, MessageKind::Solicit);
        assert_eq!(decoded.message().client_id, Some(CLIENT_DUID));
        let headers: Vec<_> = decoded
            .relay()
            .map(|chain| chain.levels().iter().map(|l| l.header).collect())
            .unwrap_or_default();
        assert_eq!(headers, (0..levels).rev().map(relay_header).collect::<Vec<_>>());
    }
}

#[test]
fn sv_171_relay_reply_mirrors_every_level() {
    for levels in 1..=32u8 {
        let bytes = nest(levels, &rich_solicit());
        let chain = relayed(&bytes);
        let reply = answer(&chain, b"inner");
        let unwrapped = unwrap_relay_reply(&reply).unwrap();
        assert_eq!(unwrapped.payload, b"inner");
        let sent: Vec<_> = chain.levels().iter().map(|level| level.header).collect();
        let got: Vec<_> = unwrapped.levels.iter().map(|level| level.header).collect();
        assert_eq!(sent, got);
        assert_eq!(reply[0], msg::RELAY_REPLY);
    }
}

#[test]
fn sv_171_relay_reply_octets_of_one_level() {
    let bytes = forward(relay_header(3), &[tlv(opt::INTERFACE_ID, b"if")], &rich_solicit());
    let mut expected = vec![13, 3];
    expected.extend(relay_header(3).link_address.octets());
    expected.extend(relay_header(3).peer_address.octets());
    expected.extend([0, 18, 0, 2, b'i', b'f', 0, 9, 0, 4, 7, 1, 2, 3]);
    assert_eq!(answer(&relayed(&bytes), &[7, 1, 2, 3]), expected);
}

#[test]
fn sv_172_sv_173_interface_id_and_source_port_are_copied_at_each_level_that_had_them() {
    let bytes = rich_relayed(&rich_solicit());
    let chain = relayed(&bytes);
    let reply = answer(&chain, b"x");
    let unwrapped = unwrap_relay_reply(&reply).unwrap();
    let (outer, inner) = (unwrapped.levels[0].options, unwrapped.levels[1].options);
    assert_eq!(outer.first(opt::INTERFACE_ID), Some(&b"up"[..]));
    assert_eq!(inner.first(opt::INTERFACE_ID), Some(&b"eth0"[..]));
    assert_eq!(outer.first(opt::RELAY_SOURCE_PORT), Some(&[0, 0][..]));
    assert_eq!(inner.first(opt::RELAY_SOURCE_PORT), None);
}

#[test]
fn sv_174_echo_request_copies_what_was_sent_and_is_not_there_yet() {
    let bytes = rich_relayed(&rich_solicit());
    let chain = relayed(&bytes);
    let reply = answer(&chain, b"x");
    let unwrapped = unwrap_relay_reply(&reply).unwrap();
    let inner = unwrapped.levels[1].options;
    assert_eq!(inner.first(opt::REMOTE_ID), Some(&[0, 0, 0, 9, 7][..]));
    assert_eq!(inner.first(0xfff0), Some(&b"echo me"[..]), "even an unknown one");
    assert_eq!(inner.all(opt::INTERFACE_ID).count(), 1);
    assert_eq!(inner.all(opt::RELAY_MESSAGE).count(), 1);
    assert_eq!(inner.first(opt::SUBSCRIBER_ID), None, "not asked for");
    assert_eq!(inner.first(opt::CLIENT_LINKLAYER_ADDR), None, "not asked for");
}

#[test]
fn sv_152_innermost_nonzero_link_address_wins() {
    let zero = |hop_count| RelayHeader { link_address: Ipv6Addr::UNSPECIFIED, ..relay_header(hop_count) };
    let solicit = rich_solicit();
    let bytes =
        forward(relay_header(2), &[], &forward(relay_header(1), &[], &forward(zero(0), &[], &solicit)));
    assert_eq!(relayed(&bytes).link_level().unwrap().header, relay_header(1));
    assert_eq!(relayed(&forward(zero(0), &[], &solicit)).link_level(), None);
}

#[test]
fn sv_156_client_link_layer_address_is_read_at_the_innermost_level_only() {
    let address = tlv(opt::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let inner = forward(relay_header(0), &[], &rich_solicit());
    assert_eq!(relayed(&forward(relay_header(1), &[address], &inner)).client_link_layer(), None);
    let bytes = rich_relayed(&rich_solicit());
    assert_eq!(relayed(&bytes).client_link_layer(), Some(&[0, 1, 2, 0, 0, 0, 0, 1][..]));
}

#[test]
fn sv_157_relay_identifiers_are_kept_per_level() {
    let bytes = rich_relayed(&rich_solicit());
    let chain = relayed(&bytes);
    assert_eq!(chain.innermost().remote_id, Some(&[0, 0, 0, 9, 7][..]));
    assert_eq!(chain.innermost().subscriber_id, Some(&b"subscriber"[..]));
    assert_eq!(chain.outermost().relay_id, Some(&[0, 3, 0, 1, 9][..]));
    assert_eq!(chain.innermost().header.peer_address, relay_header(0).peer_address);
    assert_eq!(chain.payload(), rich_solicit());
}

#[test]
fn sv_103_reply_port_follows_the_outermost_level() {
    let bytes = rich_relayed(&rich_solicit());
    assert_eq!(relayed(&bytes).reply_port(40_000), 40_000);
    let inner = forward(relay_header(0), &[tlv(opt::RELAY_SOURCE_PORT, &[1, 2])], &rich_solicit());
    assert_eq!(relayed(&inner).innermost().relay_source_port, Some(0x102));
    let bytes = forward(relay_header(1), &[], &inner);
    assert_eq!(relayed(&bytes).reply_port(40_000), 547);
}

#[test]
fn sv_109_first_of_repeated_relay_options_counts() {
    let level = [tlv(opt::INTERFACE_ID, b"a"), tlv(opt::INTERFACE_ID, b"b"), tlv(opt::ECHO_REQUEST, &[]), {
        tlv(opt::ECHO_REQUEST, &[0, 1])
    }];
    let mut bytes = forward(relay_header(0), &level, &rich_solicit());
    bytes.extend(tlv(opt::RELAY_MESSAGE, &[99]));
    let chain = relayed(&bytes);
    assert_eq!(chain.innermost().interface_id, Some(&b"a"[..]));
    assert!(chain.innermost().echo_request.is_empty());
    assert_eq!(chain.payload(), rich_solicit());
    assert_eq!(chain.repeated_options(), 3);
}

#[test]
fn sv_111_relay_options_of_wrong_length() {
    for (code, good) in [
        (opt::RELAY_SOURCE_PORT, (|len| len == 2) as fn(usize) -> bool),
        (opt::REMOTE_ID, |len| len >= 4),
        (opt::CLIENT_LINKLAYER_ADDR, |len| len >= 2),
        (opt::ECHO_REQUEST, |len| len % 2 == 0),
        (opt::INTERFACE_ID, |_| true),
        (opt::SUBSCRIBER_ID, |_| true),
        (opt::RELAY_ID, |_| true),
    ] {
        for len in 0..10 {
            let bytes = forward(relay_header(0), &[tlv(code, &vec![0; len])], &rich_solicit());
            let expected = if good(len) { Ok(()) } else { Err(Discard::BadOptionLength) };
            assert_eq!(decode(&bytes).map(|_| ()), expected, "option {code} of {len} octets");
        }
    }
}

#[test]
fn relay_forward_without_a_message_or_with_one_for_clients_is_dropped() {
    let bytes = &forward(relay_header(0), &[], &[])[..34];
    assert_eq!(discarded(bytes), Discard::RelayWithoutMessage);
    assert_eq!(discarded(&forward(relay_header(0), &[], &[])), Discard::TruncatedHeader);
    assert_eq!(discarded(&nest(2, &message_of(msg::REPLY, &[]))), Discard::ServerMessage);
    assert_eq!(discarded(&nest(1, &message_of(msg::RELAY_REPLY, &[]))), Discard::ServerMessage);
    assert_eq!(discarded(&nest(1, &message_of(200, &[]))), Discard::UnknownMessage);
}

#[test]
fn sv_111_truncation_of_a_relayed_message_at_every_octet_is_an_error() {
    let whole = rich_relayed(&rich_solicit());
    for len in 0..whole.len() {
        let outcome = decode(&whole[..len]).map(|_| ());
        assert!(outcome.is_err(), "cut at {len} of {}", whole.len());
    }
    assert!(decode(&whole).is_ok());
}

#[test]
fn sv_113_relay_levels_count_against_the_limit() {
    let bytes = nest(9, &rich_solicit());
    let chain = relayed(&bytes);
    let exact = 9 * 38 + 100;
    for (limit, fits) in [(exact, true), (exact - 1, false)] {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, limit);
        let outcome = encode_relay_reply(&chain, &mut writer, |w| w.raw(&[0; 100]));
        assert_eq!(outcome.is_ok(), fits, "{limit}");
    }
}

#[test]
fn relay_forward_writer_agrees_with_the_reader() {
    let options = [RawOption { code: opt::INTERFACE_ID, data: b"if" }];
    let levels = [
        ForwardLevel { header: relay_header(1), options: &[] },
        ForwardLevel { header: relay_header(0), options: &options },
    ];
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 1_500);
    encode_relay_forward(&levels, &mut writer, |w| w.raw(&rich_solicit())).unwrap();
    writer.finish().unwrap();
    let inner = forward(relay_header(0), &[tlv(opt::INTERFACE_ID, b"if")], &rich_solicit());
    assert_eq!(out, forward(relay_header(1), &[], &inner));
}
