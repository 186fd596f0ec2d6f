//! Rules of lifetimes: those of a pool, and the tables of a link and the network from which pools have what they do not
//! say.
//!
//! Refuses to know who inherits how (`defaults` writes that out). A value of a pool that is the one of a table is called
//! the table's: that is where people look for it.

use super::{Checker, Item, NetworkError};
use crate::v1;
use std::collections::BTreeMap;

/// The valid lifetime may not be shorter than what a client needs to renew at all.
const VALID_SECS_MIN: u32 = 4;
/// What is said of lifetimes of pools, as errors call it.
const POOL_FIELDS: [&str; 3] = ["preferred_lifetime", "valid_lifetime", "valid_lifetime_min"];

/// The `lifetimes` tables of the network and of its links, by the link's name.
pub(super) struct Tables<'w> {
    global: Option<&'w v1::Lifetimes>,
    links: BTreeMap<&'w str, &'w v1::Lifetimes>,
}

impl<'w> Tables<'w> {
    pub(super) fn of(wire: &'w v1::Network) -> Self {
        let mut links = BTreeMap::new();
        for link in &wire.links {
            links.entry(link.name.as_str()).or_insert(link.lifetimes.as_ref());
        }
        let links = links.into_iter().filter_map(|(name, table)| Some((name, table?))).collect();
        Self { global: wire.lifetimes.as_ref(), links }
    }

    /// A value of a pool, and where it is from.
    fn told(&self, pool: &v1::Pool, secs: u32, of: impl Fn(&v1::Lifetimes) -> u32) -> String {
        let text = if secs == u32::MAX { "infinite".to_owned() } else { format!("{secs}s") };
        if self.links.get(pool.link.as_str()).is_some_and(|table| of(table) == secs) {
            format!("{text} (from `lifetimes` of link `{}`)", pool.link)
        } else if self.global.is_some_and(|table| of(table) == secs) {
            format!("{text} (from the global `lifetimes`)")
        } else {
            text
        }
    }
}

/// Checks the lifetimes of a pool, whatever it has from its link and the network written out.
pub(super) fn check_pool(c: &mut Checker, item: Item, tables: &Tables<'_>, p: &v1::Pool) {
    let (preferred, valid) = (p.preferred_lifetime_secs, p.valid_lifetime_secs);
    let said = p.lifetimes.unwrap_or_default();
    if valid < VALID_SECS_MIN {
        let is = tables.told(p, valid, |table| table.valid_secs);
        c.fail(item, "valid_lifetime", format!("must be at least {VALID_SECS_MIN}s, and is {is}"));
    }
    if preferred == 0 || preferred > valid {
        let is = tables.told(p, preferred, |table| table.preferred_secs);
        let valid = tables.told(p, valid, |table| table.valid_secs);
        let message = format!(
            "must be above 0 and not above the valid lifetime (SV-209): it is {is}, the valid one {valid}"
        );
        c.fail(item, "preferred_lifetime", message);
    }
    let mut bounded = |field, value: (u32, Field), min: (u32, Field), max: (u32, Field)| {
        let told = |(secs, of): (u32, Field)| tables.told(p, secs, of);
        if min.0 != 0 && value.0 < min.0 {
            let message = format!("lies outside its bounds: {} is below {}", told(value), told(min));
            c.fail(item, field, message);
        } else if max.0 != 0 && value.0 > max.0 {
            let message = format!("lies outside its bounds: {} is above {}", told(value), told(max));
            c.fail(item, field, message);
        }
    };
    bounded(
        "preferred_lifetime",
        (preferred, |table| table.preferred_secs),
        (said.preferred_min_secs, |table| table.preferred_min_secs),
        (said.preferred_max_secs, |table| table.preferred_max_secs),
    );
    bounded(
        "valid_lifetime",
        (valid, |table| table.valid_secs),
        (said.valid_min_secs, |table| table.valid_min_secs),
        (said.valid_max_secs, |table| table.valid_max_secs),
    );
    if said.valid_min_secs != 0 && said.valid_min_secs < VALID_SECS_MIN {
        let is = tables.told(p, said.valid_min_secs, |table| table.valid_min_secs);
        c.fail(item, "valid_lifetime_min", format!("must be at least {VALID_SECS_MIN}s, and is {is}"));
    }
}

type Field = fn(&v1::Lifetimes) -> u32;

/// All that a table may say: how errors call it, and the value.
const FIELDS: [(&str, Field); 6] = [
    ("lifetimes.preferred", |table| table.preferred_secs),
    ("lifetimes.preferred_min", |table| table.preferred_min_secs),
    ("lifetimes.preferred_max", |table| table.preferred_max_secs),
    ("lifetimes.valid", |table| table.valid_secs),
    ("lifetimes.valid_min", |table| table.valid_min_secs),
    ("lifetimes.valid_max", |table| table.valid_max_secs),
];

/// Checks each table by itself, whoever inherits from it.
pub(super) fn check_tables(c: &mut Checker, wire: &v1::Network) {
    check_table(c, Item::Global, wire.lifetimes.as_ref());
    for (i, link) in wire.links.iter().enumerate() {
        check_table(c, Item::Link(i), link.lifetimes.as_ref());
    }
}

fn check_table(c: &mut Checker, item: Item, table: Option<&v1::Lifetimes>) {
    let Some(table) = table else { return };
    // What may not be above what.
    for [low, high] in [[1, 0], [0, 2], [1, 2], [4, 3], [3, 5], [4, 5], [0, 3]] {
        let ((field, low), (other, high)) = (FIELDS[low], FIELDS[high]);
        let (low, high) = (low(table), high(table));
        if low != 0 && high != 0 && low > high {
            let other = other.trim_start_matches("lifetimes.");
            c.fail(item, field, format!("may not be above `{other}`"));
        }
    }
    for (field, value) in [FIELDS[3], FIELDS[4]] {
        if (1..VALID_SECS_MIN).contains(&value(table)) {
            c.fail(item, field, format!("must be at least {VALID_SECS_MIN}s"));
        }
    }
}

/// Without errors of pools that follow from a table which is wrong by itself: these need no second word.
pub(super) fn without_followers(
    wire: &v1::Network,
    of_tables: &[NetworkError],
    mut errors: Vec<NetworkError>,
) -> Vec<NetworkError> {
    let (mut global, mut links) = (Vec::new(), BTreeMap::<&str, Vec<(Field, u32)>>::new());
    for error in of_tables {
        let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == error.field) else { continue };
        match error.item {
            Item::Global => global.extend(wire.lifetimes.as_ref().map(|table| (*field, field(table)))),
            Item::Link(i) => {
                let link = &wire.links[i];
                let wrong = link.lifetimes.as_ref().map(|table| (*field, field(table)));
                links.entry(&link.name).or_default().extend(wrong);
            }
            _ => {}
        }
    }
    errors.retain(|error| {
        let Item::Pool(i) = error.item else { return true };
        let pool = &wire.pools[i];
        let has = v1::Lifetimes {
            preferred_secs: pool.preferred_lifetime_secs,
            valid_secs: pool.valid_lifetime_secs,
            ..pool.lifetimes.unwrap_or_default()
        };
        let mut wrong = global.iter().chain(links.get(pool.link.as_str()).into_iter().flatten());
        !POOL_FIELDS.contains(&error.field) || !wrong.any(|(field, secs)| field(&has) == *secs)
    });
    errors
}
