//! Relay framing as nobody honest sends it: nesting, cut headers, no link-address anywhere, options without end.

use super::hostile::{KINDS, open_lab, sound, survives};
use super::lab::MULTICAST;
use super::{Lab, Msg, relayed};
use crate::codec::Discard;
use crate::codec::wire::{RELAY_LEVELS_MAX, msg, opt};
use leasehold_proto::session::ToStore;

/// A message behind so many relays; the one nearest the client tells the link.
fn nested(levels: usize, inner: &Msg) -> Vec<u8> {
    (0..levels).fold(inner.as_ref().to_vec(), |inner, level| {
        relayed(if level == 0 { "2001:db8:1::1" } else { "::" }, &[], inner)
    })
}

#[test]
fn sv_171_sv_175_nesting_of_0_to_40_levels() {
    for kind in KINDS {
        let mut lab = open_lab();
        let message = match kind {
            msg::INFORMATION_REQUEST => sound(kind),
            _ => sound(kind).na(1, &["2001:db8:1::1042"]),
        };
        for levels in 0..=40 {
            let too_deep = lab.discarded(Discard::RelayTooDeep);
            let answer = survives(&mut lab, &nested(levels, &message));
            let is_read = levels <= RELAY_LEVELS_MAX;
            assert_eq!(
                lab.discarded(Discard::RelayTooDeep) - too_deep,
                u64::from(!is_read),
                "{levels} levels"
            );
            assert!(is_read || answer.is_none());
            if let Some(answer) = answer {
                assert_eq!(answer.levels.len(), levels);
            }
        }
        assert!(lab.engine.counters().replies + lab.engine.counters().advertises > 30, "type {kind}");
    }
}

#[test]
fn sec_06_a_datagram_of_nothing_but_levels() {
    let mut lab = open_lab();
    let deepest = nested(1700, &Msg::solicit().na(1, &[]));
    assert!(deepest.len() > 64_000);
    assert!(survives(&mut lab, &deepest).is_none());
    assert_eq!(lab.discarded(Discard::RelayTooDeep), 1);
}

#[test]
fn sv_111_a_relay_header_cut_at_every_octet_at_every_level() {
    let mut lab = open_lab();
    let message = Msg::solicit().na(1, &[]);
    for outer in 0..=4 {
        let whole = nested(2, &message);
        for len in 0..34 {
            let before = lab.discarded(Discard::TruncatedHeader);
            let bytes = (0..outer).fold(whole[..len].to_vec(), |inner, _| relayed("::", &[], inner));
            assert!(survives(&mut lab, &bytes).is_none(), "{outer} levels around {len} octets");
            assert_eq!(lab.discarded(Discard::TruncatedHeader), before + 1);
        }
        // A header, and nothing that it carries.
        let before = lab.discarded(Discard::RelayWithoutMessage);
        let bytes = (0..outer).fold(whole[..34].to_vec(), |inner, _| relayed("::", &[], inner));
        assert!(survives(&mut lab, &bytes).is_none());
        assert_eq!(lab.discarded(Discard::RelayWithoutMessage), before + 1);
    }
}

#[test]
fn sv_152_sv_155_no_link_address_at_any_level() {
    for levels in 1..=RELAY_LEVELS_MAX {
        let mut lab = open_lab();
        let bytes = (0..levels)
            .fold(Msg::solicit().na(1, &[]).as_ref().to_vec(), |inner, _| relayed("::", &[], inner));
        assert!(survives(&mut lab, &bytes).is_none(), "an interface without a link tells nothing");
        assert_eq!(lab.discarded(Discard::NoLink), 1);
        let answer = lab.send_on(1, "fe80::1d", 547, MULTICAST, &bytes).expect("the interface's link counts");
        assert_eq!(answer.levels.len(), levels);
        answer.na().one();
    }
}

#[test]
fn sv_177_a_relay_cannot_bring_what_a_client_may_not_send() {
    let mut lab = open_lab();
    for kind in (0..=u8::MAX).filter(|kind| !KINDS.contains(kind) && *kind != msg::RELAY_FORWARD) {
        let message = Msg::of(kind).na(1, &[]);
        assert!(survives(&mut lab, &relayed("2001:db8:1::1", &[], &message)).is_none(), "type {kind}");
        assert!(survives(&mut lab, message.as_ref()).is_none(), "type {kind}");
    }
}

#[test]
fn sv_174_an_echo_request_for_everything_is_bounded_by_the_answer() {
    let mut lab = open_lab();
    let codes: Vec<u8> = (0..256u16).flat_map(u16::to_be_bytes).collect();
    let long = vec![7; 1300];
    for count in 1..=8 {
        let mut options: Vec<(u16, &[u8])> = vec![(opt::ECHO_REQUEST, &codes)];
        options.extend((0..count).map(|_| (opt::SUBSCRIBER_ID, &long[..1300 / count])));
        survives(&mut lab, &relayed("2001:db8:1::1", &options, Msg::solicit().na(1, &[])));
    }
    // More codes than are read.
    let codes: Vec<u8> = (0..257u16).flat_map(u16::to_be_bytes).collect();
    let bytes = relayed("2001:db8:1::1", &[(opt::ECHO_REQUEST, &codes)], Msg::solicit().na(1, &[]));
    assert!(survives(&mut lab, &bytes).is_none());
}

/// Octets of relay data in the updates that wait for the store: of each lease.
fn chains(lab: &Lab) -> Vec<usize> {
    let batches = lab.to_store.iter().filter_map(|message| match message {
        ToStore::Batch(batch) => Some(batch),
        _ => None,
    });
    let extras = batches.flat_map(|batch| &batch.updates).filter_map(|update| update.extra.as_deref());
    extras.filter_map(|extra| extra.relay.as_ref()).map(|relay| relay.relay_chain.len()).collect()
}

#[test]
fn lq_07_sec_06_what_is_kept_of_relays_with_a_lease_is_bounded() {
    // Nine levels that say all that relays say.
    let mut lab = open_lab();
    lab.to_store.clear();
    let said: [(u16, &[u8]); 4] = [
        (opt::INTERFACE_ID, b"a port's name"),
        (opt::REMOTE_ID, &[0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]),
        (opt::SUBSCRIBER_ID, b"a subscriber"),
        (opt::RELAY_ID, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]),
    ];
    let request = Msg::request().na(1, &[]).as_ref().to_vec();
    let bytes = (0..9).fold(request.clone(), |inner, _| relayed("2001:db8:1::1", &said, inner));
    survives(&mut lab, &bytes).expect("a Relay-reply").na().one();
    assert_eq!(chains(&lab), [bytes.len() - request.len() - 4], "it is kept as it came");
    // One that says as much as a datagram holds: the store takes no message of a thousand such leases.
    let mut lab = open_lab();
    lab.to_store.clear();
    let long = vec![7; 60_000];
    survives(&mut lab, &relayed("2001:db8:1::1", &[(0xfff0, &long)], &request))
        .expect("it is answered all the same");
    assert_eq!(chains(&lab), [0], "the lease goes without it");
}

#[test]
fn sv_171_an_answer_mirrors_the_highest_numbers() {
    let mut lab = open_lab();
    let mut bytes = relayed("2001:db8:1::1", &[], Msg::solicit().xid([0xff; 3]).na(u32::MAX, &[]));
    bytes[1] = u8::MAX;
    let answer = survives(&mut lab, &bytes).expect("an answer");
    assert_eq!(answer.levels[0].0.hop_count, u8::MAX);
    assert_eq!((answer.transaction_id.0, answer.na().iaid), ([0xff; 3], u32::MAX));
}

#[test]
fn sv_113_no_answer_is_longer_than_a_client_can_receive() {
    // Interface-Ids so long that the answer fits, just fits, and does not.
    for length in (1200..1450).step_by(7) {
        let mut lab = open_lab();
        let id = vec![7; length];
        let message = sound(msg::REQUEST).na(1, &[]).pd(2, &[]).oro(&[23, 24]);
        let bytes = relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, &id)], message);
        let answer = survives(&mut lab, &bytes);
        let too_long = lab.discarded(Discard::ReplyTooLong);
        assert_eq!(u64::from(answer.is_none()), too_long, "an Interface-Id of {length} octets");
    }
}
