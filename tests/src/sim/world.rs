//! The scheduler: one thread, one heap of events in true time, one seed.
//!
//! Owns the order of everything that happens and the random numbers that decide it. Each kind of process has its own
//! module, which handles its events and schedules more. Invariants: true time never goes back; events of the same
//! moment happen in the order in which they were scheduled; the first violation ends the run.

use super::client::Client;
use super::clock::{DriftClock, Nanos, TRUE_RATE, secs};
use super::connection::Connections;
use super::faults::Fault;
use super::frontend::Front;
use super::invariants::Told;
use super::network::{Datagram, Weather};
use super::operator::Operators;
use super::oracle::Oracle;
use super::orders::Orders;
use super::plan::{Plan, Step};
use super::reconfigured::GivenKeys;
use super::registering::OwnAddresses;
use super::report::{Counts, Failure, Kind, Report};
use super::sabotaged::Sabotage;
use super::services::services_rng;
use super::store::Store;
use leasehold_proto::session::SessionBatch;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Duid, Epoch, FrontendId, Prefix, RangeId, UpdateSeq};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Lines of trace kept.
const TRACE_MAX: usize = 4000;
/// Steps after which a run is called stuck: a hundred times what a run takes.
const STEPS_MAX: u64 = 200_000_000;

/// Something that is to happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A leader puts what was proposed into an entry.
    Flush { node: usize, life: u64 },
    /// What the leader of a term appended has reached a majority, as far as `upto`.
    Commit { term: u64, upto: u64 },
    /// A node applies what is committed.
    Apply { node: usize, life: u64 },
    /// A node looks at its clock.
    StoreTick { node: usize, life: u64 },
    /// Nodes try to elect a leader.
    Elect,
    /// A leader that was deposed finds out.
    StepDown { node: usize, life: u64 },
    /// A message reaches a store node.
    Up { connection: u64, bytes: Arc<[u8]> },
    /// A message reaches a frontend.
    Down { connection: u64, bytes: Arc<[u8]> },
    /// The store's end learns that the connection is gone.
    UpGone { connection: u64 },
    /// The frontend's end learns that the connection is gone.
    DownGone { connection: u64 },
    /// A frontend tries to connect.
    Dial { slot: usize, life: u64 },
    /// A frontend's connection is up.
    Dialled { connection: u64 },
    /// A datagram reaches a frontend.
    Datagram { slot: usize, datagram: Datagram },
    /// A frontend does what is due.
    FrontWake { slot: usize, life: u64 },
    /// A node starts, if it can by now.
    NodeStart { node: usize },
    /// A paused frontend goes on.
    FrontResume { slot: usize, life: u64 },
    /// A frontend's process starts.
    FrontStart { slot: usize },
    /// A frontend's process ends.
    FrontExit { slot: usize, life: u64 },
    /// A reply reaches a client.
    ToClient { client: usize, slot: usize, bytes: Arc<[u8]> },
    /// An old Release arrives once more.
    ReleaseAgain { client: usize, bytes: Arc<[u8]> },
    /// A client does what is due.
    ClientWake { client: usize, turn: u64 },
    /// A client does something about addresses of its own.
    OwnWake { client: usize },
    /// An operator has clients asked by Reconfigure.
    Order,
    /// The same for the last time, when everything has settled.
    LastOrder,
    /// Something breaks.
    Break(Fault),
    /// It is mended.
    Mend(Fault),
    /// Something of the plan's script.
    Script(Step),
    /// Faults end.
    Heal,
    /// Everything must be well.
    Judge,
}

#[derive(Debug)]
struct Scheduled {
    at: Nanos,
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A whole cluster and its clients.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: SmallRng,
    /// What clients and operators decide about Reconfigure and registrations.
    pub(super) rng_services: SmallRng,
    pub(super) now: Nanos,
    queue: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    steps: u64,
    fingerprint: u64,
    pub(super) store: Store,
    pub(super) fronts: Vec<Front>,
    pub(super) clients: Vec<Client>,
    pub(super) connections: Connections,
    pub(super) oracle: Oracle,
    pub(super) operator: Operators,
    pub(super) orders: Orders,
    pub(super) given_keys: GivenKeys,
    pub(super) own: OwnAddresses,
    /// Whose registration each address is, by the log, for counting.
    pub(super) registrants: BTreeMap<u128, Duid>,
    pub(super) weather: Weather,
    /// Which client held a lease last, for counting.
    pub(super) held_before: BTreeMap<Prefix, usize>,
    /// Whose each range was last, for counting.
    pub(super) last_owners: BTreeMap<RangeId, Option<FrontendId>>,
    /// The most that was ever acknowledged to a holding.
    pub(super) acknowledged: BTreeMap<(Prefix, Vec<u8>, u32), ClusterTime>,
    /// What each client was told of each lease at the most: prefix, DUID and IAID.
    pub(super) told: BTreeMap<(Prefix, Vec<u8>, u32), Told>,
    /// What a rogue frontend made of its batches.
    pub(super) rogue_batches: BTreeMap<(Epoch, UpdateSeq), Arc<SessionBatch>>,
    /// When faults ended.
    pub(super) healed_at: Option<Nanos>,
    pub(super) counts: Counts,
    trace: Option<VecDeque<String>>,
    violation: Option<(Kind, String)>,
    is_over: bool,
}

/// Notes a line of the trace; costs nothing when none is kept.
macro_rules! note {
    ($world:expr, $($words:tt)*) => {
        if $world.is_traced() {
            $world.note(format!($($words)*));
        }
    };
}
pub(super) use note;

impl World {
    /// The beginning of a run.
    pub(super) fn new(mut plan: Plan, traced: bool) -> Self {
        leasehold_proto::network::fill_defaults(&mut plan.network);
        let mut rng = SmallRng::seed_from_u64(plan.seed);
        let mut clocks = Clocks { rho_ppm: plan.rho_ppm };
        let store = Store::new(&plan, || clocks.draw(&mut rng));
        let mut rng_fronts = SmallRng::seed_from_u64(plan.seed ^ 1);
        let mut fronts: Vec<Front> = plan
            .frontends
            .iter()
            .flat_map(|name| [name, name])
            .enumerate()
            .map(|(slot, name)| Front::new(name, slot, clocks.draw(&mut rng_fronts)))
            .collect();
        if plan.sabotage == Sabotage::SlowFrontendClock {
            fronts[0].clock = DriftClock::new(0, TRUE_RATE / 4);
        }
        let mut clients: Vec<Client> = plan
            .clients
            .iter()
            .enumerate()
            .map(|(number, wants)| Client::new(number, wants.clone(), clocks.draw(&mut rng_fronts)))
            .collect();
        if plan.sabotage == Sabotage::SlowClientClocks {
            clients.iter_mut().for_each(|c| c.clock = DriftClock::new(0, TRUE_RATE / 2));
        }
        Self {
            rng,
            rng_services: services_rng(plan.seed),
            now: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            steps: 0,
            fingerprint: plan.seed,
            store,
            fronts,
            clients,
            connections: Connections::default(),
            oracle: Oracle::default(),
            operator: Operators::new(&plan),
            orders: Orders::default(),
            given_keys: GivenKeys::default(),
            own: OwnAddresses::default(),
            registrants: BTreeMap::new(),
            weather: Weather::FAIR,
            held_before: BTreeMap::new(),
            last_owners: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            told: BTreeMap::new(),
            rogue_batches: BTreeMap::new(),
            healed_at: None,
            counts: Counts::default(),
            trace: traced.then(VecDeque::new),
            violation: None,
            is_over: false,
            plan,
        }
    }

    /// Runs to the end, or to the first violation.
    pub(super) fn run(mut self) -> Result<Report, Box<Failure>> {
        self.begin();
        while !self.is_over && self.violation.is_none() {
            let Some(Reverse(next)) = self.queue.pop() else {
                self.violation = Some((Kind::Rule, "nothing is left to happen".to_owned()));
                break;
            };
            self.now = next.at;
            self.steps += 1;
            self.fingerprint = self.fingerprint.rotate_left(5) ^ next.at ^ next.sequence;
            if self.steps > STEPS_MAX {
                self.violation = Some((Kind::Rule, "too many steps: something goes in circles".to_owned()));
                break;
            }
            self.happen(next.event);
        }
        self.finish_counts();
        match self.violation {
            None => Ok(Report {
                seeds: 1,
                steps: self.steps,
                simulated: Duration::from_nanos(self.now),
                fingerprint: self.fingerprint,
                counts: self.counts,
            }),
            Some((kind, violation)) => Err(Box::new(Failure {
                kind,
                seed: self.plan.seed,
                at: Duration::from_nanos(self.now),
                violation,
                trace: self.trace.map(Vec::from).unwrap_or_default(),
            })),
        }
    }

    fn begin(&mut self) {
        self.found_store();
        for slot in (0..self.fronts.len()).step_by(2) {
            let delay = self.rng.random_range(0..secs(2));
            self.after(delay, Event::FrontStart { slot });
        }
        for client in 0..self.clients.len() {
            let delay = self.rng.random_range(secs(1)..secs(60));
            self.after(delay, Event::ClientWake { client, turn: 0 });
        }
        self.schedule_faults();
        self.schedule_orders();
        self.schedule_registering();
        for (at, step) in self.plan.script.clone() {
            self.at(at, Event::Script(step));
        }
        let (faults, healing) = (self.plan.faults_for, self.plan.healing_for);
        self.after(faults, Event::Heal);
        self.after(faults + healing, Event::Judge);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Flush { node, life } => self.flush(node, life),
            Event::Commit { term, upto } => self.commit(term, upto),
            Event::Apply { node, life } => self.apply_committed(node, life),
            Event::StoreTick { node, life } => self.store_tick(node, life),
            Event::Elect => self.elect(),
            Event::StepDown { node, life } => self.step_down(node, life),
            Event::Up { connection, bytes } => self.up(connection, bytes),
            Event::Down { connection, bytes } => self.down(connection, bytes),
            Event::UpGone { connection } => self.up_gone(connection),
            Event::DownGone { connection } => self.down_gone(connection),
            Event::Dial { slot, life } => self.dial(slot, life),
            Event::Dialled { connection } => self.dialled(connection),
            Event::Datagram { slot, datagram } => self.datagram(slot, datagram),
            Event::FrontWake { slot, life } => self.front_wake(slot, life),
            Event::NodeStart { node } => self.restart_node(node),
            Event::ReleaseAgain { client, bytes } => self.release_again(client, &bytes),
            Event::Script(step) => self.step(step),
            Event::FrontResume { slot, life } => self.front_resume(slot, life),
            Event::FrontStart { slot } => self.front_start(slot),
            Event::FrontExit { slot, life } => self.front_exit(slot, life),
            Event::ToClient { client, slot, bytes } => self.client_hears(client, slot, &bytes),
            Event::ClientWake { client, turn } => self.client_wake(client, turn),
            Event::OwnWake { client } => self.own_wake(client),
            Event::Order => self.order(),
            Event::LastOrder => self.last_order(),
            Event::Break(fault) => self.break_it(fault),
            Event::Mend(fault) => self.mend(fault),
            Event::Heal => self.heal(),
            Event::Judge => {
                self.judge_healed();
                self.is_over = true;
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Break(fault) => self.break_it(fault),
            Step::Mend(fault) => self.mend(fault),
            Step::Clients(act) => self.all_clients(act),
        }
    }

    /// Schedules an event after a span of true time.
    pub(super) fn after(&mut self, delay: Nanos, event: Event) {
        self.at(self.now.saturating_add(delay), event);
    }

    /// Schedules an event at a true time, now at the earliest.
    pub(super) fn at(&mut self, at: Nanos, event: Event) {
        self.sequence += 1;
        let scheduled = Scheduled { at: at.max(self.now), sequence: self.sequence, event };
        self.queue.push(Reverse(scheduled));
    }

    /// A rule is violated: the run ends here.
    pub(super) fn fail(&mut self, violation: String) {
        self.fail_as(Kind::Rule, violation);
    }

    /// A violation of some kind: the run ends here, unless a sabotaged run is judged by other things.
    pub(super) fn fail_as(&mut self, kind: Kind, violation: String) {
        if self.plan.is_judged_by(kind) {
            note!(self, "VIOLATION {violation}");
            self.violation.get_or_insert((kind, violation));
        }
    }

    /// Whether lines of trace are kept: see [`note`].
    pub(super) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Keeps a line of the trace.
    pub(super) fn note(&mut self, line: String) {
        let at = Duration::from_nanos(self.now).as_secs_f64();
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE_MAX {
                trace.pop_front();
            }
            trace.push_back(format!("{at:>12.6} {line}"));
        }
    }
}

/// Draws clocks of which no two differ in rate by more than rho.
struct Clocks {
    rho_ppm: u32,
}

impl Clocks {
    fn draw(&mut self, rng: &mut SmallRng) -> DriftClock {
        // Half of rho to either side; a ppm is a thousand ppb.
        let half_ppb = u64::from(self.rho_ppm) * 500;
        let rate = match rng.random_range(0..4) {
            // The extremes are where mistakes show.
            0 => TRUE_RATE - half_ppb,
            1 => TRUE_RATE + half_ppb,
            _ => rng.random_range(TRUE_RATE - half_ppb..=TRUE_RATE + half_ppb),
        };
        DriftClock::new(rng.random_range(0..secs(100_000)), rate)
    }
}
