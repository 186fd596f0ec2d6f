//! What a heartbeat says of this frontend's interfaces and of the relays that it hears.
//!
//! Owns the translation of the interface table, and the bounded memory of relays. Refuses to judge: the store's
//! leader does (RFC 7031 §4.7).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use leasehold_proto::session::InterfaceHealth as Told;
use leasehold_proto::time::LocalTime;

use super::config::FrontendInterface;
use crate::io::{InterfaceHealth, InterfaceState};

/// Relays remembered at once. Why a bound: anybody may send a relayed message from any address.
const RELAYS_MAX: usize = 64;

/// How long a relay counts as heard after its last message.
const RELAY_HEARD_FOR: Duration = Duration::from_secs(60);

/// The health of interfaces in the words of the session, in the order of configuration.
pub(super) fn told(found: Vec<InterfaceHealth>, configured: &[FrontendInterface]) -> Vec<Told> {
    let link_of = |name: &str| configured.iter().find(|i| i.name == name).and_then(|i| i.link.clone());
    let told = found.into_iter().map(|health| Told {
        present: health.state != InterfaceState::Absent,
        // To the leader, an interface without what serving takes (a link-local address, its groups) is as good as
        // one without carrier: clients behind it get no answer.
        carrier: health.can_serve(),
        link: link_of(&health.config.name).unwrap_or_default(),
        name: health.config.name,
        packets_seen: health.datagrams_received,
        errors: health.errors_received.saturating_add(health.errors_sent),
    });
    told.collect()
}

/// Relays heard of late. When all places are taken, new ones wait until one falls silent: those that serve keep theirs.
#[derive(Debug, Default)]
pub(super) struct RelaysHeard {
    heard: BTreeMap<u128, LocalTime>,
}

impl RelaysHeard {
    /// A sound relayed message came from there.
    pub(super) fn hear(&mut self, now: LocalTime, relay: Ipv6Addr) {
        if let Some(at) = self.heard.get_mut(&relay.to_bits()) {
            *at = now;
        } else if self.heard.len() < RELAYS_MAX {
            self.heard.insert(relay.to_bits(), now);
        }
    }

    /// Forgets those that fell silent, and lists the others in the order of their addresses.
    pub(super) fn list(&mut self, now: LocalTime) -> Vec<u128> {
        self.heard.retain(|_, at| now.saturating_since(*at) < RELAY_HEARD_FOR);
        self.heard.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_bounded_and_forgotten_a_minute_after_their_last_message() {
        let mut relays = RelaysHeard::default();
        let at = LocalTime::from_millis;
        for number in 0..1_000 {
            relays.hear(at(0), Ipv6Addr::from_bits(number));
        }
        assert_eq!(relays.list(at(1)).len(), RELAYS_MAX);
        relays.hear(at(30_000), Ipv6Addr::from_bits(7));
        assert_eq!(relays.list(at(60_000)), [7]);
        assert!(relays.list(at(90_000)).is_empty());
    }
}
