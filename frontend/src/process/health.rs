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

/// Relays remembered at once. Why a bound: anybody may send a relayed message from any address. Why one more than the
/// store takes: a list that long says that it is not complete, so that no partner takes a relay for unheard.
const RELAYS_MAX: usize = 1024 + 1;

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

/// Relays heard of late, each with the interface by which it was heard last. When all places are taken, new ones wait
/// until one falls silent: those that serve keep theirs.
#[derive(Debug, Default)]
pub(super) struct RelaysHeard {
    heard: BTreeMap<u128, (LocalTime, u32)>,
}

impl RelaysHeard {
    /// A sound relayed message came from there by this interface; says whether that is news.
    pub(super) fn hear(&mut self, now: LocalTime, relay: Ipv6Addr, interface_index: u32) -> bool {
        if let Some(heard) = self.heard.get_mut(&relay.to_bits()) {
            *heard = (now, interface_index);
            return false;
        }
        let has_room = self.heard.len() < RELAYS_MAX;
        if has_room {
            self.heard.insert(relay.to_bits(), (now, interface_index));
        }
        has_room
    }

    /// Forgets those that fell silent or were heard by an interface that went down, and lists the others in the order
    /// of their addresses.
    pub(super) fn list(&mut self, now: LocalTime, found: &[InterfaceHealth]) -> Vec<u128> {
        let is_down = |index: u32| {
            let mut same = found.iter().filter(|i| i.index.is_some_and(|i| i.get() == index));
            same.any(|i| i.state != InterfaceState::Up)
        };
        self.heard.retain(|_, (at, by)| now.saturating_since(*at) < RELAY_HEARD_FOR && !is_down(*by));
        self.heard.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::InterfaceConfig;
    use std::num::NonZeroU32;

    fn at(ms: u64) -> LocalTime {
        LocalTime::from_millis(ms)
    }

    #[test]
    fn relays_are_bounded_and_forgotten_a_minute_after_their_last_message() {
        let mut relays = RelaysHeard::default();
        for number in 0..2_000 {
            assert_eq!(relays.hear(at(0), Ipv6Addr::from_bits(number), 1), number < RELAYS_MAX as u128);
        }
        assert_eq!(relays.list(at(1), &[]).len(), RELAYS_MAX);
        assert!(!relays.hear(at(30_000), Ipv6Addr::from_bits(7), 1));
        assert_eq!(relays.list(at(60_000), &[]), [7]);
        assert!(relays.list(at(90_000), &[]).is_empty());
    }

    #[test]
    fn fo_206_relays_of_an_interface_without_carrier_are_heard_no_more() {
        let found = |state| InterfaceHealth {
            config: InterfaceConfig { name: "up0".into(), clients: false, site: true },
            index: NonZeroU32::new(2),
            state,
            joined: true,
            problem: None,
            datagrams_received: 0,
            errors_received: 0,
            errors_sent: 0,
        };
        let mut relays = RelaysHeard::default();
        relays.hear(at(0), Ipv6Addr::from_bits(5), 1);
        relays.hear(at(0), Ipv6Addr::from_bits(7), 2);
        assert_eq!(relays.list(at(1), &[found(InterfaceState::Up)]), [5, 7]);
        assert_eq!(relays.list(at(2), &[found(InterfaceState::NoCarrier)]), [5]);
        assert!(relays.hear(at(3), Ipv6Addr::from_bits(7), 2), "heard again, it is news");
    }
}
