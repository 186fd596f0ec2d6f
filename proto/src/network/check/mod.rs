//! The rules that a network configuration must keep, each with the item and field that breaks it.

mod acceptance;
mod clients;
mod lifetimes;
mod links;
mod options;
mod overlaps;
mod pools;
mod relationships;

#[cfg(test)]
mod tests;

pub(super) use pools::MCLT_SECS_MAX;
pub use pools::stored_pool;

use super::Network;
use crate::convert;
use crate::lifetimes::Timing;
use crate::options::{DefinitionError, Dictionary};
use crate::v1;
use crate::words::FrontendId;
use prost::Message;
use std::collections::BTreeSet;

/// What an error is about: the n-th of its kind, from 0, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The file as a whole, or a global setting.
    Global,
    /// A link.
    Link(usize),
    /// A pool.
    Pool(usize),
    /// A relationship.
    Relationship(usize),
    /// A class.
    Class(usize),
    /// A host.
    Host(usize),
    /// An option that the operator defined.
    Definition(usize),
    /// What is left to the store.
    Auto,
}

/// One inconsistency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item:?}, `{field}`: {message}")]
pub struct NetworkError {
    /// About what.
    pub item: Item,
    /// Which field, as it is called in the file.
    pub field: &'static str,
    /// Which of the item's options, from 0, when it is about one of them.
    pub option: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

struct Checker {
    errors: Vec<NetworkError>,
    dictionary: Dictionary,
    /// The names of all classes.
    classes: BTreeSet<String>,
}

impl Checker {
    fn new(wire: &v1::Network) -> Self {
        let classes = wire.classes.iter().map(|class| class.name.clone()).collect();
        Self { errors: Vec::new(), dictionary: Dictionary::default(), classes }
    }

    fn fail(&mut self, item: Item, field: &'static str, message: impl Into<String>) {
        self.errors.push(NetworkError { item, field, option: None, message: message.into() });
    }

    /// About the n-th option of an item, from 0.
    fn fail_option(&mut self, item: Item, index: usize, message: String) {
        self.errors.push(NetworkError { item, field: "options", option: Some(index), message });
    }
}

/// The longest configuration, in octets, whatever it leaves to the store written out. Every node keeps it, and every
/// session begins with it: an eighth of the longest message that frontends take.
const OCTETS_MAX: usize = 8 << 20;
/// So many links may be: what a relay says may be compared with the selectors of each.
const LINKS_MAX: usize = 8192;
/// So many pools may be, shards counted one by one: of each, every node and frontend keeps ranges.
const POOLS_MAX: usize = 32_768;

/// How long an answer may be as an IPv6 packet, options included (SV-113).
const ANSWER_OCTETS: std::ops::RangeInclusive<u16> = 1280..=1500;

pub(super) fn check(wire: &v1::Network) -> Result<Network, Vec<NetworkError>> {
    let mut c = Checker::new(wire);
    check_size(&mut c, wire);
    if !c.errors.is_empty() {
        return Err(c.errors);
    }
    match Dictionary::new(&wire.definitions) {
        Ok(dictionary) => c.dictionary = dictionary,
        Err(errors) => {
            for DefinitionError { index, field, message } in errors {
                c.fail(Item::Definition(index), field, message);
            }
        }
    }
    let classes = clients::check_classes(&mut c, wire);
    let hosts = clients::check_hosts(&mut c, wire);
    let links = links::check_links(&mut c, wire);
    let (relationships, owner) = relationships::check_relationships(&mut c, wire);
    let auto = super::auto::check(wire, &mut |error| c.errors.push(error));
    let pools = pools::check_pools(&mut c, wire, &links, &owner);
    overlaps::check_overlaps(&mut c, &links, &pools);
    let options = options::options(&mut c, Item::Global, wire.options.as_ref());
    let relays = relays(&mut c, wire);
    let relay_supplied = relay_supplied(&mut c, wire);
    let answer_octets = u16::try_from(wire.answer_octets).unwrap_or(u16::MAX);
    if !ANSWER_OCTETS.contains(&answer_octets) {
        let message =
            "is from 1280, which every link carries, to 1500, which every node can reassemble (SV-113)";
        c.fail(Item::Global, "answer_octets", message);
    }
    let timing = wire.timing.map_or_else(Timing::default, |t| Timing {
        rho_ppm: t.rho_ppm,
        flight_ms: t.flight_ms,
        send_ms: t.send_ms,
    });
    for (i, pool) in pools.iter().filter(|(_, pool)| pool.commit_wait_ms > 0) {
        if pool.commit_wait_ms >= timing.send_ms {
            let message = format!(
                "must be below `send`, {} ms: a Reply held longer than that is not sent any more (R4)",
                timing.send_ms
            );
            c.fail(Item::Pool(*i), "commit_wait", message);
        }
    }
    if timing.rho_ppm > 100_000 {
        c.fail(Item::Global, "rho_ppm", "a clock that is off by more than 10 % cannot be worked with");
    }
    if c.errors.is_empty() {
        let pools = pools.into_iter().map(|(_, p)| p).collect();
        Ok(Network {
            version: wire.version,
            links,
            pools,
            relationships,
            options,
            classes,
            hosts,
            relays,
            relay_supplied,
            legacy: wire.legacy,
            answer_octets,
            timing,
            auto,
            wire: wire.clone(),
        })
    } else {
        Err(c.errors)
    }
}

/// Checks what somebody wants to have in force: what [`check`] finds, and what is let pass only where it was before.
pub(super) fn check_new(wire: &v1::Network) -> Result<Network, Vec<NetworkError>> {
    let mut c = Checker::new(wire);
    check_size(&mut c, wire);
    if !c.errors.is_empty() {
        return Err(c.errors);
    }
    acceptance::check(&mut c, wire);
    match check(wire) {
        Ok(network) if c.errors.is_empty() => Ok(network),
        checked => {
            let others = lifetimes::without_followers(wire, &c.errors, checked.err().unwrap_or_default());
            c.errors.extend(others);
            Err(c.errors)
        }
    }
}

/// The number of an item: as stored, or its place counted from 1 when it has none yet.
fn number(id: u32, place: usize) -> u32 {
    if id != 0 { id } else { u32::try_from(place + 1).unwrap_or(u32::MAX) }
}

/// What cannot be worked with however sound it is: everything else is looked at only if this holds.
fn check_size(c: &mut Checker, wire: &v1::Network) {
    let octets = wire.encoded_len();
    if octets > OCTETS_MAX {
        let message = format!(
            "is {octets} octets long, with what is left to the store written out, and may be {OCTETS_MAX}"
        );
        c.fail(Item::Global, "network", message);
    }
    if wire.links.len() > LINKS_MAX {
        c.fail(Item::Link(LINKS_MAX), "name", format!("is one too many: at most {LINKS_MAX} links may be"));
    }
    if wire.pools.len() > POOLS_MAX {
        let message = format!("is one too many: at most {POOLS_MAX} pools and shards of pools may be");
        c.fail(Item::Pool(POOLS_MAX), "name", message);
    }
}

/// SV-176: what relays may supply; sorted.
fn relay_supplied(c: &mut Checker, wire: &v1::Network) -> Vec<u16> {
    let mut codes = Vec::new();
    for code in &wire.relay_supplied {
        match u16::try_from(*code) {
            Err(_) => c.fail(Item::Global, "relay_supplied", "an option code is below 65536"),
            Ok(code) => match crate::options::catalogue::reserved(code) {
                Some(reserved) => {
                    c.fail(
                        Item::Global,
                        "relay_supplied",
                        format!("{code} is not a relay's: {}", reserved.what),
                    );
                }
                None => codes.push(code),
            },
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// SEC-04: from whom Relay-forwards are accepted.
fn relays(c: &mut Checker, wire: &v1::Network) -> Vec<crate::words::Prefix> {
    let mut relays = Vec::new();
    for raw in &wire.relays {
        match convert::prefix(raw) {
            Ok(prefix) => relays.push(prefix),
            Err(error) => c.fail(Item::Global, "relays", error.to_string()),
        }
    }
    relays
}

fn check_name(c: &mut Checker, item: Item, name: &str, seen: &mut BTreeSet<String>) {
    if FrontendId::new(name).is_err() {
        c.fail(item, "name", crate::words::InvalidName(name.to_owned()).to_string());
    }
    if !seen.insert(name.to_owned()) {
        c.fail(item, "name", format!("`{name}` is used twice: names are unique"));
    }
}
