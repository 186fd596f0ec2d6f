//! What operators do to frontends, and what they read of it: draining, declaring down, conflicts, events.
//!
//! Owns the check that a frontend to be declared down is not heard, which only the leader can make. Refuses to decide
//! what follows: the machine does.

use super::super::replica::lock;
use super::AdminService;
use crate::machine::{Command, ConflictKind, Outcome};
use leasehold_proto::v1;
use leasehold_proto::words::FrontendId;
use tonic::Status;

impl AdminService {
    pub(super) async fn declare(
        &self,
        request: &v1::DeclareFrontendDownRequest,
        by: &str,
    ) -> Result<v1::DeclareFrontendDownAnswer, Status> {
        let frontend = name(&request.frontend)?;
        // Asked of the leader alone: nobody else hears frontends.
        self.read(false).await?;
        let (heard, newest) = {
            let replica = lock(&self.replica);
            (replica.hub.is_heard(&frontend), replica.machine.newest_epoch())
        };
        if heard && !request.withdraw {
            return Err(Status::failed_precondition(format!(
                "`{frontend}` is being heard: it is not down. Stop it, or drain it"
            )));
        }
        let command = if request.withdraw {
            Command::WithdrawDown { frontend: frontend.clone() }
        } else {
            Command::DeclareDown { frontend: frontend.clone(), newest }
        };
        match self.propose(command).await? {
            Outcome::Declared(epochs) => {
                let what = if request.withdraw { "not down after all" } else { "declared down" };
                let mut replica = lock(&self.replica);
                replica.note_event(frontend.as_str(), what, by, !request.withdraw);
                replica.look_at_states();
                Ok(v1::DeclareFrontendDownAnswer { epochs: epochs.iter().map(|e| e.0).collect() })
            }
            Outcome::DeclareRefused(refusal) => Err(Status::failed_precondition(refusal.to_string())),
            other => Err(Status::internal(format!("the store answered {other:?}"))),
        }
    }

    pub(super) async fn drain(
        &self,
        request: &v1::DrainFrontendRequest,
        by: &str,
    ) -> Result<v1::DrainFrontendAnswer, Status> {
        let frontend = name(&request.frontend)?;
        let known = {
            let replica = lock(&self.replica);
            let mut sessions = replica.machine.sessions();
            let partner = |f: &FrontendId| {
                let network = replica.machine.network();
                network.is_some_and(|n| n.relationships.iter().any(|r| r.has_partner(f)))
            };
            sessions.any(|s| s.frontend == frontend) || partner(&frontend)
        };
        if !known {
            return Err(Status::not_found(format!("there is no frontend `{frontend}`")));
        }
        match self.propose(Command::Drain { frontend: frontend.clone(), on: request.on }).await? {
            Outcome::Drained { changed } => {
                if changed {
                    let what = if request.on { "draining" } else { "serves again" };
                    let mut replica = lock(&self.replica);
                    replica.note_event(frontend.as_str(), what, by, false);
                    replica.look_at_states();
                }
                Ok(v1::DrainFrontendAnswer { changed })
            }
            other => Err(Status::internal(format!("the store answered {other:?}"))),
        }
    }

    pub(super) fn conflicts(&self, after: u64) -> v1::ListConflictsAnswer {
        let replica = lock(&self.replica);
        let conflicts = replica.machine.conflicts().filter(|(number, _)| *number > after);
        let conflicts = conflicts.map(|(number, conflict)| {
            let (kind, other_prefix, lost_duid, until) = match &conflict.kind {
                ConflictKind::TwoClients { lost, valid_until } => {
                    ("two-clients", None, lost.duid.as_bytes().to_vec(), valid_until.as_millis())
                }
                ConflictKind::TwoAddresses { earlier } => {
                    ("two-addresses", Some((*earlier).into()), Vec::new(), 0)
                }
            };
            v1::ConflictInfo {
                number,
                at_ms: conflict.at.as_millis(),
                kind: kind.to_owned(),
                prefix: Some(conflict.prefix.into()),
                other_prefix,
                kept_duid: conflict.kept.duid.as_bytes().to_vec(),
                lost_duid,
                frontend: conflict.frontend.to_string(),
                lost_valid_until_ms: until,
            }
        });
        v1::ListConflictsAnswer {
            conflicts: conflicts.collect(),
            cluster_time_ms: replica.time().as_millis(),
        }
    }

    pub(super) fn events(&self, after: u64) -> v1::ListEventsAnswer {
        let replica = lock(&self.replica);
        let events = replica.states.events_after(after).map(|event| v1::EventInfo {
            number: event.number,
            at_ms: event.at.as_millis(),
            subject: event.subject.clone(),
            what: event.what.clone(),
            reason: event.reason.clone(),
        });
        v1::ListEventsAnswer { events: events.collect(), cluster_time_ms: replica.time().as_millis() }
    }
}

fn name(text: &str) -> Result<FrontendId, Status> {
    FrontendId::new(text).map_err(|error| Status::invalid_argument(error.to_string()))
}
