//! Links, and what relays say of them.

use leasehold_proto::v1;

use super::fields::{lifetimes, limits};
use super::identity::{parse_duid, parse_enterprise};
use super::place::Places;
use super::values::{parse_hex_or_text, parse_ipv6, parse_prefix};
use super::{Form, names, refuse_empty};
use crate::config::document::Table;

impl Form {
    pub(super) fn read_link(&mut self, mut table: Table<'_>) {
        let mut places = Places::of(&table, &["name", "prefixes", "rapid_commit", "interface_id", "classes"]);
        // The short form of one `select`.
        places.set("select", table.place("interface_id"));
        places.add(&table, &["select"]);
        let name = self.name(&mut table, "name", "name the link");
        let prefixes = table.list("prefixes", parse_prefix);
        let mut flag = |key| table.bool(key).is_some_and(|flag| flag.value);
        let rapid_commit = flag("rapid_commit");
        let reconfigure = flag("reconfigure");
        let require_reconfigure_accept = flag("require_reconfigure_accept");
        let register_addresses = flag("register_addresses");
        let interface_id =
            table.parsed("interface_id", parse_hex_or_text).map(|id| id.value).unwrap_or_default();
        let by_interface = v1::LinkSelector { interface_id, ..v1::LinkSelector::default() };
        let mut selectors =
            if by_interface == v1::LinkSelector::default() { Vec::new() } else { vec![by_interface] };
        selectors.extend(table.tables("select").into_iter().filter_map(selector));
        refuse_empty(&table, "classes");
        let classes = names(&mut table, "classes");
        let options = self.read_options(table.table("options"), &mut places);
        let limits = limits(table.table("limits"));
        let lifetimes = lifetimes(table.table("lifetimes"), &mut places);
        table.done();
        self.links.push(places);
        self.wire.links.push(v1::Link {
            id: 0,
            name,
            prefixes: prefixes.into_iter().map(|prefix| prefix.value.into()).collect(),
            rapid_commit,
            options,
            selectors,
            lifetimes,
            limits,
            classes,
            reconfigure,
            require_reconfigure_accept,
            register_addresses,
            ..v1::Link::default()
        });
    }
}

/// What one relay level must say (SV-153); one that says nothing would choose the link for every relay.
fn selector(mut table: Table<'_>) -> Option<v1::LinkSelector> {
    fn octets(
        table: &mut Table<'_>,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    ) -> Vec<u8> {
        table.parsed(key, parse).map(|found| found.value).unwrap_or_default()
    }
    let known = ["relay", "relay_id", "interface_id", "remote_id", "subscriber_id"];
    if !known.iter().any(|key| table.has(key)) {
        table.missing(known[0], "write one of relay, relay_id, interface_id, remote_id and subscriber_id");
    }
    let selector = v1::LinkSelector {
        relay: octets(&mut table, known[0], |text| parse_ipv6(text).map(|bits| bits.to_be_bytes().to_vec())),
        relay_id: octets(&mut table, known[1], parse_duid),
        interface_id: octets(&mut table, known[2], parse_hex_or_text),
        remote_id: octets(&mut table, known[3], parse_enterprise),
        subscriber_id: octets(&mut table, known[4], parse_hex_or_text),
    };
    table.done();
    (selector != v1::LinkSelector::default()).then_some(selector)
}
