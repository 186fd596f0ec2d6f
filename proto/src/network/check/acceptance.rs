//! Rules for what is newly written, beyond those that hold for everything.
//!
//! Owns what earlier releases let pass and what is refused since. A configuration that is in force, on a disk or in the
//! log of some node stays what it is: these rules are asked before a configuration is proposed, and never where an entry
//! is applied, so that replicas of all releases agree.

use super::{Checker, Item, lifetimes};
use crate::convert;
use crate::options::octets_text;
use crate::v1;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Checks what somebody wants to have in force.
pub(super) fn check(c: &mut Checker, wire: &v1::Network) {
    if wire.no_relay_supplied && !wire.relay_supplied.is_empty() {
        c.fail(Item::Global, "relay_supplied", "names codes, and is said to name none: say one of the two");
    }
    check_selectors(c, wire);
    check_special(c, wire);
    lifetimes::check_tables(c, wire);
}

/// Addresses that no server gives and no link has for its own: first, last, and what they are. Source: RFC 4291 §2.4.
const SPECIAL: [(u128, u128, &str); 3] = [
    (0, 1, "the unspecified and the loopback address"),
    (0xfe80 << 112, (0xfec0 << 112) - 1, "fe80::/10, which every link has"),
    (0xff00 << 112, u128::MAX, "ff00::/8, multicast addresses"),
];

fn special(first: u128, last: u128) -> Option<String> {
    let (_, _, what) = SPECIAL.iter().find(|(from, to, _)| first <= *to && *from <= last)?;
    Some(format!("touches {what}: leave these out"))
}

fn check_special(c: &mut Checker, wire: &v1::Network) {
    for (i, link) in wire.links.iter().enumerate() {
        for prefix in link.prefixes.iter().filter_map(|raw| convert::prefix(raw).ok()) {
            // `::/0` is refused anyway.
            let found = special(prefix.bits(), prefix.last_bits()).filter(|_| prefix.len_bits() > 0);
            if let Some(message) = found {
                c.fail(Item::Link(i), "prefixes", format!("{prefix} {message}"));
            }
        }
    }
    for (i, pool) in wire.pools.iter().enumerate() {
        let bounds =
            (<[u8; 16]>::try_from(pool.first.as_slice()), <[u8; 16]>::try_from(pool.last.as_slice()));
        let (Ok(first), Ok(last)) = bounds else { continue };
        let field = if pool.kind() == v1::IaKind::Pd { "prefixes" } else { "addresses" };
        let rest = u128::MAX.checked_shr(pool.length_bits).unwrap_or(0);
        if let Some(message) = special(u128::from_be_bytes(first), u128::from_be_bytes(last) | rest) {
            c.fail(Item::Pool(i), field, message);
        }
    }
}

/// The first link that a selector fits is chosen: a second with the same one never would be (SV-153).
fn check_selectors(c: &mut Checker, wire: &v1::Network) {
    let mut owners = BTreeMap::new();
    for (i, link) in wire.links.iter().enumerate() {
        for selector in &link.selectors {
            let said = said(selector);
            match owners.entry(said) {
                Entry::Vacant(entry) => {
                    entry.insert((i, &link.name));
                }
                Entry::Occupied(entry) if entry.get().0 == i => {}
                Entry::Occupied(entry) => {
                    let each = entry.key().iter().filter(|(_, octets)| !octets.is_empty());
                    let each: Vec<String> =
                        each.map(|(field, octets)| format!("{field} {}", octets_text(octets))).collect();
                    let message = format!(
                        "chooses by {}, which chooses link `{}` already: this one never would be",
                        each.join(" and "),
                        entry.get().1
                    );
                    c.fail(Item::Link(i), "select", message);
                }
            }
        }
    }
}

fn said(selector: &v1::LinkSelector) -> [(&'static str, &[u8]); 5] {
    [
        ("relay", &selector.relay),
        ("relay_id", &selector.relay_id),
        ("interface_id", &selector.interface_id),
        ("remote_id", &selector.remote_id),
        ("subscriber_id", &selector.subscriber_id),
    ]
}
