//! Clients that accept Reconfigure: the keys that they are given, and what they make of being asked.
//!
//! Owns each client's keys and replay values, kept as strictly as RFC 9915 §20.3 has it: whatever does not rise is passed
//! over, be it a Reconfigure or a Reply that gives a key. Judges that a client's key never changes (SV-402), that only who
//! was given one is asked (SV-401, SV-404), and that values rise in the order in which orders were given: a Reply is above
//! every order that its frontend had read, and an order is above all before it (SV-405). Of two Replies without an order
//! between them the later may be lower, as docs/known-gaps.md has it, by as much as cluster time stood still or the store
//! answered late; then the client passes it over.

use super::client::Doing;
use super::plan::Flavour;
use super::rkap::{Asking, Octets, key_in};
use super::world::{World, note};
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_frontend::codec::wire::{msg, opt};
use leasehold_proto::reconfigure::{ReconfigureWhom, replay_of_key};
use leasehold_proto::session::{FromStore, StoreEvent};
use leasehold_proto::time::ClusterTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far a frontend's clock may be ahead of the store's for orders to reach everybody (docs/decisions/0017).
const AHEAD_MAX: Duration = Duration::from_secs(35 * 60);
/// How far behind it may be: paused for a moment that it did not notice, or since it computed a Reply.
const BEHIND_MAX: Duration = Duration::from_secs(60);
/// The incarnation of a cluster that is founded once.
const INCARNATION: u16 = 1;

/// Where a replay value stands among orders: that of an order, or of a key given by who had read so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

impl Rank {
    fn of_order(number: u64) -> Self {
        Self(2 * number)
    }

    fn of_key(orders_read: u64) -> Self {
        Self(2 * orders_read + 1)
    }
}

#[derive(Debug, Clone, Copy)]
struct Held {
    key: Octets,
    /// The highest value seen of this server.
    replay: u64,
    rank: Rank,
}

/// A client's keys, by server.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(BTreeMap<Vec<u8>, Held>);

impl Keys {
    /// Whether it has one of a server.
    pub(super) fn has(&self, server: &[u8]) -> bool {
        self.0.contains_key(server)
    }

    /// Whether an order was heard of, or a key was given after it.
    pub(super) fn have_reached(&self, order: u64) -> bool {
        self.0.values().any(|held| held.rank >= Rank::of_order(order))
    }

    /// After a reboot.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// What frontends put into Replies for one client of one server.
#[derive(Debug)]
struct Given {
    key: Octets,
    /// By replay value: how many orders had been read by who gave it.
    by_replay: BTreeMap<u64, u64>,
}

/// All keys that were given, by server and client.
#[derive(Debug, Default)]
pub(super) struct GivenKeys(BTreeMap<(Vec<u8>, Vec<u8>), Given>);

impl GivenKeys {
    fn of(&self, server: &[u8], client: &[u8]) -> Option<&Given> {
        self.0.get(&(server.to_vec(), client.to_vec()))
    }
}

impl World {
    // ---- what frontends say

    /// A frontend has read of so many orders: what it says afterwards is above them.
    pub(super) fn note_orders_read(&mut self, slot: usize, message: &FromStore) {
        let front = &mut self.fronts[slot];
        match message {
            FromStore::Welcome(welcome) => front.orders_read = welcome.reconfigure_orders,
            FromStore::Entry(entry) => {
                for event in &entry.events {
                    if let StoreEvent::Reconfigure(order) = event {
                        front.orders_read = front.orders_read.max(order.number);
                    }
                }
            }
            _ => {}
        }
    }

    /// A Reply as a frontend computed it, if it gives a key.
    pub(super) fn judge_key(&mut self, slot: usize, message: &ServerMessage<'_>) {
        let Some(data) = message.options.first(opt::AUTH) else { return };
        let (Some((replay, key)), Some(server), Some(client)) =
            (key_in(data), message.server_id, message.client_id)
        else {
            self.fail(format!("frontend {slot} gives a key that cannot be read"));
            return;
        };
        let accepts = self
            .clients
            .iter()
            .any(|c| c.duid == client && c.plan.accepts_reconfigure && self.plan.is_reconfigured(c.number));
        if !accepts || message.kind != ServerMessageKind::Reply {
            self.fail(format!(
                "SV-401: frontend {slot} gives a key to {client:?}, which did not ask for one"
            ));
            return;
        }
        let Some(orders_read) = self.orders_read_for(slot, replay) else {
            self.fail(format!(
                "SV-405: frontend {slot} gives {replay}, which does not fit the orders it has read"
            ));
            return;
        };
        let known = self.given_keys.0.entry((server.to_vec(), client.to_vec()));
        let given = known.or_insert_with(|| Given { key, by_replay: BTreeMap::new() });
        given.by_replay.insert(replay, orders_read);
        if given.key != key {
            self.fail(format!(
                "SV-402: frontend {slot} gives {client:?} another key than it was given before"
            ));
        }
    }

    /// How many orders a frontend had read when it computed a Reply with this value: all that it had read before this
    /// round, or some of those since. A Reply that waited for its commit was computed before that.
    fn orders_read_for(&self, slot: usize, replay: u64) -> Option<u64> {
        let front = &self.fronts[slot];
        let held = self.plan.flavour == Flavour::CommitWait;
        let since = if held { 0 } else { front.orders_read_before };
        let now = self.store.reference.time();
        let behind = ClusterTime::ZERO + now.saturating_since(ClusterTime::ZERO + BEHIND_MAX);
        let fits = |read: &u64| {
            let value = |at| replay_of_key(INCARNATION, *read, at);
            (value(behind)..=value(now + AHEAD_MAX)).contains(&replay)
        };
        (since..=front.orders_read).find(fits)
    }

    /// A Reconfigure as a frontend computed it.
    pub(super) fn judge_asking(&mut self, slot: usize, message: &[u8]) {
        let Some(asking) = Asking::read(message) else {
            self.fail(format!("SV-403: frontend {slot} sends a Reconfigure that is not sound"));
            return;
        };
        self.counts.reconfigures_sent += 1;
        let wrong = match (self.given_keys.of(asking.server, asking.client), self.orders.of(asking.replay)) {
            (None, _) => Some("SV-401: it was never given a key".to_owned()),
            (_, None) => Some(format!("SV-405: replay value {} is of no order", asking.replay)),
            (Some(given), _) if !asking.is_signed_by(&given.key) => Some("SV-404: not by its key".to_owned()),
            (_, Some(order)) => {
                let is_meant = match &order.whom {
                    ReconfigureWhom::Client(duid) => duid.as_bytes() == asking.client,
                    _ => true,
                };
                let fits = is_meant && order.message.msg_type() == asking.message;
                (!fits).then(|| format!("which is not as ordered by {order:?}"))
            }
        };
        if let Some(wrong) = wrong {
            let client = asking.client.to_vec();
            self.fail(format!("frontend {slot} asks client {client:?}: {wrong}"));
        }
    }

    // ---- what clients make of it

    /// Takes the key that a Reply gives, if it gives one. False: its replay value does not rise, so that the whole Reply
    /// is passed over.
    pub(super) fn client_takes_key(&mut self, number: usize, message: &ServerMessage<'_>) -> bool {
        let Some((replay, key)) = message.options.first(opt::AUTH).and_then(key_in) else { return true };
        let server = message.server_id.unwrap_or_default();
        let given = self.given_keys.of(server, &self.clients[number].duid);
        let Some(orders_read) = given.and_then(|g| g.by_replay.get(&replay).copied()) else {
            self.fail(format!("client {number} is given a key that no frontend gave"));
            return false;
        };
        let rank = Rank::of_key(orders_read);
        if let Some(held) = self.clients[number].keys.0.get(server).copied()
            && !self.rises(number, held, replay, rank)
        {
            let overtaken = rank < held.rank;
            self.counts.keys_passed_over += u64::from(!overtaken);
            self.counts.keys_before_an_order += u64::from(overtaken);
            note!(self, "client {number} passes over a Reply: {replay} is not above {}", held.replay);
            return false;
        }
        self.clients[number].keys.0.insert(server.to_vec(), Held { key, replay, rank });
        self.counts.keys_taken += 1;
        true
    }

    /// Whether a value is above what a client has seen; judges that it is or is not as their ranks have it.
    fn rises(&mut self, number: usize, held: Held, replay: u64, rank: Rank) -> bool {
        let rises = replay > held.replay;
        if (rank > held.rank && !rises) || (rank < held.rank && rises) {
            self.fail(format!(
                "SV-405: client {number} has seen {} ({:?}) and is told {replay} ({rank:?})",
                held.replay, held.rank
            ));
        }
        rises
    }

    /// A Reconfigure reaches a client.
    pub(super) fn client_is_asked(&mut self, number: usize, bytes: &[u8]) {
        let Some(asking) = Asking::read(bytes) else {
            self.fail(format!("client {number} cannot read a Reconfigure"));
            return;
        };
        if asking.client != self.clients[number].duid {
            self.fail(format!("client {number} hears a Reconfigure for {:?}", asking.client));
            return;
        }
        // Away, or in the middle of an exchange: it will be asked again.
        if self.clients[number].doing != Doing::Bound {
            self.counts.reconfigures_at_a_bad_moment += 1;
            return;
        }
        let Some(held) = self.clients[number].keys.0.get(asking.server).copied() else {
            // The Reply that gave it was lost.
            self.counts.reconfigures_without_key += 1;
            return;
        };
        let Some(order) = self.orders.of(asking.replay).map(|o| o.number) else { return };
        if !asking.is_signed_by(&held.key) {
            self.fail(format!("SV-404: client {number} hears a Reconfigure that its key did not sign"));
            return;
        }
        let rank = Rank::of_order(order);
        if !self.rises(number, held, asking.replay, rank) {
            self.counts.reconfigures_repeated += 1;
            return;
        }
        self.counts.reconfigures_verified += 1;
        note!(self, "client {number} is asked for message type {} by order {order}", asking.message);
        let heard = Held { replay: asking.replay, rank, ..held };
        let message = asking.message;
        let client = &mut self.clients[number];
        client.keys.0.insert(asking.server.to_vec(), heard);
        client.asked_for = Some(message);
        let now = client.clock.local(self.now);
        self.client_begins(number, now, message);
        self.client_plan_wake(number);
    }

    /// A client's exchange has its Reply: whether it was asked for that.
    pub(super) fn note_came(&mut self, number: usize, message: u8) {
        if self.clients[number].asked_for.take_if(|asked| *asked == message).is_some() {
            self.counts.reconfigures_answered += 1;
            self.counts.informed_when_asked += u64::from(message == msg::INFORMATION_REQUEST);
        }
    }
}
