//! Rules of reading client messages, one test each, and the whole validation table.

use super::super::wire::{IAS_MAX, OPTIONS_MAX, msg, opt};
use super::super::{Decoded, Discard, IaKind, MessageKind, decode, validate};
use super::*;

fn client(bytes: &[u8]) -> super::super::ClientMessage<'_> {
    match decode(bytes).unwrap() {
        Decoded::Client(message) => message,
        Decoded::Relayed(..) => panic!("a direct message"),
    }
}

fn discarded(bytes: &[u8]) -> Discard {
    decode(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn a_rich_solicit_is_read_once_into_its_fields() {
    let bytes = rich_solicit();
    let message = client(&bytes);
    assert_eq!(message.kind, MessageKind::Solicit);
    assert_eq!(message.transaction_id, XID);
    assert_eq!(message.client_id, Some(CLIENT_DUID));
    assert_eq!(message.server_id, None);
    assert_eq!(message.elapsed_centisecs, 250);
    assert_eq!(message.elapsed().as_millis(), 2_500);
    assert!(message.oro.contains(24) && !message.oro.contains(25));
    assert_eq!(message.oro.iter().collect::<Vec<_>>(), [23, 24, 82]);
    assert!(message.rapid_commit && message.reconfigure_accept);
    assert_eq!(message.options.first(opt::CLIENT_FQDN), Some(&[1, 1, b'h', 0][..]));
    assert_eq!(message.options.iter().count(), 14);
    assert_eq!((message.repeated_options, message.repeated_iaids), (0, 0));

    let na: Vec<_> = message.ias_of(IaKind::Na).flat_map(|ia| ia.leases()).collect();
    assert_eq!(
        na.iter().map(|l| (l.bits, l.len_bits)).collect::<Vec<_>>(),
        [(ADDRESS, 128), (ADDRESS + 1, 128)]
    );
    assert_eq!((na[0].preferred_secs, na[0].valid_secs), (3_600, 7_200));
    let pd: Vec<_> = message.ias_of(IaKind::Pd).flat_map(|ia| ia.leases()).collect();
    assert_eq!(pd.iter().map(|l| (l.bits, l.len_bits)).collect::<Vec<_>>(), [(PREFIX, 56), (0, 60)]);
}

#[test]
fn sv_106_duid_is_opaque_and_3_to_130_octets() {
    for (len, sound) in [(0, false), (2, false), (3, true), (130, true), (131, false), (500, false)] {
        for code in [opt::CLIENT_ID, opt::SERVER_ID] {
            let bytes = message_of(msg::RENEW, &[tlv(code, &vec![0xff; len])]);
            let outcome = decode(&bytes).map(|_| ());
            assert_eq!(outcome, if sound { Ok(()) } else { Err(Discard::BadDuidLength) }, "{code} {len}");
        }
    }
}

#[test]
fn sv_107_one_iaid_may_name_an_ia_na_and_an_ia_pd() {
    let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Na, 5, &[]), ia(IaKind::Pd, 5, &[])]);
    let message = client(&bytes);
    assert_eq!((message.ias.len(), message.repeated_iaids), (2, 0));
}

#[test]
fn sv_108_unknown_options_are_ignored_and_unknown_messages_dropped() {
    let bytes = message_of(msg::SOLICIT, &[tlv(0, &[]), tlv(40_000, &[1]), tlv(opt::CLIENT_ID, CLIENT_DUID)]);
    assert_eq!(client(&bytes).client_id, Some(CLIENT_DUID));
    for kind in 0..=u8::MAX {
        let outcome = decode(&message_of(kind, &[])).map(|_| ());
        let expected = match kind {
            1 | 3 | 4 | 5 | 6 | 8 | 9 | 11 | 36 => Ok(()),
            2 | 7 | 10 | 13 | 15 | 37 => Err(Discard::ServerMessage),
            12 => Err(Discard::TruncatedHeader),
            14 | 16..=35 => Err(Discard::UnsupportedMessage),
            _ => Err(Discard::UnknownMessage),
        };
        assert_eq!(outcome, expected, "{kind}");
    }
}

#[test]
fn sv_109_first_instance_of_a_singleton_counts() {
    let other: &[u8] = &[9, 9, 9, 9];
    let bytes = message_of(
        msg::SOLICIT,
        &[
            tlv(opt::CLIENT_ID, CLIENT_DUID),
            tlv(opt::CLIENT_ID, other),
            tlv(opt::ORO, &[0, 23]),
            tlv(opt::ORO, &[0, 24]),
            tlv(opt::ELAPSED_TIME, &[0, 1]),
            tlv(opt::ELAPSED_TIME, &[0, 2]),
            tlv(opt::VENDOR_CLASS, &[0, 0, 0, 1]),
            tlv(opt::VENDOR_CLASS, &[0, 0, 0, 2]),
            tlv(opt::USER_CLASS, &[0, 0]),
            tlv(opt::USER_CLASS, &[0, 0]),
        ],
    );
    let message = client(&bytes);
    assert_eq!(message.client_id, Some(CLIENT_DUID));
    assert_eq!(message.oro.iter().collect::<Vec<_>>(), [23]);
    assert_eq!(message.elapsed_centisecs, 1);
    assert_eq!(message.repeated_options, 4, "vendor classes may repeat");
}

#[test]
fn sv_110_first_ia_of_an_iaid_counts() {
    let bytes = message_of(
        msg::SOLICIT,
        &[ia(IaKind::Na, 7, &[ia_addr(1)]), ia(IaKind::Na, 7, &[ia_addr(2)]), ia(IaKind::Na, 8, &[])],
    );
    let message = client(&bytes);
    assert_eq!(message.ias.iter().map(|ia| ia.iaid).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(message.ias[0].leases().next().unwrap().bits, 1);
    assert_eq!(message.repeated_iaids, 1);
}

#[test]
fn sv_111_truncation_at_every_octet_is_an_error_or_ends_between_options() {
    let whole = rich_solicit();
    let boundaries: Vec<usize> = {
        let message = client(&whole);
        let mut at = 4;
        let ends = message.options.iter().map(|option| {
            at += 4 + option.data.len();
            at
        });
        std::iter::once(4).chain(ends).collect()
    };
    for len in 0..=whole.len() {
        let outcome = decode(&whole[..len]).map(|_| ());
        let expected = match len {
            0..4 => Err(Discard::TruncatedHeader),
            _ if boundaries.contains(&len) => Ok(()),
            _ => Err(Discard::TruncatedOption),
        };
        assert_eq!(outcome, expected, "cut at {len} of {}", whole.len());
    }
}

/// Which lengths of zero-filled data an option of a client message may have, by its definition.
fn length_is_legal(code: u16, len: usize) -> bool {
    match code {
        1 | 2 => (3..=130).contains(&len),
        3 | 25 => len == 12 || (len > 12 && (len - 12).is_multiple_of(4)),
        6 => len.is_multiple_of(2),
        7 | 19 => len == 1,
        8 => len == 2,
        11 => len >= 11,
        13 => len >= 2,
        14 | 20 => len == 0,
        15 => len.is_multiple_of(2),
        16 => len >= 4 && len.is_multiple_of(2),
        17 => len >= 4 && len.is_multiple_of(4),
        32 | 82 | 83 => len == 4,
        39 => len >= 1,
        61 => len >= 2 && len.is_multiple_of(2),
        62 => len == 3,
        _ => true,
    }
}

#[test]
fn sv_111_every_option_with_every_length_up_to_140() {
    for code in 0..=150u16 {
        for len in 0..=140usize {
            let bytes = message_of(msg::SOLICIT, &[tlv(code, &vec![0; len])]);
            assert_eq!(decode(&bytes).is_ok(), length_is_legal(code, len), "option {code} of {len} octets");
        }
    }
}

#[test]
fn sv_111_lease_options_too_short_or_running_past_their_ia() {
    for len in 0..24 {
        let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Na, 1, &[tlv(opt::IA_ADDR, &vec![0; len])])]);
        assert_eq!(discarded(&bytes), Discard::BadOptionLength, "{len}");
    }
    for len in 0..25 {
        let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Pd, 1, &[tlv(opt::IA_PREFIX, &vec![0; len])])]);
        assert_eq!(discarded(&bytes), Discard::BadOptionLength, "{len}");
    }
    // The inner option says 25 octets where its IA has 24 left, though the message goes on.
    let mut lying = ia_addr(1);
    lying[3] = 25;
    let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Na, 1, &[lying]), tlv(0xfff0, &[0; 8])]);
    assert_eq!(discarded(&bytes), Discard::TruncatedOption);
    // The same one level further down, inside the lease.
    let lease = tlv(opt::IA_ADDR, &[&[0; 24][..], &[0, 13, 0, 9, 0, 0]].concat());
    let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Na, 1, &[lease])]);
    assert_eq!(discarded(&bytes), Discard::TruncatedOption);
}

#[test]
fn pd_02_prefix_length_is_at_most_128_and_host_bits_are_cleared() {
    for len_bits in 0..=u8::MAX {
        let bytes = message_of(msg::SOLICIT, &[ia(IaKind::Pd, 1, &[ia_prefix(u128::MAX, len_bits)])]);
        if len_bits > 128 {
            assert_eq!(discarded(&bytes), Discard::BadPrefixLength, "{len_bits}");
            continue;
        }
        let lease = client(&bytes).ias[0].leases().next().unwrap();
        assert_eq!(lease.len_bits, len_bits);
        assert_eq!(lease.bits.leading_ones(), u32::from(len_bits));
        assert_eq!(lease.bits.count_ones(), u32::from(len_bits));
    }
}

#[test]
fn op_01_misplaced_options_are_passed_over() {
    let bytes = message_of(
        msg::REQUEST,
        &[
            ia_addr(1),
            tlv(opt::RELAY_MESSAGE, &[1]),
            tlv(opt::CLIENT_LINKLAYER_ADDR, &[]),
            ia(IaKind::Na, 1, &[ia_prefix(PREFIX, 200), ia(IaKind::Na, 2, &[ia_addr(3)]), ia_addr(4)]),
        ],
    );
    let message = client(&bytes);
    assert_eq!(message.ias.len(), 1);
    assert_eq!(message.ias[0].leases().map(|l| l.bits).collect::<Vec<_>>(), [4]);
}

#[test]
fn v_01_ia_ta_and_server_unicast_are_ignored_whatever_they_hold() {
    let bytes = message_of(
        msg::INFORMATION_REQUEST,
        &[tlv(opt::IA_TA, &[1]), tlv(opt::SERVER_UNICAST, &[]), tlv(opt::IA_TA, &[0; 9])],
    );
    let message = client(&bytes);
    assert!(message.ias.is_empty());
    assert_eq!(validate(&message, SERVER_DUID), Ok(()));
}

#[test]
fn sec_06_options_per_datagram_are_bounded_wherever_they_stand() {
    let many = |count: u16| vec![tlv(0xfff0, &[]); usize::from(count)];
    assert!(decode(&message_of(msg::SOLICIT, &many(OPTIONS_MAX))).is_ok());
    assert_eq!(discarded(&message_of(msg::SOLICIT, &many(OPTIONS_MAX + 1))), Discard::TooManyOptions);
    let in_ia = message_of(msg::SOLICIT, &[ia(IaKind::Na, 1, &many(OPTIONS_MAX))]);
    assert_eq!(discarded(&in_ia), Discard::TooManyOptions);
    let items = message_of(msg::SOLICIT, &[tlv(opt::USER_CLASS, &vec![0; 2 * usize::from(OPTIONS_MAX)])]);
    assert_eq!(discarded(&items), Discard::TooManyOptions);
}

#[test]
fn sec_06_ias_and_code_lists_are_bounded() {
    let ias = |count: u32| (0..count).map(|iaid| ia(IaKind::Na, iaid, &[])).collect::<Vec<_>>();
    let most = u32::try_from(IAS_MAX).unwrap();
    assert_eq!(client(&message_of(msg::SOLICIT, &ias(most))).ias.len(), IAS_MAX);
    assert_eq!(discarded(&message_of(msg::SOLICIT, &ias(most + 1))), Discard::TooManyIas);
    let oro = |codes: usize| message_of(msg::SOLICIT, &[tlv(opt::ORO, &vec![0; codes * 2])]);
    assert_eq!(client(&oro(256)).oro.len(), 256);
    assert_eq!(discarded(&oro(257)), Discard::TooManyCodes);
    assert_eq!(discarded(&vec![1; 65_536]), Discard::OversizedDatagram);
}

#[test]
fn sec_06_a_bomb_of_nested_ias_is_read_without_recursion() {
    // 65 KB of IA_NA in IA_NA: overflows the stack of decoders that recurse.
    let mut bomb = Vec::new();
    while bomb.len() + 16 + 4 <= 65_535 {
        let len = u16::try_from(12 + bomb.len()).unwrap();
        bomb.splice(0..0, [&[0, 3][..], &len.to_be_bytes()[..], &[0; 12]].concat());
    }
    let bytes = message_of(msg::SOLICIT, &[bomb]);
    assert_eq!(client(&bytes).ias.len(), 1);
}

#[test]
fn validation_table_of_requirements_3_2() {
    let other: &[u8] = &[0, 1, 2, 3];
    for kind in MessageKind::ALL {
        for client_id in [false, true] {
            for server_id in [None, Some(SERVER_DUID), Some(other)] {
                for with_ia in [false, true] {
                    let mut options = Vec::new();
                    options.extend(client_id.then(|| tlv(opt::CLIENT_ID, CLIENT_DUID)));
                    options.extend(server_id.map(|duid| tlv(opt::SERVER_ID, duid)));
                    options.extend(with_ia.then(|| ia(IaKind::Pd, 1, &[])));
                    let bytes = message_of(kind.to_wire(), &options);
                    use MessageKind::*;
                    let expected = match (kind, client_id, server_id) {
                        (InformationRequest, _, Some(duid)) if duid == other => Err(Discard::OtherServer),
                        (InformationRequest, ..) if with_ia => Err(Discard::IaInInformationRequest),
                        (InformationRequest, ..) => Ok(()),
                        (AddrRegInform, true, None) => Err(Discard::RegistrationAddress),
                        (AddrRegInform, true, Some(_)) => Err(Discard::UnexpectedServerId),
                        (_, false, _) => Err(Discard::NoClientId),
                        (Solicit | Confirm | Rebind, true, None) => Ok(()),
                        (Solicit | Confirm | Rebind, true, Some(_)) => Err(Discard::UnexpectedServerId),
                        (_, true, None) => Err(Discard::NoServerId),
                        (_, true, Some(duid)) if duid == other => Err(Discard::OtherServer),
                        (_, true, Some(_)) => Ok(()),
                    };
                    assert_eq!(
                        validate(&client(&bytes), SERVER_DUID),
                        expected,
                        "{kind:?} {client_id} {server_id:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn discard_reasons_have_distinct_names_and_dense_indices() {
    let mut names: Vec<_> = Discard::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Discard::COUNT);
    for (index, reason) in Discard::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index);
    }
    for (index, kind) in MessageKind::ALL.iter().enumerate() {
        assert_eq!(kind.index(), index);
        assert_eq!(MessageKind::from_wire(kind.to_wire()), Ok(*kind));
    }
}
