//! Bounds on what one client, relay or port may cost (SEC-01, SEC-02).

use crate::v1;

/// Leases a client may hold on one link (PD-03).
const LEASES_PER_CLIENT: u32 = 8;
/// Addresses a client may have in quarantine on one link. Why 8: a host that finds so many addresses taken is broken, or
/// lies.
const DECLINES_PER_CLIENT: u32 = 8;
/// Messages of a client in 20 s: twice what clients themselves are bound to (RFC 9915 §14.1), since two relays on one
/// link each forward a copy.
const MESSAGES_PER_CLIENT: u32 = 40;

/// The bounds of one link. `u32::MAX`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Leases of one client.
    pub leases_per_client: u32,
    /// Leases of all clients with one link-layer address, as a relay tells it.
    pub leases_per_link_layer: u32,
    /// Leases of all clients behind one Interface-Id of one relay.
    pub leases_per_interface_id: u32,
    /// Leases of all clients behind one Remote-Id.
    pub leases_per_remote_id: u32,
    /// Addresses in quarantine that one client declined.
    pub declines_per_client: u32,
    /// Messages of one client in 20 s.
    pub messages_per_client: u32,
    /// Messages in 20 s from one link-layer address, or one Interface-Id of one relay.
    pub messages_per_port: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            leases_per_client: LEASES_PER_CLIENT,
            leases_per_link_layer: u32::MAX,
            leases_per_interface_id: u32::MAX,
            leases_per_remote_id: u32::MAX,
            declines_per_client: DECLINES_PER_CLIENT,
            messages_per_client: MESSAGES_PER_CLIENT,
            messages_per_port: u32::MAX,
        }
    }
}

impl Limits {
    /// Whether leases are bounded by what relays say of a client.
    #[must_use]
    pub fn bounds_ports(&self) -> bool {
        let bounds = [self.leases_per_link_layer, self.leases_per_interface_id, self.leases_per_remote_id];
        bounds.iter().any(|bound| *bound < u32::MAX)
    }

    /// These bounds, but for what is said otherwise; 0 stands for none.
    #[must_use]
    pub fn with(self, said: Option<&v1::Limits>) -> Self {
        let Some(said) = said else { return self };
        let or = |value: Option<u32>, before: u32| match value {
            None => before,
            Some(0) => u32::MAX,
            Some(bound) => bound,
        };
        Self {
            leases_per_client: or(said.leases_per_client, self.leases_per_client),
            leases_per_link_layer: or(said.leases_per_link_layer, self.leases_per_link_layer),
            leases_per_interface_id: or(said.leases_per_interface_id, self.leases_per_interface_id),
            leases_per_remote_id: or(said.leases_per_remote_id, self.leases_per_remote_id),
            declines_per_client: or(said.declines_per_client, self.declines_per_client),
            messages_per_client: or(said.messages_per_client, self.messages_per_client),
            messages_per_port: or(said.messages_per_port, self.messages_per_port),
        }
    }
}
