//! Fields that several items have: spans, lifetimes, limits, choices.
//!
//! An absent field is 0 or nothing, as on the wire, for the defaults to fill.

use std::time::Duration;

use leasehold_proto::time::Lifetime;
use leasehold_proto::v1;

use super::place::Places;
use crate::config::document::Table;
use crate::config::span::{parse_lifetime, parse_span};

/// How buckets are spread.
pub(super) fn buckets(table: &mut Table<'_>) -> i32 {
    let parsed = table.parsed("buckets", |text| match text {
        "hot-standby" => Ok(v1::BucketMode::HotStandby),
        "load-balancing" => Ok(v1::BucketMode::LoadBalancing),
        _ => Err(format!("`{text}` is neither `hot-standby` nor `load-balancing`")),
    });
    parsed.map_or(0, |mode| mode.value.into())
}

/// Who answers.
pub(super) fn answering(table: &mut Table<'_>) -> i32 {
    let parsed = table.parsed("answering", |text| match text {
        "buckets" => Ok(v1::Answering::Buckets),
        "any" => Ok(v1::Answering::Any),
        _ => Err(format!("`{text}` is neither `buckets` nor `any`")),
    });
    parsed.map_or(0, |answering| answering.value.into())
}

/// The Preference option's value (SV-306).
pub(super) fn preference(table: &mut Table<'_>) -> u32 {
    table.number("preference", 0, 255).map_or(0, |n| narrow(n.value))
}

/// A number that was bounded before.
pub(super) fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Milliseconds above 0.
pub(super) fn millis(table: &mut Table<'_>, key: &'static str) -> u32 {
    table.parsed(key, |text| positive(text).and_then(|span| span_millis(text, span))).map_or(0, |ms| ms.value)
}

/// Milliseconds, 0 allowed and the default.
pub(super) fn optional_millis(table: &mut Table<'_>, key: &'static str) -> u32 {
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

/// A lifetime above 0.
pub(super) fn lifetime(table: &mut Table<'_>, key: &'static str) -> u32 {
    let parsed = table.parsed(key, |text| match parse_lifetime(text)? {
        Lifetime::ZERO => Err("must be above 0; leave it out for the default".to_owned()),
        lifetime => Ok(lifetime.to_wire()),
    });
    parsed.map_or(0, |secs| secs.value)
}

/// Seconds above 0.
pub(super) fn whole_seconds(table: &mut Table<'_>, key: &'static str) -> u32 {
    let parsed = table.parsed(key, |text| {
        positive(text)?;
        finite(text)
    });
    parsed.map_or(0, |secs| secs.value)
}

/// Seconds, 0 allowed and not the default.
pub(super) fn optional_seconds(table: &mut Table<'_>, key: &'static str) -> Option<u32> {
    table.parsed(key, finite).map(|secs| secs.value)
}

fn finite(text: &str) -> Result<u32, String> {
    parse_lifetime(text)?.finite_secs().ok_or_else(|| "must end: write a span of time".to_owned())
}

/// A span, or `unlimited`, in milliseconds.
pub(super) fn autonomy(table: &mut Table<'_>) -> u64 {
    let parsed = table.parsed("autonomy", |text| {
        if text == "unlimited" {
            return Ok(u64::MAX);
        }
        let span = positive(text).map_err(|error| format!("{error}, or \"unlimited\""))?;
        u64::try_from(span.as_millis()).map_err(|_| format!("`{text}` is too long: write \"unlimited\""))
    });
    parsed.map_or(0, |autonomy| autonomy.value)
}

/// The keys of a `lifetimes` table, and what rules call them.
const LIFETIMES: [(&str, &str); 6] = [
    ("preferred", "lifetimes.preferred"),
    ("preferred_min", "lifetimes.preferred_min"),
    ("preferred_max", "lifetimes.preferred_max"),
    ("valid", "lifetimes.valid"),
    ("valid_min", "lifetimes.valid_min"),
    ("valid_max", "lifetimes.valid_max"),
];

/// A `lifetimes` table: defaults and bounds for what lies below.
pub(super) fn lifetimes(table: Option<Table<'_>>, places: &mut Places) -> Option<v1::Lifetimes> {
    let mut table = table?;
    let [preferred, preferred_min, preferred_max, valid, valid_min, valid_max] =
        LIFETIMES.map(|(key, field)| {
            places.add_as(field, &table, key);
            lifetime(&mut table, key)
        });
    table.done();
    let said = v1::Lifetimes {
        preferred_secs: preferred,
        preferred_min_secs: preferred_min,
        preferred_max_secs: preferred_max,
        valid_secs: valid,
        valid_min_secs: valid_min,
        valid_max_secs: valid_max,
    };
    (said != v1::Lifetimes::default()).then_some(said)
}

/// A `limits` table (SEC-01, SEC-02).
pub(super) fn limits(table: Option<Table<'_>>) -> Option<v1::Limits> {
    let mut table = table?;
    let mut limit = |key| {
        let found = table.number_or(key, "unlimited", 1, u64::from(u32::MAX) - 1)?;
        Some(found.value.map_or(0, narrow))
    };
    let said = v1::Limits {
        leases_per_client: limit("leases_per_client"),
        leases_per_link_layer: limit("leases_per_link_layer"),
        leases_per_interface_id: limit("leases_per_interface_id"),
        leases_per_remote_id: limit("leases_per_remote_id"),
        declines_per_client: limit("declines_per_client"),
        messages_per_client: limit("messages_per_client"),
        messages_per_port: limit("messages_per_port"),
    };
    table.done();
    (said != v1::Limits::default()).then_some(said)
}
