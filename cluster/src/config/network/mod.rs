//! The network file: links, pools, relationships, classes, hosts and options, from TOML to the form that the store keeps,
//! and back.
//!
//! Owns the file form and the way back from a rule's complaint to a line of the file. Refuses to know the rules
//! themselves (`leasehold_proto::network` checks, and fills defaults in) and the store. Input: a TOML file, all
//! references by name; output: [`NetworkConfig`], or every error in it. Nothing half-applies: either all is right or
//! nothing is returned. `docs/network-file.md` names every key.

mod clients;
mod fields;
mod identity;
mod links;
mod options;
mod place;
mod pools;
mod relationships;
mod text;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use leasehold_proto::network::{Item, Network, NetworkError, fill_defaults};
use leasehold_proto::options::Dictionary;
use leasehold_proto::v1;

use super::document::{Table, parse};
use super::error::{ConfigErrors, Problems, Source};
use fields::{lifetimes, limits, millis, narrow};
use place::Places;
use values::parse_prefix_or_address;

pub use text::{network_json, network_toml};

/// A checked network configuration, as a file gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The checked form, defaults filled in; never applied, so nothing in it has a number of its own.
    pub network: Network,
    /// The number of shards is not written: the one in force stays, and the default is for the first time only.
    leaves_shards: bool,
}

impl NetworkConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::from_source(&Source::read(path)?)
    }

    /// Checks a text; `path` is for the errors only.
    ///
    /// # Errors
    /// Everything wrong in it.
    pub fn from_text(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        Self::from_source(&Source { path: path.to_owned(), text: text.to_owned() })
    }

    pub(super) fn from_source(source: &Source) -> Result<Self, ConfigErrors> {
        let problems = Problems::new(source);
        let document = parse(&problems);
        let network = document.as_ref().and_then(|document| {
            let mut form = Form::default();
            form.read(Table::root(document, &problems));
            form.check(&problems)
        });
        problems.finish(network.map(|(network, leaves_shards)| Self { network, leaves_shards }))
    }

    /// For the store.
    #[must_use]
    pub fn to_wire(&self) -> v1::Network {
        let mut wire = self.network.to_wire().clone();
        if let Some(auto) = wire.auto.as_mut().filter(|_| self.leaves_shards) {
            auto.shards = 0;
        }
        wire
    }
}

/// The file form: what was written, and where.
#[derive(Default)]
struct Form {
    wire: v1::Network,
    /// Nothing when definitions are wrong: then options cannot be read, and need not be.
    dictionary: Option<Dictionary>,
    global: Places,
    definitions: Vec<Places>,
    classes: Vec<Places>,
    hosts: Vec<Places>,
    links: Vec<Places>,
    pools: Vec<Places>,
    relationships: Vec<Places>,
    auto: Option<Places>,
    /// Something is missing or unreadable: checking further would complain about what was not read.
    incomplete: bool,
}

impl Form {
    fn read(&mut self, mut root: Table<'_>) {
        if let Some(table) = root.table("timing") {
            self.read_timing(table);
        }
        if let Some(table) = root.table("server") {
            self.read_server(table);
        }
        self.wire.limits = limits(root.table("limits"));
        self.wire.lifetimes = lifetimes(root.table("lifetimes"), &mut self.global);
        self.read_definitions(root.tables("option"));
        let mut global = std::mem::take(&mut self.global);
        self.wire.options = self.read_options(root.table("options"), &mut global);
        self.global = global;
        for table in root.tables("class") {
            self.read_class(table);
        }
        for table in root.tables("host") {
            self.read_host(table);
        }
        for table in root.tables("link") {
            self.read_link(table);
        }
        for table in root.tables("pool") {
            self.read_pool(table);
        }
        for table in root.tables("relationship") {
            self.read_relationship(table);
        }
        if let Some(table) = root.table("auto") {
            self.read_auto(table);
        }
        if self.links.is_empty() && !root.has("link") {
            root.missing("link", "a network has at least one: write [[link]]");
        }
        if self.relationships.is_empty() && self.auto.is_none() && !root.has("relationship") {
            root.missing(
                "relationship",
                "a network has at least one: write [[relationship]], or [auto] to leave them to the store",
            );
        }
        root.done();
    }

    fn read_timing(&mut self, mut table: Table<'_>) {
        self.global.add(&table, &["rho_ppm", "flight", "send"]);
        self.wire.timing = Some(v1::Timing {
            rho_ppm: table.number("rho_ppm", 1, 100_000).map_or(0, |n| narrow(n.value)),
            flight_ms: millis(&mut table, "flight"),
            send_ms: millis(&mut table, "send"),
        });
        table.done();
    }

    /// How messages are taken and answered.
    fn read_server(&mut self, mut table: Table<'_>) {
        self.global.add(&table, &["relays", "relay_supplied", "answer_octets"]);
        refuse_empty(&table, "relays");
        let relays = table.list("relays", parse_prefix_or_address);
        self.wire.relays = relays.into_iter().map(|relay| relay.value.into()).collect();
        // Written and empty: none; left out: the default.
        self.wire.no_relay_supplied = table.is_empty_list("relay_supplied");
        let codes = table.numbers("relay_supplied", 1, u16::MAX.into());
        let mut listed = BTreeSet::new();
        self.wire.relay_supplied =
            codes.into_iter().map(|code| narrow(code.value)).filter(|code| listed.insert(*code)).collect();
        self.wire.legacy = table.bool("legacy").is_some_and(|flag| flag.value);
        self.wire.answer_octets = table.number("answer_octets", 1280, 1500).map_or(0, |n| narrow(n.value));
        table.done();
    }

    fn name(&mut self, table: &mut Table<'_>, key: &'static str, remedy: &str) -> String {
        let name = table.required(key, remedy, |text| Ok(text.to_owned()));
        self.incomplete |= name.is_none();
        name.map(|name| name.value).unwrap_or_default()
    }

    /// Fills defaults in, checks the rules, and puts complaints where they belong in the file. With it: whether the
    /// number of shards was left out.
    fn check(mut self, problems: &Problems<'_>) -> Option<(Network, bool)> {
        if self.incomplete {
            return None;
        }
        let leaves_shards = self.wire.auto.as_ref().is_some_and(|auto| auto.shards == 0);
        fill_defaults(&mut self.wire);
        match Network::accept(&self.wire) {
            Ok(network) => Some((network, leaves_shards)),
            Err(errors) => {
                for error in errors {
                    self.complain(problems, &error);
                }
                None
            }
        }
    }

    fn complain(&self, problems: &Problems<'_>, error: &NetworkError) {
        let places = match error.item {
            Item::Global => Some(&self.global),
            Item::Link(i) => self.links.get(i),
            Item::Pool(i) => self.pools.get(i),
            Item::Relationship(i) => self.relationships.get(i),
            Item::Auto => self.auto.as_ref(),
            Item::Class(i) => self.classes.get(i),
            Item::Host(i) => self.hosts.get(i),
            Item::Definition(i) => self.definitions.get(i),
        };
        let (at, path) = places.unwrap_or(&self.global).of_error(error);
        problems.add(at, path, &error.message);
    }
}

/// A list of who is let in may be left out, but not be empty: that would read as nobody and mean everybody.
fn refuse_empty(table: &Table<'_>, key: &str) {
    if table.is_empty_list(key) {
        table.problem(table.place(key), key, "is empty: leave it out for all");
    }
}

/// A list of names, as they stand there.
fn names(table: &mut Table<'_>, key: &'static str) -> Vec<String> {
    table.list(key, |text| Ok(text.to_owned())).into_iter().map(|name| name.value).collect()
}
