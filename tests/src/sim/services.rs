//! What links offer beside leases, and who uses it: Reconfigure, and the registering of self-made addresses.
//!
//! Owns the draws, from a stream of their own, so that a run in which no link offers either is what it would be without
//! this module. Refuses to know what clients and operators then do: `reconfigured`, `orders` and `registering` do.

use super::clock::{Nanos, secs};
use super::odd::Oddity;
use super::plan::{Operator, Plan};
use leasehold_proto::reconfigure::ReconfigureSecret;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Sets this stream of draws apart from all others of a seed.
const STREAM: u64 = 0x7265_636f_6e66;
/// Clients that register addresses, at most: a crowd of them would only cost time.
const REGISTERING_MAX: usize = 6;

/// What a run has beside leases.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    /// Mean time between two orders to ask clients; 0: none is given while faults last.
    pub(super) order_gap: Nanos,
}

impl Plan {
    /// The same, with Reconfigure and address registration on some links.
    #[must_use]
    pub fn with_services(mut self) -> Self {
        let mut rng = services_rng(self.seed);
        let (reconfigure, register) = (rng.random_bool(0.5), rng.random_bool(0.5));
        for link in &mut self.network.links {
            link.reconfigure = reconfigure && rng.random_bool(0.8);
            link.register_addresses = register && rng.random_bool(0.8);
        }
        let mut registering = 0;
        for number in 0..self.clients.len() {
            let draws = (rng.random_bool(0.8), rng.random_bool(0.5));
            let (accepts, registers) = match self.clients[number].oddity {
                Oddity::CloneOf(of) => (self.clients[of].accepts_reconfigure, self.clients[of].registers),
                _ => draws,
            };
            let client = &mut self.clients[number];
            client.accepts_reconfigure = accepts;
            client.registers = registers && registering < REGISTERING_MAX;
            registering += usize::from(client.registers);
        }
        if self.secret().is_some() && self.operator != Operator::Quiet {
            self.services.order_gap = secs(rng.random_range(30..300));
        }
        self
    }

    /// Whether a client's link has Reconfigure.
    pub(super) fn is_reconfigured(&self, client: usize) -> bool {
        let name = self.clients[client].attachment.link();
        self.network.links.iter().any(|l| l.name == name && l.reconfigure)
    }

    /// Whether a client registers addresses, on a link that has that.
    pub(super) fn is_registering(&self, client: usize) -> bool {
        let name = self.clients[client].attachment.link();
        self.clients[client].registers
            && self.network.links.iter().any(|l| l.name == name && l.register_addresses)
    }

    /// The secret that a store would draw for this configuration, if it needs one.
    pub(super) fn secret(&self) -> Option<ReconfigureSecret> {
        let octets = [u8::try_from(self.seed % 251).expect("a remainder below 256"); ReconfigureSecret::LEN];
        self.network.links.iter().any(|l| l.reconfigure).then(|| ReconfigureSecret::new(octets))
    }
}

/// Where decisions about these services are drawn from.
pub(super) fn services_rng(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed ^ STREAM)
}
