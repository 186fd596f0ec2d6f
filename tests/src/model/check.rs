//! What each step does, what must always be true, and the exploration.
//!
//! The properties are about what clients were promised, judged by true time; no rule of the store or of a frontend can
//! see what they see. Stateright's breadth-first search decides the order; everything else is decided by `moves`.

use super::config::{Config, Sabotage};
use super::moves::Action;
use super::sight::{Sight, Sights};
use super::state::{Batch, CLIENTS, World};
use super::store::{Rules, number};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The invariant: no two clients hold unexpired leases on one address.
pub const ONE_HOLDER: &str = "one holder";
/// Stability: no address is called free while a client holds it or is being told so.
pub const NOT_FREED: &str = "not freed under its holder";
/// Stability: no promise of a session that is not dead for certain is refused.
pub const NOT_REFUSED: &str = "no promise refused";

/// R6: a superseded session owns no open range, so that what it had opens in bounded time.
pub const NO_OPEN_RANGE: &str = "superseded without open ranges";

/// The model that stateright explores.
#[derive(Debug)]
pub struct Leases {
    pub(super) config: Config,
    sights: Arc<Sights>,
}

impl Leases {
    fn rules(&self) -> Rules<'_> {
        Rules { config: &self.config, sights: &self.sights }
    }

    /// The invariant of design section 5, seen one step ahead: a promise that could be made now, beyond the bound as
    /// well, would give an address to a second client. So the last promise costs no states.
    fn no_promise_would_make_two_holders(&self, world: &World) -> bool {
        (0..self.config.addresses).all(|address| {
            let mut holders = (0..CLIENTS).filter(|c| world.held_until[*c][address] > world.now);
            let Some(holder) = holders.next() else { return true };
            let other = number(1 - holder);
            holders.next().is_none()
                && world.sessions.iter().filter_map(|s| s.process.as_ref()).all(|process| {
                    let acked_until = process.records[address].map_or(0, |r| r.acked_until);
                    let may_promise = |acked| process.promise(&self.config, world.now, acked).is_some();
                    let creates = process.may_create(&self.config, address, other) && may_promise(0);
                    let extends = process.may_extend(address, other) && may_promise(acked_until);
                    !creates && !extends
                })
        })
    }

    /// Leases run out; cluster time advances.
    fn tick(&self, world: &mut World, stalled: bool) {
        world.now += 1;
        for process in world.sessions.iter_mut().filter_map(|s| s.process.as_mut()) {
            process.spoke = false;
        }
        if !stalled {
            world.pass_time(self.rules());
        }
    }

    fn take(&self, world: &mut World, s: usize, keep_copy: bool) -> Option<()> {
        let batch = world.sessions[s].sent.iter_mut().find(|b| !b.taken)?;
        batch.taken = true;
        let batch = *batch;
        if keep_copy {
            world.copy = Some((number(s), batch));
        }
        if world.sessions[s].process.is_none() {
            world.sessions[s].sent.retain(|b| !b.taken);
        }
        world.take_batch(self.rules(), s, &batch, false);
        Some(())
    }

    fn take_copy(&self, world: &mut World) -> Option<()> {
        let (s, batch) = world.copy.take()?;
        if self.config.has(Sabotage::BatchesAppliedTwice) {
            world.take_batch(self.rules(), usize::from(s), &batch, true);
        } else {
            self.sights.note(Sight::Repeated);
        }
        // One copy in a run is enough: no other is kept.
        world.copy = Some((s, Batch::default()));
        Some(())
    }

    fn apply(&self, world: &mut World, action: Action) -> Option<()> {
        let rules = self.rules();
        match action {
            Action::Tick { stalled } => self.tick(world, stalled),
            Action::Open { frontend, proved } => world.open_session(rules, frontend, proved),
            Action::Crash(s) => world.stop_process(s),
            Action::Close(s) => {
                world.sessions[s].process.as_mut()?.closing = true;
                world.send(rules, s, None, false)?;
            }
            Action::Send(s, wants) => world.send(rules, s, wants, false)?,
            Action::SendAcks(s) => world.send(rules, s, None, true)?,
            Action::Take(s) => self.take(world, s, false)?,
            Action::TakeAndKeepCopy(s) => self.take(world, s, true)?,
            Action::TakeCopy => self.take_copy(world)?,
            Action::TakeSecond(s) => {
                let first = world.sessions[s].sent.iter().position(|b| !b.taken)?;
                world.sessions[s].sent.swap(first, first + 1);
                self.take(world, s, false)?;
            }
            Action::Read(s) => world.read(rules, s)?,
            Action::Ask(s, address, client) => world.ask(rules, s, address, client)?,
            Action::Renew(s, address, client) => world.renew(rules, s, address, client)?,
            Action::Release(s, address, client) => world.give_back(s, address, client)?,
            Action::Claim(s, address, client) => {
                world.sessions[s].process.as_mut()?.claims[address] = Some(client);
            }
        }
        Some(())
    }
}

impl Model for Leases {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::start(&self.config).normal(&self.config)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.promises >= self.config.promises && world.is_settled() {
            return;
        }
        self.all_actions(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.apply(&mut next, action)?;
        Some(next.normal(&self.config))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HOLDER, |model, world| model.no_promise_would_make_two_holders(world)),
            Property::always(NOT_FREED, |_, world: &World| !world.freed_under_holder),
            Property::always(NOT_REFUSED, |_, world: &World| !world.promise_refused),
            Property::always(NO_OPEN_RANGE, |_, world: &World| {
                let is_superseded = |owner: u8| world.sessions[usize::from(owner)].superseded;
                world.ranges.iter().all(|r| r.closed || !r.owner.is_some_and(is_superseded))
            }),
        ]
    }
}

/// A violation.
#[derive(Debug)]
pub struct Found {
    /// Which property.
    pub property: &'static str,
    /// What happened, from the beginning. Names of clients and addresses may change places between steps.
    pub actions: Vec<Action>,
}

/// What an exploration gave.
#[derive(Debug)]
pub struct Outcome {
    /// Different states.
    pub states: usize,
    /// Steps on the longest way explored.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Violations.
    pub found: Vec<Found>,
    /// What was seen to happen.
    pub sights: Arc<Sights>,
}

/// Explores everything, or until one of the named properties is violated; with none named, until any is.
#[must_use]
pub fn explore(config: Config, threads: usize, until: &[&'static str]) -> Outcome {
    let began = Instant::now();
    let sights = Arc::new(Sights::default());
    let model = Leases { config, sights: Arc::clone(&sights) };
    let until: BTreeSet<&'static str> = until.iter().copied().collect();
    let finish = if until.is_empty() { HasDiscoveries::Any } else { HasDiscoveries::AnyOf(until) };
    let checker = model.checker().threads(threads).finish_when(finish).spawn_bfs().join();
    let mut found: Vec<Found> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| Found { property, actions: path.into_actions() })
        .collect();
    found.sort_by_key(|f| f.property);
    Outcome {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        found,
        sights,
    }
}
