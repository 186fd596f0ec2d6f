//! Connections between frontends and store nodes: ordered, delayed, and sometimes broken.
//!
//! Owns what is in flight. A message is really encoded on one side and decoded on the other. A cut holds messages
//! back, one way or both, as TCP does, until it is mended or an end gives up; a break loses what is in flight and is
//! noticed by the two ends at different times. Invariant: what arrives, arrives in order and without gaps.

use super::clock::{Nanos, ms, secs};
use super::frontend::Input;
use super::store::node_of;
use super::world::{Event, World, note};
use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::v1;
use prost::Message;
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Silence after which an end gives a connection up.
const SILENCE_MAX: Nanos = secs(5);
/// Between two attempts to connect.
const DIAL_AGAIN: std::ops::Range<Nanos> = ms(50)..ms(400);

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    last_arrival: Nanos,
    held: VecDeque<Arc<[u8]>>,
    heard_at: Nanos,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    slot: usize,
    front_life: u64,
    node: usize,
    node_life: u64,
    up: Pipe,
    down: Pipe,
    /// The frontend's end is open.
    front_open: bool,
    /// The store's end is open.
    node_open: bool,
    /// What is in flight is lost.
    broken: bool,
}

/// All of them, and which ways are cut.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    last: u64,
    /// Faults that hold messages back, by frontend slot and node: up, down.
    pub(super) cuts: BTreeMap<(usize, usize), (u32, u32)>,
    /// Slots whose messages to and from the store take up to so long.
    pub(super) slow: BTreeMap<usize, Nanos>,
}

impl Connections {
    fn is_cut_up(&self, slot: usize, node: usize) -> bool {
        self.cuts.get(&(slot, node)).is_some_and(|c| c.0 > 0)
    }

    fn is_cut_down(&self, slot: usize, node: usize) -> bool {
        self.cuts.get(&(slot, node)).is_some_and(|c| c.1 > 0)
    }
}

impl World {
    // ---- the frontend's end

    /// A frontend without a connection tries one node.
    pub(super) fn dial(&mut self, slot: usize, life: u64) {
        let nodes = self.store.nodes.len();
        let front = &mut self.fronts[slot];
        if front.life != life || !front.up || front.connection.is_some() {
            return;
        }
        front.dialling = false;
        let node = match front.leader_hint.take() {
            Some(name) => node_of(&name).unwrap_or(0),
            None => {
                front.next_node = (front.next_node + 1) % nodes;
                front.next_node
            }
        };
        let reachable = self.store.nodes[node].up
            && !self.connections.is_cut_up(slot, node)
            && !self.connections.is_cut_down(slot, node);
        if !reachable {
            self.dial_later(slot);
            return;
        }
        self.connections.last += 1;
        let id = self.connections.last;
        let connection = Connection {
            slot,
            front_life: life,
            node,
            node_life: self.store.nodes[node].life,
            up: Pipe { heard_at: self.now, ..Pipe::default() },
            down: Pipe { heard_at: self.now, ..Pipe::default() },
            front_open: true,
            node_open: true,
            broken: false,
        };
        self.connections.all.insert(id, connection);
        self.fronts[slot].connection = Some(id);
        let delay = self.rng.random_range(ms(1)..ms(10));
        self.after(delay, Event::Dialled { connection: id });
    }

    /// The connection is up: the frontend may speak.
    pub(super) fn dialled(&mut self, id: u64) {
        let Some(connection) = self.connections.all.get(&id) else { return };
        if connection.front_open {
            let slot = connection.slot;
            self.front_takes(slot, Input::Connected { connection: id });
        }
    }

    pub(super) fn dial_later(&mut self, slot: usize) {
        let front = &mut self.fronts[slot];
        if front.dialling || !front.up {
            return;
        }
        front.dialling = true;
        let life = front.life;
        let delay = self.rng.random_range(DIAL_AGAIN);
        self.after(delay, Event::Dial { slot, life });
    }

    /// A frontend sends a message to the store.
    pub(super) fn send_up(&mut self, id: u64, message: &ToStore) {
        let bytes: Arc<[u8]> = v1::FrontendMessage::from(message).encode_to_vec().into();
        if self.connections.all.get(&id).is_some_and(|c| c.front_open && !c.broken) {
            let delay = self.pipe_delay(id);
            let Some(connection) = self.connections.all.get_mut(&id) else { return };
            let at = (self.now + delay).max(connection.up.last_arrival + 1);
            connection.up.last_arrival = at;
            self.at(at, Event::Up { connection: id, bytes });
        }
    }

    /// A message reaches its node, unless the way was cut meanwhile.
    pub(super) fn up(&mut self, id: u64, bytes: Arc<[u8]>) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if connection.broken || !connection.node_open {
            return;
        }
        let (slot, node) = (connection.slot, connection.node);
        if self.store.nodes[node].life != connection.node_life {
            return;
        }
        if self.connections.cuts.get(&(slot, node)).is_some_and(|c| c.0 > 0) || !connection.up.held.is_empty()
        {
            connection.up.held.push_back(bytes);
            return;
        }
        connection.up.heard_at = self.now;
        let message = v1::FrontendMessage::decode(&bytes[..]).map_err(|e| e.to_string());
        match message.and_then(|m| ToStore::try_from(&m).map_err(|e| e.to_string())) {
            Ok(message) => self.store_hears(node, id, message),
            Err(error) => self.fail(format!("the store cannot read what frontend {slot} sent: {error}")),
        }
    }

    // ---- the store's end

    /// The store sends a message to a frontend.
    pub(super) fn send_down(&mut self, id: u64, message: &FromStore) {
        let bytes: Arc<[u8]> = v1::StoreMessage::from(message).encode_to_vec().into();
        if self.connections.all.get(&id).is_some_and(|c| c.node_open && !c.broken) {
            let delay = self.pipe_delay(id);
            let Some(connection) = self.connections.all.get_mut(&id) else { return };
            let at = (self.now + delay).max(connection.down.last_arrival + 1);
            connection.down.last_arrival = at;
            self.at(at, Event::Down { connection: id, bytes });
        }
    }

    /// A message reaches its frontend, unless the way was cut meanwhile.
    pub(super) fn down(&mut self, id: u64, bytes: Arc<[u8]>) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if connection.broken || !connection.front_open {
            return;
        }
        let (slot, node) = (connection.slot, connection.node);
        if self.fronts[slot].life != connection.front_life {
            return;
        }
        if self.connections.cuts.get(&(slot, node)).is_some_and(|c| c.1 > 0)
            || !connection.down.held.is_empty()
        {
            connection.down.held.push_back(bytes);
            return;
        }
        connection.down.heard_at = self.now;
        self.front_takes(slot, Input::Store { connection: id, bytes });
    }

    /// The hub closed the connection, after what it has sent.
    pub(super) fn close_from_store(&mut self, id: u64) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        connection.node_open = false;
        let at = self.now.max(connection.down.last_arrival) + ms(1);
        self.at(at, Event::DownGone { connection: id });
    }

    /// The frontend closed the connection, after what it has sent.
    pub(super) fn close_from_front(&mut self, id: u64) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if !connection.front_open {
            return;
        }
        connection.front_open = false;
        let slot = connection.slot;
        let at = self.now.max(connection.up.last_arrival) + ms(1);
        self.at(at, Event::UpGone { connection: id });
        if self.fronts[slot].connection == Some(id) {
            self.fronts[slot].connection = None;
            self.dial_later(slot);
        }
    }

    // ---- endings

    /// The store's end learns that the connection is gone.
    pub(super) fn up_gone(&mut self, id: u64) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if std::mem::take(&mut connection.node_open) {
            let (node, life) = (connection.node, connection.node_life);
            if self.store.nodes[node].life == life {
                self.store_loses(node, id);
            }
        }
        self.forget_if_over(id);
    }

    /// The frontend's end learns that the connection is gone.
    pub(super) fn down_gone(&mut self, id: u64) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if !connection.down.held.is_empty() && !connection.broken {
            // The end of the stream is held back like all before it.
            connection.broken = true;
        }
        if std::mem::take(&mut connection.front_open) {
            let slot = connection.slot;
            if self.fronts[slot].life == connection.front_life {
                self.front_takes(slot, Input::Gone { connection: id });
            }
        }
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: u64) {
        if self.connections.all.get(&id).is_some_and(|c| !c.front_open && !c.node_open) {
            self.connections.all.remove(&id);
        }
    }

    /// A connection breaks: all in flight is lost, and each end notices in its own time.
    fn break_connection(&mut self, id: u64, notice_max: Nanos) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if connection.broken {
            return;
        }
        connection.broken = true;
        self.counts.connections_broken += 1;
        let (up, down) = (self.rng.random_range(0..=notice_max), self.rng.random_range(0..=notice_max));
        self.after(up, Event::UpGone { connection: id });
        self.after(down, Event::DownGone { connection: id });
    }

    /// Breaks what a frontend has.
    pub(super) fn break_connections_of_front(&mut self, slot: usize, notice_max: Nanos) {
        for id in self.connections_where(|c| c.slot == slot) {
            self.break_connection(id, notice_max);
        }
    }

    /// A node is gone, and with it its ends of connections.
    pub(super) fn break_connections_of_node(&mut self, node: usize) {
        for id in self.connections_where(|c| c.node == node) {
            self.break_connection(id, ms(500));
        }
    }

    fn connections_where(&self, fits: impl Fn(&Connection) -> bool) -> Vec<u64> {
        self.connections.all.iter().filter(|(_, c)| fits(c)).map(|(id, _)| *id).collect()
    }

    /// A way that was cut is open again: what was held back goes on.
    pub(super) fn release_held(&mut self) {
        for id in self.connections_where(|c| !c.up.held.is_empty() || !c.down.held.is_empty()) {
            let Some(connection) = self.connections.all.get(&id) else { continue };
            let (slot, node) = (connection.slot, connection.node);
            if !self.connections.is_cut_up(slot, node) {
                let held = self.connections.all.get_mut(&id).map(|c| std::mem::take(&mut c.up.held));
                held.unwrap_or_default().into_iter().for_each(|bytes| self.up(id, bytes));
            }
            if !self.connections.is_cut_down(slot, node) {
                let held = self.connections.all.get_mut(&id).map(|c| std::mem::take(&mut c.down.held));
                held.unwrap_or_default().into_iter().for_each(|bytes| self.down(id, bytes));
            }
        }
    }

    /// Ends that have heard nothing for long give up, as keep-alives make them.
    pub(super) fn give_up_silent(&mut self, slot: usize) {
        let Some(id) = self.fronts[slot].connection else { return };
        if self.connections.slow.contains_key(&slot) {
            // Somebody keeps it alive: a proxy, perhaps.
            return;
        }
        let Some(connection) = self.connections.all.get(&id) else { return };
        let now = self.now;
        let silent = |pipe: &Pipe| now.saturating_sub(pipe.heard_at) > SILENCE_MAX;
        if silent(&connection.down) || silent(&connection.up) {
            note!(self, "connection {id} of frontend {slot} is given up");
            self.break_connection(id, secs(2));
        }
    }

    fn pipe_delay(&mut self, id: u64) -> Nanos {
        let slot = self.connections.all.get(&id).map(|c| c.slot);
        if let Some(span) = slot.and_then(|s| self.connections.slow.get(&s)).copied() {
            return self.rng.random_range(0..=span);
        }
        if self.healed_at.is_none() && self.rng.random_bool(0.01) {
            self.rng.random_range(0..ms(800))
        } else {
            self.rng.random_range(ms(1) / 10..ms(4))
        }
    }
}
