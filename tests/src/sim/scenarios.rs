//! What is simulated: networks, clients and how much breaks, drawn from a seed; and sabotage, to try the judge.
//!
//! Owns the shapes of runs. Lifetimes, MCLT and autonomy are short, so that expiry, freeing, certain death and reuse
//! happen within minutes; the rules do not know the difference.

use super::client::{Attachment, ClientPlan};
use super::clock::{Nanos, nanos, secs};
use super::world::World;
use leasehold_frontend::codec::IaKind as WireKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_proto::v1;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::net::Ipv6Addr;
use std::time::Duration;

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
}

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Roomy, Self::Scarce, Self::Balanced, Self::Any, Self::Large, Self::Three];
}

/// What is broken on purpose, to see that the judge finds it.
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
    /// The store loses entries that were committed.
    ForgetfulStore,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything is drawn from it.
    pub seed: u64,
    /// What kind of network.
    pub flavour: Flavour,
    pub(super) sabotage: Sabotage,
    pub(super) network: v1::Network,
    pub(super) frontends: Vec<&'static str>,
    pub(super) clients: Vec<ClientPlan>,
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
}

/// Lifetimes and the like of one run.
struct Spans {
    preferred_secs: u32,
    valid_secs: u32,
    mclt_secs: u32,
    autonomy_secs: u32,
    prefix_autonomy_secs: u32,
    quarantine_secs: u32,
}

impl Spans {
    fn draw(rng: &mut SmallRng, flavour: Flavour) -> Self {
        let valid_secs = rng.random_range(60..300);
        let mclt_secs = if flavour == Flavour::Large { valid_secs } else { rng.random_range(20..=60) };
        Self {
            preferred_secs: rng.random_range(valid_secs / 2..=valid_secs),
            valid_secs,
            mclt_secs,
            autonomy_secs: rng.random_range(60..300),
            prefix_autonomy_secs: rng.random_range(40..200),
            quarantine_secs: rng.random_range(30..120),
        }
    }

    /// Long enough for everything that was promised, and for what may be promised while unheard, to be over.
    fn settling(&self) -> Duration {
        let autonomy = self.autonomy_secs.max(self.prefix_autonomy_secs);
        Duration::from_secs(
            u64::from(autonomy + 2 * self.mclt_secs + 3 * self.valid_secs + self.quarantine_secs) + 60,
        )
    }
}

impl Plan {
    /// The run of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let at = usize::try_from(seed % Flavour::ALL.len() as u64).expect("a remainder of six");
        Self::of(seed, Flavour::ALL[at], Sabotage::None)
    }

    /// The run of a seed with a network of one kind, and perhaps sabotaged.
    #[must_use]
    pub fn of(seed: u64, flavour: Flavour, sabotage: Sabotage) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let spans = Spans::draw(&mut rng, flavour);
        let clients: Vec<ClientPlan> = (0..rng.random_range(6..30)).map(|_| draw_client(&mut rng)).collect();
        let settling_for = nanos(spans.settling());
        let mut plan = Self {
            seed,
            flavour,
            sabotage,
            network: draw_network(&mut rng, flavour, &spans, &clients),
            frontends: if flavour == Flavour::Three {
                vec!["fe-a", "fe-b", "fe-c"]
            } else {
                vec!["fe-a", "fe-b"]
            },
            clients,
            rho_ppm: 1000,
            faults_for: secs(rng.random_range(900..3600)),
            healing_for: settling_for + secs(300),
            settling_for,
            fault_gap: secs(rng.random_range(5..120)),
            weather: (rng.random_range(0.0..0.1), rng.random_range(0.0..0.1), rng.random_range(0.0..0.1)),
            all_can_be_content: flavour != Flavour::Scarce,
        };
        if matches!(sabotage, Sabotage::RogueFrontend | Sabotage::SlowClientClocks) {
            // What is wrong shows without faults.
            plan.fault_gap = 0;
        }
        plan
    }

    /// The same network and clients, with nothing breaking.
    #[must_use]
    pub fn without_faults(mut self) -> Self {
        self.fault_gap = 0;
        self.weather = (0.0, 0.0, 0.0);
        self
    }
}

fn draw_client(rng: &mut SmallRng) -> ClientPlan {
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
        restless: rng.random_range(0..25),
    }
}

/// How many IAs of a kind clients of one link want.
fn demand(clients: &[ClientPlan], direct: bool, of: impl Fn(&ClientPlan) -> u8) -> u32 {
    let fits = |c: &&ClientPlan| (c.attachment == Attachment::Direct) == direct;
    clients.iter().filter(fits).map(|c| u32::from(of(c))).sum()
}

fn draw_network(rng: &mut SmallRng, flavour: Flavour, spans: &Spans, clients: &[ClientPlan]) -> v1::Network {
    let mut size = |wanted: u32| match flavour {
        Flavour::Scarce => (wanted * 2 / 3).clamp(2, 16),
        _ => (wanted * rng.random_range(5..9)).clamp(16, 256),
    };
    let mut pools = Vec::new();
    let mut relationships = vec![relationship("one", "fe-a", "fe-b")];
    for (link, direct) in [("direct", true), ("relayed", false)] {
        let addresses = size(demand(clients, direct, |c| c.addresses));
        let prefixes = size(demand(clients, direct, |c| c.prefixes));
        pools.push(address_pool(link, u32::from(!direct) + 1, 0x1000, addresses, spans));
        pools.push(prefix_pool(link, u16::from(!direct) * 0x1000 + 0x1000, prefixes, spans));
        if flavour == Flavour::Three && direct {
            let (mut a, mut p) =
                (address_pool(link, 1, 0x9000, addresses, spans), prefix_pool(link, 0x3000, prefixes, spans));
            a.name = "addresses-more".to_owned();
            p.name = "prefixes-more".to_owned();
            pools.extend([a, p]);
        }
    }
    if flavour == Flavour::Three {
        relationships.push(relationship("two", "fe-b", "fe-c"));
        relationships[0].pools = names(&pools, |n| n == "addresses-direct" || n == "prefixes-direct");
        relationships[1].pools = names(&pools, |n| n != "addresses-direct" && n != "prefixes-direct");
    } else {
        relationships[0].pools = names(&pools, |_| true);
    }
    if flavour == Flavour::Large {
        for pool in pools.iter_mut().filter(|p| p.kind == i32::from(v1::IaKind::Na)) {
            let first = u128::from_be_bytes(pool.first.as_slice().try_into().expect("written above"));
            pool.last = (first + (1 << 26) - 1).to_be_bytes().to_vec();
        }
    }
    for pool in &mut pools {
        let small = flavour != Flavour::Large || pool.kind == i32::from(v1::IaKind::Pd);
        pool.range_bits = Some(if small { rng.random_range(0..=2) } else { 6 });
    }
    for r in &mut relationships {
        r.buckets = match flavour {
            Flavour::Balanced | Flavour::Three => v1::BucketMode::LoadBalancing.into(),
            _ => v1::BucketMode::HotStandby.into(),
        };
        r.answering = match flavour {
            Flavour::Any => v1::Answering::Any.into(),
            _ => v1::Answering::Buckets.into(),
        };
    }
    let link = |name: &str, number: u16| v1::Link {
        name: name.to_owned(),
        prefixes: vec![v1::Prefix {
            address: Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0).octets().to_vec(),
            length_bits: 64,
        }],
        rapid_commit: true,
        ..v1::Link::default()
    };
    v1::Network {
        links: vec![link("direct", 1), link("relayed", 2)],
        pools,
        relationships,
        timing: Some(v1::Timing { rho_ppm: 1000, flight_ms: 5000, send_ms: 1000 }),
        ..v1::Network::default()
    }
}

fn names(pools: &[v1::Pool], fits: impl Fn(&str) -> bool) -> Vec<String> {
    pools.iter().map(|p| p.name.clone()).filter(|n| fits(n)).collect()
}

fn relationship(name: &str, primary: &str, secondary: &str) -> v1::Relationship {
    v1::Relationship {
        name: name.to_owned(),
        primary: primary.to_owned(),
        secondary: secondary.to_owned(),
        takeover_after_ms: 500,
        ..v1::Relationship::default()
    }
}

fn address_pool(link: &str, subnet: u32, host: u16, size: u32, spans: &Spans) -> v1::Pool {
    let subnet = u16::try_from(subnet).expect("two links");
    let first = Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, host).to_bits();
    v1::Pool {
        name: format!("addresses-{link}"),
        kind: v1::IaKind::Na.into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + u128::from(size) - 1).to_be_bytes().to_vec(),
        length_bits: 128,
        autonomy_ms: u64::from(spans.autonomy_secs) * 1000,
        ..common(link, spans)
    }
}

fn prefix_pool(link: &str, number: u16, size: u32, spans: &Spans) -> v1::Pool {
    let first = Ipv6Addr::new(0x2001, 0xdb9, number, 0, 0, 0, 0, 0).to_bits();
    v1::Pool {
        name: format!("prefixes-{link}"),
        kind: v1::IaKind::Pd.into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + (u128::from(size - 1) << 68)).to_be_bytes().to_vec(),
        length_bits: 60,
        autonomy_ms: u64::from(spans.prefix_autonomy_secs) * 1000,
        ..common(link, spans)
    }
}

fn common(link: &str, spans: &Spans) -> v1::Pool {
    v1::Pool {
        link: link.to_owned(),
        preferred_lifetime_secs: spans.preferred_secs,
        valid_lifetime_secs: spans.valid_secs,
        mclt_secs: spans.mclt_secs,
        decline_quarantine_secs: spans.quarantine_secs,
        ..v1::Pool::default()
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
}
