//! Runs written by hand, where a rule shows that chance hardly ever puts to the test.
//!
//! Owns the stories; times, clients and lifetimes are still drawn from the seed.

use super::client::{Attachment, ClientPlan};
use super::clock::{ms, secs};
use super::faults::Fault;
use super::odd::Oddity;
use super::plan::{Flavour, Operator, Plan, Step};
use super::sabotaged::Sabotage;
use leasehold_proto::v1;

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

    /// Both partners answer everybody, leases never expire, and there is hardly more room than clients need: whatever a
    /// client turned out not to use must come back (R9).
    #[must_use]
    pub fn little_room_for_ever(seed: u64) -> Self {
        let mut plan = Self::quiet(seed, Flavour::Infinite);
        for relationship in &mut plan.network.relationships {
            relationship.answering = v1::Answering::Any.into();
        }
        for client in &mut plan.clients {
            client.rapid_commit = true;
            client.restless = 20;
        }
        for pool in &mut plan.network.pools {
            let bound = |octets: &[u8]| octets.try_into().map(u128::from_be_bytes).unwrap_or_default();
            let demand = Self::demand_of(&plan.clients, pool);
            let unit = 128 - pool.length_bits;
            // Room for as many again: each may have two for a while.
            let last = bound(&pool.first) + (u128::from(demand * 2 + 2) << unit);
            pool.last = last.to_be_bytes().to_vec();
            pool.range_bits = Some(0);
        }
        plan.all_can_be_content = true;
        plan.room_is_certain = true;
        plan
    }

    /// No faults, good weather, nobody odd, no operators.
    fn quiet(seed: u64, flavour: Flavour) -> Self {
        let mut plan =
            Self::of(seed, flavour, Sabotage::None).without_faults().with_operator(Operator::Quiet);
        for client in &mut plan.clients {
            client.oddity = Oddity::None;
            client.restless = 0;
        }
        plan.faults_for = secs(900);
        plan
    }

    fn demand_of(clients: &[ClientPlan], pool: &v1::Pool) -> u32 {
        let is_address = pool.kind == i32::from(v1::IaKind::Na);
        let direct = pool.link == "direct";
        let fits = clients.iter().filter(|c| (c.attachment == Attachment::Direct) == direct);
        fits.map(|c| u32::from(if is_address { c.addresses } else { c.prefixes })).sum()
    }
}
