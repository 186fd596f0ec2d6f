//! What an option's document forbids though its shape would let it pass.

use super::*;

/// Port parameters as `ports` of each option that has them, with the steps to it.
fn softwires(ports: &Value) -> [(&'static str, Value, &'static str); 3] {
    let options = || table([("ports", ports.clone())]);
    let rules = list([table([
        ("flags", number(1)),
        ("ea_length", number(16)),
        ("prefix4", text("192.0.2.0/24")),
        ("prefix", text("2001:db8::/40")),
        ("options", options()),
    ])]);
    let binding =
        table([("address", text("192.0.2.1")), ("prefix", text("2001:db8::/56")), ("options", options())]);
    let map_e = table([("rules", rules.clone()), ("border_relays", texts(["2001:db8::1"]))]);
    let map_t = table([("rules", rules), ("default_mapping", text("2001:db8:ffff::/64"))]);
    let lightweight = table([("border_relays", texts(["2001:db8::1"])), ("binding", binding)]);
    [
        ("map_e", list([map_e]), "item 1: rules: item 1: options: ports: "),
        ("map_t", map_t, "rules: item 1: options: ports: "),
        ("lightweight_4over6", lightweight, "binding: options: ports: "),
    ]
}

fn ports(offset: u64, psid_length: u64, psid: u64) -> Value {
    table([("offset", number(offset)), ("psid_length", number(psid_length)), ("psid", number(psid))])
}

#[test]
fn op_02_port_parameters_that_no_softwire_can_use_are_refused() {
    let dictionary = Dictionary::default();
    let cases = [
        (ports(6, 4, 3), "psid: has bits behind its first 4 (RFC 7598 §4.5): write 0x3000 for PSID 3"),
        (ports(0, 16, 0xffff), ""),
        (ports(6, 4, 0x3000), ""),
        (ports(6, 0, 0), ""),
        (ports(6, 0, 1), "psid: must be 0 without a `psid_length` (RFC 7598 §4.5)"),
        (
            ports(6, 4, 0x3100),
            "psid: has bits behind its first 4 (RFC 7598 §4.5): write zeros there, as 0x3000",
        ),
        (ports(12, 4, 0xf000), ""),
        (
            ports(15, 4, 0x3000),
            "psid_length: 4 bits behind an offset of 15 are more than the 16 of a port (RFC 7598 §4.5)",
        ),
    ];
    for (ports, expected) in cases {
        for (name, value, steps) in softwires(&ports) {
            let said = dictionary.encode(name, &value).map(drop).map_err(|error| error.to_string());
            let expected = if expected.is_empty() { Ok(()) } else { Err(format!("{steps}{expected}")) };
            assert_eq!(said, expected, "{name}");
        }
    }
}

#[test]
fn op_02_port_parameters_written_as_octets_keep_the_same_rule() {
    let dictionary = Dictionary::default();
    for (name, value, _) in softwires(&ports(6, 4, 0x3000)) {
        let mut instance = dictionary.encode(name, &value).unwrap().swap_remove(0);
        let code = u32::from(instance.code);
        assert_eq!(dictionary.check(code, &instance.data), Ok(()), "{name}");
        let parameters = hex("005d 0004 06 04 3000");
        let at = instance.data.windows(8).position(|octets| octets == parameters).unwrap();
        instance.data[at + 6..at + 8].copy_from_slice(&[0, 3]);
        let said = dictionary.check(code, &instance.data).unwrap_err().message;
        assert!(said.contains("write 0x3000 for PSID 3"), "{name}: {said}");
    }
}

#[test]
fn op_02_service_parameters_that_clients_refuse_are_refused() {
    let dictionary = Dictionary::default();
    let with = |parameters: Value| {
        let resolver = [("priority", number(1)), ("name", text("a")), ("addresses", texts(["2001:db8::1"]))];
        let plain = table(resolver.clone());
        let [priority, name, addresses] = resolver;
        list([plain, table([priority, name, addresses, ("parameters", parameters)])])
    };
    let said = |parameters: Value| {
        let said = dictionary.encode("encrypted_dns", &with(parameters));
        said.map(drop).map_err(|error| error.to_string())
    };
    let alpn = || ("alpn", texts(["h2", "dot"]));
    assert_eq!(said(table([alpn(), ("9", text("0x01")), ("10", text("0x02"))])), Ok(()));
    let hint = |key: &str, family: &str| {
        format!(
            "item 2: parameters: {key}: is {family}, which may not stand here: write `addresses` (RFC 9463)"
        )
    };
    assert_eq!(said(table([alpn(), ("4", text("0xc0000201"))])), Err(hint("4", "ipv4hint")));
    assert_eq!(said(table([("6", text("0x01"))])), Err(hint("6", "ipv6hint")));
    assert_eq!(
        said(table([alpn(), ("9", texts(["0x01", "0x02"]))])),
        Err("item 2: parameters: 9: stands there 2 times, and may once (RFC 9460 §2.2)".to_owned())
    );
    let octets = |parameters: &str| {
        let data = hex(&format!("0001 0003 016100 0010 20010db8000000000000000000000001 {parameters}"));
        dictionary.check(144, &data).map_err(|error| error.message)
    };
    assert_eq!(octets("0001 0003 026832 0009 0001 01"), Ok(()));
    assert!(octets("0004 0004 c0000201").unwrap_err().contains("ipv4hint"));
    assert!(octets("0009 0001 01 0009 0001 02").unwrap_err().contains("stands there 2 times"));
}
