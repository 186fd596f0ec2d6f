//! Rules of the writer: octets, nesting, limits.

use super::super::encode::EncodeError;
use super::super::wire::{msg, opt, status};
use super::*;

fn options_of(fill: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    build(msg::REPLY, fill)[4..].to_vec()
}

#[test]
fn header_and_simple_options_have_the_octets_of_the_rfc() {
    let bytes = build(msg::REPLY, |w| {
        w.option_u8(opt::PREFERENCE, 255)?;
        w.option_u32(opt::SOL_MAX_RT, 3_600)?;
        w.option(opt::RAPID_COMMIT, &[])
    });
    assert_eq!(bytes, [7, 0xab, 0xcd, 0xef, 0, 7, 0, 1, 255, 0, 82, 0, 4, 0, 0, 14, 16, 0, 14, 0, 0]);
}

#[test]
fn nested_options_get_their_lengths_when_they_end() {
    let bytes = options_of(|w| {
        w.begin_ia(IaKind::Na, 0x0102_0304, Timers { t1_secs: 5, t2_secs: 8 })?;
        w.begin_ia_address(ADDRESS, LeaseTimes { preferred_secs: 10, valid_secs: 20 })?;
        w.status_code(status::SUCCESS, "hi")?;
        w.end_option()?;
        w.end_option()
    });
    let mut expected = vec![0, 3, 0, 48, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 8, 0, 5, 0, 32];
    expected.extend(ADDRESS.to_be_bytes());
    expected.extend([0, 0, 0, 10, 0, 0, 0, 20, 0, 13, 0, 4, 0, 0, b'h', b'i']);
    assert_eq!(bytes, expected);
}

#[test]
fn pd_02_prefix_is_written_without_host_bits_and_never_longer_than_128() {
    let bytes = options_of(|w| w.ia_prefix(u128::MAX, 59, TIMES));
    assert_eq!(bytes[..4], [0, 26, 0, 25]);
    assert_eq!(bytes[12], 59);
    assert_eq!(bytes[13..29], (u128::MAX << 69).to_be_bytes());
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 100);
    assert_eq!(writer.ia_prefix(0, 129, TIMES), Err(EncodeError::BadPrefixLength { len_bits: 129 }));
}

#[test]
fn sv_114_lists_of_addresses_names_and_codes() {
    let servers = ["2001:db8::53".parse::<Ipv6Addr>().unwrap(), "::1".parse().unwrap()];
    let bytes = options_of(|w| w.address_list(opt::DNS_SERVERS, &servers));
    assert_eq!(bytes, tlv(23, &[servers[0].octets(), servers[1].octets()].concat()));
    let bytes = options_of(|w| w.name_list(opt::DOMAIN_LIST, &[&b"\x01a\x00"[..], &b"\x02bc\x00"[..]]));
    assert_eq!(bytes, tlv(24, b"\x01a\x00\x02bc\x00"));
    let bytes = options_of(|w| w.code_list(opt::ORO, &[23, 0x1234]));
    assert_eq!(bytes, tlv(6, &[0, 23, 0x12, 0x34]));
}

#[test]
fn limit_is_kept_at_every_value() {
    let whole = rich_solicit();
    for limit in 0..=whole.len() {
        let mut out = vec![1, 2, 3];
        let mut writer = Writer::new(&mut out, limit);
        let outcome = writer.raw(&whole);
        assert_eq!(outcome.is_ok(), limit == whole.len());
        assert!(writer.len() <= limit);
    }
    for limit in 0..12 {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, limit);
        let outcome = writer.option(1, &[0; 8]);
        assert_eq!(outcome, Err(EncodeError::MessageTooLong { limit_bytes: limit }));
        assert!(writer.is_empty(), "an option is written whole or not at all");
    }
}

#[test]
fn option_longer_than_its_length_field_is_an_error() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 1_000_000);
    let error = EncodeError::OptionTooLong { code: 9, len_bytes: 65_536 };
    assert_eq!(writer.option(9, &[0; 65_536]), Err(error));
    writer.begin_option(9).unwrap();
    writer.raw(&[0; 65_536]).unwrap();
    assert_eq!(writer.end_option(), Err(error));
    let mut writer = Writer::new(&mut out, 1_000_000);
    writer.option(9, &[0; 65_535]).unwrap();
    assert_eq!(writer.len(), 65_539);
}

#[test]
fn unbalanced_options_are_errors() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 100);
    assert_eq!(writer.end_option(), Err(EncodeError::NoOpenOption));
    writer.begin_option(1).unwrap();
    assert_eq!(writer.finish(), Err(EncodeError::OpenOption { open: 1 }));
    let mut writer = Writer::new(&mut out, 1_000);
    let depth = (0..100).take_while(|_| writer.begin_option(1).is_ok()).count();
    assert_eq!(depth, 40);
    assert_eq!(writer.begin_option(1), Err(EncodeError::NestedTooDeep));
}

#[test]
fn sv_113_what_does_not_fit_is_taken_back_whole() {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 40);
    writer.message(msg::REPLY, XID).unwrap();
    writer.begin_option(100).unwrap();
    let fitted = writer.try_fit(|w| {
        w.begin_option(101)?;
        w.raw(&[0; 10])?;
        w.option(102, &[0; 40])
    });
    assert_eq!(fitted, Ok(false));
    assert_eq!(writer.len(), 8);
    assert_eq!(writer.remaining_bytes(), 32);
    assert_eq!(writer.try_fit(|w| w.option(103, &[1])), Ok(true));
    // What was begun outside may not be ended inside: it could not be restored.
    assert_eq!(writer.try_fit(Writer::end_option), Err(EncodeError::NoOpenOption));
    writer.end_option().unwrap();
    assert_eq!(writer.finish().unwrap(), [7, 0xab, 0xcd, 0xef, 0, 100, 0, 5, 0, 103, 0, 1, 1]);
}
