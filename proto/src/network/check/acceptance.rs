//! Rules for what is newly written, beyond those that hold for everything.
//!
//! Owns what earlier releases let pass and what is refused since. A configuration that is in force, on a disk or in the
//! log of some node stays what it is: these rules are asked before a configuration is proposed, and never where an entry
//! is applied, so that replicas of all releases agree.

use super::{Checker, Item};
use crate::options::octets_text;
use crate::v1;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Checks what somebody wants to have in force.
pub(super) fn check(c: &mut Checker, wire: &v1::Network) {
    check_selectors(c, wire);
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
