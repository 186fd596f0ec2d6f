//! Properties of the decoders over octets that nobody would send on purpose (SV-111, SEC-06).

use proptest::prelude::*;

use super::super::reply::{ServerMessage, unwrap_relay_reply};
use super::super::wire::{IAS_MAX, OPTIONS_MAX, RELAY_LEVELS_MAX};
use super::super::{Decoded, Options, decode, encode_relay_reply, validate};
use super::*;

/// Counts all options that can be reached, and checks that each view lies inside the datagram.
fn check_within(bytes: &[u8], options: &Options<'_>, count: &mut usize) {
    let whole = bytes.as_ptr_range();
    for option in options.iter() {
        let data = option.data.as_ptr_range();
        assert!(whole.start <= data.start && data.end <= whole.end, "a view leaves the datagram");
        *count += 1;
    }
}

/// Decodes with every decoder, walks all that came out, and answers what can be answered.
fn exercise(bytes: &[u8]) {
    if let Ok(decoded) = decode(bytes) {
        let message = decoded.message();
        let mut count = 0;
        check_within(bytes, &message.options, &mut count);
        assert!(message.ias.len() <= IAS_MAX);
        for ia in &message.ias {
            check_within(bytes, &ia.options, &mut count);
            for lease in ia.leases() {
                assert!(lease.len_bits <= 128);
                check_within(bytes, &lease.options, &mut count);
            }
        }
        let _ = validate(message, SERVER_DUID);
        let _ = message.oro.iter().filter(|code| message.oro.contains(*code)).count();
        if let Decoded::Relayed(chain, _) = &decoded {
            assert!((1..=RELAY_LEVELS_MAX).contains(&chain.levels().len()));
            for level in chain.levels() {
                check_within(bytes, &level.options, &mut count);
            }
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, 65_535);
            encode_relay_reply(chain, &mut writer, |w| w.raw(b"reply")).expect("never longer than what came");
            let out = writer.finish().unwrap();
            let reply = unwrap_relay_reply(out).unwrap();
            assert_eq!(reply.payload, b"reply");
            assert_eq!(reply.levels.len(), chain.levels().len());
        }
        assert!(count <= usize::from(OPTIONS_MAX), "{count} options");
    }
    if let Ok(reply) = ServerMessage::decode(bytes) {
        let mut count = 0;
        check_within(bytes, &reply.options, &mut count);
        for lease in reply.ias.iter().flat_map(|ia| ia.leases()) {
            let _ = lease.status();
        }
    }
    let _ = unwrap_relay_reply(bytes);
}

/// Octets that look like a message: a likely type, then options with likely codes and mostly right lengths.
fn likely_message() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![4 => 0u16..=150, 1 => any::<u16>()];
    let data = prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..64);
    let option = (code, data, prop::option::weighted(0.05, any::<u16>())).prop_map(|(code, data, lie)| {
        let mut option = tlv(code, &data);
        if let Some(lie) = lie {
            option[2..4].copy_from_slice(&lie.to_be_bytes());
        }
        option
    });
    let ia = (any::<bool>(), 0u32..4, prop::collection::vec(option.clone(), 0..4), 0u8..140).prop_map(
        |(na, iaid, mut inner, len_bits)| {
            inner.push(if na { ia_addr(ADDRESS) } else { ia_prefix(PREFIX, len_bits) });
            ia(if na { IaKind::Na } else { IaKind::Pd }, iaid, &inner)
        },
    );
    let options = prop::collection::vec(prop_oneof![option, ia], 0..12);
    (0u8..16, options, 0u8..12).prop_map(|(kind, options, levels)| nest(levels, &message_of(kind, &options)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sv_111_arbitrary_octets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(&bytes);
    }

    #[test]
    fn sv_111_likely_messages_never_panic(bytes in likely_message()) {
        exercise(&bytes);
    }

    #[test]
    fn sv_111_mutated_valid_messages_never_panic(
        relayed in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = if relayed { rich_relayed(&rich_solicit()) } else { rich_solicit() };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        exercise(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sec_06_datagrams_of_64_kib_stay_within_bounds(
        kind in 1u8..14,
        unit in prop::collection::vec(any::<u8>(), 0..20),
        code in 0u16..150,
    ) {
        let option = tlv(code, &unit);
        let count = (65_535 - 4) / option.len();
        exercise(&message_of(kind, &vec![option; count]));
    }
}

#[test]
fn sec_06_relay_bomb_of_64_kib_is_cut_at_the_bound() {
    let mut bytes = rich_solicit();
    let mut level = 0u8;
    while bytes.len() + 38 <= 65_535 {
        bytes = forward(relay_header(level), &[], &bytes);
        level = level.wrapping_add(1);
    }
    exercise(&bytes);
    assert_eq!(decode(&bytes).map(|_| ()).unwrap_err(), super::super::Discard::RelayTooDeep);
}

#[test]
fn sv_111_every_single_octet_of_a_rich_message_set_to_every_value() {
    for whole in [rich_solicit(), rich_relayed(&rich_solicit())] {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            for value in 0..=u8::MAX {
                bytes[at] = value;
                exercise(&bytes);
            }
        }
    }
}
