//! A network configuration written as the file that would give it, every default filled in.
//!
//! Owns the way from the stored form back to TOML. Refuses to write what the file cannot say: numbers that the store
//! gave, versions and server DUIDs, which belong to the store. Invariant: what is written reads back as the same
//! configuration (those aside).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use leasehold_proto::network::{Answering, BucketMode, Network};
use leasehold_proto::v1;
use leasehold_proto::words::IaKind;
use serde::Serialize;

use super::network_values::{addresses_text, hex_or_text};
use super::span::{lifetime_text, span_text};

/// The network file that gives this configuration.
///
/// # Errors
/// None in practice: every value has a TOML form.
pub fn network_toml(network: &Network) -> Result<String, toml::ser::Error> {
    toml::to_string(&text(network))
}

/// The same as JSON, with what belongs to the store: the version and the server DUIDs, by relationship.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn network_json(network: &Network) -> Result<String, serde_json::Error> {
    let duids = network.relationships.iter().map(|r| (r.name.clone(), r.server_duid.to_string()));
    let stored =
        StoredNetworkText { version: network.version, server_duids: duids.collect(), file: text(network) };
    serde_json::to_string_pretty(&stored)
}

#[derive(Serialize)]
struct StoredNetworkText {
    version: u64,
    server_duids: BTreeMap<String, String>,
    #[serde(flatten)]
    file: NetworkText,
}

#[derive(Serialize)]
struct NetworkText {
    timing: TimingText,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
    link: Vec<LinkText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pool: Vec<PoolText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relationship: Vec<RelationshipText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto: Option<AutoText>,
}

#[derive(Serialize)]
struct AutoText {
    frontends: Vec<String>,
    shards: u32,
    buckets: &'static str,
    answering: &'static str,
    takeover_after: String,
}

#[derive(Serialize)]
struct TimingText {
    rho_ppm: u32,
    flight: String,
    send: String,
}

#[derive(Serialize)]
struct OptionsText {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_servers: Vec<Ipv6Addr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domain_search: Vec<String>,
}

impl OptionsText {
    fn of(wire: Option<&v1::DhcpOptions>) -> Self {
        let Some(wire) = wire else { return Self { dns_servers: Vec::new(), domain_search: Vec::new() } };
        let data = |code| {
            wire.options.iter().find(|o| o.code == code).map(|o| o.data.as_slice()).unwrap_or_default()
        };
        Self {
            dns_servers: data(23)
                .as_chunks()
                .0
                .iter()
                .map(|octets: &[u8; 16]| Ipv6Addr::from(*octets))
                .collect(),
            domain_search: leasehold_proto::options::decode_names(data(24)).unwrap_or_default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.dns_servers.is_empty() && self.domain_search.is_empty()
    }
}

#[derive(Serialize)]
struct LinkText {
    name: String,
    prefixes: Vec<String>,
    rapid_commit: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_id: Option<String>,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
}

#[derive(Serialize)]
struct PoolText {
    name: String,
    link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegated_length: Option<u8>,
    preferred_lifetime: String,
    valid_lifetime: String,
    mclt: String,
    autonomy: String,
    commit_wait: String,
    decline_quarantine: String,
    range_size: u64,
}

#[derive(Serialize)]
struct RelationshipText {
    name: String,
    primary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<String>,
    pools: Vec<String>,
    buckets: &'static str,
    answering: &'static str,
    takeover_after: String,
}

fn text(network: &Network) -> NetworkText {
    let wire = network.to_wire();
    // Checked and stored forms stand in the same order; options keep their readable names in the stored one only.
    let link = network.links.iter().zip(&wire.links).map(|(link, wire)| LinkText {
        name: link.name.clone(),
        prefixes: link.prefixes.iter().map(ToString::to_string).collect(),
        rapid_commit: link.rapid_commit,
        interface_id: link.selectors.first().and_then(|s| s.interface_id.as_deref()).map(hex_or_text),
        options: OptionsText::of(wire.options.as_ref()),
    });
    let millis = |ms: u32| span_text(Duration::from_millis(ms.into()));
    NetworkText {
        timing: TimingText {
            rho_ppm: network.timing.rho_ppm,
            flight: millis(network.timing.flight_ms),
            send: millis(network.timing.send_ms),
        },
        options: OptionsText::of(wire.options.as_ref()),
        link: link.collect(),
        pool: network.pools.iter().map(|pool| pool_text(network, pool)).collect(),
        relationship: network
            .relationships
            .iter()
            .map(|r| RelationshipText {
                name: r.name.clone(),
                primary: r.primary.to_string(),
                secondary: r.secondary.as_ref().map(ToString::to_string),
                pools: r
                    .pools
                    .iter()
                    .filter_map(|id| network.pool(*id))
                    .map(|pool| pool.name.clone())
                    .collect(),
                buckets: buckets_text(r.buckets == BucketMode::LoadBalancing),
                answering: answering_text(r.answering == Answering::Any),
                takeover_after: millis(r.takeover_after_ms),
            })
            .collect(),
        auto: wire.auto.as_ref().map(|auto| AutoText {
            frontends: auto.frontends.clone(),
            shards: auto.shards,
            buckets: buckets_text(auto.buckets() == v1::BucketMode::LoadBalancing),
            answering: answering_text(auto.answering() == v1::Answering::Any),
            takeover_after: millis(auto.takeover_after_ms),
        }),
    }
}

fn buckets_text(is_balancing: bool) -> &'static str {
    if is_balancing { "load-balancing" } else { "hot-standby" }
}

fn answering_text(is_any: bool) -> &'static str {
    if is_any { "any" } else { "buckets" }
}

fn pool_text(network: &Network, pool: &leasehold_proto::pool::Pool) -> PoolText {
    let geometry = &pool.geometry;
    let last = geometry.prefix_at(geometry.last_slot()).bits();
    let bounds = addresses_text(geometry.first_bits(), last, u32::from(geometry.length_bits()));
    let (addresses, prefixes, delegated_length) = match pool.kind {
        IaKind::Na => (Some(bounds), None, None),
        IaKind::Pd => (None, Some(bounds), Some(geometry.length_bits())),
    };
    PoolText {
        name: pool.name.clone(),
        link: network.link(pool.link).map(|link| link.name.clone()).unwrap_or_default(),
        addresses,
        prefixes,
        delegated_length,
        preferred_lifetime: lifetime_text(pool.preferred),
        valid_lifetime: lifetime_text(pool.valid),
        mclt: lifetime_text(pool.mclt),
        autonomy: if pool.autonomy == Duration::MAX {
            "unlimited".to_owned()
        } else {
            span_text(pool.autonomy)
        },
        commit_wait: span_text(Duration::from_millis(pool.commit_wait_ms.into())),
        decline_quarantine: span_text(pool.decline_quarantine),
        range_size: 1 << geometry.range_bits(),
    }
}
