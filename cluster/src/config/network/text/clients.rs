//! Classes and hosts as a file has them.

use leasehold_proto::options::{Dictionary, octets_text};
use leasehold_proto::v1;
use serde::Serialize;

use super::options::OptionsText;
use super::secs_text;
use crate::config::network::identity::{colons, enterprise_text, link_layer_text};

/// A class: its tests are keys, each with an array of values.
#[derive(Serialize)]
pub(super) struct ClassText {
    name: String,
    #[serde(flatten)]
    tests: toml::Table,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_lifetime: Option<String>,
    drop: bool,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
}

impl ClassText {
    pub(super) fn of(dictionary: &Dictionary, wire: &v1::Class) -> Self {
        let lifetimes = wire.lifetimes.unwrap_or_default();
        Self {
            name: wire.name.clone(),
            tests: wire.tests.iter().filter_map(test).collect(),
            preferred_lifetime: secs_text(lifetimes.preferred_secs),
            valid_lifetime: secs_text(lifetimes.valid_secs),
            drop: wire.drop,
            options: OptionsText::of(dictionary, wire.options.as_ref()),
        }
    }
}

fn test(wire: &v1::ClientTest) -> Option<(String, toml::Value)> {
    let text = |write: fn(&[u8]) -> String| -> toml::Value {
        wire.values.iter().map(|value| write(value)).collect::<Vec<_>>().into()
    };
    let (key, values) = match wire.field() {
        v1::ClientField::Unspecified => return None,
        v1::ClientField::Duid => ("duid", text(colons)),
        v1::ClientField::VendorClass => ("vendor_class", text(enterprise_text)),
        v1::ClientField::UserClass => ("user_class", text(octets_text)),
        v1::ClientField::Architecture => {
            let number =
                |octets: &Vec<u8>| octets.iter().fold(0, |number, octet| (number << 8) | i64::from(*octet));
            ("architecture", wire.values.iter().map(number).collect::<Vec<_>>().into())
        }
        v1::ClientField::LinkLayer => ("link_layer", text(link_layer_text)),
        v1::ClientField::Relay => ("relay", text(address_text)),
        v1::ClientField::RelayId => ("relay_id", text(colons)),
        v1::ClientField::InterfaceId => ("interface_id", text(octets_text)),
        v1::ClientField::RemoteId => ("remote_id", text(enterprise_text)),
        v1::ClientField::SubscriberId => ("subscriber_id", text(octets_text)),
    };
    Some((key.to_owned(), values))
}

/// An address of 16 octets.
pub(super) fn address_text(octets: &[u8]) -> String {
    match <[u8; 16]>::try_from(octets) {
        Ok(octets) => std::net::Ipv6Addr::from(octets).to_string(),
        Err(_) => octets_text(octets),
    }
}

/// A host.
#[derive(Serialize)]
pub(super) struct HostText {
    name: String,
    duid: String,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
}

impl HostText {
    pub(super) fn of(dictionary: &Dictionary, wire: &v1::Host) -> Self {
        Self {
            name: wire.name.clone(),
            duid: colons(&wire.duid),
            options: OptionsText::of(dictionary, wire.options.as_ref()),
        }
    }
}
