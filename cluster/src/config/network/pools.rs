//! Pools: their bounds, lifetimes, and how they are given out.

use leasehold_proto::v1;

use super::fields::{autonomy, lifetime, narrow, optional_millis, optional_seconds, whole_seconds};
use super::place::Places;
use super::values::{Addresses, parse_addresses};
use super::{Form, names, refuse_empty};
use crate::config::document::{Located, Table};

/// What rules may complain about.
const FIELDS: [&str; 20] = [
    "name",
    "link",
    "addresses",
    "prefixes",
    "delegated_length",
    "preferred_lifetime",
    "preferred_lifetime_min",
    "preferred_lifetime_max",
    "valid_lifetime",
    "valid_lifetime_min",
    "valid_lifetime_max",
    "mclt",
    "autonomy",
    "commit_wait",
    "decline_quarantine",
    "range_size",
    "classes",
    "affinity",
    "exclude_length",
    "exclude_subnet",
];

impl Form {
    pub(super) fn read_pool(&mut self, mut table: Table<'_>) {
        let mut places = Places::of(&table, &FIELDS);
        let name = self.name(&mut table, "name", "name the pool");
        let link = self.name(&mut table, "link", "name the link that the pool serves");
        let (kind, bounds, length_bits) = self.read_bounds(&mut table);
        let mut wire = v1::Pool { name, link, kind: kind.into(), length_bits, ..v1::Pool::default() };
        if let Some(bounds) = bounds {
            (wire.first, wire.last) = (bounds.0.to_be_bytes().to_vec(), bounds.1.to_be_bytes().to_vec());
        }
        read_times(&mut table, &mut wire);
        if let Some(size) = table.number("range_size", 1, 1 << 32) {
            if size.value.is_power_of_two() {
                wire.range_bits = Some(size.value.trailing_zeros());
            } else {
                let message =
                    format!("must be a power of two; {} is the next", size.value.next_power_of_two());
                table.problem(size.at, "range_size", message);
            }
        }
        let allocator = table.parsed("allocator", |text| match text {
            "hashed" => Ok(v1::Allocator::Hashed),
            "in-order" => Ok(v1::Allocator::InOrder),
            _ => Err(format!("`{text}` is neither `hashed` nor `in-order`")),
        });
        wire.allocator = allocator.map_or(0, |allocator| allocator.value.into());
        wire.exclude = exclude(&mut table);
        refuse_empty(&table, "classes");
        wire.classes = names(&mut table, "classes");
        wire.options = self.read_options(table.table("options"), &mut places);
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
}

fn read_times(table: &mut Table<'_>, wire: &mut v1::Pool) {
    wire.preferred_lifetime_secs = lifetime(table, "preferred_lifetime");
    wire.valid_lifetime_secs = lifetime(table, "valid_lifetime");
    let bounds = v1::Lifetimes {
        preferred_min_secs: lifetime(table, "preferred_lifetime_min"),
        preferred_max_secs: lifetime(table, "preferred_lifetime_max"),
        valid_min_secs: lifetime(table, "valid_lifetime_min"),
        valid_max_secs: lifetime(table, "valid_lifetime_max"),
        ..v1::Lifetimes::default()
    };
    wire.lifetimes = (bounds != v1::Lifetimes::default()).then_some(bounds);
    wire.mclt_secs = lifetime(table, "mclt");
    wire.autonomy_ms = autonomy(table);
    wire.commit_wait_ms = optional_millis(table, "commit_wait");
    wire.decline_quarantine_secs = whole_seconds(table, "decline_quarantine");
    wire.affinity_secs = optional_seconds(table, "affinity");
}

/// The part of a delegated prefix that stays here (PD-08).
fn exclude(table: &mut Table<'_>) -> Option<v1::PrefixExclude> {
    let length = table.number("exclude_length", 1, 128);
    let subnet = table.number("exclude_subnet", 0, i64::MAX.cast_unsigned());
    match (length, subnet) {
        (Some(length), subnet) => Some(v1::PrefixExclude {
            length_bits: narrow(length.value),
            subnet: subnet.map_or(0, |subnet| subnet.value),
        }),
        (None, Some(subnet)) => {
            table.problem(subnet.at, "exclude_subnet", "means nothing without `exclude_length`");
            None
        }
        (None, None) => None,
    }
}
