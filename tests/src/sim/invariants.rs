//! What must hold besides the oracle's one invariant, judged at the moments at which it could break.
//!
//! Owns the judgements: R3's bound and pools on every Reply as it is sent, committed leases on every answer to a
//! batch, stability when a lease is withdrawn or lost, replicas and the machine's own invariants now and then, and
//! that all is well again after faults ended. Knows the store's reference machine, which applies what is committed.

use super::scenarios::Sabotage;
use super::world::World;
use leasehold_frontend::codec::IaKind as WireKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::{BatchOutcome, SessionBatch, UpdateRefusal};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{BindingKey, Duid, IaKind, Iaid, LogIndex, Prefix};
use leasehold_store::machine::{Machine, RangeStanding, invariants};
use rand::Rng;
use std::time::Duration;

/// The codec gives nothing but the client's message to look at.
fn payload_of(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.first() == Some(&msg::RELAY_REPLY) {
        unwrap_relay_reply(bytes).ok().map(|r| r.payload)
    } else {
        Some(bytes)
    }
}

impl World {
    /// A Reply as it leaves a frontend: every lease is of a configured pool (PD-11, SV-321) and within R3's bound.
    pub(super) fn judge_reply(&mut self, slot: usize, bytes: &[u8]) {
        let Some(message) = payload_of(bytes).and_then(|p| ServerMessage::decode(p).ok()) else {
            self.fail(format!("what frontend {slot} sends cannot be read"));
            return;
        };
        // A sabotaged run is for the oracle alone to judge.
        if message.kind != ServerMessageKind::Reply || self.plan.sabotage != Sabotage::None {
            return;
        }
        let duid = message.client_id.unwrap_or_default().to_vec();
        let mut wrong = None;
        for ia in &message.ias {
            for lease in ia.leases().filter(|l| l.valid_secs > 0) {
                let kind = if ia.kind == WireKind::Na { IaKind::Na } else { IaKind::Pd };
                let Ok(prefix) = Prefix::new(lease.bits, u32::from(lease.len_bits)) else { continue };
                wrong = wrong.or(self.judge_lease(&duid, kind, ia.iaid, prefix, lease.valid_secs));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(format!("frontend {slot} {wrong}"));
        }
    }

    /// R3: no more than what was ever acknowledged to this holding, and MCLT. Cluster time as committed is a lower
    /// bound of what it is, so this bound is one that no right promise exceeds.
    fn judge_lease(
        &mut self,
        duid: &[u8],
        kind: IaKind,
        iaid: u32,
        prefix: Prefix,
        valid_secs: u32,
    ) -> Option<String> {
        let machine = &self.store.reference;
        let pool = machine
            .network()
            .and_then(|n| n.pools.iter().find(|p| p.kind == kind && p.range_of(prefix).is_some()));
        let Some(pool) = pool else {
            return Some(format!("leases {prefix}, which is in no pool of that kind"));
        };
        let duid = Duid::new(duid).ok()?;
        let binding = BindingKey { link: pool.link, duid, kind, iaid: Iaid(iaid) };
        let recorded = machine
            .lease(prefix)
            .filter(|l| l.binding == binding)
            .map_or(ClusterTime::ZERO, |l| l.acked_until);
        let key = (prefix, binding);
        let ever = self.acknowledged.entry(key).or_default();
        *ever = (*ever).max(recorded);
        let acknowledged = ever.saturating_since(machine.time());
        let bound = acknowledged.saturating_add(pool.mclt.span()).min(pool.valid.span());
        let valid = Duration::from_secs(u64::from(valid_secs));
        (valid > bound).then(|| {
            format!(
                "promises {prefix} for {valid_secs} s, more than R3's bound of {:.3} s",
                bound.as_secs_f64()
            )
        })
    }

    /// The answer to a batch: what is acknowledged is committed, on the reference and on every node that is as far.
    pub(super) fn judge_outcome(&mut self, batch: &SessionBatch, outcome: &BatchOutcome, index: LogIndex) {
        let nodes = self.store.nodes.iter().filter(|n| n.up).map(|n| &n.machine);
        let machines: Vec<&Machine> =
            nodes.chain(std::iter::once(&self.store.reference)).filter(|m| m.applied() >= index).collect();
        let is_refused = |prefix| outcome.refused.iter().any(|r| r.prefix == prefix);
        let mut lost = None;
        for update in batch.updates.iter().filter(|u| !is_refused(u.prefix)) {
            for machine in &machines {
                let kept = machine.lease(update.prefix).is_some_and(|lease| {
                    // What came later may have changed it again.
                    lease.version > index
                        || (lease.binding == update.binding
                            && (update.kind != UpdateKind::Promise || lease.acked_until >= update.ack_until))
                });
                if !kept {
                    lost = Some(format!(
                        "{:?} of {} was acknowledged as of index {index} and is not in the store",
                        update.kind, update.prefix
                    ));
                }
            }
        }
        for refused in outcome.refused.iter().filter(|r| r.refusal == UpdateRefusal::OtherClient) {
            let promised =
                batch.updates.iter().any(|u| u.prefix == refused.prefix && u.kind == UpdateKind::Promise);
            if promised {
                lost = Some(format!(
                    "R8: a promise of {} was refused, for another client holds it",
                    refused.prefix
                ));
            }
        }
        if machines.len() * 2 <= 1 {
            lost = Some(format!("index {index} was acknowledged and is committed nowhere"));
        }
        if let Some(lost) = lost.filter(|_| self.plan.sabotage == Sabotage::None) {
            self.fail(lost);
        }
    }

    /// Stability: a client that renews leases in force is not told to stop; what it once declined aside.
    pub(super) fn judge_withdrawn(&mut self, client: usize, prefixes: &[Prefix], how: &str) {
        let mut wrong = Vec::new();
        for prefix in prefixes {
            let declined = self.clients[client].declined.contains(prefix);
            if declined || !self.oracle.holds(self.now, client, *prefix) {
                continue;
            }
            let record = self.store.reference.lease(*prefix).map_or_else(
                || "without a record".to_owned(),
                |l| format!("recorded as {} of client {:?}", l.state.name(), l.binding.duid),
            );
            wrong.push(format!("{prefix}, {record},"));
        }
        if !wrong.is_empty() && self.plan.sabotage == Sabotage::None {
            self.fail(format!("stability: client {client} holds {} and was {how}", wrong.join(" ")));
        }
    }

    /// Stability: once faults have been over for long, a client that renews does not lose its lease.
    pub(super) fn judge_silence(&mut self, client: usize, lost: &[(IaKind, u32, Prefix)]) {
        let settled = self.healed_at.is_some_and(|at| self.now > at + self.plan.settling_for);
        if settled && self.plan.sabotage == Sabotage::None {
            self.fail(format!("stability: client {client} renewed {lost:?}, nobody answered, all is well"));
        }
    }

    /// The machine's own invariants, and that its rows are all of it.
    pub(super) fn check_reference(&mut self) {
        if let Err(broken) = invariants::check(&self.store.reference) {
            self.fail(format!("machine: {broken}"));
        }
        if self.rng.random_bool(0.05) {
            self.compare_replicas();
        }
    }

    /// Every replica that is as far as the reference is equal to it, and so is a machine rebuilt from its rows.
    pub(super) fn compare_replicas(&mut self) {
        let reference: Vec<(Vec<u8>, Vec<u8>)> = self.store.reference.rows().collect();
        let index = self.store.reference.applied();
        let mut wrong = None;
        for (number, node) in self.store.nodes.iter().enumerate() {
            if node.up && node.machine.applied() == index {
                self.counts.replicas_compared += 1;
                if !node.machine.rows().eq(reference.iter().cloned()) {
                    wrong = Some(format!("store node {number} differs from the reference at index {index}"));
                }
            }
        }
        match Machine::from_rows(&mut reference.iter().cloned()) {
            Ok(rebuilt) if rebuilt.rows().eq(reference.iter().cloned()) => {
                if let Err(broken) = invariants::check(&rebuilt) {
                    wrong = Some(format!("machine rebuilt from its rows: {broken}"));
                }
            }
            Ok(_) => wrong = Some(format!("rows at index {index} do not rebuild to themselves")),
            Err(error) => wrong = Some(format!("rows at index {index} cannot be read: {error}")),
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    /// Faults ended long ago: everything must be well.
    pub(super) fn judge_healed(&mut self) {
        self.check_reference();
        self.compare_replicas();
        let now_applied = self.store.reference.applied();
        let mut wrong = Vec::new();
        for (number, node) in self.store.nodes.iter().enumerate() {
            if !node.up || node.machine.applied().0 + 20 < now_applied.0 {
                wrong.push(format!("store node {number} is not up to date"));
            }
        }
        for frontend in 0..self.fronts.len() / 2 {
            let running: Vec<usize> =
                [frontend * 2, frontend * 2 + 1].into_iter().filter(|s| self.fronts[*s].up).collect();
            let [slot] = running[..] else {
                wrong.push(format!("frontend {frontend} has {} processes", running.len()));
                continue;
            };
            let local = self.fronts[slot].clock.local(self.now);
            let status = self.fronts[slot].engine.status(local).leases;
            if !status.is_connected || !status.is_loaded || status.is_superseded {
                wrong.push(format!("frontend {slot} has no session in order: {status:?}"));
            }
            super::world::note!(self, "frontend {slot} ends with {:?}", status.pools);
            if status.dirty_leases + status.updates_in_flight > 4 {
                wrong.push(format!("frontend {slot} has {} leases untold", status.dirty_leases));
            }
        }
        let closed = self.store.reference.ranges().filter(|r| r.standing == RangeStanding::Closed).count();
        if closed > 0 {
            wrong.push(format!("{closed} ranges are still closed"));
        }
        let discontent: Vec<usize> =
            self.clients.iter().filter(|c| !c.is_content()).map(|c| c.number).collect();
        self.counts.without_a_lease_in_the_end += discontent.len() as u64;
        if self.plan.all_can_be_content && !discontent.is_empty() && self.everyone_has_room() {
            wrong.push(format!("clients {discontent:?} are without a lease"));
        }
        wrong.extend(self.unrecorded_holdings());
        if self.plan.sabotage == Sabotage::None && !wrong.is_empty() {
            self.fail(format!("after all faults ended: {}", wrong.join("; ")));
        }
    }

    /// Whether every frontend has free addresses and prefixes in each of its pools. Ranges are not returned while a
    /// session lasts, so one partner may own all of a pool and the other nothing.
    fn everyone_has_room(&self) -> bool {
        self.fronts.iter().filter(|f| f.up).all(|front| {
            let status = front.engine.status(front.clock.local(self.now)).leases;
            status.pools.iter().all(|pool| pool.slots_free > 0)
        })
    }

    /// Leases that clients hold and the store does not know, though all is told.
    fn unrecorded_holdings(&self) -> Option<String> {
        let machine = &self.store.reference;
        for client in &self.clients {
            let now = client.clock.local(self.now);
            // What was told in the last moments may still be on its way.
            if now.saturating_since(client.told_at) < Duration::from_secs(5) {
                continue;
            }
            for association in &client.associations {
                for (prefix, _) in association.leases.iter().filter(|l| l.1 > now) {
                    let recorded = machine.lease(*prefix).is_some_and(|l| {
                        l.binding.duid.as_bytes() == client.duid && l.state == LeaseState::Active
                    });
                    if !recorded {
                        return Some(format!(
                            "client {} holds {prefix}, which is not recorded as its",
                            client.number
                        ));
                    }
                }
            }
        }
        None
    }

    /// Adds what the reference machine and the engines counted.
    pub(super) fn finish_counts(&mut self) {
        let counters = self.store.reference.counters().clone();
        self.counts.updates = counters.updates;
        self.counts.expired = counters.expired;
        self.counts.freed = counters.freed;
        self.counts.reactivated = counters.reactivated;
        self.counts.ranges_reopened = counters.reopened;
        for (reason, count) in &counters.refused {
            *self.counts.refused.entry(format!("{reason:?}")).or_default() += count;
        }
        for slot in 0..self.fronts.len() {
            if self.fronts[slot].up {
                self.count_engine(slot);
            }
        }
    }
}
