//! A network configuration written as the file that would give it, every default filled in.
//!
//! Owns the way from the stored form back to TOML. Refuses to write what the file cannot say: numbers and versions, which
//! the store gives. Invariant: what is written reads back as the same configuration (those aside).

mod clients;
mod links;
mod options;
mod pools;
mod relationships;

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_proto::network::Network;
use leasehold_proto::options::Dictionary;
use leasehold_proto::time::Lifetime;
use leasehold_proto::v1;
use serde::Serialize;

use crate::config::span::{lifetime_text, span_text};
use clients::{ClassText, HostText};
use links::LinkText;
use options::{DefinitionText, OptionsText};
use pools::PoolText;
use relationships::{AutoText, RelationshipText};

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
    server: ServerText,
    #[serde(skip_serializing_if = "LimitsText::is_empty")]
    limits: LimitsText,
    #[serde(skip_serializing_if = "LifetimesText::is_empty")]
    lifetimes: LifetimesText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    option: Vec<DefinitionText>,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    class: Vec<ClassText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    host: Vec<HostText>,
    link: Vec<LinkText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pool: Vec<PoolText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relationship: Vec<RelationshipText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto: Option<AutoText>,
}

#[derive(Serialize)]
struct TimingText {
    rho_ppm: u32,
    flight: String,
    send: String,
}

#[derive(Serialize)]
struct ServerText {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relays: Vec<String>,
    relay_supplied: Vec<u16>,
    legacy: bool,
    answer_octets: u16,
}

/// A table of lifetimes: those that are said.
#[derive(Serialize)]
struct LifetimesText(BTreeMap<&'static str, String>);

impl LifetimesText {
    fn of(said: Option<&v1::Lifetimes>) -> Self {
        let said = said.copied().unwrap_or_default();
        let each = [
            ("preferred", said.preferred_secs),
            ("preferred_min", said.preferred_min_secs),
            ("preferred_max", said.preferred_max_secs),
            ("valid", said.valid_secs),
            ("valid_min", said.valid_min_secs),
            ("valid_max", said.valid_max_secs),
        ];
        Self(each.into_iter().filter_map(|(key, value)| Some((key, secs_text(value)?))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A table of limits: those that are said.
#[derive(Serialize)]
struct LimitsText(BTreeMap<&'static str, toml::Value>);

impl LimitsText {
    fn of(said: Option<&v1::Limits>) -> Self {
        let said = said.copied().unwrap_or_default();
        let each = [
            ("leases_per_client", said.leases_per_client),
            ("leases_per_link_layer", said.leases_per_link_layer),
            ("leases_per_interface_id", said.leases_per_interface_id),
            ("leases_per_remote_id", said.leases_per_remote_id),
            ("declines_per_client", said.declines_per_client),
            ("messages_per_client", said.messages_per_client),
            ("messages_per_port", said.messages_per_port),
        ];
        let text = |limit| match limit {
            0 => toml::Value::from("unlimited"),
            limit => toml::Value::from(i64::from(limit)),
        };
        Self(
            each.into_iter().filter_map(|(key, limit): (_, Option<u32>)| Some((key, text(limit?)))).collect(),
        )
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn text(network: &Network) -> NetworkText {
    let wire = network.to_wire();
    // A checked network has no definition that is refused.
    let dictionary = Dictionary::new(&wire.definitions).unwrap_or_default();
    NetworkText {
        timing: TimingText {
            rho_ppm: network.timing.rho_ppm,
            flight: millis(network.timing.flight_ms),
            send: millis(network.timing.send_ms),
        },
        server: ServerText {
            relays: network.relays.iter().map(ToString::to_string).collect(),
            relay_supplied: network.relay_supplied.clone(),
            legacy: network.legacy,
            answer_octets: network.answer_octets,
        },
        limits: LimitsText::of(wire.limits.as_ref()),
        lifetimes: LifetimesText::of(wire.lifetimes.as_ref()),
        option: wire.definitions.iter().map(DefinitionText::of).collect(),
        options: OptionsText::of(&dictionary, wire.options.as_ref()),
        class: wire.classes.iter().map(|class| ClassText::of(&dictionary, class)).collect(),
        host: wire.hosts.iter().map(|host| HostText::of(&dictionary, host)).collect(),
        // Checked and stored forms stand in the same order.
        link: network
            .links
            .iter()
            .zip(&wire.links)
            .map(|(l, wire)| LinkText::of(&dictionary, l, wire))
            .collect(),
        pool: network
            .pools
            .iter()
            .zip(&wire.pools)
            .map(|(p, wire)| PoolText::of(&dictionary, p, wire))
            .collect(),
        relationship: wire.relationships.iter().map(RelationshipText::of).collect(),
        auto: wire.auto.as_ref().map(AutoText::of),
    }
}

fn millis(ms: u32) -> String {
    span_text(Duration::from_millis(ms.into()))
}

/// A lifetime that is said.
fn secs_text(secs: u32) -> Option<String> {
    (secs != 0).then(|| lifetime_text(Lifetime::from_wire(secs)))
}
