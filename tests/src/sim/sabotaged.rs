//! Sabotage that needs no switch in the cores: what a wrong frontend sends.

use super::plan::Sabotage;
use super::world::World;
use leasehold_frontend::codec::IaKind as WireKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use rand::Rng;

impl World {
    /// A rogue frontend's Reply: now and then with another address of the pool in the place of the right one.
    pub(super) fn sabotaged(&mut self, slot: usize, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.plan.sabotage != Sabotage::RogueFrontend || slot != 0 || !self.rng.random_bool(0.3) {
            return bytes;
        }
        let replaced =
            ServerMessage::decode(&bytes).ok().filter(|m| m.kind == ServerMessageKind::Reply).and_then(|m| {
                let ia = m.ias.iter().find(|ia| ia.kind == WireKind::Na)?;
                ia.leases().find(|l| l.valid_secs > 0).map(|l| l.bits.to_be_bytes())
            });
        let place = replaced.and_then(|address| bytes.windows(16).position(|w| w == address));
        if let Some(place) = place {
            // One of the first sixteen addresses of the pool: among clients' own.
            bytes[place + 15] = self.rng.random_range(0..16);
        }
        bytes
    }
}
