//! What breaks, and how it is mended.
//!
//! Owns the schedule of faults, drawn from the plan's seed, and what each does. Each fault is mended after a span of
//! its own; faults overlap. [`Event::Heal`] ends all of them.

use super::clock::{Nanos, ms, secs};
use super::network::Weather;
use super::store::NODES;
use super::world::{Event, World, note};
use rand::Rng;

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
    /// It does not hear clients, is not heard, or both.
    ClientCut { slot: usize, deaf: bool, mute: bool },
    /// Its connections break.
    Hiccup { slot: usize },
    /// A store node is killed.
    NodeCrash { node: usize },
    /// A store node is cut off from its peers.
    NodeApart { node: usize },
    /// The leader loses its office.
    Depose,
    /// Datagrams fare badly.
    Storm { loss: f64, repeat: f64, slow: f64 },
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
        let node = self.rng.random_range(0..NODES);
        // Long enough, at times, to outlast autonomy.
        let long = if self.rng.random_bool(0.4) { secs(120)..secs(600) } else { secs(2)..secs(60) };
        let long = self.rng.random_range(long);
        let short = self.rng.random_range(ms(200)..secs(30));
        match self.rng.random_range(0..100) {
            0..12 => (Fault::FrontCrash { frontend }, self.rng.random_range(ms(100)..secs(120))),
            12..22 => (Fault::FrontPause { frontend, span: if long > secs(300) { short } else { long } }, 0),
            22..27 => (Fault::FrontFreeze { frontend, span: short.max(ms(1100)) }, 0),
            27..32 => (Fault::FrontStop { frontend }, self.rng.random_range(secs(1)..secs(60))),
            32..37 => (Fault::FrontTwin { frontend }, long),
            37..55 => {
                let (up, down) =
                    [(true, true), (true, true), (true, false), (false, true)][self.rng.random_range(0..4)];
                (Fault::StoreCut { slot, up, down }, long)
            }
            55..58 => (Fault::NodeCut { slot, node }, long),
            58..68 => {
                let (deaf, mute) = [(true, true), (true, false), (false, true)][self.rng.random_range(0..3)];
                (Fault::ClientCut { slot, deaf, mute }, long)
            }
            68..72 => (Fault::Hiccup { slot }, 0),
            72..82 => (Fault::NodeCrash { node }, self.rng.random_range(ms(500)..secs(90))),
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
                (0..NODES).for_each(|node| self.change_cut(slot, node, up, down, true));
            }
            Fault::NodeCut { slot, node } => {
                self.counts.frontend_store_cuts += 1;
                self.change_cut(slot, node, true, true, true);
            }
            Fault::ClientCut { slot, deaf, mute } => {
                self.counts.frontend_client_cuts += 1;
                self.fronts[slot].deaf += u32::from(deaf);
                self.fronts[slot].mute += u32::from(mute);
            }
            Fault::Hiccup { slot } => self.break_connections_of_front(slot, secs(1)),
            Fault::NodeCrash { node } => self.crash_node(node),
            Fault::NodeApart { node } => self.cut_node(node),
            Fault::Depose => self.depose(true),
            Fault::Storm { loss, repeat, slow } => self.weather = Weather { loss, repeat, slow },
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
                (0..NODES).for_each(|node| self.change_cut(slot, node, up, down, false));
                self.release_held();
            }
            Fault::NodeCut { slot, node } => {
                self.change_cut(slot, node, true, true, false);
                self.release_held();
            }
            Fault::ClientCut { slot, deaf, mute } => {
                self.fronts[slot].deaf -= u32::from(deaf);
                self.fronts[slot].mute -= u32::from(mute);
            }
            Fault::NodeCrash { node } => self.restart_node(node),
            Fault::NodeApart { node } => {
                self.store.nodes[node].cut -= 1;
                self.rejoin_node(node);
            }
            Fault::Storm { .. } => {
                let fair = self.plan.weather;
                self.weather = Weather { loss: fair.0, repeat: fair.1, slow: fair.2 };
            }
            Fault::FrontPause { .. }
            | Fault::FrontFreeze { .. }
            | Fault::FrontTwin { .. }
            | Fault::Hiccup { .. }
            | Fault::Depose => {}
        }
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
        self.release_held();
        for slot in 0..self.fronts.len() {
            self.fronts[slot].deaf = 0;
            self.fronts[slot].mute = 0;
        }
        for frontend in 0..self.fronts.len() / 2 {
            if self.running_slot(frontend).is_none() {
                self.front_start(frontend * 2);
            }
        }
        for node in 0..NODES {
            self.store.nodes[node].cut = 0;
            self.restart_node(node);
            self.rejoin_node(node);
        }
    }
}
