//! The network file: links, pools, relationships and options, from TOML to the form that the store keeps.
//!
//! Owns the file form and the way back from a rule's complaint to a line of the file. Refuses to know the rules
//! themselves (`leasehold_proto::network` checks, and fills defaults in) and the store. Input: a TOML file, all
//! references by name; output: [`NetworkConfig`], or every error in it. Nothing half-applies: either all is right or
//! nothing is returned.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use leasehold_proto::network::{Item, Network, NetworkError, fill_defaults};
use leasehold_proto::time::Lifetime;
use leasehold_proto::v1;

use super::document::{Located, Table, parse};
use super::error::{ConfigErrors, Problems, Source};
use super::network_values::{Addresses, parse_addresses, parse_hex_or_text, parse_ipv6, parse_prefix};
use super::span::{parse_lifetime, parse_span};

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

/// Where an item stands in the file.
#[derive(Default)]
struct Places {
    /// `link[2]` and its like; empty for the file.
    path: String,
    at: usize,
    fields: BTreeMap<&'static str, usize>,
}

impl Places {
    fn of(table: &Table<'_>, fields: &[&'static str]) -> Self {
        let known = fields.iter().filter(|field| table.has(field));
        let fields = known.map(|field| (*field, table.place(field))).collect();
        Self { path: table.field(""), at: table.at, fields }
    }

    fn add(&mut self, table: &Table<'_>, fields: &[&'static str]) {
        for field in fields.iter().filter(|field| table.has(field)) {
            self.fields.insert(field, table.place(field));
        }
    }
}

/// The file form: what was written, and where.
#[derive(Default)]
struct Form {
    wire: v1::Network,
    global: Places,
    links: Vec<Places>,
    pools: Vec<Places>,
    relationships: Vec<Places>,
    auto: Option<Places>,
    /// Something is missing or unreadable: checking further would complain about what was not read.
    incomplete: bool,
}

const OPTION_FIELDS: [&str; 2] = ["dns_servers", "domain_search"];

impl Form {
    fn read(&mut self, mut root: Table<'_>) {
        if let Some(mut table) = root.table("timing") {
            self.global.add(&table, &["rho_ppm", "flight", "send"]);
            self.wire.timing = Some(v1::Timing {
                rho_ppm: table.number("rho_ppm", 1, 100_000).map_or(0, |n| narrow(n.value)),
                flight_ms: millis(&mut table, "flight"),
                send_ms: millis(&mut table, "send"),
            });
            table.done();
        }
        if let Some(table) = root.table("options") {
            self.global.add(&table, &OPTION_FIELDS);
            self.wire.options = Some(read_options(table));
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

    fn read_link(&mut self, mut table: Table<'_>) {
        let mut places = Places::of(&table, &["name", "prefixes", "rapid_commit", "interface_id"]);
        let name = self.name(&mut table, "name", "name the link");
        let prefixes = table.list("prefixes", parse_prefix);
        let rapid_commit = table.bool("rapid_commit").is_some_and(|flag| flag.value);
        let interface_id =
            table.parsed("interface_id", parse_hex_or_text).map(|id| id.value).unwrap_or_default();
        let options = table.table("options").map(|options| {
            places.add(&options, &OPTION_FIELDS);
            read_options(options)
        });
        table.done();
        self.links.push(places);
        let selectors = (!interface_id.is_empty())
            .then(|| v1::LinkSelector { interface_id, ..v1::LinkSelector::default() })
            .into_iter()
            .collect();
        self.wire.links.push(v1::Link {
            name,
            prefixes: prefixes.into_iter().map(|prefix| prefix.value.into()).collect(),
            rapid_commit,
            options,
            selectors,
            ..v1::Link::default()
        });
    }

    fn read_pool(&mut self, mut table: Table<'_>) {
        let places = Places::of(
            &table,
            &[
                "name",
                "link",
                "addresses",
                "prefixes",
                "delegated_length",
                "preferred_lifetime",
                "valid_lifetime",
                "mclt",
                "autonomy",
                "commit_wait",
                "decline_quarantine",
                "range_size",
            ],
        );
        let name = self.name(&mut table, "name", "name the pool");
        let link = self.name(&mut table, "link", "name the link that the pool serves");
        let (kind, bounds, length_bits) = self.read_bounds(&mut table);
        let mut wire = v1::Pool { name, link, kind: kind.into(), length_bits, ..v1::Pool::default() };
        if let Some(bounds) = bounds {
            (wire.first, wire.last) = (bounds.0.to_be_bytes().to_vec(), bounds.1.to_be_bytes().to_vec());
        }
        wire.preferred_lifetime_secs = lifetime(&mut table, "preferred_lifetime");
        wire.valid_lifetime_secs = lifetime(&mut table, "valid_lifetime");
        wire.mclt_secs = lifetime(&mut table, "mclt");
        wire.autonomy_ms = table.parsed("autonomy", parse_autonomy).map_or(0, |autonomy| autonomy.value);
        wire.commit_wait_ms = optional_millis(&mut table, "commit_wait");
        wire.decline_quarantine_secs = whole_seconds(&mut table, "decline_quarantine");
        if let Some(size) = table.number("range_size", 1, 1 << 32) {
            if size.value.is_power_of_two() {
                wire.range_bits = Some(size.value.trailing_zeros());
            } else {
                let message =
                    format!("must be a power of two; {} is the next", size.value.next_power_of_two());
                table.problem(size.at, "range_size", message);
            }
        }
        table.done();
        self.pools.push(places);
        self.wire.pools.push(wire);
    }

    /// `addresses`, or `prefixes` and `delegated_length`.
    fn read_bounds(&mut self, table: &mut Table<'_>) -> (v1::IaKind, Option<(u128, u128)>, u32) {
        let has_length = table.has("delegated_length");
        let (has_addresses, has_prefixes) = (table.has("addresses"), table.has("prefixes"));
        let addresses = table.parsed("addresses", parse_addresses);
        let prefixes = table.parsed("prefixes", parse_addresses);
        let length_at = table.place("delegated_length");
        let length = table.number("delegated_length", 1, 128).map(|n| narrow(n.value));
        let at = addresses.as_ref().or(prefixes.as_ref()).map_or(table.at, |bounds| bounds.at);
        match (has_addresses, has_prefixes) {
            (true, true) => {
                table.problem(at, "prefixes", "stands beside `addresses`: a pool leases one of the two")
            }
            (false, false) => table.missing(
                "addresses",
                "write addresses = \"PREFIX\" or \"FIRST-LAST\", or prefixes and delegated_length",
            ),
            (true, false) if has_length => {
                table.problem(length_at, "delegated_length", "is for pools of `prefixes` only: leave it out");
            }
            (false, true) if !has_length => {
                table.missing("delegated_length", "write the length of the prefixes to delegate, as 56");
            }
            (true, false) => {
                self.incomplete |= addresses.is_none();
                return (v1::IaKind::Na, addresses.map(|a| a.value.bounds(128)), 128);
            }
            (false, true) => {
                if let (Some(prefixes), Some(length)) = (prefixes, length) {
                    let bounds = self.delegated(table, &prefixes, length);
                    return (v1::IaKind::Pd, bounds, length);
                }
            }
        }
        self.incomplete = true;
        (if has_prefixes { v1::IaKind::Pd } else { v1::IaKind::Na }, None, length.unwrap_or(128))
    }

    fn delegated(
        &mut self,
        table: &Table<'_>,
        from: &Located<Addresses>,
        length: u32,
    ) -> Option<(u128, u128)> {
        if let Addresses::Prefix(prefix) = from.value
            && u32::from(prefix.len_bits()) > length
        {
            let message = format!("{prefix} is smaller than one delegated prefix of length {length}");
            table.problem(from.at, "prefixes", message);
            self.incomplete = true;
            return None;
        }
        Some(from.value.bounds(length))
    }

    fn read_relationship(&mut self, mut table: Table<'_>) {
        let places = Places::of(
            &table,
            &["name", "primary", "secondary", "pools", "buckets", "answering", "takeover_after"],
        );
        let name = self.name(&mut table, "name", "name the relationship");
        let primary = self.name(&mut table, "primary", "name the frontend that is the primary");
        let secondary = table.string("secondary").map(|s| s.value).unwrap_or_default();
        let pools = table.list("pools", |text| Ok(text.to_owned()));
        let (buckets, answering) = (buckets(&mut table), answering(&mut table));
        let takeover_after_ms = millis(&mut table, "takeover_after");
        table.done();
        self.relationships.push(places);
        self.wire.relationships.push(v1::Relationship {
            id: 0,
            name,
            server_duid: Vec::new(),
            primary,
            secondary,
            pools: pools.into_iter().map(|pool| pool.value).collect(),
            buckets,
            answering,
            takeover_after_ms,
            preference: 0,
        });
    }

    /// Relationships left to the store.
    fn read_auto(&mut self, mut table: Table<'_>) {
        let fields = ["frontends", "shards", "buckets", "answering", "takeover_after"];
        self.auto = Some(Places::of(&table, &fields));
        let frontends = table.list("frontends", |text| Ok(text.to_owned()));
        let shards = table.number("shards", 2, 16).map_or(0, |n| narrow(n.value));
        let (buckets, answering) = (buckets(&mut table), answering(&mut table));
        let takeover_after_ms = millis(&mut table, "takeover_after");
        table.done();
        self.wire.auto = Some(v1::Auto {
            frontends: frontends.into_iter().map(|name| name.value).collect(),
            shards,
            buckets,
            answering,
            takeover_after_ms,
            preference: 0,
        });
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
        match Network::from_wire(&self.wire) {
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
            Item::Class(_) | Item::Host(_) => None,
        };
        let places = places.unwrap_or(&self.global);
        let at = places.fields.get(error.field).copied().unwrap_or(places.at);
        problems.add(at, format!("{}{}", places.path, error.field), &error.message);
    }
}

fn read_options(mut table: Table<'_>) -> v1::DhcpOptions {
    let dns_servers = table.list("dns_servers", parse_ipv6);
    let domain_search = table.list("domain_search", leasehold_proto::options::encode_name);
    table.done();
    let mut options = Vec::new();
    let mut add = |code: u32, data: Vec<u8>| {
        if !data.is_empty() {
            options.push(v1::DhcpOption { code, data, forced: false });
        }
    };
    add(23, dns_servers.iter().flat_map(|server| server.value.to_be_bytes()).collect());
    add(24, domain_search.into_iter().flat_map(|name| name.value).collect());
    v1::DhcpOptions { options }
}

/// Absent is 0, for the defaults to fill.
fn buckets(table: &mut Table<'_>) -> i32 {
    let parsed = table.parsed("buckets", |text| match text {
        "hot-standby" => Ok(v1::BucketMode::HotStandby),
        "load-balancing" => Ok(v1::BucketMode::LoadBalancing),
        _ => Err(format!("`{text}` is neither `hot-standby` nor `load-balancing`")),
    });
    parsed.map_or(0, |mode| mode.value.into())
}

/// Absent is 0, for the defaults to fill.
fn answering(table: &mut Table<'_>) -> i32 {
    let parsed = table.parsed("answering", |text| match text {
        "buckets" => Ok(v1::Answering::Buckets),
        "any" => Ok(v1::Answering::Any),
        _ => Err(format!("`{text}` is neither `buckets` nor `any`")),
    });
    parsed.map_or(0, |answering| answering.value.into())
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Milliseconds above 0; absent is 0, for the defaults to fill.
fn millis(table: &mut Table<'_>, key: &'static str) -> u32 {
    table.parsed(key, |text| positive(text).and_then(|span| span_millis(text, span))).map_or(0, |ms| ms.value)
}

/// Milliseconds, 0 allowed and the default.
fn optional_millis(table: &mut Table<'_>, key: &'static str) -> u32 {
    table
        .parsed(key, |text| parse_span(text).and_then(|span| span_millis(text, span)))
        .map_or(0, |ms| ms.value)
}

fn span_millis(text: &str, span: Duration) -> Result<u32, String> {
    u32::try_from(span.as_millis()).map_err(|_| format!("`{text}` is too long here: write less than 49d"))
}

fn positive(text: &str) -> Result<Duration, String> {
    let span = parse_span(text)?;
    if span.is_zero() { Err("must be above 0; leave it out for the default".to_owned()) } else { Ok(span) }
}

/// A lifetime above 0; absent is 0, for the defaults to fill.
fn lifetime(table: &mut Table<'_>, key: &'static str) -> u32 {
    let parsed = table.parsed(key, |text| match parse_lifetime(text)? {
        Lifetime::ZERO => Err("must be above 0; leave it out for the default".to_owned()),
        lifetime => Ok(lifetime.to_wire()),
    });
    parsed.map_or(0, |secs| secs.value)
}

fn whole_seconds(table: &mut Table<'_>, key: &'static str) -> u32 {
    let parsed = table.parsed(key, |text| {
        positive(text)?;
        let lifetime = parse_lifetime(text)?;
        lifetime.finite_secs().ok_or_else(|| "must end: write a span of time".to_owned())
    });
    parsed.map_or(0, |secs| secs.value)
}

fn parse_autonomy(text: &str) -> Result<u64, String> {
    if text == "unlimited" {
        return Ok(u64::MAX);
    }
    let span = positive(text).map_err(|error| format!("{error}, or \"unlimited\""))?;
    u64::try_from(span.as_millis()).map_err(|_| format!("`{text}` is too long: write \"unlimited\""))
}
