//! Each option of the catalogue against octets computed by hand from its document.

use super::*;
use crate::options::catalogue::CATALOGUE;

/// 2001:db8::1 and 2001:db8::2.
const ONE: &str = "20010db8 00000000 00000000 00000001";
const TWO: &str = "20010db8 00000000 00000000 00000002";
/// example.org and a.example.org.
const NAME: &str = "07 6578616d706c65 03 6f7267 00";
const NAME_A: &str = "01 61 07 6578616d706c65 03 6f7267 00";

fn vectors() -> Vec<(&'static str, Value, Vec<String>)> {
    let addresses = || texts(["2001:db8::1", "2001:db8::2"]);
    let names = || texts(["example.org", "a.example.org"]);
    let one = |data: &str| vec![data.to_owned()];
    let two_addresses = || one(&format!("{ONE}{TWO}"));
    let two_names = || one(&format!("{NAME}{NAME_A}"));
    let name = || text("example.org");
    // flags 1, 16 EA bits, 192.0.2.0/24, 2001:db8::/40, and port parameters 6, 8, 0x1200: RFC 7598 §4.1 and §4.5.
    let rule = "0059 0015 01 10 18 c0000200 28 20010db800 005d 0004 06 08 1200";
    let ports = || table([("offset", number(6)), ("psid_length", number(8)), ("psid", number(0x1200))]);
    let rules = || {
        list([table([
            ("flags", number(1)),
            ("ea_length", number(16)),
            ("prefix4", text("192.0.2.0/24")),
            ("prefix", text("2001:db8::/40")),
            ("options", table([("ports", ports())])),
        ])])
    };
    vec![
        ("vendor_class", table([("343", texts(["HTTPClient"]))]), one("00000157 000a 48545450436c69656e74")),
        (
            "vendor_options",
            table([
                ("4491", table([("2", text("0x01ff")), ("32", text("tftp"))])),
                ("311", table([("7", texts(["a", ""]))])),
            ]),
            vec![
                "0000118b 0002 0002 01ff 0020 0004 74667470".to_owned(),
                "00000137 0007 0001 61 0007 0000".to_owned(),
            ],
        ),
        ("sip_server_names", names(), two_names()),
        ("sip_server_addresses", addresses(), two_addresses()),
        ("dns_servers", addresses(), two_addresses()),
        ("domain_search", names(), two_names()),
        ("nis_servers", addresses(), two_addresses()),
        ("nisp_servers", addresses(), two_addresses()),
        ("nis_domain", name(), one(NAME)),
        ("nisp_domain", name(), one(NAME)),
        ("sntp_servers", addresses(), two_addresses()),
        ("information_refresh_time", number(86_400), one("00015180")),
        ("bcmcs_server_names", names(), two_names()),
        ("bcmcs_server_addresses", addresses(), two_addresses()),
        // Of the client (2), in DE, one element: the city (3), Bonn.
        ("civic_address", text("0x0244450304426f6e6e"), one("02 4445 03 04 426f6e6e")),
        ("pana_agents", addresses(), two_addresses()),
        ("posix_timezone", text("CET-1CEST"), one("4345542d3143455354")),
        ("tzdb_timezone", text("Europe/Zürich"), one("4575726f70652f5ac3bc72696368")),
        ("lost_server", name(), one(NAME)),
        ("capwap_controllers", addresses(), two_addresses()),
        (
            "ntp_servers",
            list([
                table([("address", text("2001:db8::1"))]),
                table([("multicast", text("ff05::101"))]),
                table([("name", name())]),
            ]),
            vec![
                format!("0001 0010 {ONE}"),
                "0002 0010 ff050000 00000000 00000000 00000101".to_owned(),
                format!("0003 000d {NAME}"),
            ],
        ),
        ("access_domain", name(), one(NAME)),
        ("sip_ua_configuration", names(), two_names()),
        (
            "boot_file_url",
            text("tftp://[2001:db8::1]/a"),
            one("746674703a2f2f5b323030313a6462383a3a315d2f61"),
        ),
        ("boot_file_parameters", texts(["root=/a", "b"]), one("0007 726f6f743d2f61 0001 62")),
        ("architectures", list([number(16), number(7)]), one("0010 0007")),
        (
            "network_interface",
            table([("type", number(1)), ("major", number(3)), ("minor", number(2))]),
            one("01 03 02"),
        ),
        ("geolocation", text("0x18"), one("18")),
        ("aftr_name", name(), one(NAME)),
        ("erp_local_domain", name(), one(NAME)),
        ("sol_max_rt", number(3600), one("00000e10")),
        ("inf_max_rt", number(60), one("0000003c")),
        (
            "address_selection",
            table([
                ("flags", number(2)),
                (
                    "policies",
                    table([(
                        "rows",
                        list([table([
                            ("label", number(1)),
                            ("precedence", number(40)),
                            ("prefix", text("2002::/16")),
                        ])]),
                    )]),
                ),
            ]),
            one("02 0055 0005 01 28 10 2002"),
        ),
        (
            "pcp_servers",
            list([addresses(), texts(["2001:db8::2"])]),
            vec![format!("{ONE}{TWO}"), TWO.to_owned()],
        ),
        ("dhcp4o6_servers", list([]), one("")),
        (
            "map_e",
            list([table([("rules", rules()), ("border_relays", texts(["2001:db8::1"]))])]),
            one(&format!("{rule} 005a 0010 {ONE}")),
        ),
        (
            "map_t",
            table([("rules", rules()), ("default_mapping", text("2001:db8:ffff::/64"))]),
            one(&format!("{rule} 005b 0009 40 20010db8ffff0000")),
        ),
        (
            "lightweight_4over6",
            table([
                ("border_relays", texts(["2001:db8::1"])),
                (
                    "binding",
                    table([
                        ("address", text("192.0.2.1")),
                        ("prefix", text("2001:db8::/56")),
                        ("options", table([("ports", ports())])),
                    ]),
                ),
            ]),
            one(&format!("005a 0010 {ONE} 005c 0014 c0000201 38 20010db8000000 005d 0004 06 08 1200")),
        ),
        ("captive_portal", text("https://example.org/p"), one("68747470733a2f2f6578616d706c652e6f72672f70")),
        ("softwire_priority", list([number(94), number(64)]), one("005e 0040")),
        (
            "v6_prefix64",
            list([table([
                ("asm", text("ff0e:0:0:1::/96")),
                ("ssm", text("ff3e::/96")),
                ("unicast", text("64:ff9b::/96")),
            ])]),
            one("60 ff0e00000000000100000000 60 ff3e00000000000000000000 60 0064ff9b0000000000000000"),
        ),
        (
            "sztp_redirect",
            texts(["https://a", "https://b:1"]),
            one("0009 68747470733a2f2f61 000b 68747470733a2f2f623a31"),
        ),
        ("softwire_source_binding", text("2001:db8::/60"), one("3c 20010db800000000")),
        ("dots_name", name(), one(NAME)),
        ("dots_addresses", addresses(), two_addresses()),
        ("andsf_addresses", addresses(), two_addresses()),
        (
            "encrypted_dns",
            list([
                table([
                    ("priority", number(1)),
                    ("name", name()),
                    ("addresses", texts(["2001:db8::1"])),
                    (
                        "parameters",
                        table([
                            ("alpn", texts(["h2", "dot"])),
                            ("port", number(8443)),
                            ("dohpath", text("/q{?dns}")),
                        ]),
                    ),
                ]),
                table([("priority", number(9)), ("name", name())]),
            ]),
            vec![
                format!(
                    "0001 000d {NAME} 0010 {ONE} 0001 0007 02 6832 03 646f74 0003 0002 20fb 0007 0008 2f717b3f646e737d"
                ),
                format!("0009 000d {NAME}"),
            ],
        ),
        (
            "registered_domain",
            list([name(), text("a.example.org")]),
            vec![NAME.to_owned(), NAME_A.to_owned()],
        ),
        (
            "forward_distribution_manager",
            table([("transport", number(1)), ("name", name())]),
            one(&format!("0001 {NAME}")),
        ),
        (
            "reverse_distribution_manager",
            table([("transport", number(0x8000)), ("name", name())]),
            one(&format!("8000 {NAME}")),
        ),
    ]
}

#[test]
fn op_02_sv_114_every_option_is_sent_as_its_document_says() {
    for (name, value, expected) in vectors() {
        let expected: Vec<Vec<u8>> = expected.iter().map(|digits| hex(digits)).collect();
        assert_eq!(sent(name, &value), expected, "{name}");
    }
}

#[test]
fn every_option_of_the_catalogue_has_a_vector() {
    let shown: Vec<&str> = vectors().iter().map(|(name, ..)| *name).collect();
    let known: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
    assert_eq!(shown, known);
}

#[test]
fn what_is_sent_reads_back_as_what_was_written() {
    let dictionary = Dictionary::default();
    for (name, value, _) in vectors() {
        let instances = dictionary.encode(name, &value).unwrap();
        for instance in &instances {
            assert_eq!(dictionary.check(instance.code.into(), &instance.data), Ok(()), "{name}");
        }
        let expected = Written { named: vec![(name.to_owned(), value)], raw: Vec::new() };
        assert_eq!(dictionary.decode(&instances), expected);
    }
}

#[test]
fn data_cut_short_anywhere_is_refused_or_has_a_shape_of_its_own() {
    let dictionary = Dictionary::default();
    for (name, value, _) in vectors() {
        for instance in dictionary.encode(name, &value).unwrap() {
            for len in 0..instance.data.len() {
                let cut = &instance.data[..len];
                if dictionary.check(instance.code.into(), cut).is_ok() {
                    let again = dictionary.decode(&[Instance { code: instance.code, data: cut.to_vec() }]);
                    assert!(again.raw.is_empty(), "{name} cut to {len} octets");
                }
            }
        }
    }
}
