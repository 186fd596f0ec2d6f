//! Operators' orders to ask clients by Reconfigure, and that the last one reaches whom it must.
//!
//! Owns when orders are given, whom they mean, and the orders that the log has: their numbers and replay values must
//! rise (SV-405). Refuses to know what clients make of a Reconfigure: `reconfigured` does.

use super::client::Doing;
use super::clock::secs;
use super::world::{Event, World, note};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::reconfigure::{
    ReconfigureMessage, ReconfigureOrder, ReconfigureSecret, ReconfigureWhom,
};
use leasehold_proto::words::Duid;
use leasehold_store::machine::{Command, Outcome};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MESSAGES: [ReconfigureMessage; 3] =
    [ReconfigureMessage::Renew, ReconfigureMessage::Rebind, ReconfigureMessage::InformationRequest];

/// Orders as the log has them.
#[derive(Debug, Default)]
pub(super) struct Orders {
    by_replay: BTreeMap<u64, Arc<ReconfigureOrder>>,
    /// Clients that the last order must reach, and the number of the order before it.
    expected: BTreeSet<usize>,
    before_last: u64,
}

impl Orders {
    /// The order whose Reconfigures have this replay value.
    pub(super) fn of(&self, replay: u64) -> Option<&Arc<ReconfigureOrder>> {
        self.by_replay.get(&replay)
    }

    fn last(&self) -> Option<&Arc<ReconfigureOrder>> {
        self.by_replay.last_key_value().map(|(_, order)| order)
    }
}

impl World {
    /// Draws the moments of the whole run's orders.
    pub(super) fn schedule_orders(&mut self) {
        let gap = self.plan.services.order_gap;
        let mut at = secs(60);
        while gap > 0 && at < self.plan.faults_for {
            self.after(at, Event::Order);
            at += self.rng_services.random_range(gap / 8..gap * 2);
        }
        if self.plan.secret().is_some() {
            self.after(self.plan.faults_for + self.plan.settling_for, Event::LastOrder);
        }
    }

    /// An operator has clients asked.
    pub(super) fn order(&mut self) {
        let message = MESSAGES[self.rng_services.random_range(0..MESSAGES.len())];
        let whom = self.draw_whom();
        note!(self, "an operator has {whom:?} asked for {message:?}");
        self.ask(Command::Reconfigure { whom, message });
        if self.rng_services.random_bool(0.1) {
            // A node that did not know of the secret drew another: the first stays, and all keys with it.
            self.ask(Command::KeepSecret(ReconfigureSecret::new([0xff; ReconfigureSecret::LEN])));
        }
    }

    fn draw_whom(&mut self) -> ReconfigureWhom {
        let choice = self.rng_services.random_range(0..6);
        let client = self.rng_services.random_range(0..self.clients.len());
        let network = self.store.reference.network();
        let (links, pools) = network.map_or((Vec::new(), Vec::new()), |n| {
            (n.links.iter().map(|l| l.id).collect(), n.pools.iter().map(|p| p.id).collect())
        });
        match (choice, Duid::new(&self.clients[client].duid)) {
            (0, _) if !links.is_empty() => {
                ReconfigureWhom::Link(links[self.rng_services.random_range(0..links.len())])
            }
            (1, _) if !pools.is_empty() => {
                ReconfigureWhom::Pool(pools[self.rng_services.random_range(0..pools.len())])
            }
            (2 | 3, Ok(duid)) => ReconfigureWhom::Client(duid),
            _ => ReconfigureWhom::Everyone,
        }
    }

    /// Everything has settled: whoever has a lease and its key is asked once more, and must hear of it.
    pub(super) fn last_order(&mut self) {
        // Not for a Renew: whoever renews by himself at this moment is not asked.
        let message = MESSAGES[self.rng_services.random_range(1..MESSAGES.len())];
        self.orders.before_last = self.orders.last().map_or(0, |order| order.number);
        self.orders.expected = (0..self.clients.len()).filter(|c| self.is_askable(*c)).collect();
        note!(self, "the last order: clients {:?} are asked for {message:?}", self.orders.expected);
        self.ask(Command::Reconfigure { whom: ReconfigureWhom::Everyone, message });
    }

    /// Whether a client has a lease of which the store knows that its client has the key, and has that key.
    fn is_askable(&self, number: usize) -> bool {
        let client = &self.clients[number];
        let machine = &self.store.reference;
        let recorded = |prefix| {
            machine.lease(prefix).is_some_and(|l| {
                let is_theirs = l.binding.duid.as_bytes() == client.duid && l.state == LeaseState::Active;
                let has_key = l.extra.as_ref().is_some_and(|e| e.reconfigure && e.relay.is_some());
                // Of a lease of another server its client may not have the key.
                let server = machine.network().and_then(|n| {
                    let pool = n.pool(l.pool)?;
                    n.relationships.iter().find(|r| r.id == pool.relationship)
                });
                let keyed = server.is_some_and(|r| client.keys.has(r.server_duid.as_bytes()));
                is_theirs && has_key && keyed
            })
        };
        let held = client.associations.iter().flat_map(|a| &a.leases);
        client.doing == Doing::Bound && !self.is_shared(number) && held.map(|l| l.0).any(recorded)
    }

    /// What an order came to in the log.
    pub(super) fn note_order(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::ReconfigureOrdered { .. } => self.counts.reconfigure_orders += 1,
            Outcome::ReconfigureRefused(_) => self.counts.reconfigure_orders_refused += 1,
            Outcome::SecretKept { kept: true } if self.store.log.len() > 1 => {
                self.fail("the cluster's secret was replaced".to_owned());
            }
            _ => {}
        }
    }

    /// Judges an order as the store tells it to frontends.
    pub(super) fn judge_order(&mut self, order: &Arc<ReconfigureOrder>) {
        if let Some(last) = self.orders.last()
            && (last.replay >= order.replay || last.number >= order.number)
        {
            let words = format!("SV-405: order {order:?} came after {last:?}");
            self.fail(words);
            return;
        }
        self.orders.by_replay.insert(order.replay, Arc::clone(order));
    }

    /// Whom the last order did not reach.
    pub(super) fn unreached(&self) -> Option<String> {
        if self.orders.expected.is_empty() {
            return None;
        }
        let Some(last) = self.orders.last().filter(|last| last.number > self.orders.before_last) else {
            return Some("the last order to ask clients is not in the log".to_owned());
        };
        let missed = |c: &&usize| !self.clients[**c].keys.have_reached(last.number);
        let missed: Vec<&usize> = self.orders.expected.iter().filter(missed).collect();
        (!missed.is_empty()).then(|| format!("clients {missed:?} were not asked by order {}", last.number))
    }
}
