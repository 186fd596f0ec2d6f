//! What one run is: a network, its clients, how much breaks and what operators do, all drawn from a seed.
//!
//! Owns the draws. A plan says everything about a run: the same plan is the same run.

use super::client::{Attachment, ClientPlan};
use super::clock::{Nanos, nanos, secs};
use super::faults::Fault;
use super::networks::{Spans, draw_network, frontends};
use super::odd::Oddity;
use super::sabotaged::Sabotage;
use super::services::Services;
use leasehold_frontend::engine::Limits;
use leasehold_proto::sabotage::Mechanism;
use leasehold_proto::v1;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::ops::Range;

/// The kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Room for everyone; hot standby.
    Roomy,
    /// More clients than addresses, so that addresses change hands all the time.
    Scarce,
    /// Buckets split between the partners.
    Balanced,
    /// Whoever gets a message answers it.
    Any,
    /// A large address pool: MCLT is the valid lifetime.
    Large,
    /// Three frontends, two relationships with one partner in both; both on the link of direct clients.
    Three,
    /// Pools of one address and one prefix (FO-211).
    Single,
    /// Three primaries share one standby (m-to-1): three relationships on each link.
    Shared,
    /// Two pairs, both on each link.
    Pairs,
    /// A pair, and a frontend without a partner.
    Alone,
    /// Hundreds of clients, five frontends, three relationships.
    Crowd,
    /// Autonomy of the address pools never ends: only proofs and operators end a gone session's.
    Unlimited,
    /// Leases that never expire, once that is acknowledged (FO-410).
    Infinite,
    /// Replies wait for the commit, for a while.
    CommitWait,
}

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Roomy,
        Self::Scarce,
        Self::Balanced,
        Self::Any,
        Self::Large,
        Self::Three,
        Self::Single,
        Self::Shared,
        Self::Pairs,
        Self::Alone,
        Self::Crowd,
        Self::Unlimited,
        Self::Infinite,
        Self::CommitWait,
    ];
}

/// What operators do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Nothing.
    Quiet,
    /// Drains frontends, changes the configuration, and declares down only what is dead.
    Sound,
    /// The same, and declares down frontends that are only cut off: an override, judged apart.
    Mistaken,
}

/// One thing in a run that was written by hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Something breaks.
    Break(Fault),
    /// It is mended.
    Mend(Fault),
    /// Every client does this.
    Clients(Act),
}

/// What clients do because it was written so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Whoever holds something releases it.
    Release,
    /// Their machines are saved as they are.
    Remember,
    /// They are rolled back to what was saved.
    RollBack,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything is drawn from it.
    pub seed: u64,
    /// What kind of network.
    pub flavour: Flavour,
    /// What operators do.
    pub operator: Operator,
    pub(super) sabotage: Sabotage,
    /// What is switched off in the cores.
    pub(super) off: Vec<Mechanism>,
    pub(super) network: v1::Network,
    pub(super) frontends: Vec<&'static str>,
    /// Store nodes: 3 or 5.
    pub(super) nodes: usize,
    /// Leases in one piece of a load.
    pub(super) load_piece_len: usize,
    /// Whether frontends show where they run (R6).
    pub(super) host_proofs: bool,
    pub(super) clients: Vec<ClientPlan>,
    pub(super) services: Services,
    pub(super) rho_ppm: u32,
    /// How long things break.
    pub(super) faults_for: Nanos,
    /// How long things are well afterwards.
    pub(super) healing_for: Nanos,
    /// After so much of that no client may lose a lease any more.
    pub(super) settling_for: Nanos,
    /// Mean time between two faults; 0: none.
    pub(super) fault_gap: Nanos,
    /// Loss, repetition and slowness of datagrams while nothing else is wrong.
    pub(super) weather: (f64, f64, f64),
    /// There are so many more addresses than clients that each gets one in the end.
    pub(super) all_can_be_content: bool,
    /// A client that renews is answered in time by somebody, whatever breaks in this plan.
    pub(super) never_silent: bool,
    /// That there is room for each is so even if a frontend says that it has none.
    pub(super) room_is_certain: bool,
    /// Updates in one batch at most.
    pub(super) updates_per_batch_max: usize,
    /// How often a process is stopped between computing Replies and sending them.
    pub(super) held_up: f64,
    /// Whether what clients send to such a process meanwhile is lost.
    pub(super) deaf_while_held_up: bool,
    /// How long a superseded process goes on serving what it knows.
    pub(super) lingering: Range<Nanos>,
    /// What was written by hand, by time.
    pub(super) script: Vec<(Nanos, Step)>,
}

impl Plan {
    /// The run of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let at = usize::try_from(seed % Flavour::ALL.len() as u64).expect("a remainder of a small number");
        Self::of(seed, Flavour::ALL[at], Sabotage::None).with_services()
    }

    /// The run of a seed with a network of one kind, and perhaps sabotaged.
    #[must_use]
    pub fn of(seed: u64, flavour: Flavour, sabotage: Sabotage) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let spans = Spans::draw(&mut rng, flavour);
        let clients = draw_clients(&mut rng, flavour, sabotage);
        let settling_for = nanos(spans.settling());
        let crowded = flavour == Flavour::Crowd;
        let mut plan = Self {
            seed,
            flavour,
            operator: [Operator::Quiet, Operator::Sound, Operator::Sound, Operator::Mistaken]
                [rng.random_range(0..4)],
            sabotage,
            off: Vec::new(),
            updates_per_batch_max: Limits::default().updates_per_batch_max,
            held_up: 0.002,
            deaf_while_held_up: false,
            lingering: 0..secs(60),
            never_silent: false,
            room_is_certain: false,
            network: draw_network(&mut rng, flavour, &spans, &clients),
            frontends: frontends(flavour),
            nodes: [3, 3, 5][rng.random_range(0..3)],
            load_piece_len: [1, 5, 50][rng.random_range(0..3)],
            host_proofs: rng.random_bool(0.5),
            clients,
            services: Services::default(),
            rho_ppm: 1000,
            faults_for: if crowded {
                secs(rng.random_range(300..600))
            } else {
                secs(rng.random_range(900..3600))
            },
            healing_for: settling_for + secs(300),
            settling_for,
            fault_gap: if crowded { secs(rng.random_range(20..60)) } else { secs(rng.random_range(5..120)) },
            weather: (rng.random_range(0.0..0.1), rng.random_range(0.0..0.1), rng.random_range(0.0..0.1)),
            all_can_be_content: !matches!(
                flavour,
                Flavour::Scarce | Flavour::Single | Flavour::Unlimited | Flavour::Infinite
            ),
            script: Vec::new(),
        };
        if sabotage != Sabotage::None {
            plan.operator = Operator::Quiet;
        }
        if matches!(sabotage, Sabotage::RogueFrontend | Sabotage::RogueUpdates | Sabotage::SlowClientClocks) {
            // What is wrong shows without faults.
            plan.fault_gap = 0;
        }
        plan
    }

    /// The same network and clients, with nothing breaking and nobody changing anything.
    #[must_use]
    pub fn without_faults(mut self) -> Self {
        self.fault_gap = 0;
        self.weather = (0.0, 0.0, 0.0);
        self.operator = Operator::Quiet;
        self.clients.iter_mut().for_each(|c| c.oddity = Oddity::None);
        self
    }

    /// The same with a mechanism of the cores switched off. Only a build with the feature `sabotage` can run it.
    #[must_use]
    pub fn without(mut self, mechanism: Mechanism) -> Self {
        self.off.push(mechanism);
        self
    }

    /// The same with other operators.
    #[must_use]
    pub fn with_operator(mut self, operator: Operator) -> Self {
        self.operator = operator;
        self
    }
}

fn draw_clients(rng: &mut SmallRng, flavour: Flavour, sabotage: Sabotage) -> Vec<ClientPlan> {
    let count = match flavour {
        Flavour::Crowd => rng.random_range(200..300),
        Flavour::Single => rng.random_range(2..7),
        _ => rng.random_range(6..30),
    };
    let mut clients: Vec<ClientPlan> = (0..count).map(|_| draw_client(rng, flavour)).collect();
    if sabotage != Sabotage::None {
        // The sabotage alone is to be found.
        return clients;
    }
    for number in 0..clients.len() {
        let oddity = match rng.random_range(0..20) {
            0 | 1 => Oddity::RollsBack,
            2 => Oddity::NoElapsedTime,
            3 => Oddity::ReleasesLate,
            // Clones are of a client before them that is no clone itself.
            4 if number > 0 => match clients[..number].iter().rposition(|c| !c.oddity.is_clone()) {
                Some(of) => Oddity::CloneOf(of),
                None => Oddity::None,
            },
            _ => Oddity::None,
        };
        if let Oddity::CloneOf(of) = oddity {
            // The same machine twice: the same wishes at the same place.
            clients[number] = ClientPlan { oddity, ..clients[of].clone() };
        } else {
            clients[number].oddity = oddity;
        }
    }
    clients
}

fn draw_client(rng: &mut SmallRng, flavour: Flavour) -> ClientPlan {
    let (addresses, prefixes) = [(1, 0), (1, 0), (1, 1), (0, 1), (2, 0)][rng.random_range(0..5)];
    ClientPlan {
        attachment: match rng.random_range(0..4) {
            0 | 1 => Attachment::Direct,
            2 => Attachment::Relayed(1),
            _ => Attachment::Relayed(2),
        },
        addresses,
        prefixes,
        rapid_commit: rng.random_bool(0.3),
        restless: match flavour {
            Flavour::Crowd => rng.random_range(0..6),
            _ => rng.random_range(0..25),
        },
        oddity: Oddity::None,
        accepts_reconfigure: false,
        registers: false,
    }
}
