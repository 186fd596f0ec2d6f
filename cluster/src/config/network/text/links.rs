//! Links as a file has them.

use leasehold_proto::network::Link;
use leasehold_proto::options::{Dictionary, octets_text};
use leasehold_proto::v1;
use serde::Serialize;

use super::clients::address_text;
use super::options::OptionsText;
use super::{LifetimesText, LimitsText};
use crate::config::network::identity::{colons, enterprise_text};

#[derive(Serialize)]
pub(super) struct LinkText {
    name: String,
    prefixes: Vec<String>,
    rapid_commit: bool,
    reconfigure: bool,
    require_reconfigure_accept: bool,
    register_addresses: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_id: Option<String>,
    #[serde(skip_serializing_if = "OptionsText::is_empty")]
    options: OptionsText,
    #[serde(skip_serializing_if = "LimitsText::is_empty")]
    limits: LimitsText,
    #[serde(skip_serializing_if = "LifetimesText::is_empty")]
    lifetimes: LifetimesText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    select: Vec<SelectText>,
}

#[derive(Serialize)]
struct SelectText {
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriber_id: Option<String>,
}

impl LinkText {
    pub(super) fn of(dictionary: &Dictionary, link: &Link, wire: &v1::Link) -> Self {
        // The first selector is written short where it names nothing but an Interface-Id.
        let is_short = |selector: &v1::LinkSelector| {
            let interface_id = selector.interface_id.clone();
            *selector == v1::LinkSelector { interface_id, ..v1::LinkSelector::default() }
        };
        let (short, long) = match wire.selectors.split_first() {
            Some((first, rest)) if is_short(first) => (Some(octets_text(&first.interface_id)), rest),
            _ => (None, &wire.selectors[..]),
        };
        Self {
            name: link.name.clone(),
            prefixes: link.prefixes.iter().map(ToString::to_string).collect(),
            rapid_commit: link.rapid_commit,
            reconfigure: link.reconfigure,
            require_reconfigure_accept: link.require_reconfigure_accept,
            register_addresses: link.register_addresses,
            classes: link.classes.clone(),
            interface_id: short,
            options: OptionsText::of(dictionary, wire.options.as_ref()),
            limits: LimitsText::of(wire.limits.as_ref()),
            lifetimes: LifetimesText::of(wire.lifetimes.as_ref()),
            select: long.iter().map(SelectText::of).collect(),
        }
    }
}

impl SelectText {
    fn of(wire: &v1::LinkSelector) -> Self {
        let given = |octets: &[u8], write: fn(&[u8]) -> String| (!octets.is_empty()).then(|| write(octets));
        Self {
            relay: given(&wire.relay, address_text),
            relay_id: given(&wire.relay_id, colons),
            interface_id: given(&wire.interface_id, octets_text),
            remote_id: given(&wire.remote_id, enterprise_text),
            subscriber_id: given(&wire.subscriber_id, octets_text),
        }
    }
}
