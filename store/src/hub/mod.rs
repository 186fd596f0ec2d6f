//! The hub: the store leader's side of the frontends' sessions. Pure: no clock, sockets, tasks or logging.
//!
//! Owns: connections and the sessions they carry, what each session is sent (one ordered stream, a load where needed),
//! the ring of recent events that lets a session go on after a reconnect, and the judgement of liveness.
//! Refuses to know: gRPC, Raft, certificates (the shell has checked who is calling), how commands are combined.
//! Inputs: messages of connections, every entry that this node applied, outcomes of what it proposed, time.
//! Outputs: [`HubOutput`], taken by [`Hub::drain`]: messages, connections to close, commands to propose.
//!
//! Invariants (design section 5, Order): a session is sent each entry that concerns it once, in order of log index,
//! with nothing left out between `Welcome::index` and what it was sent last; a record in a load is never older than an
//! entry sent before it; a batch is answered only through the stream, so only once it is committed.

mod connection;
mod history;
mod links;
mod liveness;
mod opening;
mod relays;
mod service;
mod stamp;
mod states;
mod stream;
#[cfg(test)]
mod tests;
mod traces;

pub use links::{LinkDown, LinkDownReason, LinkSettings};
pub use stamp::LeaderClock;
pub use states::{JournalEvent, PartnerStanding, RelationshipState, Standing, States};
pub use traces::{TraceId, TraceRefusal, Traced};

use crate::machine::{Applied, Command, Event, Machine, Outcome, SessionView};
use connection::{Connection, Purpose};
use history::History;
use leasehold_proto::network::Network;
use leasehold_proto::session::{FromStore, Heartbeat, RefusalReason, Refused, StoreEvent, ToStore};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex};
use links::Links;
use liveness::Liveness;
use relays::Relays;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use traces::Traces;

/// One connection of a frontend, numbered by the shell; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names one proposed command until its outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Bounds and spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubSettings {
    /// A frontend silent for so long is called lost.
    pub liveness_lost_after: Duration,
    /// Log entries kept for sessions that reconnect, at most.
    pub history_entries_max: usize,
    /// Events in these entries, at most.
    pub history_events_max: usize,
    /// Leases in one piece of a load, at most.
    pub load_piece_len: usize,
    /// Entries sent in one piece to a session that catches up, at most.
    pub replay_piece_len: usize,
    /// How service by link is judged.
    pub links: LinkSettings,
}

impl Default for HubSettings {
    /// Lost after 1 s (design section 1); some 50 MB of history; pieces of about 64 KB.
    fn default() -> Self {
        Self {
            liveness_lost_after: Duration::from_secs(1),
            history_entries_max: 65_536,
            history_events_max: 131_072,
            load_piece_len: 512,
            replay_piece_len: 64,
            links: LinkSettings::default(),
        }
    }
}

/// What the shell is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum HubOutput {
    /// Send a message.
    Send(ConnectionId, FromStore),
    /// Close a connection after what was sent to it; the hub has forgotten it.
    Close(ConnectionId),
    /// Have a command agreed on. Commands of one connection are to be applied in this order.
    Propose {
        /// To hand the outcome back by.
        token: Token,
        /// What.
        command: Command,
    },
}

/// The sessions of one store node.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    leading: bool,
    leader_address: Option<String>,
    connections: BTreeMap<ConnectionId, Connection>,
    by_epoch: BTreeMap<Epoch, ConnectionId>,
    tokens: BTreeMap<Token, (ConnectionId, Purpose)>,
    last_token: u64,
    history: History,
    /// The configuration as of the last entry applied.
    network: Option<Arc<Network>>,
    /// Since which entry a frontend takes part in a relationship that had leases before: it cannot go on from below.
    joined: BTreeMap<FrontendId, LogIndex>,
    liveness: Liveness,
    links: Links,
    relays: Relays,
    traces: Traces,
    /// How often a judgement of liveness or of links changed.
    judgements: u64,
    out: Vec<HubOutput>,
}

impl Hub {
    /// A hub of a node that does not lead.
    #[must_use]
    pub fn new(settings: HubSettings) -> Self {
        Self {
            settings,
            leading: false,
            leader_address: None,
            connections: BTreeMap::new(),
            by_epoch: BTreeMap::new(),
            tokens: BTreeMap::new(),
            last_token: 0,
            history: History::new(settings.history_entries_max, settings.history_events_max),
            network: None,
            joined: BTreeMap::new(),
            liveness: Liveness::new(settings.liveness_lost_after),
            links: Links::new(settings.links),
            relays: Relays::default(),
            traces: Traces::default(),
            judgements: 0,
            out: Vec::new(),
        }
    }

    /// The machine was replaced as a whole (a restart, a snapshot): what led up to it is unknown.
    pub fn restored(&mut self, machine: &Machine) {
        self.follow(self.leader_address.clone());
        self.history.clear();
        self.history.starts_at_least(machine.applied());
        self.joined.clear();
        self.network = machine.network().cloned();
    }

    /// This node leads, and has applied everything that was committed before.
    pub fn lead(&mut self, now: LocalTime, machine: &Machine) {
        self.leading = true;
        self.leader_address = None;
        self.history.starts_at_least(machine.applied());
        self.network = machine.network().cloned();
        // Who stopped cleanly, was given up, or never came is not presumed to be there: its partner would wait for it.
        let serves = |s: &SessionView| s.current && !s.closed && !s.ended && s.declared_down.is_none();
        self.liveness.presume(machine.sessions().filter(serves).map(|s| s.frontend), now);
        let others: Vec<FrontendId> = machine.sessions().map(|s| s.frontend).chain(self.partners()).collect();
        others.iter().for_each(|f| self.liveness.know(f));
        // Of links and relays nothing is known: heartbeats will say.
        self.links.clear();
        self.relays.clear();
        self.tell_service();
    }

    /// This node does not lead: every connection is refused and closed, now and later.
    pub fn follow(&mut self, leader_address: Option<String>) {
        self.leading = false;
        self.leader_address = leader_address;
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.refuse_not_leader(id);
        }
        self.tokens.clear();
        self.liveness.clear();
        self.links.clear();
        self.relays.clear();
        self.traces.clear();
    }

    /// Whether this node leads, as far as sessions are concerned.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.leading
    }

    /// Takes a message. The first of a connection must be a Hello, whose name the shell has checked.
    pub fn receive(&mut self, now: LocalTime, id: ConnectionId, message: ToStore, machine: &Machine) {
        if !self.leading {
            self.refuse_not_leader(id);
            return;
        }
        match (message, self.connections.contains_key(&id)) {
            (ToStore::Hello(hello), false) => self.hello(now, id, hello, machine),
            (ToStore::Hello(_), true) => self.refuse(id, RefusalReason::Protocol, "a second Hello"),
            (_, false) => self.refuse(id, RefusalReason::Protocol, "the first message must be a Hello"),
            (message, true) => self.session_message(now, id, message, machine),
        }
        self.tell_service();
    }

    /// The connection is gone, by no wish of the hub.
    pub fn disconnected(&mut self, _now: LocalTime, id: ConnectionId) {
        let Some(connection) = self.remove(id) else { return };
        if let Some(stream) = connection.stream
            && !self.has_newer(&connection.frontend, stream.epoch)
        {
            self.liveness.lost(&connection.frontend);
        }
        self.tell_service();
    }

    /// An entry was applied on this node, leading or not. To be called for each, in order.
    pub fn applied(&mut self, now: LocalTime, index: LogIndex, applied: &Applied, machine: &Machine) {
        let events: Arc<[Event]> = applied.events.iter().cloned().collect();
        self.history.push(index, &events, self.network.as_ref());
        let joined = self.note_network(index, &events);
        if !self.leading || events.is_empty() {
            return;
        }
        let ids: Vec<ConnectionId> = self.by_epoch.values().copied().collect();
        for id in ids {
            let reload = self.connections.get(&id).is_some_and(|c| joined.contains(&c.frontend));
            if reload {
                // It has leases to learn that its stream did not bring: it comes back and loads.
                self.close(id);
            } else {
                self.send_entry(id, index, &events, machine);
            }
        }
        self.judge(now);
    }

    /// The outcome of a proposed command. `Err`: it is not known, or the command is lost; the connection is closed, and
    /// the frontend sends again what is not acknowledged (FO-909).
    pub fn proposed(
        &mut self,
        now: LocalTime,
        token: Token,
        outcome: Result<Outcome, ()>,
        machine: &Machine,
    ) {
        let Some((id, purpose)) = self.tokens.remove(&token) else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.unanswered = connection.unanswered.saturating_sub(1);
        match (purpose, outcome) {
            (_, Err(())) => self.close(id),
            (Purpose::Open, Ok(Outcome::SessionOpened(epoch))) => self.welcome(now, id, epoch, None, machine),
            (Purpose::Batch { closing }, Ok(Outcome::BatchTaken(_) | Outcome::BatchRepeated { .. })) => {
                if closing {
                    self.stopped_cleanly(id);
                }
            }
            (Purpose::Batch { .. }, Ok(Outcome::UnknownSession)) => {
                self.refuse(
                    id,
                    RefusalReason::UnknownSession,
                    "the session is dead for certain, or was never opened",
                );
            }
            (Purpose::Batch { .. }, Ok(Outcome::BatchOutOfOrder { applied })) => {
                let detail = format!("a batch is out of order: the last taken is {applied}");
                self.refuse(id, RefusalReason::Protocol, &detail);
            }
            (_, Ok(_)) => self.refuse(id, RefusalReason::Protocol, "the store is not founded yet"),
        }
        self.tell_service();
    }

    /// Judges liveness and cuts the next pieces of loads and catch-ups.
    pub fn turn(&mut self, now: LocalTime, machine: &Machine) {
        if !self.leading {
            return;
        }
        self.judge(now);
        let ids: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, c)| c.wants_piece()).map(|(id, _)| *id).collect();
        for id in ids {
            self.next_piece(id, machine);
        }
    }

    /// Takes what is to be done.
    pub fn drain(&mut self, out: &mut Vec<HubOutput>) {
        out.append(&mut self.out);
    }

    /// When to call [`Self::turn`]: `LocalTime::ZERO` means at once. `None`: after the next call of something else.
    #[must_use]
    pub fn next_deadline(&self) -> Option<LocalTime> {
        if !self.leading {
            return None;
        }
        if self.connections.values().any(Connection::wants_piece) {
            return Some(LocalTime::ZERO);
        }
        let judgements =
            [self.liveness.next_deadline(), self.links.next_deadline(), self.relays.next_deadline()];
        judgements.into_iter().flatten().min()
    }

    /// Whether a connection is to be sent no further piece of a load for now: its reader is behind. Streamed entries
    /// are not held back; bounding these is the shell's business.
    pub fn pause(&mut self, id: ConnectionId, paused: bool) {
        if let Some(stream) = self.connections.get_mut(&id).and_then(|c| c.stream.as_mut()) {
            stream.paused = paused;
        }
    }

    /// Commands of a connection whose outcome is not known yet: the shell reads no further while these are too many.
    #[must_use]
    pub fn unanswered(&self, id: ConnectionId) -> usize {
        self.connections.get(&id).map_or(0, |c| c.unanswered)
    }

    /// Whether each frontend known is heard; by name. Empty on a node that does not lead.
    pub fn liveness(&self) -> impl Iterator<Item = (FrontendId, bool)> {
        self.liveness.all()
    }

    /// The links that frontends do not serve though they live (RFC 7031 §4.7), by frontend and link. Where both partners of
    /// a relationship are listed, neither is excluded.
    pub fn links(&self) -> impl Iterator<Item = LinkDown> {
        self.links.all()
    }

    /// Grows with each change of a judgement of liveness or of links: who shows states looks again then.
    #[must_use]
    pub fn judgements(&self) -> u64 {
        self.judgements
    }

    /// Whether a session of a frontend is connected, serving or not.
    #[must_use]
    pub fn is_heard(&self, frontend: &FrontendId) -> bool {
        self.by_epoch.values().any(|id| self.connections.get(id).is_some_and(|c| c.frontend == *frontend))
    }

    /// The last heartbeat of a connected session.
    #[must_use]
    pub fn heartbeat_of(&self, epoch: Epoch) -> Option<&Heartbeat> {
        let id = self.by_epoch.get(&epoch)?;
        self.connections.get(id)?.stream.as_ref()?.heartbeat.as_ref()
    }

    /// Frontends of the configuration.
    fn partners(&self) -> impl Iterator<Item = FrontendId> {
        let relationships = self.network.iter().flat_map(|n| n.relationships.iter());
        relationships.flat_map(|r| std::iter::once(&r.primary).chain(&r.secondary)).cloned()
    }

    /// Takes note of a new configuration, and of who joined a relationship that had leases before.
    fn note_network(&mut self, index: LogIndex, events: &[Event]) -> Vec<FrontendId> {
        let news = events.iter().rev().find_map(|e| match &e.event {
            StoreEvent::Network(network) => Some(network),
            _ => None,
        });
        let Some(news) = news else { return Vec::new() };
        let mut joined = Vec::new();
        for relationship in &news.relationships {
            let old = self.network.as_ref().and_then(|n| n.relationship(relationship.id));
            let Some(old) = old else { continue };
            let partners = std::iter::once(&relationship.primary).chain(&relationship.secondary);
            joined.extend(partners.filter(|f| !old.has_partner(f)).cloned());
        }
        for frontend in &joined {
            self.joined.insert(frontend.clone(), index);
        }
        self.network = Some(Arc::clone(news));
        if self.leading {
            let partners: Vec<FrontendId> = self.partners().collect();
            partners.iter().for_each(|f| self.liveness.know(f));
            let frontends = partners.into_iter().collect();
            let links = news.links.iter().map(|l| l.id).collect();
            self.links.retain(&frontends, &links);
            self.relays.retain(&frontends);
            self.liveness.tell_again();
        }
        joined
    }

    fn refuse_not_leader(&mut self, id: ConnectionId) {
        let refused = Refused {
            reason: RefusalReason::NotLeader,
            detail: match &self.leader_address {
                Some(address) => format!("this store node does not lead; {address} does"),
                None => "this store node does not lead, and knows of none that does".to_owned(),
            },
            leader_address: self.leader_address.clone(),
        };
        self.out.push(HubOutput::Send(id, FromStore::Refused(refused)));
        self.close(id);
    }

    fn refuse(&mut self, id: ConnectionId, reason: RefusalReason, detail: &str) {
        let refused = Refused { reason, detail: detail.to_owned(), leader_address: None };
        self.out.push(HubOutput::Send(id, FromStore::Refused(refused)));
        self.close(id);
    }

    fn close(&mut self, id: ConnectionId) {
        self.remove(id);
        self.out.push(HubOutput::Close(id));
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(stream) = &connection.stream
            && self.by_epoch.get(&stream.epoch) == Some(&id)
        {
            self.by_epoch.remove(&stream.epoch);
            self.traces.lost(&connection.frontend);
        }
        Some(connection)
    }
}
