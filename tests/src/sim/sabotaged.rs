//! Sabotage: what is broken on purpose, to see that the judge finds it.
//!
//! Owns what wrong processes do here; what is switched off inside the cores is theirs to leave out
//! (`leasehold_proto::sabotage`, in a build of its own).

use super::plan::Plan;
use super::report::Kind;
use super::world::World;
use leasehold_frontend::codec::IaKind as WireKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_proto::lease::{LeaseUpdate, UpdateKind};
use leasehold_proto::session::SessionBatch;
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::{BindingKey, Duid, IaKind, Iaid, LogIndex};
use leasehold_store::machine::RangeView;
use rand::Rng;
use std::sync::Arc;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    None,
    /// A frontend's clock runs at a quarter of its rate: its autonomy lasts four times as long as the store thinks.
    SlowFrontendClock,
    /// Clients' clocks run at half their rate: they hold leases for twice as long as they were promised.
    SlowClientClocks,
    /// A frontend puts addresses into its Replies that it does not own.
    RogueFrontend,
    /// A frontend tells the store of leases outside its grants; the store's fence may stand or not.
    RogueUpdates,
    /// The store loses entries that were committed.
    ForgetfulStore,
}

impl Plan {
    /// Which violations end a run: with something switched off or wrong only what clients see, with a wrong clock or
    /// process only what the judge alone can see.
    pub(super) fn is_judged_by(&self, kind: Kind) -> bool {
        match self.sabotage {
            Sabotage::None if self.off.is_empty() => true,
            Sabotage::None | Sabotage::RogueUpdates => kind != Kind::Rule,
            _ => kind == Kind::Safety,
        }
    }

    /// Tells the cores what is switched off, for this thread.
    ///
    /// # Panics
    /// When something is to be off and this build cannot do it: only one with the feature `sabotage` can.
    pub(super) fn switch(&self) {
        #[cfg(feature = "sabotage")]
        leasehold_proto::sabotage::switch_off(&self.off);
        #[cfg(not(feature = "sabotage"))]
        assert!(self.off.is_empty(), "build with the feature `sabotage` to switch mechanisms off");
    }
}

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

    /// A rogue frontend's batch: now and then with a lease of nobody, anywhere in the pools of its relationships. The
    /// same batch is always the same.
    pub(super) fn rogue_batch(&mut self, slot: usize, batch: &Arc<SessionBatch>) -> Arc<SessionBatch> {
        if self.plan.sabotage != Sabotage::RogueUpdates || slot != 0 {
            return Arc::clone(batch);
        }
        let key = (batch.epoch, batch.sequence);
        if let Some(known) = self.rogue_batches.get(&key) {
            return Arc::clone(known);
        }
        let mut rogue = batch.as_ref().clone();
        if self.rng.random_bool(0.3) {
            rogue.updates.extend(self.rogue_update(slot));
        }
        let rogue = Arc::new(rogue);
        self.rogue_batches.insert(key, Arc::clone(&rogue));
        rogue
    }

    fn rogue_update(&mut self, slot: usize) -> Option<LeaseUpdate> {
        let network = self.fronts[slot].engine.network().cloned()?;
        let pools: Vec<_> = network.pools.iter().filter(|p| p.kind == IaKind::Na).collect();
        let pool = pools.get(self.rng.random_range(0..pools.len().max(1)))?;
        let prefix = pool.geometry.prefix_at(self.rng.random_range(0..=pool.geometry.last_slot()));
        let range = pool.range_of(prefix)?;
        let id = &self.fronts[slot].id;
        let is_anothers = |r: &RangeView| r.range == range && r.owner.as_ref().is_some_and(|o| o.1 != *id);
        if !self.store.reference.ranges().any(|r| is_anothers(&r)) {
            return None;
        }
        let now = self.store.reference.time();
        let valid = Lifetime::from_wire(600);
        Some(LeaseUpdate {
            kind: UpdateKind::Promise,
            prefix,
            pool: pool.id,
            binding: BindingKey {
                link: pool.link,
                duid: Duid::new(&[0, 3, 0, 1, 0xee]).ok()?,
                kind: IaKind::Na,
                iaid: Iaid(1),
            },
            valid_until: now.after_lifetime(valid),
            preferred: valid,
            valid,
            ack_until: now.after_lifetime(valid),
            client_last_contact: now,
            base_version: LogIndex(0),
            extra: None,
        })
    }
}
