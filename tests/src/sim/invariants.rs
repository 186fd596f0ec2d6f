//! What must hold besides the oracle's one invariant, judged at the moments at which it could break.
//!
//! Owns the judgements: R3's bound and pools on every Reply as it is computed, committed leases on every answer to a
//! batch, stability when a lease is withdrawn or lost, replicas and the machine's own invariants now and then. Knows
//! the store's reference machine, which applies what is committed.

use super::clock::{Nanos, secs};
use super::oracle::Holder;
use super::report::Kind;
use super::sabotaged::Sabotage;
use super::world::World;
use leasehold_frontend::codec::IaKind as WireKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::pool::Pool;
use leasehold_proto::session::{BatchOutcome, SessionBatch, UpdateRefusal};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{IaKind, LogIndex, Prefix};
use leasehold_store::machine::{Machine, invariants};
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

/// Until when a client was told that a lease is valid, at the most: in true time, and by the bound of cluster time of
/// the frontend that said so.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) until: Nanos,
    cluster_until: ClusterTime,
}

impl World {
    /// A Reply as a frontend computed it: every lease is of a configured pool (PD-11, SV-321) and within R3's bound.
    pub(super) fn judge_reply(&mut self, slot: usize, bytes: &[u8]) {
        let payload = payload_of(bytes);
        if let Some(asking) = payload.filter(|p| p.first() == Some(&msg::RECONFIGURE)) {
            self.judge_asking(slot, asking);
            return;
        }
        let Some(message) = payload.and_then(|p| ServerMessage::decode(p).ok()) else {
            self.fail(format!("what frontend {slot} sends cannot be read"));
            return;
        };
        self.judge_key(slot, &message);
        if message.kind == ServerMessageKind::AddrRegReply {
            self.judge_registered(slot, &message);
        }
        if message.kind != ServerMessageKind::Reply {
            return;
        }
        let duid = message.client_id.unwrap_or_default().to_vec();
        let mut wrong = None;
        for ia in &message.ias {
            for lease in ia.leases().filter(|l| l.valid_secs > 0) {
                let kind = if ia.kind == WireKind::Na { IaKind::Na } else { IaKind::Pd };
                let Ok(prefix) = Prefix::new(lease.bits, u32::from(lease.len_bits)) else { continue };
                wrong = wrong.or_else(|| self.judge_given(slot, &duid, ia.iaid, prefix));
                wrong =
                    wrong.or_else(|| self.judge_lease(slot, &duid, kind, ia.iaid, prefix, lease.valid_secs));
            }
        }
        if let Some(wrong) = wrong.filter(|_| !self.is_overridden(slot)) {
            self.fail(format!("frontend {slot} {wrong}"));
        }
    }

    /// R3: no more than what was ever acknowledged to this holding, and MCLT. Cluster time as committed is a lower
    /// bound of what it is, so this bound is one that no right promise exceeds. What is left of an earlier promise may
    /// be told again, whatever became of the pool: left by cluster time, which stands still without a leader.
    fn judge_lease(
        &mut self,
        slot: usize,
        duid: &[u8],
        kind: IaKind,
        iaid: u32,
        prefix: Prefix,
        valid_secs: u32,
    ) -> Option<String> {
        let endless = valid_secs == u32::MAX;
        let said = (prefix, duid.to_vec(), iaid);
        let until = if endless { Nanos::MAX } else { self.now + secs(u64::from(valid_secs)) };
        let front = &self.fronts[slot];
        let machine = &self.store.reference;
        let now_at_least = machine.time();
        let valid = if endless { Duration::MAX } else { Duration::from_secs(u64::from(valid_secs)) };
        // The Reply was computed by what the frontend could prove when it read the store last, or by what it can now.
        let bound = front.engine.cluster_time_at_most(front.clock.local(self.now));
        let computed = bound.max(front.bound_before).unwrap_or(now_at_least);
        let known = self.told.get(&said).copied().unwrap_or_default();
        let told =
            Told { until: until.max(known.until), cluster_until: known.cluster_until.max(computed + valid) };
        self.told.insert(said, told);
        if let Some(bound) = bound
            && self.plan.sabotage == Sabotage::None
            && bound + front.behind + Duration::from_millis(1) < now_at_least
        {
            return Some(format!("takes cluster time for {bound:?} at most, and it is {now_at_least:?}"));
        }
        if until <= known.until || bound.unwrap_or(now_at_least) + valid <= known.cluster_until {
            return None;
        }
        let record = machine.lease(prefix).filter(|l| {
            let theirs = &l.binding;
            theirs.duid.as_bytes() == duid && theirs.kind == kind && theirs.iaid.0 == iaid
        });
        // What is left by the record, and what was ever acknowledged of this holding.
        let left = record.map_or(Duration::ZERO, |r| r.valid_until.saturating_since(now_at_least));
        let ever = self.acknowledged.get(&(prefix, duid.to_vec(), iaid)).copied().unwrap_or_default();
        let acknowledged = ever.saturating_since(now_at_least);
        // By the configuration that the frontend has, or had when it computed this.
        let networks = front.networks_before.iter().chain(front.engine.network());
        let fits = |p: &&Pool| p.kind == kind && p.range_of(prefix).is_some();
        let pools: Vec<&Pool> = networks.filter_map(|n| n.pools.iter().find(fits)).collect();
        // A Reply that waits for its commit was computed so much earlier at the most.
        let held = |p: &Pool| Duration::from_millis(u64::from(p.commit_wait_ms));
        let promised = |p: &&Pool| acknowledged.saturating_add(p.mclt.span()).min(p.valid.span()) + held(p);
        let lead = pools.iter().map(promised).max();
        // A clock that stood still for a moment is behind by it until the store is heard: the guard covers that.
        let slack = front.behind;
        let lead = lead.map(|l| l.saturating_add(slack));
        let left = left.saturating_add(slack);
        match lead {
            None if valid > left => Some(format!("leases {prefix}, which is in no pool of that kind")),
            Some(lead) if valid > lead.max(left) => Some(format!(
                "promises {prefix} for {valid_secs} s, more than R3's bound of {:.3} s",
                lead.max(left).as_secs_f64()
            )),
            _ => None,
        }
    }

    /// The answer to a batch: what is acknowledged is committed, on the reference and on every node that is as far.
    pub(super) fn judge_outcome(
        &mut self,
        slot: usize,
        batch: &SessionBatch,
        outcome: &BatchOutcome,
        index: LogIndex,
    ) {
        let nodes = self.store.nodes.iter().filter(|n| n.up).map(|n| &n.machine);
        let machines: Vec<&Machine> =
            nodes.chain(std::iter::once(&self.store.reference)).filter(|m| m.applied() >= index).collect();
        let is_refused = |prefix| outcome.refused.iter().any(|r| r.prefix == prefix);
        let mut lost = None;
        for update in batch.updates.iter().filter(|u| !is_refused(u.prefix)) {
            for machine in &machines {
                if machine.pool(update.pool).is_none() {
                    // The pool was cut anew, or removed, and all that it held is over.
                    continue;
                }
                let kept = machine.lease(update.prefix).is_some_and(|lease| {
                    // What came later, or its own end in the same entry, may have changed it again.
                    lease.version > index
                        || (lease.version == index && lease.state == LeaseState::Free)
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
            if promised && !self.is_overridden(slot) {
                lost = Some(format!(
                    "R8: a promise of {} was refused, for another client holds it",
                    refused.prefix
                ));
            }
        }
        if index.0 > self.store.log.len() as u64 {
            lost = Some(format!("index {index} was acknowledged and is not committed"));
        }
        if let Some(lost) = lost {
            self.fail(lost);
        }
    }

    /// Stability: a client that renews leases in force is not told to stop; what it once declined aside.
    pub(super) fn judge_withdrawn(
        &mut self,
        slot: usize,
        client: usize,
        ia: (IaKind, u32),
        prefixes: &[Prefix],
        how: &str,
    ) {
        let mut wrong = Vec::new();
        let holder = Holder { client: self.identity(client), kind: ia.0, iaid: ia.1 };
        for prefix in prefixes {
            let declined = self.clients[client].declined.contains(prefix);
            let Some(by) = self.oracle.promiser(self.now, holder, *prefix) else { continue };
            let overridden = self.is_overridden(slot) || self.operator.overridden.contains(&by);
            if declined || overridden || self.is_unsettled(*prefix) {
                continue;
            }
            let record = self.store.reference.lease(*prefix).map_or_else(
                || "without a record".to_owned(),
                |l| format!("recorded as {} of client {:?}", l.state.name(), l.binding.duid),
            );
            wrong.push(format!("{prefix}, {record},"));
        }
        if !wrong.is_empty() {
            self.fail_as(Kind::Stability, format!("client {client} holds {} and was {how}", wrong.join(" ")));
        }
    }

    /// Stability: once faults have been over for long, a client that renews does not lose its lease.
    pub(super) fn judge_silence(&mut self, client: usize, lost: &[(IaKind, u32, Prefix)]) {
        let settled = self.healed_at.is_some_and(|at| self.now > at + self.plan.settling_for);
        if (settled || self.plan.never_silent) && !self.is_shared(client) {
            self.fail_as(Kind::Stability, format!("client {client} renewed {lost:?} and nobody answered"));
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
}
