//! Rules of classes, hosts and what relays say of links.

use super::options::options;
use super::{Checker, Item, check_name};
use crate::convert;
use crate::lifetimes::LifetimeWish;
use crate::network::{Class, ClientField, ClientTest, Host, LinkSelector};
use crate::time::Lifetime;
use crate::v1;
use crate::words::Duid;
use std::collections::BTreeSet;

/// So many classes may be. Why 1024: every one is tried for every message.
pub(super) const CLASSES_MAX: usize = 1024;
/// As many as there are fields to test.
const TESTS_MAX: usize = 10;

/// Checks the classes.
pub(super) fn check_classes(c: &mut Checker, wire: &v1::Network) -> Vec<Class> {
    let mut names = BTreeSet::new();
    let mut out = Vec::new();
    for (i, class) in wire.classes.iter().enumerate() {
        let item = Item::Class(i);
        if i >= CLASSES_MAX {
            c.fail(item, "name", format!("is one too many: at most {CLASSES_MAX} classes may be"));
            break;
        }
        check_name(c, item, &class.name, &mut names);
        if class.tests.is_empty() {
            c.fail(item, "name", "has no test: say by what a client of this class is known, as vendor_class");
        }
        for (n, raw) in class.tests.iter().enumerate().take(TESTS_MAX + 1) {
            if class.tests[..n].iter().any(|other| other.field == raw.field) {
                c.fail(item, "name", "tests one field twice, which files cannot say: make it one test");
                break;
            }
        }
        let tests = class.tests.iter().filter_map(|raw| test(c, item, raw)).collect();
        let options = options(c, item, class.options.as_ref());
        let said = class.lifetimes.unwrap_or_default();
        let wish = |secs: u32| (secs != 0).then(|| Lifetime::from_wire(secs));
        let lifetimes = LifetimeWish { preferred: wish(said.preferred_secs), valid: wish(said.valid_secs) };
        out.push(Class { name: class.name.clone(), tests, options, lifetimes, drop: class.drop });
    }
    out
}

/// Checks the hosts.
pub(super) fn check_hosts(c: &mut Checker, wire: &v1::Network) -> Vec<Host> {
    let (mut names, mut duids) = (BTreeSet::new(), BTreeSet::new());
    let mut out = Vec::new();
    for (i, host) in wire.hosts.iter().enumerate() {
        let item = Item::Host(i);
        check_name(c, item, &host.name, &mut names);
        let options = options(c, item, host.options.as_ref());
        match Duid::new(&host.duid) {
            Ok(duid) => {
                if !duids.insert(duid.clone()) {
                    c.fail(item, "duid", format!("`{duid}` is that of another host: merge the two"));
                }
                out.push(Host { name: host.name.clone(), duid, options });
            }
            Err(error) => c.fail(item, "duid", error.to_string()),
        }
    }
    out
}

fn test(c: &mut Checker, item: Item, raw: &v1::ClientTest) -> Option<ClientTest> {
    let field = match raw.field() {
        v1::ClientField::Unspecified => {
            c.fail(item, "name", "has a test of an unknown field");
            return None;
        }
        v1::ClientField::Duid => ClientField::Duid,
        v1::ClientField::VendorClass => ClientField::VendorClass,
        v1::ClientField::UserClass => ClientField::UserClass,
        v1::ClientField::Architecture => ClientField::Architecture,
        v1::ClientField::LinkLayer => ClientField::LinkLayer,
        v1::ClientField::Relay => ClientField::Relay,
        v1::ClientField::RelayId => ClientField::RelayId,
        v1::ClientField::InterfaceId => ClientField::InterfaceId,
        v1::ClientField::RemoteId => ClientField::RemoteId,
        v1::ClientField::SubscriberId => ClientField::SubscriberId,
    };
    if raw.values.is_empty() {
        c.fail(item, "name", "has a test without a value, which nobody passes");
    }
    let lengths = lengths(field);
    if raw.values.iter().any(|value| !lengths.contains(&value.len())) {
        let (least, most) = lengths.into_inner();
        let message = format!("tests for a value that nobody sends: it has {least} to {most} octets");
        c.fail(item, "name", message);
    }
    Some(ClientTest { field, values: raw.values.clone() })
}

/// How long what a client or a relay says can be, in octets: identifiers RFC 9915 §11.1, numbers and addresses as the
/// fields are defined, anything else as an option can be.
fn lengths(field: ClientField) -> std::ops::RangeInclusive<usize> {
    const OPTION_MAX: usize = u16::MAX as usize;
    match field {
        ClientField::Duid | ClientField::RelayId => 3..=130,
        ClientField::VendorClass | ClientField::RemoteId => 4..=OPTION_MAX,
        ClientField::UserClass | ClientField::InterfaceId | ClientField::SubscriberId => 0..=OPTION_MAX,
        ClientField::Architecture => 2..=2,
        ClientField::LinkLayer => 2..=OPTION_MAX,
        ClientField::Relay => 16..=16,
    }
}

/// Checks that these are names of classes.
pub(super) fn class_names(c: &mut Checker, item: Item, names: &[String]) {
    if names.len() > CLASSES_MAX {
        c.fail(item, "classes", format!("are more than {CLASSES_MAX}"));
        return;
    }
    let unknown: Vec<&String> = names.iter().filter(|name| !c.classes.contains(*name)).collect();
    for name in unknown {
        c.fail(item, "classes", format!("there is no class `{name}`"));
    }
}

/// Checks what relays say of a link.
pub(super) fn selector(c: &mut Checker, item: Item, raw: &v1::LinkSelector) -> Option<LinkSelector> {
    let given = |octets: &Vec<u8>| (!octets.is_empty()).then(|| octets.clone());
    let relay = match given(&raw.relay).map(|octets| convert::address(&octets, "relay")).transpose() {
        Ok(relay) => relay,
        Err(error) => {
            c.fail(item, "relay", error.to_string());
            return None;
        }
    };
    let selector = LinkSelector {
        relay,
        relay_id: given(&raw.relay_id),
        interface_id: given(&raw.interface_id),
        remote_id: given(&raw.remote_id),
        subscriber_id: given(&raw.subscriber_id),
    };
    if selector == LinkSelector::default() {
        c.fail(item, "relay", "says nothing, and would choose this link for every relay");
        return None;
    }
    Some(selector)
}
