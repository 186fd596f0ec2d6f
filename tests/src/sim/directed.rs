//! Runs written by hand in which one mechanism of the rules decides: without it a client sees what goes wrong.
//!
//! Owns the stories. Each has the same stage: two partners, one of which serves, and one pool that has fewer addresses
//! than clients want, so that what is freed too early is given to somebody within seconds. Moments, clocks, store nodes
//! and clients are drawn from the seed; what is on stage, and in which order things happen, is not. With every mechanism
//! on all of them hold.

use super::client::{Attachment, ClientPlan};
use super::clock::{Nanos, ms, secs};
use super::faults::{Fault, Path};
use super::odd::Oddity;
use super::plan::{Act, Flavour, Plan, Step};
use leasehold_proto::v1;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Slots of the partner that serves, of a second process of it, and of the other partner.
const SERVING: usize = 0;
const TWIN: usize = 1;
const OTHER: usize = 2;
/// All clients have come, and have been answered.
const ALL_THERE: Nanos = secs(70);

/// What differs from story to story.
struct Stage {
    clients: u32,
    addresses: u32,
    valid_secs: u32,
    mclt_secs: u32,
    autonomy_secs: u32,
}

/// One direction or both of a frontend's way to the store.
fn cut(slot: usize, up: bool, down: bool) -> Fault {
    Fault::StoreCut { slot, up, down }
}

/// A frontend and its clients do not hear one another.
fn deaf(slot: usize) -> Fault {
    Fault::ClientCut { slot, path: Path::All, deaf: true, mute: true }
}

impl Plan {
    /// A frontend is cut off while it extends leases of its partner's ranges, and has many to tell when it is back:
    /// more than fit one batch. The store has called their end meanwhile, and frees them as soon as that is
    /// acknowledged.
    #[must_use]
    pub fn much_to_tell(seed: u64) -> Self {
        let stage = Stage { clients: 40, addresses: 24, valid_secs: 60, mclt_secs: 60, autonomy_secs: 200 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        plan.network.relationships[0].buckets = v1::BucketMode::LoadBalancing.into();
        plan.updates_per_batch_max = 1;
        let at = ALL_THERE + rng.random_range(0..secs(10));
        let back = at + secs(75) + rng.random_range(0..secs(10));
        plan.during(at, back, cut(SERVING, true, true));
        plan.during(at, back, deaf(OTHER));
        plan
    }

    /// A frontend gives leases out of addresses that others had until just now, cut off before it can tell. It is dead
    /// for certain long before the lifetime that those others had been acknowledged is over; its partner gives the same
    /// addresses away. In the end it comes back with all that it did not tell.
    #[must_use]
    pub fn cut_off_past_death(seed: u64) -> Self {
        let stage = Stage { clients: 16, addresses: 6, valid_secs: 300, mclt_secs: 20, autonomy_secs: 60 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        let at = ALL_THERE + secs(10) + rng.random_range(0..secs(10));
        let cut_at = at + ms(700) + rng.random_range(0..ms(800));
        // Autonomy, MCLT and guard.
        let dead_at = cut_at + secs(60 + 20 + 8);
        plan.script.push((at, Step::Clients(Act::Release)));
        plan.during(0, dead_at, deaf(OTHER));
        plan.during(cut_at, dead_at + secs(30) + rng.random_range(0..secs(10)), cut(SERVING, true, true));
        plan
    }

    /// A frontend is cut off until it is dead for certain, and comes back slowly: its clients ask it again for what they
    /// lost meanwhile, and it must not believe that it may go on. A while later its partner gives that away.
    #[must_use]
    pub fn back_from_the_dead(seed: u64) -> Self {
        let stage = Stage { clients: 40, addresses: 24, valid_secs: 60, mclt_secs: 60, autonomy_secs: 60 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        plan.updates_per_batch_max = 1;
        let cut_at = ALL_THERE + secs(10) + rng.random_range(0..secs(10));
        let dead_at = cut_at + secs(60 + 60 + 8);
        let back = dead_at + rng.random_range(0..secs(6));
        plan.during(0, back + secs(25), deaf(OTHER));
        plan.during(cut_at, back, cut(SERVING, true, true));
        plan.during(back, Nanos::MAX, Fault::StoreSlow { slot: SERVING, span: secs(10) });
        plan
    }

    /// Clients release, and only a frontend that is cut off hears of it; they come back and are given the same leases by
    /// its partner, which knows of no release. The Release comes late.
    #[must_use]
    pub fn release_untold(seed: u64) -> Self {
        let stage = Stage { clients: 16, addresses: 8, valid_secs: 300, mclt_secs: 300, autonomy_secs: 300 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        let at = ALL_THERE + rng.random_range(0..secs(10));
        let back = at + secs(100) + rng.random_range(0..secs(10));
        plan.during(at, back, cut(SERVING, true, true));
        plan.script.push((at + secs(1), Step::Clients(Act::Release)));
        plan.during(0, at + secs(10), deaf(OTHER));
        plan.during(at + secs(10), back + secs(2), deaf(SERVING));
        plan
    }

    /// A frontend that is cut off goes on leasing while its successor, started elsewhere, serves the same clients.
    #[must_use]
    pub fn two_of_one(seed: u64) -> Self {
        let stage = Stage { clients: 24, addresses: 10, valid_secs: 100, mclt_secs: 100, autonomy_secs: 100 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        let at = ALL_THERE + rng.random_range(0..secs(10));
        let cut_at = at + secs(1) + rng.random_range(0..ms(500));
        plan.script.push((at, Step::Clients(Act::Release)));
        plan.during(cut_at, cut_at + secs(80), cut(SERVING, true, true));
        plan.script.push((cut_at + ms(100), Step::Break(Fault::FrontTwin { frontend: 0 })));
        plan.during(0, cut_at + secs(80), deaf(OTHER));
        plan
    }

    /// Replies come late, and clients go away without a word: their leases are held for as long as the Reply says, from
    /// when it came.
    #[must_use]
    pub fn late_replies(seed: u64) -> Self {
        let stage = Stage { clients: 20, addresses: 8, valid_secs: 40, mclt_secs: 40, autonomy_secs: 200 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        plan.weather = (0.0, 0.0, rng.random_range(0.5..0.9));
        plan.clients.iter_mut().for_each(|c| c.restless = 60);
        plan.during(0, Nanos::MAX, deaf(OTHER));
        plan.faults_for = secs(900);
        plan
    }

    /// The same, and the frontend is often stopped after it computed Replies and before it sends them, while what clients
    /// send again is lost.
    #[must_use]
    pub fn replies_held_up(seed: u64) -> Self {
        let mut plan = Self::late_replies(seed);
        plan.held_up = 0.05;
        plan.deaf_while_held_up = true;
        plan
    }

    /// The store's answers take long, and then nothing gets through to it any more: the frontend's autonomy began when
    /// it asked, not when it was answered.
    #[must_use]
    pub fn slow_answers(seed: u64) -> Self {
        let stage = Stage { clients: 16, addresses: 8, valid_secs: 30, mclt_secs: 30, autonomy_secs: 60 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        let cut_at = ALL_THERE + secs(60) + rng.random_range(0..secs(20));
        plan.during(ALL_THERE, Nanos::MAX, Fault::StoreSlow { slot: SERVING, span: secs(40) });
        plan.during(cut_at, Nanos::MAX, cut(SERVING, true, false));
        plan.during(0, cut_at + secs(60 + 30 + 7), deaf(OTHER));
        plan.faults_for = cut_at + secs(240);
        plan
    }

    /// A frontend's process is superseded and does not know how its clients fare: it serves what it knows, and reads of
    /// what its successor leases. The store does not wait for it.
    #[must_use]
    pub fn superseded(seed: u64) -> Self {
        let stage = Stage { clients: 40, addresses: 24, valid_secs: 20, mclt_secs: 20, autonomy_secs: 150 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        plan.lingering = secs(80)..secs(120);
        let at = secs(8) + rng.random_range(0..secs(5));
        let cut_at = at + secs(20) + rng.random_range(0..secs(5));
        // Lifetime and guard.
        let freed_at = cut_at + secs(20 + 8);
        plan.script.push((at, Step::Break(Fault::FrontTwin { frontend: 0 })));
        plan.during(cut_at, Nanos::MAX, cut(SERVING, true, false));
        plan.during(cut_at, freed_at, deaf(TWIN));
        plan.during(0, freed_at, deaf(OTHER));
        plan
    }

    /// Clients release and are rolled back to what they held: a frontend that is cut off has leased that to others.
    #[must_use]
    pub fn rolled_back(seed: u64) -> Self {
        let stage = Stage { clients: 20, addresses: 8, valid_secs: 120, mclt_secs: 120, autonomy_secs: 120 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        let at = ALL_THERE + rng.random_range(0..secs(10));
        let cut_at = at + secs(1) + rng.random_range(0..ms(500));
        plan.script.push((at - secs(1), Step::Clients(Act::Remember)));
        plan.script.push((at, Step::Clients(Act::Release)));
        plan.script.push((cut_at + secs(25), Step::Clients(Act::RollBack)));
        plan.during(cut_at, cut_at + secs(60), cut(SERVING, true, true));
        plan.during(cut_at + secs(24), cut_at + secs(60), deaf(SERVING));
        plan
    }

    /// Both partners answer everybody, first leases are long, and there is hardly more room than clients need: what a
    /// client turns out not to use must come back long before it expires.
    #[must_use]
    pub fn little_room(seed: u64) -> Self {
        let stage =
            Stage { clients: 12, addresses: 15, valid_secs: 5000, mclt_secs: 5000, autonomy_secs: 60 };
        let (mut plan, _) = Self::staged(seed, &stage);
        plan.network.relationships[0].answering = v1::Answering::Any.into();
        plan.network.pools[0].preferred_lifetime_secs = 40;
        plan.clients.iter_mut().for_each(|c| c.rapid_commit = true);
        plan.faults_for = secs(300);
        plan.settling_for = secs(60);
        plan.healing_for = secs(300);
        plan.all_can_be_content = true;
        plan.room_is_certain = true;
        plan
    }

    /// Batches are sent again all the time, since connections break before they are answered, while ranges go back and
    /// forth between the partners.
    #[must_use]
    pub fn resent(seed: u64) -> Self {
        let stage = Stage { clients: 16, addresses: 8, valid_secs: 60, mclt_secs: 60, autonomy_secs: 300 };
        let (mut plan, mut rng) = Self::staged(seed, &stage);
        plan.network.relationships[0].buckets = v1::BucketMode::LoadBalancing.into();
        plan.clients.iter_mut().for_each(|c| c.restless = 50);
        plan.during(secs(20), Nanos::MAX, Fault::StoreSlow { slot: SERVING, span: secs(10) });
        plan.faults_for = secs(900);
        let mut at = secs(30);
        while at < plan.faults_for {
            plan.script.push((at, Step::Break(Fault::Hiccup { slot: SERVING })));
            at += rng.random_range(secs(8)..secs(20));
        }
        plan
    }

    /// A fault from one moment to another.
    fn during(&mut self, from: Nanos, to: Nanos, fault: Fault) {
        self.script.push((from, Step::Break(fault)));
        if to < Nanos::MAX {
            self.script.push((to, Step::Mend(fault)));
        }
    }

    /// The stage with nothing happening on it yet, and where moments are drawn from.
    fn staged(seed: u64, stage: &Stage) -> (Self, SmallRng) {
        let mut plan = Self::quiet(seed, Flavour::Scarce);
        let client = ClientPlan {
            attachment: Attachment::Direct,
            addresses: 1,
            prefixes: 0,
            rapid_commit: false,
            restless: 0,
            oddity: Oddity::None,
            accepts_reconfigure: false,
            registers: false,
        };
        plan.clients = (0..stage.clients).map(|_| client.clone()).collect();
        let network = &mut plan.network;
        network.links.retain(|l| l.name == "direct");
        network.pools.retain(|p| p.link == "direct" && p.kind == i32::from(v1::IaKind::Na));
        for pool in &mut network.pools {
            let first = pool.first.as_slice().try_into().map(u128::from_be_bytes).unwrap_or_default();
            pool.last = (first + u128::from(stage.addresses) - 1).to_be_bytes().to_vec();
            pool.range_bits = Some(0);
            pool.valid_lifetime_secs = stage.valid_secs;
            pool.preferred_lifetime_secs = stage.valid_secs;
            pool.mclt_secs = stage.mclt_secs;
            pool.autonomy_ms = u64::from(stage.autonomy_secs) * 1000;
        }
        for relationship in &mut network.relationships {
            relationship.pools = network.pools.iter().map(|p| p.name.clone()).collect();
        }
        plan.faults_for = secs(360);
        plan.settling_for =
            secs(u64::from(stage.autonomy_secs + 2 * stage.mclt_secs + 3 * stage.valid_secs) + 180);
        plan.healing_for = plan.settling_for + secs(60);
        (plan, SmallRng::seed_from_u64(seed ^ 0x5ab0))
    }
}
