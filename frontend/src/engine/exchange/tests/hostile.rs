//! What strangers send to bring a server down: every option cut, stretched, emptied or overlong, octets in and octets out.
//!
//! Each message must end as exactly one thing, an answer, a discard or a copy that is kept; and an answer must be sound.

use super::lab::{OTHER_SERVER_DUID, SERVER_DUID, network};
use super::message::DUID;
use super::properties::judge;
use super::{Answered, Lab, Msg, relayed};
use crate::codec::wire::{msg, opt};
use crate::codec::{Discard, MessageKind, decode};
use leasehold_proto::v1;

/// Types that are served.
pub(super) const KINDS: [u8; 8] = [
    msg::SOLICIT,
    msg::REQUEST,
    msg::CONFIRM,
    msg::RENEW,
    msg::REBIND,
    msg::RELEASE,
    msg::DECLINE,
    msg::INFORMATION_REQUEST,
];

/// The usual configuration, but clients may send as much as they like: what a bound on it stops shows nothing.
pub(super) fn unbounded() -> v1::Network {
    let limits = v1::Limits { messages_per_client: Some(0), ..v1::Limits::default() };
    v1::Network { limits: Some(limits), ..network() }
}

/// A frontend with that configuration.
pub(super) fn open_lab() -> Lab {
    Lab::with("fe-a", unbounded())
}

/// A message with the identifiers that its type must have.
pub(super) fn sound(kind: u8) -> Msg {
    match kind {
        msg::SOLICIT | msg::CONFIRM | msg::REBIND | msg::INFORMATION_REQUEST => Msg::of(kind),
        _ => Msg::to_server(kind),
    }
}

/// The same with every option of the catalogue that a client may send.
fn everything(kind: u8) -> Msg {
    let message = sound(kind)
        .oro(&[23, 24, 31, 32, 56, 59, 67, 82, 83, 103])
        .elapsed_ms(2500)
        .rapid_commit()
        .opt(opt::RECONF_ACCEPT, &[])
        .opt(opt::AUTH, &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])
        .opt(opt::USER_CLASS, &[0, 2, b'u', b'c'])
        .opt(opt::VENDOR_CLASS, &[0, 0, 1, 1, 0, 2, b'v', b'c'])
        .opt(opt::VENDOR_OPTS, &[0, 0, 1, 1, 0, 1, 0, 1, 9])
        .opt(opt::CLIENT_FQDN, b"\x01\x04host\x07example\0")
        .opt(opt::CLIENT_ARCH_TYPE, &[0, 7])
        .opt(opt::CLIENT_NII, &[1, 3, 16])
        .opt(opt::IA_TA, &[0, 0, 0, 1])
        .opt(0xfff0, b"unknown");
    if kind == msg::INFORMATION_REQUEST {
        return message;
    }
    message.na(1, &["2001:db8:1::1042", "2001:db8:1::1043"]).pd(1, &["2001:db8:8000:100::/56", "::/60"])
}

/// How many messages have ended, in whichever way.
fn ended(lab: &Lab) -> u64 {
    let counters = lab.engine.counters();
    counters.discards.iter().sum::<u64>()
        + counters.advertises
        + counters.replies
        + counters.parked
        + counters.held
}

/// Sends a datagram, relayed or not; it must end once, and what is said must be sound.
pub(super) fn survives(lab: &mut Lab, bytes: &[u8]) -> Option<Answered> {
    let before = ended(lab);
    let is_relayed = bytes.first() == Some(&msg::RELAY_FORWARD);
    let answer = if is_relayed { lab.send_relayed(bytes) } else { lab.send(bytes) };
    assert_eq!(ended(lab), before + 1, "one message, one end");
    if let Some(answer) = &answer {
        let decoded = decode(bytes).expect("what is answered was read");
        let message = decoded.message();
        assert_eq!(answer.transaction_id, message.transaction_id, "SV-201");
        assert_eq!(answer.client_id.as_deref(), message.client_id, "SV-201");
        // A Confirm is answered for the message as a whole.
        if message.kind != MessageKind::Confirm {
            judge(message.kind.to_wire(), answer);
        }
    }
    answer
}

/// Where a whole option ends, counted from the message's beginning; the header's end first.
fn boundaries(message: &[u8]) -> Vec<usize> {
    let mut all = vec![4];
    let mut at = 4;
    while let Some([_, _, high, low]) = message.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        at += 4 + usize::from(u16::from_be_bytes([*high, *low]));
        all.push(at);
    }
    all
}

#[test]
fn sv_111_a_message_with_every_option_cut_at_every_octet() {
    for kind in KINDS {
        let mut lab = open_lab();
        let whole = everything(kind);
        let whole = whole.as_ref();
        let boundaries = boundaries(whole);
        for len in 0..whole.len() {
            let cut = &whole[..len];
            let answers = [
                survives(&mut lab, cut),
                // The relay's own lengths are right.
                survives(&mut lab, &relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, b"if")], cut)),
            ];
            let is_whole = boundaries.contains(&len);
            assert!(is_whole || answers.iter().all(Option::is_none), "type {kind} cut at {len}");
        }
    }
}

#[test]
fn sv_111_a_relayed_message_with_every_option_cut_at_every_octet() {
    let mut lab = open_lab();
    let inner = relayed("2001:db8:1::1", &every_relay_option(), everything(msg::REQUEST));
    let whole = relayed("::", &every_relay_option(), inner);
    for len in 0..whole.len() {
        assert!(survives(&mut lab, &whole[..len]).is_none(), "cut at {len} of {}", whole.len());
    }
    survives(&mut lab, &whole).expect("the whole is answered");
}

/// What relays add.
fn every_relay_option() -> Vec<(u16, &'static [u8])> {
    vec![
        (opt::INTERFACE_ID, b"port"),
        (opt::REMOTE_ID, &[0, 0, 0, 9, 7]),
        (opt::SUBSCRIBER_ID, b"subscriber"),
        (opt::RELAY_ID, &[0, 3, 0, 1, 9]),
        (opt::RELAY_SOURCE_PORT, &[0, 0]),
        (opt::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 1]),
        (opt::RSOO, &[0, 65, 0, 4, 1, b'a', 0, 0]),
        (opt::ECHO_REQUEST, &[0, 37, 0, 18, 0, 9, 0xff, 0xf0]),
        (0xfff0, b"echo me"),
    ]
}

/// Where the length fields stand, in every container, down to the options of leases.
fn length_fields(bytes: &[u8], from: usize, to: usize, found: &mut Vec<usize>) {
    let mut at = from;
    while at + 4 <= to {
        let code = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (data, end) = (at + 4, at + 4 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])));
        found.push(at + 2);
        match code {
            opt::IA_NA | opt::IA_PD => length_fields(bytes, data + 12, end, found),
            opt::IA_ADDR => length_fields(bytes, data + 24, end, found),
            opt::IA_PREFIX => length_fields(bytes, data + 25, end, found),
            opt::VENDOR_OPTS => length_fields(bytes, data + 4, end, found),
            opt::USER_CLASS => found.push(data),
            opt::VENDOR_CLASS => found.push(data + 4),
            opt::RELAY_MESSAGE => {
                let header = if bytes[data] == msg::RELAY_FORWARD { 34 } else { 4 };
                length_fields(bytes, data + header, end, found);
            }
            _ => {}
        }
        at = end;
    }
}

#[test]
fn sv_111_every_length_field_shortened_lengthened_and_overflowing_into_its_siblings() {
    for kind in KINDS {
        let mut lab = open_lab();
        let direct = everything(kind).as_ref().to_vec();
        let by_relay = relayed("2001:db8:1::1", &every_relay_option(), &direct);
        for (whole, header) in [(direct, 4), (by_relay, 34)] {
            let mut fields = Vec::new();
            length_fields(&whole, header, whole.len(), &mut fields);
            assert!(fields.len() > 13, "{} length fields", fields.len());
            for at in fields {
                let right = u16::from_be_bytes([whole[at], whole[at + 1]]);
                let lies = [0, 1, right / 2, right.wrapping_sub(1), right + 1, right + 4, 0x7fff, 0xffff];
                for lie in lies {
                    let mut bytes = whole.clone();
                    bytes[at..at + 2].copy_from_slice(&lie.to_be_bytes());
                    survives(&mut lab, &bytes);
                }
            }
        }
    }
}

#[test]
fn sv_106_duids_of_every_length_that_readers_went_wrong_at() {
    let mut lab = open_lab();
    for len in [0usize, 1, 2, 3, 4, 127, 128, 129, 130, 131, 132, 255, 256, 1024, 65_000] {
        let duid = vec![0x5a; len];
        let legal = (3..=130).contains(&len);
        let answer = survives(&mut lab, Msg::bare(msg::SOLICIT).client(&duid).na(1, &[]).as_ref());
        assert_eq!(answer.is_some(), legal, "a client's DUID of {len} octets");
        assert!(answer.is_none_or(|answer| answer.client_id == Some(duid.clone())));
        let before = (lab.discarded(Discard::OtherServer), lab.discarded(Discard::BadDuidLength));
        assert!(survives(&mut lab, Msg::of(msg::RENEW).server(&duid).na(1, &[]).as_ref()).is_none());
        let after = (lab.discarded(Discard::OtherServer), lab.discarded(Discard::BadDuidLength));
        let expected = if legal { (before.0 + 1, before.1) } else { (before.0, before.1 + 1) };
        assert_eq!(after, expected, "a server's DUID of {len} octets");
        // In the options of a relay it is opaque.
        if len <= 1024 {
            let by_relay = relayed("2001:db8:1::1", &[(opt::RELAY_ID, &duid)], Msg::solicit().na(1, &[]));
            assert!(survives(&mut lab, &by_relay).is_some(), "a relay's DUID of {len} octets");
        }
    }
    // A length of 65,535 cannot be true.
    for code in [opt::CLIENT_ID, opt::SERVER_ID] {
        let mut bytes = Msg::bare(msg::REQUEST).opt(code, DUID).as_ref().to_vec();
        bytes[6..8].copy_from_slice(&[0xff, 0xff]);
        assert!(survives(&mut lab, &bytes).is_none());
        bytes.resize(65_535, 7);
        assert!(survives(&mut lab, &bytes).is_none());
    }
    // Another server's, of our length.
    assert_eq!(OTHER_SERVER_DUID.len(), SERVER_DUID.len());
    assert!(survives(&mut lab, Msg::of(msg::RENEW).server(OTHER_SERVER_DUID).na(1, &[]).as_ref()).is_none());
}

#[test]
fn sv_111_everything_of_length_zero() {
    for kind in KINDS {
        let mut lab = open_lab();
        assert!(survives(&mut lab, &[kind]).is_none());
        survives(&mut lab, &[kind, 0, 0, 0]);
        for code in (0..=200).chain([0xfff0, 0xffff]) {
            survives(&mut lab, Msg::bare(kind).opt(code, &[]).as_ref());
            survives(&mut lab, sound(kind).opt(code, &[]).na(1, &[]).as_ref());
            // In an IA, in a lease, and as often as a datagram can hold it.
            let empty = [code.to_be_bytes(), [0, 0]].concat();
            let ia = [&[0; 12][..], &empty].concat();
            survives(&mut lab, sound(kind).opt(opt::IA_NA, &ia).as_ref());
            let lease = [&[0; 12][..], &[0, 5, 0, 28], &[0; 24], &empty].concat();
            survives(&mut lab, sound(kind).opt(opt::IA_NA, &lease).as_ref());
            survives(&mut lab, sound(kind).opt(opt::VENDOR_OPTS, &[&[0; 4][..], &empty].concat()).as_ref());
            survives(&mut lab, &relayed("2001:db8:1::1", &[(code, &[])], sound(kind).na(1, &[])));
        }
        let zeros = [&[kind, 1, 2, 3][..], &vec![0; 65_531]].concat();
        assert!(survives(&mut lab, &zeros).is_none(), "16,382 empty options");
    }
    let mut lab = open_lab();
    assert!(survives(&mut lab, &[]).is_none());
    assert!(survives(&mut lab, &relayed("2001:db8:1::1", &[], [])).is_none());
}
