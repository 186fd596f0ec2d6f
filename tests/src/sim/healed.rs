//! That all is well again after faults ended, and what a run counted.
//!
//! Owns the last judgement: every node up to date, one process of each frontend with a session in order and nothing
//! untold, closed ranges open again, clients content where there is room, and what clients hold on record.

use super::client::Client;
use super::odd::Oddity;
use super::plan::Flavour;
use super::report::Kind;
use super::world::{World, note};
use leasehold_proto::lease::LeaseState;
use leasehold_store::machine::RangeStanding;
use std::time::Duration;

impl World {
    /// Faults ended long ago: everything must be well.
    pub(super) fn judge_healed(&mut self) {
        self.check_reference();
        self.compare_replicas();
        let now_applied = self.store.reference.applied();
        let leaders = self.store.nodes.iter().filter(|n| n.up && n.hub.is_leading()).count();
        let mut wrong = Vec::new();
        if leaders != 1 {
            wrong.push(format!("{leaders} store nodes believe to lead"));
        }
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
            note!(self, "frontend {slot} ends with {:?}", status.pools);
            let untold = status.dirty_leases + status.updates_in_flight;
            if untold > self.asked_for_just_now() + 4 {
                wrong.push(format!("frontend {slot} has {untold} leases untold"));
            }
        }
        let closed = self.store.reference.ranges().filter(|r| r.standing == RangeStanding::Closed).count();
        // Of autonomy that never ends only a proof or an operator is the end.
        if closed > 0 && self.plan.flavour != Flavour::Unlimited {
            wrong.push(format!("{closed} ranges are still closed"));
        }
        let discontent: Vec<usize> = (0..self.clients.len())
            .filter(|c| !self.clients[*c].is_content() && !self.is_shared(*c))
            .collect();
        self.counts.without_a_lease_in_the_end += discontent.len() as u64;
        let has_room = self.plan.room_is_certain || self.everyone_has_room();
        if self.plan.all_can_be_content && !discontent.is_empty() && has_room {
            let words = format!("after all faults ended clients {discontent:?} are without a lease");
            self.fail_as(Kind::Stability, words);
        }
        wrong.extend(self.unrecorded_holdings());
        wrong.extend(self.unreached());
        wrong.extend(self.unregistered());
        if !wrong.is_empty() {
            self.fail(format!("after all faults ended: {}", wrong.join("; ")));
        }
    }

    /// Leases of clients that talk at this moment, or did in the last seconds: what they were told may be on its way.
    fn asked_for_just_now(&self) -> u64 {
        let talks = |c: &&Client| {
            let since = c.clock.local(self.now).saturating_since(c.told_at);
            c.exchange.is_some() || since < Duration::from_secs(5)
        };
        let leases = |c: &Client| c.associations.iter().map(|a| a.leases.len().max(1) as u64).sum::<u64>();
        self.clients.iter().filter(talks).map(leases).sum()
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
        // A promise without end that was never told, of a lease that the store had called expired: nothing frees it.
        let endless = self.plan.flavour == Flavour::Infinite;
        let machine = &self.store.reference;
        for client in self.clients.iter() {
            // Of these, the records may rightly say something else.
            if self.is_shared(client.number) || client.plan.oddity == Oddity::ReleasesLate {
                continue;
            }
            let now = client.clock.local(self.now);
            // What was told in the last moments may still be on its way.
            if now.saturating_since(client.told_at) < Duration::from_secs(5) {
                continue;
            }
            for association in &client.associations {
                for (prefix, _) in association.leases.iter().filter(|l| l.1 > now) {
                    let recorded = machine.lease(*prefix).is_some_and(|l| {
                        l.binding.duid.as_bytes() == client.duid
                            && (l.state == LeaseState::Active || (endless && l.state.awaits_freeing()))
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
        self.counts.adopted = counters.adopted;
        self.counts.registrations = counters.registrations;
        self.counts.registrations_refused = counters.registrations_refused;
        self.count_conflicts();
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
