//! Ending a session's autonomy early (R4, *end autonomy now*: deadline := min(deadline, now)).
//!
//! Owns two of its three cases: the proof of a newer session on the same host (R6), and an operator's `declare-down`
//! with its withdrawal. The third, a clean stop, is `sessions::close`. Refuses to judge whether a frontend is heard:
//! the leader refuses to declare down one that is. From then on nothing extends the session, its ranges are closed, and
//! it is dead for certain once what it may have promised until now is over. Its late updates are taken until then.

use super::outcome::{Applied, DeclareRefusal, Outcome};
use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::session::HostProof;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId};

/// R6: whether who held a lock is gone, since another holds it now. Not one that shows the same holding: that is the same
/// process, whose words may come late.
fn is_gone(held: &HostProof, now: &HostProof) -> bool {
    held.boot_id == now.boot_id && held.lock_id == now.lock_id && held.holding < now.holding
}

impl Machine {
    /// R6: whoever holds the lock now proves gone all earlier sessions of its frontend that held the same one.
    pub(super) fn prove_gone(&mut self, by: Epoch, host: HostProof) {
        let Some(frontend) = self.sessions.get(&by).map(|s| s.frontend.clone()) else { return };
        let time = self.time;
        let gone: Vec<Epoch> = self
            .sessions
            .iter()
            .filter(|(epoch, s)| {
                **epoch < by
                    && s.frontend == frontend
                    && s.proven_gone.is_none()
                    && s.host.is_some_and(|held| is_gone(&held, &host))
            })
            .map(|(epoch, _)| *epoch)
            .collect();
        for epoch in gone {
            if let Some(session) = self.sessions.get_mut(&epoch) {
                session.proven_gone = Some(time);
            }
            self.deadline_moved(epoch);
        }
    }

    /// R4: an operator says that a frontend is down. All its sessions that he can have meant end now.
    pub(super) fn declare_down(
        &mut self,
        frontend: &FrontendId,
        newest: Epoch,
        out: &mut Applied,
    ) -> Outcome {
        let mut all = self.sessions_of(frontend);
        all.retain(|epoch| *epoch <= newest);
        if all.is_empty() {
            return Outcome::DeclareRefused(DeclareRefusal::NoSession);
        }
        let left: Vec<Epoch> = all
            .into_iter()
            .filter(|e| self.sessions.get(e).is_some_and(|s| !s.closed && s.declared_down.is_none()))
            .filter(|e| !self.is_past_declaring(*e))
            .collect();
        if left.is_empty() {
            return Outcome::DeclareRefused(DeclareRefusal::NothingLeft);
        }
        let time = self.time;
        for epoch in &left {
            if let Some(session) = self.sessions.get_mut(epoch) {
                session.declared_down = Some(time);
                session.ended = true;
            }
            self.close_ranges_of(*epoch, out);
            self.deadline_moved(*epoch);
        }
        Outcome::Declared(left)
    }

    /// Takes a declaration back, as long as nothing followed from it: the old deadline is in force again.
    pub(super) fn withdraw_down(&mut self, frontend: &FrontendId, out: &mut Applied) -> Outcome {
        let mut declared = self.sessions_of(frontend);
        declared.retain(|e| self.sessions.get(e).is_some_and(|s| s.declared_down.is_some()));
        if declared.is_empty() {
            return Outcome::DeclareRefused(DeclareRefusal::NotDeclared);
        }
        if declared.iter().any(|e| self.is_dead_somewhere(*e)) {
            return Outcome::DeclareRefused(DeclareRefusal::TooLate);
        }
        for epoch in &declared {
            if let Some(session) = self.sessions.get_mut(epoch) {
                session.declared_down = None;
            }
            let past = self.sessions.get(epoch).is_some_and(|s| self.time >= self.deadline_of(s));
            if let Some(session) = self.sessions.get_mut(epoch) {
                session.ended = past;
            }
            self.reopen_for_owner(*epoch, out);
            self.deadline_moved(*epoch);
        }
        Outcome::Declared(declared)
    }

    /// Nothing follows from declaring a session that another superseded and that is dead for certain: it would only
    /// stand in the way of taking the declaration back.
    fn is_past_declaring(&self, epoch: Epoch) -> bool {
        self.sessions.get(&epoch).is_some_and(|s| {
            s.superseded_by.is_some()
                && self.pools_of(&s.frontend).all(|p| self.is_dead(s, p, ClusterTime::ZERO))
        })
    }

    fn sessions_of(&self, frontend: &FrontendId) -> Vec<Epoch> {
        self.sessions.iter().filter(|(_, s)| s.frontend == *frontend).map(|(epoch, _)| *epoch).collect()
    }

    /// Whether something of a session may have gone to others: it is dead for certain as far as addresses without a
    /// record go, which comes before all else.
    fn is_dead_somewhere(&self, epoch: Epoch) -> bool {
        let Some(session) = self.sessions.get(&epoch) else { return true };
        self.pools_of(&session.frontend).any(|p| self.is_dead(session, p, ClusterTime::ZERO))
    }

    /// A session that is current and not past its deadline after all issues from its ranges again.
    fn reopen_for_owner(&mut self, epoch: Epoch, out: &mut Applied) {
        if self.sessions.get(&epoch).is_some_and(|s| !s.is_gone()) {
            self.set_closed(epoch, false, out);
        }
    }

    /// The moments that follow from a session's deadline have moved.
    fn deadline_moved(&mut self, epoch: Epoch) {
        self.touch(RowKey::Session(epoch));
        self.look_again(epoch);
        self.schedule_session(epoch);
    }
}
