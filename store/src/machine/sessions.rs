//! Sessions: opening (R6), the one order of their batches, extension and death (R4), clean stops.

use super::command::FORMAT_DEAD_FIRST;
use super::outcome::{Applied, Audience, Outcome};
use super::rows::RowKey;
use super::state::{Cluster, Machine, PoolState, Session};
use super::{Found, due::Due};
use leasehold_proto::lifetimes::dead_at;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::{BatchOutcome, HostProof, SessionBatch, StoreEvent, UpdateOutcome};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId, LogIndex, UpdateSeq};
use std::time::Duration;

impl Machine {
    pub(super) fn found(&mut self, found: &Found) -> Outcome {
        if self.cluster.is_some() {
            return Outcome::AlreadyFounded;
        }
        if self.restoring != found.restored.is_some() {
            return Outcome::RestoringUnfinished;
        }
        self.cluster = Some(Cluster {
            name: found.cluster.clone(),
            incarnation: found.incarnation,
            server_duid_seed: found.server_duid_seed,
        });
        self.touch(RowKey::Cluster);
        if let Some(restored) = found.restored {
            self.end_restoring(restored.without_waiting);
        }
        Outcome::Founded
    }

    /// R6: a new session of a frontend supersedes the older one, which is granted nothing more and never extended;
    /// its ranges stay closed until it is dead for certain.
    pub(super) fn open(
        &mut self,
        frontend: &FrontendId,
        host: Option<HostProof>,
        out: &mut Applied,
    ) -> Outcome {
        let Some(cluster) = &self.cluster else { return Outcome::NotFounded };
        self.epoch_counter += 1;
        let epoch = Epoch::new(cluster.incarnation, self.epoch_counter);
        let session = Session {
            frontend: frontend.clone(),
            applied_sequence: UpdateSeq(0),
            extended_at: self.time,
            acked_index: Default::default(),
            superseded_by: None,
            superseded_index: LogIndex(0),
            host,
            proven_gone: None,
            declared_down: None,
            closed: false,
            ended: false,
            opened_at: self.time,
        };
        self.sessions.insert(epoch, session);
        self.touch(RowKey::Cluster);
        self.touch(RowKey::Session(epoch));
        if let Some(old) = self.current.insert(frontend.clone(), epoch) {
            self.supersede(old, epoch, out);
        }
        if let Some(host) = host {
            self.prove_gone(epoch, host);
        }
        self.schedule_session(epoch);
        Outcome::SessionOpened(epoch)
    }

    fn supersede(&mut self, old: Epoch, by: Epoch, out: &mut Applied) {
        let at = self.applied;
        if let Some(session) = self.sessions.get_mut(&old) {
            session.superseded_by = Some(by);
            session.superseded_index = at;
            self.touch(RowKey::Session(old));
            out.tell(Audience::Session(old), StoreEvent::Superseded { by, at });
        }
        if is_off(Mechanism::ClosedRanges) {
            self.release_ranges_of(old, out);
        }
        self.close_ranges_of(old, out);
        self.look_again(old);
        self.schedule_session(old);
    }

    /// Order (design section 5): a session's batches are taken once each, in the order of their numbers.
    pub(super) fn take_batch(&mut self, batch: &SessionBatch, out: &mut Applied) -> Outcome {
        let epoch = batch.epoch;
        let Some(session) = self.sessions.get_mut(&epoch) else { return Outcome::UnknownSession };
        let applied = session.applied_sequence;
        if batch.sequence <= applied && !is_off(Mechanism::Idempotence) {
            return Outcome::BatchRepeated { applied };
        }
        if batch.sequence > applied.next() {
            return Outcome::BatchOutOfOrder { applied };
        }
        session.applied_sequence = applied.max(batch.sequence);
        let is_gone = session.is_gone();
        let joins_late = applied == UpdateSeq(0) && is_gone;
        self.touch(RowKey::Session(epoch));
        if is_gone && self.format >= FORMAT_DEAD_FIRST {
            // Once it is dead for certain, what it tells changes nothing (R4): its ranges are not given back cleanly.
            self.reopen_ranges_of_dead(epoch, out);
        }
        if joins_late {
            // From now on it may have extended what ended.
            self.look_again(epoch);
        }
        let refused = self.take_updates(epoch, batch, out);
        self.take_registrations(epoch, &batch.registrations, out);
        self.take_back(epoch, &batch.returned, out);
        self.acknowledge_events(epoch, batch);
        let extended = self.extend(epoch);
        if batch.closing {
            self.close(epoch, out);
        }
        self.grant_requested(epoch, &batch.requests, out);
        let outcome = BatchOutcome { sequence: batch.sequence, stamp: self.time, extended, refused };
        out.tell(Audience::Session(epoch), StoreEvent::Batch(outcome));
        Outcome::BatchTaken(batch.sequence)
    }

    fn take_updates(&mut self, epoch: Epoch, batch: &SessionBatch, out: &mut Applied) -> Vec<UpdateOutcome> {
        let mut refused = Vec::new();
        for update in &batch.updates {
            match self.take_update(epoch, update, out) {
                Ok(()) => self.counters.updates += 1,
                Err(refusal) => {
                    *self.counters.refused.entry(refusal).or_default() += 1;
                    refused.push(UpdateOutcome { prefix: update.prefix, refusal });
                }
            }
        }
        refused
    }

    /// The session has read every event up to that index, after all its own earlier updates (R2). It cannot have read
    /// what is not applied yet.
    fn acknowledge_events(&mut self, epoch: Epoch, batch: &SessionBatch) {
        let bound = self.applied;
        let Some(session) = self.sessions.get_mut(&epoch) else { return };
        let acked = session.acked_index.max(batch.acked_index.min(bound));
        let lets_go = session.is_gone() && acked > session.acked_index;
        session.acked_index = acked;
        if lets_go {
            self.look_again(epoch);
        }
    }

    /// R4, the store's side of extension: only the current session of its frontend, not closed, and not past its
    /// deadline, which it once past never is again.
    pub(super) fn may_extend(&self, session: &Session) -> bool {
        let is_past = session.is_gone() || self.time >= self.deadline_of(session);
        let may = !is_past || (is_off(Mechanism::NoExtensionPastDeadline) && session.superseded_by.is_none());
        may && !session.closed
    }

    fn extend(&mut self, epoch: Epoch) -> bool {
        let Some(session) = self.sessions.get(&epoch) else { return false };
        let extends = self.may_extend(session);
        let time = self.time;
        if extends && let Some(session) = self.sessions.get_mut(&epoch) {
            session.extended_at = time;
        }
        extends
    }

    /// End autonomy now (R4): after a clean stop nothing is left to wait for, since all that was promised is told.
    fn close(&mut self, epoch: Epoch, out: &mut Applied) {
        if let Some(session) = self.sessions.get_mut(&epoch) {
            session.closed = true;
        }
        self.release_ranges_of(epoch, out);
        self.look_again(epoch);
        self.schedule_session(epoch);
    }

    /// The cluster time from which on a session is never extended again: the shortest autonomy among the pools of its
    /// relationships. With no pool there is nothing it could issue from, and no deadline.
    pub(super) fn deadline_of(&self, session: &Session) -> ClusterTime {
        let autonomy =
            self.pools_of(&session.frontend).map(|p| p.autonomy_max).min().unwrap_or(Duration::MAX);
        deadline(session, autonomy)
    }

    /// Pools, retired ones included, whose leases a frontend may know.
    pub(super) fn pools_of<'a>(&'a self, frontend: &'a FrontendId) -> impl Iterator<Item = &'a PoolState> {
        self.pools.values().filter(move |p| self.is_member(p.pool.relationship, frontend))
    }

    pub(super) fn is_member(
        &self,
        relationship: leasehold_proto::words::RelationshipId,
        frontend: &FrontendId,
    ) -> bool {
        self.relationships.get(&relationship).is_some_and(|m| m.frontends.contains_key(frontend))
    }

    /// R4: the moment from which on nothing that a session may have promised about a lease acknowledged until
    /// `acked_until` (zero: an address without a record) is in force.
    pub(super) fn dead_moment(
        &self,
        session: &Session,
        pool: &PoolState,
        acked_until: ClusterTime,
    ) -> ClusterTime {
        if session.closed {
            return ClusterTime::ZERO;
        }
        let deadline = deadline(session, pool.autonomy_max);
        dead_at(session.extended_at, deadline, acked_until, pool.mclt_max, &self.timing())
    }

    /// R4: dead for certain, as far as that lease or address of that pool goes. A session that may still be extended
    /// is not dead however late it is judged: its ending is decided first.
    pub(super) fn is_dead(&self, session: &Session, pool: &PoolState, acked_until: ClusterTime) -> bool {
        (session.closed || session.is_gone()) && self.time >= self.dead_moment(session, pool, acked_until)
    }

    /// What time has to say about a session: its end at the deadline, then its ranges pool by pool as it is dead for
    /// certain, at last its row. True when something changed.
    pub(super) fn session_due(&mut self, epoch: Epoch, out: &mut Applied) -> bool {
        let Some(session) = self.sessions.get(&epoch) else { return false };
        let mut acted = false;
        if !session.is_gone() && !session.closed && self.time >= self.deadline_of(session) {
            if let Some(session) = self.sessions.get_mut(&epoch) {
                session.ended = true;
            }
            self.touch(RowKey::Session(epoch));
            self.close_ranges_of(epoch, out);
            // It holds nothing back as one that is present any more, from this moment on in the order of moments.
            self.look_again(epoch);
            self.sort_out_held_back();
            acted = true;
        }
        acted |= self.reopen_ranges_of_dead(epoch, out);
        if self.forgettable(epoch) {
            self.look_again(epoch);
            self.sessions.remove(&epoch);
            self.touch(RowKey::Session(epoch));
            return true;
        }
        self.schedule_session(epoch);
        acted
    }

    /// A superseded session whose every promise is over is forgotten; the latest of each frontend stays, to be shown.
    fn forgettable(&self, epoch: Epoch) -> bool {
        let Some(session) = self.sessions.get(&epoch) else { return false };
        session.superseded_by.is_some() && self.time >= self.last_matter_of(session)
    }

    /// When a session can matter no more, whatever the lease.
    fn last_matter_of(&self, session: &Session) -> ClusterTime {
        if session.closed {
            return ClusterTime::ZERO;
        }
        let acked = self.acked_until_max;
        self.pools_of(&session.frontend)
            .map(|p| self.dead_moment(session, p, acked))
            .max()
            .unwrap_or(ClusterTime::ZERO)
    }

    /// The earliest moment at which `session_due` has something to do.
    pub(super) fn session_moment(&self, epoch: Epoch) -> ClusterTime {
        let Some(session) = self.sessions.get(&epoch) else { return ClusterTime::NEVER };
        if !session.closed && !session.is_gone() {
            return self.deadline_of(session);
        }
        let forgetting =
            if session.superseded_by.is_some() { self.last_matter_of(session) } else { ClusterTime::NEVER };
        self.next_reopening(epoch).min(forgetting)
    }

    /// Puts a session's next moment into the due index.
    pub(super) fn schedule_session(&mut self, epoch: Epoch) {
        self.remind(self.session_moment(epoch), Due::Session(epoch));
    }
}

/// R4: when a session's autonomy ends, in pools of that autonomy.
fn deadline(session: &Session, autonomy: Duration) -> ClusterTime {
    let granted = if autonomy == Duration::MAX { ClusterTime::NEVER } else { session.extended_at + autonomy };
    session.autonomy_ended().map_or(granted, |ended| granted.min(ended))
}
