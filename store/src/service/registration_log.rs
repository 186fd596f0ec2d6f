//! A line in the log of the node that leads for each registration (RFC 9686 §4.2.1): who uses which address, and until when.
//!
//! Owns the words. Refuses to know how registrations come about. Refusals are counted by the machine and not logged: a
//! client can cause them at will.

use crate::machine::{Audience, Event};
use leasehold_proto::registration::Registration;
use leasehold_proto::session::StoreEvent;
use std::net::Ipv6Addr;

/// Logs what one entry changed, each registration once, whoever is told of it.
pub(super) fn log(events: &[Event]) {
    let mut last: Option<&Registration> = None;
    for event in events {
        let StoreEvent::Registration(registration) = &event.event else { continue };
        // What one session hears is what stands: nothing changed.
        if matches!(event.audience, Audience::Session(_)) || last == Some(registration.as_ref()) {
            continue;
        }
        last = Some(registration);
        let address = Ipv6Addr::from_bits(registration.address);
        let (link, duid) = (registration.link.0, &registration.duid);
        if registration.is_over() {
            tracing::info!(%address, link, %duid, "an address is registered no more");
        } else {
            let until_ms = registration.valid_until.as_millis();
            tracing::info!(%address, link, %duid, until_ms, "an address is registered");
        }
    }
}
