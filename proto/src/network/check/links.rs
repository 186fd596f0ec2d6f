//! Rules of links: their prefixes, what relays say of them, and who is served there.

use super::clients::{class_names, selector};
use super::options::options;
use super::{Checker, Item, check_name, number};
use crate::convert;
use crate::network::{Limits, Link};
use crate::v1;
use crate::words::LinkId;
use std::collections::BTreeSet;

pub(super) fn check_links(c: &mut Checker, wire: &v1::Network) -> Vec<Link> {
    let mut names = BTreeSet::new();
    let mut links: Vec<Link> = Vec::new();
    for (i, link) in wire.links.iter().enumerate() {
        let item = Item::Link(i);
        check_name(c, item, &link.name, &mut names);
        let mut prefixes = Vec::new();
        for raw in &link.prefixes {
            match convert::prefix(raw) {
                Ok(p) if p.len_bits() > 0 => prefixes.push(p),
                Ok(_) => {
                    c.fail(item, "prefixes", "`::/0` would claim every link: name the link's own prefixes")
                }
                Err(e) => c.fail(item, "prefixes", e.to_string()),
            }
        }
        let selectors = link.selectors.iter().filter_map(|raw| selector(c, item, raw)).collect();
        if !link.interface_id.is_empty() {
            c.fail(item, "interface_id", "is what an older release wrote: upgrade the program that sent it");
        }
        let options = options(c, item, link.options.as_ref());
        class_names(c, item, &link.classes);
        links.push(Link {
            id: LinkId(number(link.id, i)),
            name: link.name.clone(),
            prefixes,
            rapid_commit: link.rapid_commit,
            options,
            selectors,
            classes: link.classes.clone(),
            limits: Limits::default().with(wire.limits.as_ref()).with(link.limits.as_ref()),
            reconfigure: link.reconfigure,
            require_reconfigure_accept: link.require_reconfigure_accept,
            register_addresses: link.register_addresses,
        });
    }
    links
}
