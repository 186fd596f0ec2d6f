//! Opening and resuming sessions, and what a welcomed session says.

use super::connection::{Connection, Load, Progress, Purpose, Stream};
use super::{ConnectionId, Hub, HubOutput, Token};
use crate::machine::{Command, Machine, SessionView};
use leasehold_proto::session::{FromStore, Hello, RefusalReason, StoreEvent, StreamEntry, ToStore, Welcome};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex};
use std::collections::BTreeMap;

impl Hub {
    pub(super) fn hello(&mut self, now: LocalTime, id: ConnectionId, hello: Hello, machine: &Machine) {
        let frontend = hello.frontend.clone();
        self.connections.insert(id, Connection { frontend: frontend.clone(), stream: None, unanswered: 0 });
        if hello.resume_epoch.is_none() {
            self.propose(id, Purpose::Open, Command::OpenSession { frontend, host: hello.host });
            return;
        }
        if hello.resume_epoch.incarnation() < machine.newest_epoch().incarnation() {
            let detail =
                format!("session {} is of a cluster before this one was founded anew", hello.resume_epoch);
            self.refuse(id, RefusalReason::UnknownSession, &detail);
            return;
        }
        if hello.resume_epoch > machine.newest_epoch() || hello.resume_index > machine.applied() {
            // The frontend has read further than this node: another one leads, whatever this one believes. Answering
            // from here would make the frontend forget what was acknowledged to it meanwhile (FO-905).
            self.refuse(id, RefusalReason::NotLeader, "this node is behind the session: another one leads");
            return;
        }
        match machine.session(hello.resume_epoch) {
            None => {
                let detail = format!(
                    "session {} is unknown: it is dead for certain, or of another cluster",
                    hello.resume_epoch
                );
                self.refuse(id, RefusalReason::UnknownSession, &detail);
            }
            Some(session) if session.frontend != frontend => {
                let detail = format!("session {} is of frontend `{}`", hello.resume_epoch, session.frontend);
                self.refuse(id, RefusalReason::Forbidden, &detail);
            }
            Some(_) => {
                let resume = self.can_resume(&hello).then_some(hello.resume_index);
                self.welcome(now, id, hello.resume_epoch, resume, machine);
            }
        }
    }

    /// Whether the stream can go on where the session was: it had loaded, and all since is in the history.
    fn can_resume(&self, hello: &Hello) -> bool {
        hello.loaded
            && self.history.reaches_back_to(hello.resume_index)
            && self.joined.get(&hello.frontend).is_none_or(|since| *since <= hello.resume_index)
    }

    pub(super) fn propose(&mut self, id: ConnectionId, purpose: Purpose, command: Command) {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.tokens.insert(token, (id, purpose));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.unanswered += 1;
        }
        self.out.push(HubOutput::Propose { token, command });
    }

    /// Welcomes a session on a connection, in the place of an older connection of the same session.
    pub(super) fn welcome(
        &mut self,
        now: LocalTime,
        id: ConnectionId,
        epoch: Epoch,
        resume: Option<LogIndex>,
        machine: &Machine,
    ) {
        let Some(session) = machine.session(epoch) else {
            self.refuse(id, RefusalReason::UnknownSession, "the session was forgotten meanwhile");
            return;
        };
        if let Some(older) = self.by_epoch.get(&epoch).copied().filter(|o| *o != id) {
            self.close(older);
        }
        self.by_epoch.insert(epoch, id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream = Some(Stream {
                epoch,
                welcomed_at: now,
                catching_up: resume,
                load: resume.is_none().then_some(Load::Leases { after: None }),
                paused: false,
                told: BTreeMap::new(),
                told_traces: Vec::new(),
                heartbeat: None,
                draining: Progress { applied: session.applied_sequence, at: now },
            });
        }
        match resume {
            Some(index) => {
                let network = self.history.network_at(index, machine.network());
                let applied_sequence = session.applied_sequence;
                let supersedes = Epoch::NONE;
                let draining = self.was_draining(index, &session.frontend, machine);
                let welcome = Welcome {
                    epoch,
                    index,
                    resumed: true,
                    applied_sequence,
                    network,
                    supersedes,
                    draining,
                    // As of now: what the stream brings of it up to now says nothing else.
                    reconfigure_secret: machine.reconfigure_secret().cloned(),
                    reconfigure_orders: machine.reconfigure_orders(),
                };
                self.out.push(HubOutput::Send(id, FromStore::Welcome(welcome)));
            }
            None => self.welcome_to_load(id, &session, machine),
        }
        if session.current && !session.closed {
            // One that goes on served before; a new one knows nothing yet and says when it serves.
            match resume {
                Some(_) => self.liveness.heard(&session.frontend, now),
                None => self.liveness.lost(&session.frontend),
            }
        }
        self.tell_partners(id);
        self.tell_traces_to(id);
        // A session that missed little has it at once.
        self.next_piece(id, machine);
    }

    fn welcome_to_load(&mut self, id: ConnectionId, session: &SessionView, machine: &Machine) {
        let epoch = session.epoch;
        let applied = machine.applied();
        let superseded_by = (!session.current).then(|| newest_session(machine, &session.frontend)).flatten();
        // That it is superseded is an event it may have missed: said again as of the entry applied last, above which
        // nothing was sent yet.
        let index = match superseded_by {
            Some(_) => LogIndex(applied.0.saturating_sub(1)),
            None => applied,
        };
        let welcome = Welcome {
            epoch,
            index,
            resumed: false,
            applied_sequence: session.applied_sequence,
            network: machine.network().cloned(),
            supersedes: unclean_predecessor(machine, epoch),
            draining: machine.is_draining(&session.frontend),
            reconfigure_secret: machine.reconfigure_secret().cloned(),
            reconfigure_orders: machine.reconfigure_orders(),
        };
        self.out.push(HubOutput::Send(id, FromStore::Welcome(welcome)));
        if let Some(by) = superseded_by {
            let at = session.superseded_index;
            let entry = StreamEntry { index: applied, events: vec![StoreEvent::Superseded { by, at }] };
            self.out.push(HubOutput::Send(id, FromStore::Entry(entry)));
        }
        self.send_ranges(id, &session.frontend, machine);
    }

    /// Whether a frontend was being drained as of a log index from which a session goes on: what changed since then, the
    /// stream says.
    fn was_draining(&self, index: LogIndex, frontend: &FrontendId, machine: &Machine) -> bool {
        let now = machine.is_draining(frontend);
        let changed = self.history.above(index).flat_map(|e| e.events.iter()).find_map(|e| match e.event {
            StoreEvent::Draining { on } if machine.concerns_frontend(e.audience, frontend) => Some(!on),
            _ => None,
        });
        changed.unwrap_or(now)
    }

    /// What a connection says after its Hello.
    pub(super) fn session_message(
        &mut self,
        now: LocalTime,
        id: ConnectionId,
        message: ToStore,
        machine: &Machine,
    ) {
        let Some(connection) = self.connections.get(&id) else { return };
        let Some(stream) = connection.stream.as_ref() else {
            self.refuse(id, RefusalReason::Protocol, "nothing may be said before Welcome");
            return;
        };
        let (epoch, frontend) = (stream.epoch, connection.frontend.clone());
        let sent = stream.catching_up.unwrap_or(machine.applied());
        match message {
            ToStore::Batch(batch) if batch.epoch == epoch => {
                let purpose = Purpose::Batch { closing: batch.closing };
                self.propose(id, purpose, Command::Session(batch));
            }
            ToStore::Heartbeat(heartbeat) if heartbeat.epoch == epoch => {
                self.heartbeat(now, id, &frontend, heartbeat, machine);
                self.out.push(HubOutput::Send(id, FromStore::HeartbeatAnswer { log_index: sent }));
            }
            ToStore::Lookup { link, duid } => {
                // Those of relationships that this frontend has no part in would never be kept current there.
                let concern = |l: &&std::sync::Arc<leasehold_proto::lease::Lease>| {
                    machine.pool_concerns(l.pool, &frontend)
                };
                let leases = machine.leases_of_client(link, &duid).filter(concern).cloned().collect();
                let answer = FromStore::Lookup { link, duid, leases, index: machine.applied() };
                self.out.push(HubOutput::Send(id, answer));
            }
            ToStore::Trace(report) => self.traced(&frontend, report),
            ToStore::Batch(_) | ToStore::Heartbeat(_) | ToStore::Hello(_) => {
                self.refuse(
                    id,
                    RefusalReason::Protocol,
                    "the message is of another session than the connection",
                );
            }
        }
    }

    /// The session's closing batch was taken: its partner may answer at once.
    pub(super) fn stopped_cleanly(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else { return };
        let frontend = connection.frontend.clone();
        let newer = connection.stream.as_ref().is_some_and(|s| self.has_newer(&frontend, s.epoch));
        if !newer {
            self.liveness.lost(&frontend);
        }
    }

    /// Whether a newer session of the same frontend is connected.
    pub(super) fn has_newer(&self, frontend: &FrontendId, epoch: Epoch) -> bool {
        let above = (std::ops::Bound::Excluded(epoch), std::ops::Bound::Unbounded);
        let mut newer = self.by_epoch.range(above);
        newer.any(|(_, id)| self.connections.get(id).is_some_and(|c| c.frontend == *frontend))
    }
}

fn newest_session(machine: &Machine, frontend: &FrontendId) -> Option<Epoch> {
    machine.sessions().filter(|s| s.frontend == *frontend).map(|s| s.epoch).max()
}

/// The session that this one superseded and that had not stopped cleanly, if it is still remembered.
fn unclean_predecessor(machine: &Machine, epoch: Epoch) -> Epoch {
    let mut superseded = machine.sessions().filter(|s| s.superseded_by == Some(epoch) && !s.closed);
    superseded.next().map_or(Epoch::NONE, |s| s.epoch)
}
