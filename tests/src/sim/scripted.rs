//! Runs written by hand: the plan in which nothing happens but what is written, what clients do because it was written,
//! and the story of R5 and R7. The stories that single out one mechanism each are in `directed`.
//!
//! Owns what is written; times, clients and lifetimes are still drawn from the seed.

use super::clock::{ms, secs};
use super::faults::Fault;
use super::odd::Oddity;
use super::plan::{Act, Flavour, Operator, Plan, Step};
use super::sabotaged::Sabotage;
use super::world::World;
use leasehold_frontend::codec::wire::msg;

impl Plan {
    /// A frontend is cut off from the store, leases to clients meanwhile, and dies for good: nothing of that is told.
    /// Its partner hears all clients and must keep every lease of theirs (R5, R7).
    #[must_use]
    pub fn partner_dies(seed: u64) -> Self {
        let mut plan = Self::quiet(seed, Flavour::Balanced);
        plan.never_silent = true;
        let frontend = usize::try_from(seed % 2).expect("a remainder of two");
        // Clients come in the first minute: some lease in between.
        let cut = Fault::StoreCut { slot: frontend * 2, up: true, down: true };
        let cut_at = secs(15) + ms(seed % 7 * 900);
        plan.script = vec![
            (cut_at, Step::Break(cut)),
            (cut_at + secs(4), Step::Break(Fault::FrontCrash { frontend })),
            (cut_at + secs(5), Step::Mend(cut)),
        ];
        plan
    }

    /// No faults, good weather, nobody odd, no operators.
    pub(super) fn quiet(seed: u64, flavour: Flavour) -> Self {
        let mut plan =
            Self::of(seed, flavour, Sabotage::None).without_faults().with_operator(Operator::Quiet);
        for client in &mut plan.clients {
            client.oddity = Oddity::None;
            client.restless = 0;
        }
        plan.faults_for = secs(900);
        plan
    }
}

impl World {
    /// All clients do what is written.
    pub(super) fn all_clients(&mut self, act: Act) {
        for number in 0..self.clients.len() {
            let client = &mut self.clients[number];
            let now = client.clock.local(self.now);
            let holds = client.associations.iter().any(|a| !a.leases.is_empty());
            match act {
                Act::Release if holds => {
                    self.counts.releases += 1;
                    self.client_begins(number, now, msg::RELEASE);
                }
                Act::Release => {}
                Act::Remember => client.remembered = client.associations.clone(),
                Act::RollBack => {
                    let remembered = client.remembered.clone();
                    self.client_rolls_back(number, now, remembered);
                }
            }
            self.client_plan_wake(number);
        }
    }
}
