//! Classes of clients, and clients named one by one.

use leasehold_proto::v1;

use super::Form;
use super::fields::lifetime;
use super::identity::{parse_duid, parse_enterprise, parse_link_layer};
use super::place::Places;
use super::values::{parse_hex_or_text, parse_ipv6};
use crate::config::document::Table;

/// How the values of a field are written.
type Parse = fn(&str) -> Result<Vec<u8>, String>;

fn parse_address(text: &str) -> Result<Vec<u8>, String> {
    parse_ipv6(text).map(|bits| bits.to_be_bytes().to_vec())
}

/// What clients may be told apart by, but for the architecture, which is a number; in the order in which tests are kept.
const TESTS: [(&str, v1::ClientField, Parse); 9] = [
    ("duid", v1::ClientField::Duid, parse_duid),
    ("vendor_class", v1::ClientField::VendorClass, parse_enterprise),
    ("user_class", v1::ClientField::UserClass, parse_hex_or_text),
    ("link_layer", v1::ClientField::LinkLayer, parse_link_layer),
    ("relay", v1::ClientField::Relay, parse_address),
    ("relay_id", v1::ClientField::RelayId, parse_duid),
    ("interface_id", v1::ClientField::InterfaceId, parse_hex_or_text),
    ("remote_id", v1::ClientField::RemoteId, parse_enterprise),
    ("subscriber_id", v1::ClientField::SubscriberId, parse_hex_or_text),
];

impl Form {
    pub(super) fn read_class(&mut self, mut table: Table<'_>) {
        let mut places = Places::of(&table, &["name"]);
        let name = self.name(&mut table, "name", "name the class");
        let has_test = table.has("architecture") || TESTS.iter().any(|(key, ..)| table.has(key));
        for key in TESTS.iter().map(|(key, ..)| *key).chain(["architecture"]) {
            if table.is_empty_list(key) {
                table.problem(table.place(key), key, "has no value, which no client has: leave it out");
            }
        }
        let tests = read_tests(&mut table);
        // One that could not be read is a test all the same.
        self.incomplete |= has_test && tests.is_empty();
        let lifetimes = v1::Lifetimes {
            preferred_secs: lifetime(&mut table, "preferred_lifetime"),
            valid_secs: lifetime(&mut table, "valid_lifetime"),
            ..v1::Lifetimes::default()
        };
        let drop = table.bool("drop").is_some_and(|flag| flag.value);
        let options = self.read_options(table.table("options"), &mut places);
        table.done();
        self.classes.push(places);
        self.wire.classes.push(v1::Class {
            name,
            tests,
            options,
            lifetimes: (lifetimes != v1::Lifetimes::default()).then_some(lifetimes),
            drop,
        });
    }

    pub(super) fn read_host(&mut self, mut table: Table<'_>) {
        let mut places = Places::of(&table, &["name", "duid"]);
        let name = self.name(&mut table, "name", "name the host");
        let duid = table.required("duid", "write the client's DUID in hexadecimal", parse_duid);
        self.incomplete |= duid.is_none();
        let options = self.read_options(table.table("options"), &mut places);
        table.done();
        self.hosts.push(places);
        let duid = duid.map(|duid| duid.value).unwrap_or_default();
        self.wire.hosts.push(v1::Host { name, duid, options });
    }
}

fn read_tests(table: &mut Table<'_>) -> Vec<v1::ClientTest> {
    let mut tests = Vec::new();
    let mut add = |field: v1::ClientField, values: Vec<Vec<u8>>| {
        if !values.is_empty() {
            tests.push(v1::ClientTest { field: field.into(), values });
        }
    };
    for (key, field, parse) in TESTS {
        add(field, table.one_or_list(key, parse).into_iter().map(|value| value.value).collect());
    }
    let architectures = table.numbers("architecture", 0, u16::MAX.into());
    let octets = |number: u64| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    add(
        v1::ClientField::Architecture,
        architectures.into_iter().map(|architecture| octets(architecture.value)).collect(),
    );
    tests
}
