//! Corners of state in which others fell over: what a client says of an address that it declined, of a pool or link that
//! is configured no more, of prefixes of every length; numbers at their ends; and names made to hurt who reads them.

use super::hostile::{KINDS, open_lab, sound, survives, unbounded};
use super::lab::{Sink, ip, prefix};
use super::message::{DUID, OTHER_DUID};
use super::{Answered, Lab, Msg, relayed};
use crate::codec::wire::{msg, opt, status};
use crate::codec::{Discard, IaKind};
use crate::engine::{Engine, Limits, Packet, Settings};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::session::{BatchOutcome, FromStore, StoreEvent, ToStore, Welcome};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, Epoch, LogIndex, UpdateSeq};
use std::sync::Arc;
use std::time::Duration;

/// A message of a client about one address.
fn about(kind: u8, duid: &[u8], address: &str) -> Msg {
    let message = Msg::bare(kind).client(duid);
    match kind {
        msg::REQUEST | msg::RENEW | msg::RELEASE | msg::DECLINE => message.server(super::lab::SERVER_DUID),
        _ => message,
    }
    .na(1, &[address])
}

/// What an answer lets its client use.
fn live(answer: &Answered) -> Vec<String> {
    let leases = answer.ias.iter().flat_map(|ia| &ia.leases);
    leases.filter(|(_, _, valid)| *valid > 0).map(|(prefix, _, _)| prefix.to_string()).collect()
}

fn applied(lab: &mut Lab, mut wire: v1::Network, version: u64) {
    wire.version = version;
    lab.event(StoreEvent::Network(super::lab::checked(wire)));
}

#[test]
fn sv_371_nobody_gets_a_declined_address_whatever_is_said_of_it() {
    for state in [None, Some(LeaseState::Abandoned), Some(LeaseState::Reset)] {
        for told in [false, true] {
            let mut lab = open_lab();
            let held = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
            lab.commit();
            survives(&mut lab, about(msg::DECLINE, DUID, &held).as_ref()).expect("a Reply");
            if told {
                lab.commit();
            }
            if let Some(state) = state {
                lab.lease(&held, DUID, 1, state);
            }
            for (round, duid) in [DUID, OTHER_DUID, DUID].into_iter().enumerate() {
                for kind in KINDS.into_iter().filter(|kind| *kind != msg::INFORMATION_REQUEST) {
                    let message = about(kind, duid, &held).xid([9, u8::try_from(round).unwrap_or(9), kind]);
                    if let Some(answer) = survives(&mut lab, message.as_ref()) {
                        assert!(!live(&answer).contains(&held), "type {kind}: {answer:?}");
                    }
                }
                lab.wait(3000);
                lab.commit();
            }
        }
    }
}

#[test]
fn fo_113_a_lease_of_a_pool_that_is_gone_runs_out_and_is_never_extended() {
    for relayed_by in [None, Some("2001:db8:1::1")] {
        let mut lab = open_lab();
        let held = lab.send(Msg::request().na(1, &[])).expect("a Reply");
        let (held, valid) = (held.na().one().to_string(), held.na().leases[0].2);
        lab.commit();
        let mut wire = unbounded();
        wire.pools.remove(0);
        // The other one keeps its number.
        wire.pools[0].id = super::lab::PREFIXES.0;
        wire.relationships[0].pools.remove(0);
        applied(&mut lab, wire, 2);
        lab.wait(100_000);
        lab.commit();
        for kind in KINDS.into_iter().filter(|kind| *kind != msg::INFORMATION_REQUEST) {
            let message = about(kind, DUID, &held);
            let bytes = match relayed_by {
                None => message.as_ref().to_vec(),
                Some(link) => relayed(link, &[(opt::INTERFACE_ID, b"x")], message),
            };
            let Some(answer) = survives(&mut lab, &bytes) else { continue };
            for ia in &answer.ias {
                for (what, _, left) in &ia.leases {
                    assert!(*what == prefix(&held) && left + 100 <= valid, "type {kind}: {answer:?}");
                }
            }
        }
        // A new client hears that there is nothing.
        let answer = survives(&mut lab, about(msg::REQUEST, OTHER_DUID, &held).as_ref()).expect("a Reply");
        assert_eq!(answer.na().status, Some(status::NO_ADDRS_AVAIL));
    }
}

#[test]
fn fo_113_sv_155_messages_from_a_link_that_is_gone_get_no_answer() {
    let mut lab = open_lab();
    let held = lab.send(Msg::request().na(1, &[]).pd(1, &[])).expect("a Reply");
    let (address, delegated) = (held.na().one().to_string(), held.pd().one().to_string());
    lab.commit();
    let mut wire = unbounded();
    wire.links.remove(0);
    wire.links[0].id = 2;
    wire.pools.clear();
    wire.relationships[0].pools.clear();
    applied(&mut lab, wire, 2);
    for kind in KINDS {
        let message = match kind {
            msg::INFORMATION_REQUEST => sound(kind),
            _ => sound(kind).na(1, &[&address]).pd(1, &[&delegated]),
        };
        assert!(survives(&mut lab, message.as_ref()).is_none(), "type {kind}");
        assert!(survives(&mut lab, &relayed("2001:db8:1::1", &[], message)).is_none(), "type {kind}");
    }
    let silent = lab.discarded(Discard::NoLink) + lab.discarded(Discard::UnknownLinkConfirm);
    assert_eq!(silent, 2 * KINDS.len() as u64);
    // It comes back, and the lease is there.
    applied(&mut lab, unbounded(), 3);
    let again = survives(&mut lab, Msg::renew().na(1, &[&address]).as_ref()).expect("a Reply");
    assert_eq!(again.na().one().to_string(), address);
}

#[test]
fn pd_02_pd_04_prefixes_of_every_length_in_every_message() {
    for kind in KINDS.into_iter().filter(|kind| *kind != msg::INFORMATION_REQUEST) {
        let mut lab = open_lab();
        for length in 0..=u8::MAX {
            let before = lab.discarded(Discard::BadPrefixLength);
            for address in ["::", "2001:db8:8000:100::", "2001:db8:8000:ffff:ffff:ffff:ffff:ffff", "ffff::"] {
                let data = [
                    &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..],
                    &[0, 26, 0, 25, 0, 0, 0, 1, 0, 0, 0, 2, length],
                    &ip(address).octets(),
                ]
                .concat();
                let message = sound(kind).opt(opt::IA_PD, &data);
                let Some(answer) = survives(&mut lab, message.as_ref()) else { continue };
                assert!(length <= 128);
                for ia in answer.ias.iter().filter(|ia| ia.kind == IaKind::Pd) {
                    for (given, _, valid) in &ia.leases {
                        assert!(*valid == 0 || given.len_bits() == 56, "/{length}: {given}");
                    }
                }
            }
            let refused = lab.discarded(Discard::BadPrefixLength) - before;
            assert_eq!(refused, if length > 128 { 4 } else { 0 }, "/{length}");
        }
        lab.commit();
    }
}

#[test]
fn sv_109_sv_110_repeats_are_counted_to_the_end_of_what_is_read() {
    let mut lab = open_lab();
    let repeated = (0..250).fold(Msg::solicit(), |message, _| message.elapsed_ms(1)).na(1, &[]);
    survives(&mut lab, repeated.as_ref()).expect("an Advertise");
    let ias = (0..250).fold(Msg::solicit(), |message, _| message.na(1, &[]));
    survives(&mut lab, ias.as_ref()).expect("an Advertise");
    let counters = lab.engine.counters();
    assert_eq!((counters.repeated_options, counters.repeated_iaids), (249, 249));
}

#[test]
fn sv_115_sv_131_numbers_at_their_ends_do_not_wrap() {
    for elapsed in [0, 1, 0x7fff, 0x8000, u16::MAX] {
        let mut lab = open_lab();
        for (iaid, xid) in [(0, [0; 3]), (u32::MAX, [0xff; 3]), (1 << 31, [0x80, 0, 0])] {
            for kind in KINDS.into_iter().filter(|kind| *kind != msg::INFORMATION_REQUEST) {
                let message = sound(kind).xid(xid).opt(opt::ELAPSED_TIME, &elapsed.to_be_bytes());
                survives(&mut lab, message.na(iaid, &[]).pd(iaid, &[]).as_ref());
            }
        }
    }
}

/// A frontend whose clocks, session and log are at the end of their numbers.
#[test]
fn fo_909_clocks_and_indexes_at_the_end_of_their_numbers_do_not_wrap() {
    let wire = {
        let mut wire = unbounded();
        for pool in &mut wire.pools {
            (pool.preferred_lifetime_secs, pool.valid_lifetime_secs) = (u32::MAX, u32::MAX);
            pool.autonomy_ms = u64::MAX;
        }
        fill_defaults(&mut wire);
        Arc::new(Network::from_wire(&wire).expect("sound"))
    };
    for nanos in [u64::MAX - 10_000_000_000, u64::MAX - 1] {
        let settings =
            Settings { frontend: super::lab::frontend("fe-a"), hash_key: [9; 16], limits: Limits::default() };
        let mut engine = Engine::new(settings);
        engine.set_interfaces(vec![crate::engine::Interface {
            index: u32::MAX,
            name: "eth0".into(),
            link: Some("lan".into()),
            relays: true,
        }]);
        let (mut sink, mut to_store) = (Sink::default(), Vec::new());
        let mut now = LocalTime::from_nanos(nanos);
        engine.connected(now);
        engine.drain(now, &mut to_store);
        engine.apply(
            now,
            FromStore::Welcome(Welcome {
                epoch: Epoch(u64::MAX - 1),
                index: LogIndex(u64::MAX - 100),
                resumed: false,
                applied_sequence: UpdateSeq(0),
                network: Some(Arc::clone(&wire)),
                supersedes: Epoch::NONE,
                draining: false,
            }),
            &mut sink,
        );
        let done = Some(LogIndex(u64::MAX - 100));
        let load = leasehold_proto::session::LoadChunk { leases: vec![], ranges: vec![], done };
        engine.apply(now, FromStore::Load(load), &mut sink);
        for round in 0..20u64 {
            engine.drain(now, &mut to_store);
            for message in std::mem::take(&mut to_store) {
                let ToStore::Batch(batch) = message else { continue };
                let outcome = BatchOutcome {
                    sequence: batch.sequence,
                    stamp: ClusterTime::from_millis(u64::MAX - 2),
                    extended: true,
                    refused: vec![],
                };
                let index = LogIndex(u64::MAX - 99 + round);
                let entry =
                    leasehold_proto::session::StreamEntry { index, events: vec![StoreEvent::Batch(outcome)] };
                engine.apply(now, FromStore::Entry(entry), &mut sink);
            }
            let message = Msg::request().xid([1, 1, u8::try_from(round).unwrap_or(0)]).na(1, &[]);
            let packet = Packet {
                bytes: message.as_ref(),
                source: ip("fe80::c"),
                source_port: 546,
                destination: ip("ff02::1:2"),
                interface_index: u32::MAX,
            };
            engine.batch_begin(now);
            engine.handle(now, &packet, &mut sink);
            engine.turn(now, &mut sink);
            now = now + Duration::from_secs(1);
        }
        assert_eq!(engine.counters().packets, 20);
        let _ = (engine.status(now), engine.survival_budget(now), engine.next_deadline());
    }
}

/// Text that takes over a terminal, breaks a log line, a JSON string or a page.
const HOSTILE: [&[u8]; 6] = [
    b"\x1b[2J\x1b]0;h4x\x07",
    b"\r\nforged log line",
    b"\"}],\"h4x\":[{\"",
    b"<script>h4x</script>",
    b"\xff\xfe\xc0\x80h4x",
    b"h4x\0\x7f\xe2\x80\xae",
];

#[test]
fn sv_106_sec_09_names_of_clients_and_relays_reach_no_text_as_they_are() {
    for text in HOSTILE {
        let mut lab = open_lab();
        lab.to_store.clear();
        let name = [&[1, u8::try_from(text.len()).unwrap_or(0)][..], text, &[0]].concat();
        let class = [&[0, 0, 0, 9, 0, u8::try_from(text.len()).unwrap_or(0)][..], text].concat();
        let relay_id = [&[0, 2][..], text].concat();
        let message = Msg::bare(msg::REQUEST)
            .client(text)
            .server(super::lab::SERVER_DUID)
            .opt(opt::CLIENT_FQDN, &name)
            .opt(opt::VENDOR_CLASS, &class)
            .opt(opt::USER_CLASS, &class[4..])
            .na(1, &[]);
        let said: [(u16, &[u8]); 4] = [
            (opt::INTERFACE_ID, text),
            (opt::SUBSCRIBER_ID, text),
            (opt::REMOTE_ID, &class),
            (opt::RELAY_ID, &relay_id),
        ];
        survives(&mut lab, &relayed("2001:db8:1::1", &said, &message)).expect("a Relay-reply").na().one();
        // What is written to logs, the status socket and metrics is made of these.
        let now = lab.now;
        let mut words = vec![
            format!("{:?} {:?}", lab.engine.status(now), lab.engine.survival_budget(now)),
            format!("{:?} {:?}", lab.engine.news(), lab.engine.counters()),
            format!("{:?}", lab.to_store),
        ];
        let duid = Duid::new(text).expect("of a possible length");
        words.push(format!("{duid} {duid:?}"));
        for word in &words {
            let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
            assert!(word.chars().all(is_plain), "{text:?} got into {word:?}");
            assert!(!word.contains("h4x") && !word.contains("forged"), "{text:?} got into {word}");
        }
    }
}
