//! What may not be configured, and definitions of operators.

use super::*;
use crate::v1::OptionDefinition;

fn definition(name: &str, code: u32, ty: &str, enterprise: Option<u32>) -> OptionDefinition {
    OptionDefinition { name: name.to_owned(), code, r#type: ty.to_owned(), enterprise }
}

fn refused(name: &str, value: &Value) -> String {
    Dictionary::default().encode(name, value).expect_err(name).to_string()
}

#[test]
fn errors_say_where_in_the_value_and_what_to_write() {
    let cases = [
        ("dns_servers", texts(["2001:db8::1", "dns"]), "item 2: `dns` is not an IPv6 address"),
        ("dns_servers", text("2001:db8::1"), "must be an array, not a string"),
        ("dns_servers", list([]), "is empty: leave it out"),
        ("domain_search", texts(["a..b"]), "item 1: `a..b` is not a domain name"),
        ("information_refresh_time", number(599), "must be from 600 to 4294967295"),
        ("sol_max_rt", number(86_401), "must be from 60 to 86400"),
        ("sol_max_rt", text("1h"), "must be a whole number, not a string"),
        ("captive_portal", text(""), "is empty: leave it out"),
        ("captive_portal", text("a\0"), "NUL"),
        ("ntp_servers", list([]), "is empty: leave it out"),
        ("map_e", list([]), "is empty: leave it out"),
        ("vendor_options", table([]), "is empty: leave it out"),
        ("vendor_class", table([]), "is empty: leave it out"),
        ("ntp_servers", table([]), "must be an array of values, not a table"),
        ("ntp_servers", list([table([])]), "item 1: must have exactly one of `address`, `multicast`, `name`"),
        (
            "ntp_servers",
            list([table([("7", text("a"))])]),
            "item 1: `7` is not known here; known are `address`",
        ),
        ("map_t", table([("rules", list([]))]), "`rules` is missing"),
        (
            "map_t",
            table([("rule", list([]))]),
            "`rule` is not known here; known are `rules`, `default_mapping`, and codes",
        ),
        ("map_t", table([("91", text("a"))]), "`91` is called `default_mapping`"),
        ("encrypted_dns", list([table([("priority", number(1))])]), "item 1: name is missing"),
        (
            "encrypted_dns",
            list([table([("port", number(1))])]),
            "`port` is not known here; known are `priority`",
        ),
        ("softwire_source_binding", text("2001:db8::1/56"), "bits set past its length"),
        ("boot_file_parameters", texts([""]), "item 1: is empty"),
        ("vendor_options", table([("08", table([]))]), "08: is not an enterprise number"),
        (
            "vendor_options",
            table([("8", text("a"))]),
            "8: must be a table of sub-options by name or code, not a string",
        ),
        ("wpad", text("a"), "is not a known option"),
    ];
    for (name, value, expected) in cases {
        let error = refused(name, &value);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn op_01_what_the_protocol_itself_uses_cannot_be_configured() {
    let dictionary = Dictionary::default();
    for code in
        [0, 1, 3, 5, 6, 9, 11, 13, 14, 15, 18, 20, 25, 26, 37, 39, 44, 53, 66, 67, 79, 90, 112, 134, 135, 140]
    {
        let error = dictionary.check(code, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot be configured"), "{error}");
    }
    assert!(dictionary.check(65_536, b"x").is_err());
    assert_eq!(dictionary.check(250, b"anything"), Ok(()));
}

#[test]
fn sv_203_codes_that_clients_may_not_ask_for() {
    let asked: Vec<u16> = (0..=150).filter(|code| is_requestable(*code)).collect();
    let refused: Vec<u16> = (0..=150).filter(|code| !asked.contains(code)).collect();
    let expected: Vec<u16> = (0..=9)
        .chain(11..=16)
        .chain(18..=20)
        .chain([25, 26, 37, 38, 43])
        .chain(44..=48)
        .chain([53, 61, 66, 68])
        .chain(79..=81)
        .chain([87])
        .chain(89..=93)
        .chain(100..=102)
        .chain(105..=110)
        .chain([112])
        .chain(114..=135)
        .chain(138..=140)
        .collect();
    assert_eq!(refused, expected);
    assert!(is_requestable(250));
}

#[test]
fn sv_113_data_that_never_fits_is_refused() {
    let dictionary = Dictionary::default();
    assert!(dictionary.check(250, &[0; DATA_LEN_MAX]).is_ok());
    assert!(dictionary.check(250, &[0; DATA_LEN_MAX + 1]).unwrap_err().message.contains("SV-113"));
}

#[test]
fn data_in_another_form_than_its_own_is_refused() {
    let dictionary = Dictionary::default();
    let refused = |code: u32, digits: &str| dictionary.check(code, &hex(digits)).unwrap_err().message;
    assert!(refused(23, "").contains("has no octets"));
    assert!(refused(23, "2001").contains("ends too early"));
    assert!(refused(24, "0361").contains("ends too early"));
    assert!(refused(24, "03612e6200").contains("not a"), "a dot inside a label");
    assert!(refused(32, "00000001").contains("must be from 600"));
    assert!(refused(82, "0000003c00").contains("octets too many"));
    assert!(refused(103, "6100").contains("NUL"));
    assert!(refused(137, "3c 20010db800000008").contains("bits set past"));
    assert!(refused(17, "0000").contains("enterprise"));
    assert!(refused(17, "00000001 0002 0000 0001 0000").contains("after a higher code"));
    assert!(refused(94, "").contains("is missing"));
}

#[test]
fn options_that_the_operator_defined_are_sent_and_read_by_their_type() {
    let definitions = [
        definition("wpad_url", 252, "string", None),
        definition("site", 253, "u16, address, len8(string)*", None),
        definition("acs_url", 1, "string", Some(3561)),
        definition("flags", 2, "u8", Some(3561)),
    ];
    let dictionary = Dictionary::new(&definitions).unwrap();
    let value = list([number(7), text("2001:db8::1"), texts(["a"])]);
    let mut instances = dictionary.encode("site", &value).unwrap();
    assert_eq!(instances[0].code, 253);
    assert_eq!(instances[0].data, hex("0007 20010db8000000000000000000000001 01 61"));
    let vendor =
        table([("3561", table([("acs_url", text("https://a")), ("flags", number(1)), ("9", text("x"))]))]);
    instances.extend(dictionary.encode("vendor_options", &vendor).unwrap());
    assert_eq!(instances[1].data, hex("00000de9 0001 0009 68747470733a2f2f61 0002 0001 01 0009 0001 78"));
    let named = vec![("site".to_owned(), value), ("vendor_options".to_owned(), vendor)];
    assert_eq!(dictionary.decode(&instances), Written { named, raw: Vec::new() });
    assert_eq!(dictionary.name_of(&instances[1]), "vendor_options.3561");
    assert!(dictionary.check(252, b"").is_err(), "a string has at least one octet");
    assert!(dictionary.check(17, &hex("00000de9 0002 0002 0101")).is_err(), "two octets are no u8");
    assert!(dictionary.check(17, &hex("00000dea 0002 0002 0101")).is_ok(), "another enterprise");
}

#[test]
fn definitions_that_cannot_be_are_refused_with_their_field() {
    let cases = [
        (definition("Wpad", 252, "string", None), "name", "is not usable"),
        (definition("force", 252, "string", None), "name", "meaning of its own"),
        (definition("dns_servers", 252, "string", None), "name", "meaning of its own"),
        (definition("a", 23, "string", None), "code", "23 is `dns_servers`"),
        (definition("a", 1, "string", None), "code", "cannot be configured: identifiers"),
        (definition("a", 70_000, "string", None), "code", "at most 65535"),
        (definition("a", 252, "text", None), "type", "`text` is no type"),
        (definition("b", 251, "u8", None), "code", "is defined already"),
        (definition("known", 252, "u8", None), "name", "is defined already"),
    ];
    for (wrong, field, expected) in cases {
        let errors = Dictionary::new(&[definition("known", 251, "u8", None), wrong]).unwrap_err();
        assert_eq!((errors[0].index, errors[0].field), (1, field));
        assert!(errors[0].message.contains(expected), "{}", errors[0].message);
    }
    assert!(Dictionary::new(&[definition("a", 1, "u8", Some(1)), definition("a", 1, "u8", Some(2))]).is_ok());
}

#[test]
fn what_has_no_name_is_written_by_its_code() {
    let dictionary = Dictionary::default();
    let raw = |value: &Value| dictionary.encode_raw("250", value).unwrap();
    let instances = raw(&texts(["0x0102", "ab"]));
    assert_eq!(instances.iter().map(|i| i.data.clone()).collect::<Vec<_>>(), [vec![1, 2], b"ab".to_vec()]);
    assert_eq!(
        dictionary.decode(&instances),
        Written { named: Vec::new(), raw: vec![("250".to_owned(), texts(["0x0102", "ab"]))] }
    );
    let typed = raw(&table([("type", text("u16+")), ("value", list([number(1), number(2)]))]));
    assert_eq!(typed[0].data, [0, 1, 0, 2]);
    for (code, value) in [
        ("0250", text("a")),
        ("x", text("a")),
        ("70000", text("a")),
        ("250", number(1)),
        ("250", text("0x1")),
    ] {
        assert!(dictionary.encode_raw(code, &value).is_err(), "{code} {value:?}");
    }
}

#[test]
fn op_02_vendor_options_are_known_in_whatever_order_they_were_defined_and_written() {
    let own = |name, code, enterprise| definition(name, code, "u8", Some(enterprise));
    let definitions = [own("c", 9, 7), own("a", 2, 7), own("other", 5, 8), own("b", 5, 7)];
    let dictionary = Dictionary::new(&definitions).unwrap();
    let value = |keys: [&str; 4]| {
        let entries = keys.map(|key| (key, if key == "7" { text("0x08") } else { number(8) }));
        table([("7", table(entries))])
    };
    let sent = dictionary.encode("vendor_options", &value(["c", "7", "a", "b"])).unwrap();
    assert_eq!(sent[0].data, hex("00000007 0002 0001 08 0005 0001 08 0007 0001 08 0009 0001 08"));
    assert_eq!(dictionary.check(17, &sent[0].data), Ok(()));
    let named = vec![("vendor_options".to_owned(), value(["a", "b", "7", "c"]))];
    assert_eq!(dictionary.decode(&sent), Written { named, raw: Vec::new() });
    let twice = dictionary.check(17, &hex("00000007 0005 0001 08 0005 0001 08")).unwrap_err().message;
    assert_eq!(twice, "`b` stands there 2 times");
}
