//! Pools as a file has them.

use std::time::Duration;

use leasehold_proto::options::Dictionary;
use leasehold_proto::pool::{Allocator, Pool};
use leasehold_proto::v1;
use leasehold_proto::words::IaKind;
use serde::Serialize;

use super::options::OptionsText;
use super::{millis, secs_text};
use crate::config::network::values::addresses_text;
use crate::config::span::{lifetime_text, span_text};

#[derive(Serialize)]
pub(super) struct PoolText {
    name: String,
    link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegated_length: Option<u8>,
    preferred_lifetime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_lifetime_min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_lifetime_max: Option<String>,
    valid_lifetime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_lifetime_min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_lifetime_max: Option<String>,
    mclt: String,
    autonomy: String,
    commit_wait: String,
    decline_quarantine: String,
    affinity: String,
    allocator: &'static str,
    range_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_length: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_subnet: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
}

impl PoolText {
    pub(super) fn of(dictionary: &Dictionary, pool: &Pool, wire: &v1::Pool) -> Self {
        let geometry = &pool.geometry;
        let last = geometry.prefix_at(geometry.last_slot()).bits();
        let bounds = addresses_text(geometry.first_bits(), last, u32::from(geometry.length_bits()));
        let (addresses, prefixes, delegated_length) = match pool.kind {
            IaKind::Na => (Some(bounds), None, None),
            IaKind::Pd => (None, Some(bounds), Some(geometry.length_bits())),
        };
        let said = wire.lifetimes.unwrap_or_default();
        let unlimited = pool.autonomy == Duration::MAX;
        Self {
            name: pool.name.clone(),
            link: wire.link.clone(),
            addresses,
            prefixes,
            delegated_length,
            preferred_lifetime: lifetime_text(pool.preferred),
            preferred_lifetime_min: secs_text(said.preferred_min_secs),
            preferred_lifetime_max: secs_text(said.preferred_max_secs),
            valid_lifetime: lifetime_text(pool.valid),
            valid_lifetime_min: secs_text(said.valid_min_secs),
            valid_lifetime_max: secs_text(said.valid_max_secs),
            mclt: lifetime_text(pool.mclt),
            autonomy: if unlimited { "unlimited".to_owned() } else { span_text(pool.autonomy) },
            commit_wait: millis(pool.commit_wait_ms),
            decline_quarantine: span_text(pool.decline_quarantine),
            affinity: span_text(pool.affinity),
            allocator: match pool.allocator {
                Allocator::Hashed => "hashed",
                Allocator::InOrder => "in-order",
            },
            range_size: 1 << geometry.range_bits(),
            exclude_length: pool.exclude.map(|exclude| exclude.len_bits),
            exclude_subnet: pool.exclude.map(|exclude| exclude.subnet),
            classes: pool.classes.clone(),
            options: OptionsText::of(dictionary, wire.options.as_ref()),
        }
    }
}
