//! What breaks, and how it is mended.
//!
//! Owns the schedule of faults, drawn from the plan's seed, and what each does; what operators do at bad moments is
//! among them. Each fault is mended after a span of its own; faults overlap. [`Event::Heal`] ends all of them.

use super::changes::change;
use super::clock::{Nanos, ms, secs};
use super::network::Weather;
use super::plan::Operator;
use super::world::{Event, World, note};
use leasehold_proto::words::FrontendId;
use leasehold_store::machine::Command;
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// The process of a frontend is killed.
    FrontCrash { frontend: usize },
    /// It does not run for a while.
    FrontPause { frontend: usize, span: Nanos },
    /// Its machine stands still, clock and all.
    FrontFreeze { frontend: usize, span: Nanos },
    /// It stops cleanly, and starts again.
    FrontStop { frontend: usize },
    /// A second process with its id starts.
    FrontTwin { frontend: usize },
    /// It is cut off from the store: upwards, downwards, or both.
    StoreCut { slot: usize, up: bool, down: bool },
    /// It is cut off from one store node.
    NodeCut { slot: usize, node: usize },
    /// What it says to the store and hears from it takes up to so long, in order, without end of the connection.
    StoreSlow { slot: usize, span: Nanos },
    /// It does not hear clients, is not heard, or both: of its own link, of relays, or of both.
    ClientCut { slot: usize, path: Path, deaf: bool, mute: bool },
    /// The carrier of its clients' link is gone, and it says so.
    LinkDown { slot: usize },
    /// Its connections break.
    Hiccup { slot: usize },
    /// A store node is killed.
    NodeCrash { node: usize },
    /// It is killed, and its disk is lost.
    NodeLost { node: usize },
    /// A store node is cut off from its peers.
    NodeApart { node: usize },
    /// The leader loses its office.
    Depose,
    /// Datagrams fare badly.
    Storm { loss: f64, repeat: f64, slow: f64 },
    /// An operator declares a frontend down, as soon as it is not heard; mended: he takes it back.
    Declare { frontend: usize },
    /// An operator drains it; mended: no more.
    Drain { frontend: usize },
    /// An operator changes the configuration; mended: puts it back.
    Configure { seed: u64 },
}

/// Which of a frontend's ways to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Its own link.
    Direct,
    /// Relays.
    Relayed,
    /// Both.
    All,
}

impl Path {
    /// As indexes of [`super::network::DIRECT`] and the like.
    fn ways(self) -> &'static [usize] {
        match self {
            Self::Direct => &[super::network::DIRECT],
            Self::Relayed => &[super::network::RELAYED],
            Self::All => &[super::network::DIRECT, super::network::RELAYED],
        }
    }
}

impl World {
    /// Draws the faults of the whole run.
    pub(super) fn schedule_faults(&mut self) {
        let fair = self.plan.weather;
        self.weather = Weather { loss: fair.0, repeat: fair.1, slow: fair.2 };
        let mut at = secs(30);
        let gap = self.plan.fault_gap;
        while gap > 0 && at + secs(1) < self.plan.faults_for {
            let (fault, span) = self.draw_fault();
            self.after(at, Event::Break(fault));
            self.after(at + span, Event::Mend(fault));
            at += self.rng.random_range(gap / 8..gap * 2);
        }
    }

    fn draw_fault(&mut self) -> (Fault, Nanos) {
        let frontend = self.rng.random_range(0..self.fronts.len() / 2);
        let slot = frontend * 2 + usize::from(self.rng.random_bool(0.2));
        let node = self.rng.random_range(0..self.store.nodes.len());
        // Long enough, at times, to outlast autonomy.
        let long = if self.rng.random_bool(0.4) { secs(120)..secs(600) } else { secs(2)..secs(60) };
        let long = self.rng.random_range(long);
        let short = self.rng.random_range(ms(200)..secs(30));
        if self.plan.operator != Operator::Quiet && self.rng.random_bool(0.2) {
            return match self.rng.random_range(0..10) {
                0..3 => (Fault::Declare { frontend }, long),
                3..5 => (Fault::Drain { frontend }, long),
                _ => (Fault::Configure { seed: self.rng.random() }, long * 2),
            };
        }
        match self.rng.random_range(0..100) {
            0..12 => (Fault::FrontCrash { frontend }, self.rng.random_range(ms(100)..secs(120))),
            12..22 => (Fault::FrontPause { frontend, span: if long > secs(300) { short } else { long } }, 0),
            22..25 => (Fault::FrontFreeze { frontend, span: short.max(ms(1100)) }, 0),
            25..27 => (Fault::FrontFreeze { frontend, span: self.rng.random_range(ms(10)..ms(1000)) }, 0),
            27..32 => (Fault::FrontStop { frontend }, self.rng.random_range(secs(1)..secs(60))),
            32..37 => (Fault::FrontTwin { frontend }, long),
            37..40 => (Fault::StoreSlow { slot, span: long }, long),
            40..55 => {
                let (up, down) =
                    [(true, true), (true, true), (true, false), (false, true)][self.rng.random_range(0..4)];
                (Fault::StoreCut { slot, up, down }, long)
            }
            55..58 => (Fault::NodeCut { slot, node }, long),
            58..61 => (Fault::LinkDown { slot }, long),
            61..68 => {
                let path = [Path::Direct, Path::Relayed, Path::All, Path::All][self.rng.random_range(0..4)];
                let (deaf, mute) = [(true, true), (true, false), (false, true)][self.rng.random_range(0..3)];
                (Fault::ClientCut { slot, path, deaf, mute }, long)
            }
            68..72 => (Fault::Hiccup { slot }, 0),
            72..80 => (Fault::NodeCrash { node }, self.rng.random_range(ms(500)..secs(90))),
            80..82 => (Fault::NodeLost { node }, long),
            82..90 => (Fault::NodeApart { node }, short),
            90..93 => (Fault::Depose, 0),
            _ => {
                let loss = self.rng.random_range(0.0..0.6);
                let repeat = self.rng.random_range(0.0..0.5);
                let slow = self.rng.random_range(0.0..0.7);
                (Fault::Storm { loss, repeat, slow }, short * 3)
            }
        }
    }

    /// The slot of a frontend in which a process runs, if one does.
    fn running_slot(&self, frontend: usize) -> Option<usize> {
        [frontend * 2, frontend * 2 + 1].into_iter().find(|s| self.fronts[*s].up)
    }

    /// Something breaks.
    pub(super) fn break_it(&mut self, fault: Fault) {
        if self.healed_at.is_some() {
            return;
        }
        note!(self, "breaks: {fault:?}");
        match fault {
            Fault::FrontCrash { frontend } => {
                if let Some(slot) = self.running_slot(frontend) {
                    self.counts.frontend_crashes += 1;
                    self.front_die(slot);
                    self.maybe_declare(frontend, true);
                }
            }
            Fault::FrontPause { frontend, span } => {
                if let Some(slot) = self.running_slot(frontend) {
                    self.counts.frontend_pauses += 1;
                    self.front_pause(slot, span, false);
                }
            }
            Fault::FrontFreeze { frontend, span } => {
                if let Some(slot) = self.running_slot(frontend).filter(|s| !self.fronts[*s].is_paused()) {
                    self.counts.frontend_clock_jumps += 1;
                    self.front_pause(slot, span, true);
                }
            }
            Fault::FrontStop { frontend } => {
                if let Some(slot) = self.running_slot(frontend) {
                    let now = self.fronts[slot].clock.local(self.now);
                    self.fronts[slot].stopping = true;
                    self.fronts[slot].engine.begin_stop(now);
                }
            }
            Fault::FrontTwin { frontend } => {
                let idle = [frontend * 2, frontend * 2 + 1].into_iter().find(|s| !self.fronts[*s].up);
                if let Some(slot) = idle {
                    self.counts.frontend_twins += 1;
                    self.front_start(slot);
                }
            }
            Fault::StoreCut { slot, up, down } => {
                self.counts.frontend_store_cuts += 1;
                (0..self.store.nodes.len()).for_each(|node| self.change_cut(slot, node, up, down, true));
                self.maybe_declare(slot / 2, false);
            }
            Fault::NodeCut { slot, node } => {
                self.counts.frontend_store_cuts += 1;
                self.change_cut(slot, node, true, true, true);
            }
            Fault::StoreSlow { slot, span } => {
                self.counts.frontend_store_slow += 1;
                self.connections.slow.insert(slot, span);
            }
            Fault::ClientCut { slot, path, deaf, mute } => {
                self.counts.frontend_client_cuts += 1;
                for way in path.ways() {
                    self.fronts[slot].deaf[*way] += u32::from(deaf);
                    self.fronts[slot].mute[*way] += u32::from(mute);
                }
            }
            Fault::LinkDown { slot } => {
                self.counts.links_down += 1;
                self.fronts[slot].link_down += 1;
            }
            Fault::Hiccup { slot } => self.break_connections_of_front(slot, secs(1)),
            Fault::NodeCrash { node } => self.crash_node(node),
            Fault::NodeLost { node } => self.lose_disk(node),
            Fault::NodeApart { node } => self.cut_node(node),
            Fault::Depose => self.depose(true),
            Fault::Storm { loss, repeat, slow } => self.weather = Weather { loss, repeat, slow },
            Fault::Declare { frontend } => {
                let frontend = self.name_of(frontend);
                self.declare_down(frontend);
            }
            Fault::Drain { frontend } => {
                let frontend = self.name_of(frontend);
                self.ask(Command::Drain { frontend, on: true });
            }
            Fault::Configure { seed } => {
                let mut rng = SmallRng::seed_from_u64(seed);
                let what = change(&mut self.operator.network, &self.plan.frontends, &mut rng);
                note!(self, "an operator changes the configuration: {what}");
                self.ask_for_network();
            }
        }
    }

    /// It is mended.
    pub(super) fn mend(&mut self, fault: Fault) {
        if self.healed_at.is_some() {
            return;
        }
        note!(self, "mended: {fault:?}");
        match fault {
            Fault::FrontCrash { frontend } | Fault::FrontStop { frontend } => {
                if self.running_slot(frontend).is_none() {
                    self.front_start(frontend * 2);
                }
            }
            Fault::StoreCut { slot, up, down } => {
                (0..self.store.nodes.len()).for_each(|node| self.change_cut(slot, node, up, down, false));
                self.release_held();
            }
            Fault::NodeCut { slot, node } => {
                self.change_cut(slot, node, true, true, false);
                self.release_held();
            }
            Fault::StoreSlow { slot, .. } => {
                self.connections.slow.remove(&slot);
            }
            Fault::ClientCut { slot, path, deaf, mute } => {
                for way in path.ways() {
                    self.fronts[slot].deaf[*way] -= u32::from(deaf);
                    self.fronts[slot].mute[*way] -= u32::from(mute);
                }
            }
            Fault::LinkDown { slot } => self.fronts[slot].link_down -= 1,
            Fault::NodeCrash { node } | Fault::NodeLost { node } => self.restart_node(node),
            Fault::NodeApart { node } => {
                self.store.nodes[node].cut -= 1;
                self.rejoin_node(node);
            }
            Fault::Storm { .. } => {
                let fair = self.plan.weather;
                self.weather = Weather { loss: fair.0, repeat: fair.1, slow: fair.2 };
            }
            Fault::Declare { frontend } => {
                let frontend = self.name_of(frontend);
                self.ask(Command::WithdrawDown { frontend });
            }
            Fault::Drain { frontend } => {
                let frontend = self.name_of(frontend);
                self.ask(Command::Drain { frontend, on: false });
            }
            Fault::Configure { .. } => {
                self.operator.network = self.plan.network.clone();
                self.ask_for_network();
            }
            Fault::FrontPause { .. }
            | Fault::FrontFreeze { .. }
            | Fault::FrontTwin { .. }
            | Fault::Hiccup { .. }
            | Fault::Depose => {}
        }
    }

    /// A frontend is not heard of, `dead` or only cut off: some operators act at once.
    fn maybe_declare(&mut self, frontend: usize, dead: bool) {
        let acts = match self.plan.operator {
            Operator::Quiet => false,
            Operator::Sound => dead && self.rng.random_bool(0.5),
            Operator::Mistaken => self.rng.random_bool(0.3),
        };
        if acts {
            let frontend = self.name_of(frontend);
            self.declare_down(frontend);
        }
    }

    fn declare_down(&mut self, frontend: FrontendId) {
        let newest = self.store.reference.newest_epoch();
        self.ask(Command::DeclareDown { frontend, newest });
    }

    fn name_of(&self, frontend: usize) -> FrontendId {
        self.fronts[frontend * 2].id.clone()
    }

    fn ask_for_network(&mut self) {
        leasehold_proto::network::fill_defaults(&mut self.operator.network);
        let network = self.operator.network.clone();
        self.ask(Command::ApplyNetwork { expected_version: 0, network: Box::new(network) });
    }

    fn change_cut(&mut self, slot: usize, node: usize, up: bool, down: bool, begins: bool) {
        let cut = self.connections.cuts.entry((slot, node)).or_default();
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { *count - 1 };
        if up {
            change(&mut cut.0);
        }
        if down {
            change(&mut cut.1);
        }
    }

    /// All faults end.
    pub(super) fn heal(&mut self) {
        note!(self, "faults end");
        self.healed_at = Some(self.now);
        self.weather = Weather::FAIR;
        self.connections.cuts.clear();
        self.connections.slow.clear();
        self.release_held();
        for slot in 0..self.fronts.len() {
            self.fronts[slot].deaf = [0; 2];
            self.fronts[slot].mute = [0; 2];
            self.fronts[slot].link_down = 0;
        }
        for frontend in 0..self.fronts.len() / 2 {
            if self.running_slot(frontend).is_none() {
                self.front_start(frontend * 2);
            }
        }
        for node in 0..self.store.nodes.len() {
            self.store.nodes[node].cut = 0;
            self.restart_node(node);
            self.rejoin_node(node);
        }
    }
}
