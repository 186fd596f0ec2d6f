//! What operators do, at bad moments: declare down and take it back, drain, change the configuration.
//!
//! Owns the commands that wait for a leader, and what is in force. A declaration is refused while the leader hears the
//! frontend, as the service refuses it. Which processes were declared down while they lived is remembered: what they
//! promised is excused by the override and judged apart. After faults ended the operator puts everything back.

use super::clock::{Nanos, secs};
use super::oracle::Promiser;
use super::plan::{Operator, Plan};
use super::world::{World, note};
use leasehold_proto::v1;
use leasehold_proto::words::{Epoch, FrontendId, Prefix};
use leasehold_store::machine::{Command, Outcome};
use std::collections::BTreeSet;

/// How long an operator waits for the moment at which a declaration is not refused.
const PATIENCE: Nanos = secs(30);
/// Between two attempts to put things back.
const AGAIN: Nanos = secs(3);

/// A pool generation, for comparing: its name, link and relationship, and its extent.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    pool: (String, String, Option<String>),
    span: (Vec<u8>, Vec<u8>, u32, Option<u32>),
}

/// What operators want and did.
pub(super) struct Operators {
    /// As last asked for.
    pub(super) network: v1::Network,
    /// As last taken.
    in_force: Option<v1::Network>,
    /// Not proposed yet, each with the moment at which it is given up.
    waiting: Vec<(Nanos, Command)>,
    /// Processes that were declared down and lived.
    pub(super) overridden: BTreeSet<Promiser>,
    /// Addresses of pools that were removed, cut anew or moved: their leases need not last.
    unsettled: Vec<(u128, u128)>,
    again_at: Nanos,
}

impl Operators {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            network: plan.network.clone(),
            in_force: None,
            waiting: Vec::new(),
            overridden: BTreeSet::new(),
            unsettled: Vec::new(),
            again_at: 0,
        }
    }
}

impl World {
    /// Asks for something as soon as there is a leader.
    pub(super) fn ask(&mut self, command: Command) {
        let until = self.now + PATIENCE;
        self.operator.waiting.push((until, command));
    }

    /// The leader looks at what operators ask for.
    pub(super) fn operate(&mut self, node: usize) {
        if self.store.leader != Some(node) {
            return;
        }
        if self.healed_at.is_some() && self.now >= self.operator.again_at {
            self.operator.again_at = self.now + AGAIN;
            self.put_back();
        }
        for (until, command) in std::mem::take(&mut self.operator.waiting) {
            if self.may_ask_now(node, &command) {
                self.propose(node, None, command);
            } else if until > self.now {
                self.operator.waiting.push((until, command));
            }
        }
    }

    /// The service refuses to declare down a frontend that is heard; a sound operator looks whether it runs.
    fn may_ask_now(&self, node: usize, command: &Command) -> bool {
        let Command::DeclareDown { frontend, .. } = command else { return true };
        let is_heard = self.store.nodes[node].hub.liveness().any(|(f, live)| f == *frontend && live);
        let runs = self.fronts.iter().any(|f| f.id == *frontend && f.up);
        !is_heard && (self.plan.operator == Operator::Mistaken || !runs)
    }

    fn put_back(&mut self) {
        if self.operator.in_force.as_ref() != Some(&self.plan.network) {
            self.operator.network = self.plan.network.clone();
            let network = self.plan.network.clone();
            self.ask(Command::ApplyNetwork { expected_version: 0, network: Box::new(network) });
        }
        let drained: Vec<FrontendId> = self.store.reference.draining().cloned().collect();
        drained.into_iter().for_each(|frontend| self.ask(Command::Drain { frontend, on: false }));
    }

    /// A command of an operator was carried out.
    pub(super) fn operated(&mut self, command: &Command, outcome: &Outcome) {
        match (command, outcome) {
            (Command::ApplyNetwork { network, .. }, Outcome::NetworkApplied { .. }) => {
                self.counts.configurations += 1;
                self.note_unsettled(network);
                self.operator.in_force = Some(network.as_ref().clone());
            }
            (Command::ApplyNetwork { .. }, Outcome::NetworkRefused(refusal)) => {
                self.fail(format!("a configuration was refused: {refusal}"));
            }
            (Command::DeclareDown { frontend, .. }, Outcome::Declared(epochs)) => {
                self.counts.declared_down += 1;
                note!(self, "{frontend} is declared down");
                self.note_overridden(frontend, epochs);
            }
            (Command::DeclareDown { .. } | Command::WithdrawDown { .. }, Outcome::DeclareRefused(_)) => {
                self.counts.declarations_refused += 1;
            }
            (Command::WithdrawDown { frontend }, Outcome::Declared(_)) => {
                self.counts.withdrawn += 1;
                note!(self, "{frontend} is declared down no more");
                // Nothing followed from the declaration: all is judged as if it had not been.
                let slots: Vec<usize> =
                    (0..self.fronts.len()).filter(|s| self.fronts[*s].id == *frontend).collect();
                self.operator.overridden.retain(|(slot, _)| !slots.contains(slot));
            }
            (Command::Drain { .. }, Outcome::Drained { changed: true }) => self.counts.drains += 1,
            _ => {}
        }
    }

    /// Whoever of the declared sessions has a living process was declared down wrongly.
    fn note_overridden(&mut self, frontend: &FrontendId, epochs: &[Epoch]) {
        for (slot, front) in self.fronts.iter().enumerate() {
            if front.id == *frontend && front.up && epochs.contains(&front.session) {
                self.counts.declared_though_alive += 1;
                self.operator.overridden.insert((slot, front.life));
            }
        }
    }

    /// Takes note of pools that are not what they were: what the old one had ends, and frontends that have not heard of
    /// the new one know nothing of its leases.
    fn note_unsettled(&mut self, new: &v1::Network) {
        let Some(old) = &self.operator.in_force else { return };
        let shapes = |network: &v1::Network| -> Vec<Shape> {
            let of = |p: &v1::Pool| network.relationships.iter().find(|r| r.pools.contains(&p.name));
            let shape = |p: &v1::Pool| Shape {
                pool: (p.name.clone(), p.link.clone(), of(p).map(|r| r.name.clone())),
                span: (p.first.clone(), p.last.clone(), p.length_bits, p.range_bits),
            };
            network.pools.iter().map(shape).collect()
        };
        let (before, after) = (shapes(old), shapes(new));
        let changed =
            before.iter().filter(|s| !after.contains(s)).chain(after.iter().filter(|s| !before.contains(s)));
        for shape in changed {
            let bound = |octets: &[u8]| octets.try_into().map(u128::from_be_bytes).unwrap_or_default();
            let (first, last, length_bits, _) = &shape.span;
            let unit = 128 - length_bits;
            self.operator.unsettled.push((bound(first), bound(last) | ((1u128 << unit) - 1)));
        }
    }

    /// Whether a lease is of a pool that was changed under it: until all is settled it need not last.
    pub(super) fn is_unsettled(&self, prefix: Prefix) -> bool {
        let settled = self.healed_at.is_some_and(|at| self.now > at + self.plan.settling_for);
        let inside = |(first, last): &(u128, u128)| *first <= prefix.last_bits() && prefix.bits() <= *last;
        !settled && self.operator.unsettled.iter().any(inside)
    }

    /// Whether a process was declared down though it lived.
    pub(super) fn is_overridden(&self, slot: usize) -> bool {
        self.operator.overridden.contains(&(slot, self.fronts[slot].life))
    }
}
