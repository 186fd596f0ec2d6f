//! Types as operators write them.

use super::*;
use crate::options::catalogue::{CATALOGUE, RESERVED};
use crate::options::grammar::Type;
use proptest::prelude::*;

fn octets(ty: &str, value: &Value) -> Result<Vec<u8>, ValueError> {
    encode(&Type::parse(ty).unwrap(), value)
}

#[test]
fn every_type_of_the_catalogue_is_one() {
    for entry in CATALOGUE {
        Type::parse(entry.ty).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
    }
}

#[test]
fn codes_and_names_of_the_catalogue_are_unique_and_in_order() {
    let ranges = CATALOGUE.iter().map(|entry| (entry.code, entry.code));
    let mut all: Vec<_> = ranges.chain(RESERVED.iter().map(|row| (row.first, row.last))).collect();
    assert!(CATALOGUE.is_sorted_by(|a, b| a.code < b.code));
    assert!(RESERVED.is_sorted_by(|a, b| a.last < b.first));
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0), "{all:?}");
    for (i, entry) in CATALOGUE.iter().enumerate() {
        assert!(CATALOGUE[..i].iter().all(|other| other.name != entry.name), "{}", entry.name);
    }
}

#[test]
fn each_basic_type_has_its_octets() {
    let cases = [
        ("u8", number(255), "ff"),
        ("u16", number(258), "0102"),
        ("u32", number(16_909_060), "01020304"),
        ("bool", Value::Bool(true), "01"),
        ("empty", Value::Bool(true), ""),
        ("address", text("2001:db8::1"), "20010db8000000000000000000000001"),
        ("ipv4", text("192.0.2.1"), "c0000201"),
        ("prefix", text("2001:db8:8000::/33"), "21 20010db880"),
        ("prefix", text("::/0"), "00"),
        ("prefix4", text("192.0.2.128/25"), "19 c0000280"),
        ("name", text("a_b.c-1."), "03 615f62 03 632d31 00"),
        ("string", text("é"), "c3a9"),
        ("opaque", text("0x0aFF"), "0aff"),
        ("opaque", text("ab"), "6162"),
        ("address*", list([]), ""),
        ("len8(string)+", texts(["a", "bc"]), "01 61 02 6263"),
        ("len16(u8*)*", list([list([]), list([number(7)])]), "0000 0001 07"),
        (
            "u16, address, len16(string)*",
            list([number(5), text("::1"), texts(["x"])]),
            "0005 00000000000000000000000000000001 0001 78",
        ),
        (
            "(u8, ipv4)+",
            list([list([number(1), text("0.0.0.1")]), list([number(2), text("0.0.0.2")])]),
            "01 00000001 02 00000002",
        ),
        ("a: u8, b: string", table([("b", text("z")), ("a", number(3))]), "03 7a"),
        ("u8, [u8, u16]", list([number(1)]), "01"),
        ("u8, [u8, u16]", list([number(1), number(2), number(3)]), "01 02 0003"),
        (
            "{1 a: u8, 2 b*: ipv4}",
            table([("b", texts(["0.0.0.1", "0.0.0.2"])), ("a", number(3)), ("9", text("0xff"))]),
            "0001 0001 03 0002 0004 00000001 0002 0004 00000002 0009 0001 ff",
        ),
        ("{}", table([("5", table([("type", text("u16")), ("value", number(1))]))]), "0005 0002 0001"),
        ("{5 up: empty}", table([("up", Value::Bool(true))]), "0005 0000"),
    ];
    for (ty, value, expected) in cases {
        let sent = octets(ty, &value).unwrap_or_else(|error| panic!("{ty}: {error}"));
        assert_eq!(sent, hex(expected), "{ty}");
        let again = decode(&Type::parse(ty).unwrap(), &sent).unwrap();
        assert_eq!(octets(ty, &again), Ok(sent), "{ty}");
    }
}

#[test]
fn types_that_cannot_be_are_refused_with_a_reason() {
    let cases = [
        ("", "ends too early"),
        ("u64", "`u64` is no type: there are u8"),
        ("U8", "cannot be understood from `U8` on"),
        ("u8 u8", "cannot be understood from `u8` on"),
        ("u8(5..3)", "5..3 are no bounds"),
        ("u8(0..256)", "0..256 are no bounds"),
        ("string*", "give each a length, as len16(string)*"),
        ("string, u8", "must be the last"),
        ("(u8, [u8]), u8", "must be the last"),
        ("a: u8, u8", "either all fields"),
        ("a: u8, a: u8", "two fields are called `a`"),
        ("u8, [{}]", "nobody sees whether it is there"),
        ("empty*", "has no end"),
        ("one{}", "names no sub-option"),
        ("{1 a: u8, 1 b: u8}", "are alike"),
        ("{1 a: u8, 2 a: u8}", "are alike"),
        ("{70000 a: u8}", "above 65535"),
        ("((((((((((u8))))))))))", "nests deeper"),
        ("{1 a: {1 a: {1 a: {1 a: {1 a: {1 a: {1 a: {1 a: u8}}}}}}}}", "nests deeper"),
    ];
    for (ty, expected) in cases {
        let error = Type::parse(ty).expect_err(ty);
        assert!(error.contains(expected), "{ty}: {error}");
    }
    assert!(Type::parse(&"u8,".repeat(400)).unwrap_err().contains("longer than"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Reading a type never panics.
    #[test]
    fn any_text_is_a_type_or_an_error(text in "[a-z0-9 ,:*+!(){}\\[\\].]{0,60}") {
        let _ = Type::parse(&text);
    }

    /// What reads is written, read and sent as it was: no other data passes the check.
    #[test]
    fn any_data_is_refused_or_reads_back(code in 0u32..160, data in proptest::collection::vec(any::<u8>(), 0..60)) {
        let dictionary = Dictionary::default();
        if dictionary.check(code, &data).is_ok() {
            let instance = Instance { code: u16::try_from(code).unwrap(), data };
            let Written { named, raw } = dictionary.decode(std::slice::from_ref(&instance));
            let again = match (&named[..], &raw[..]) {
                ([(name, value)], []) => dictionary.encode(name, value),
                ([], [(code, value)]) => dictionary.encode_raw(code, value),
                _ => panic!("{named:?} {raw:?}"),
            };
            prop_assert_eq!(again, Ok(vec![instance]));
        }
    }
}
