//! Whatever comes, the engine neither panics nor says anything unsound.

use super::lab::{CLIENT, MULTICAST, OTHER_SERVER_DUID, SERVER_DUID};
use super::message::{DUID, OTHER_DUID};
use super::{Answered, Lab, Msg, relayed};
use crate::codec::IaKind;
use crate::codec::reply::ServerMessageKind;
use crate::codec::wire::{msg, status};
use leasehold_proto::lease::LeaseState;
use proptest::prelude::*;

const ADDRESSES: [&str; 8] = [
    "2001:db8:1::1042",
    "2001:db8:1::1810",
    "2001:db8:1::1c10",
    "2001:db8:1::1e10",
    "2001:db8:1::7",
    "2001:db8:77::1",
    "::",
    "fe80::1",
];
const PREFIXES: [&str; 6] = [
    "2001:db8:8000::/56",
    "2001:db8:8000:8000::/56",
    "2001:db8:8000::/60",
    "::/0",
    "::/60",
    "2001:db8:77::/48",
];

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.lease("2001:db8:1::1811", DUID, 1, LeaseState::Active);
    lab.lease("2001:db8:1::1812", DUID, 1, LeaseState::Released);
    lab.lease("2001:db8:1::1813", OTHER_DUID, 1, LeaseState::Active);
    lab
}

fn ia() -> impl Strategy<Value = (bool, u32, Vec<usize>)> {
    (any::<bool>(), 0u32..4, prop::collection::vec(0usize..24, 0..4))
}

fn message() -> impl Strategy<Value = Msg> {
    let identifiers = (0u8..12, 0usize..3, 0usize..3);
    (identifiers, prop::collection::vec(ia(), 0..5), any::<bool>(), any::<u16>()).prop_map(
        |((kind, client, server), ias, rapid, elapsed)| {
            let mut message = Msg::bare(kind);
            if let Some(duid) = [DUID, OTHER_DUID].get(client) {
                message = message.client(duid);
            }
            if let Some(duid) = [SERVER_DUID, OTHER_SERVER_DUID].get(server) {
                message = message.server(duid);
            }
            for (is_pd, iaid, leases) in ias {
                message = if is_pd {
                    message.pd(iaid, &leases.iter().map(|n| PREFIXES[n % PREFIXES.len()]).collect::<Vec<_>>())
                } else {
                    message
                        .na(iaid, &leases.iter().map(|n| ADDRESSES[n % ADDRESSES.len()]).collect::<Vec<_>>())
                };
            }
            if rapid {
                message = message.rapid_commit();
            }
            message.elapsed_ms(elapsed).oro(&[23, 24])
        },
    )
}

/// What every answer to a message of this type must be.
pub(super) fn judge(asked: u8, answer: &Answered) {
    assert_eq!(answer.kind == ServerMessageKind::Advertise, asked == msg::SOLICIT);
    assert!(answer.len <= 1452);
    assert_eq!(answer.server_id.as_deref(), Some(SERVER_DUID));
    let mut timers: Vec<_> = Vec::new();
    for ia in &answer.ias {
        assert!(ia.t1 <= ia.t2 || ia.t2 == 0, "SV-209: {ia:?}");
        for (prefix, preferred, valid) in &ia.leases {
            assert!(preferred <= valid, "SV-209: {ia:?}");
            // What a client claims is withdrawn as it named it, a prefix of 128 bits too.
            assert!(*valid == 0 || prefix.is_address() == (ia.kind == IaKind::Na), "{ia:?}");
        }
        if ia.leases.is_empty() {
            assert!(ia.status.is_some() && ia.t1 == 0 && ia.t2 == 0, "SV-211, SV-215: {ia:?}");
        } else {
            timers.push((ia.t1, ia.t2));
        }
        let not_on_link = ia.status == Some(status::NOT_ON_LINK);
        assert!(!not_on_link || asked == msg::REQUEST, "trap 2: {ia:?}");
    }
    timers.dedup();
    assert!(timers.len() <= 1, "SV-207: {answer:?}");
    let live: Vec<_> = answer
        .ias
        .iter()
        .flat_map(|ia| &ia.leases)
        .filter(|lease| lease.2 > 0)
        .map(|lease| lease.0)
        .collect();
    let mut distinct = live.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(live.len(), distinct.len(), "SV-212: {answer:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_octets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), relay in any::<bool>()) {
        let mut lab = lab();
        if relay {
            lab.send_relayed(&relayed("2001:db8:1::1", &[], &bytes));
        } else {
            lab.send(&bytes);
        }
        prop_assert_eq!(lab.engine.counters().packets, 1);
    }

    #[test]
    fn messages_get_sound_answers(messages in prop::collection::vec((message(), any::<bool>()), 1..12)) {
        let mut lab = lab();
        for (message, relay) in messages {
            let before = lab.engine.counters().clone();
            let answer = if relay {
                lab.send_relayed(&relayed("2001:db8:1::1", &[(18, b"port")], &message))
            } else {
                lab.send_on(1, CLIENT, 546, MULTICAST, message.as_ref())
            };
            if let Some(answer) = &answer {
                judge(message.as_ref()[0], answer);
            }
            let after = lab.engine.counters();
            let discarded: u64 = after.discards.iter().sum::<u64>() - before.discards.iter().sum::<u64>();
            let answered = after.advertises + after.replies - before.advertises - before.replies;
            prop_assert_eq!(discarded + answered + after.parked - before.parked, 1, "one message, one end");
            lab.wait(700);
            lab.commit();
        }
    }

    #[test]
    fn a_damaged_message_never_panics(message in message(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut lab = lab();
        let mut bytes = message.as_ref().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = octet;
        lab.send(&bytes);
    }
}
