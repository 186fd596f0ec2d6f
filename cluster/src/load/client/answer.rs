//! What a client makes of an answer: offers, leases, refusals, faults.
//!
//! Owns the second half of the client, [`Client::handle`] and what it changes. Refuses to know when anything is sent.
//! Invariant: a wrong answer changes nothing; whatever was promised to the client is told, taken or not.
//! Source: RFC 9915 §18.2.9, §18.2.10.

use std::time::Duration;

use leasehold_frontend::codec::ia::IaKind;
use leasehold_frontend::codec::message::MessageKind;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_frontend::codec::wire::{INFINITY_SECS, status};
use leasehold_proto::time::{Lifetime, LocalTime};
use leasehold_proto::words::Prefix;

use super::{Behaviour, Client, Handled, HeldLease, Phase};
use crate::load::judge::{Fault, IaVerdict, Promise, judge_ia, only_ia};
use crate::load::retransmit::Retransmission;

/// Before a client that was refused tries again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

impl Client {
    /// Takes a server's message for this client. Whatever a Reply promises it, taken or late, is put into
    /// `promises`, which is cleared first; a lifetime of zero means that the client stops using the lease.
    pub fn handle(
        &mut self,
        now: LocalTime,
        behaviour: &Behaviour,
        message: &ServerMessage<'_>,
        promises: &mut Vec<Promise>,
    ) -> Handled {
        promises.clear();
        let asked = self.retry.filter(|_| message.transaction_id == self.transaction);
        let Some(retry) = asked else { return self.handle_late(message, promises) };
        let outcome = self.judge(now, behaviour, message, &retry, promises);
        match outcome {
            Ok(handled) => handled,
            Err(fault) => {
                promises.clear();
                Handled::Wrong(fault)
            }
        }
    }

    /// A second answer to the message answered last may promise too: its client has been told.
    fn handle_late(&self, message: &ServerMessage<'_>, promises: &mut Vec<Promise>) -> Handled {
        if Some(message.transaction_id) != self.answered_transaction {
            return Handled::Unasked;
        }
        let holds = matches!(self.phase, Phase::Bound | Phase::Renewing | Phase::Rebinding);
        if holds
            && message.kind == ServerMessageKind::Reply
            && message.client_id == Some(self.duid.as_bytes())
        {
            for ia in message.ias.iter().filter(|ia| ia.iaid == self.iaid) {
                // What is wrong with it was not taken, so it was not promised for this client's use.
                let before = promises.len();
                if judge_ia(ia, &[], true, promises).is_err() {
                    promises.truncate(before);
                }
            }
        }
        Handled::Late
    }

    fn judge(
        &mut self,
        now: LocalTime,
        behaviour: &Behaviour,
        message: &ServerMessage<'_>,
        retry: &Retransmission,
        promises: &mut Vec<Promise>,
    ) -> Result<Handled, Fault> {
        if message.client_id != Some(self.duid.as_bytes()) {
            return Err(Fault::ClientId);
        }
        let server = message.server_id.ok_or(Fault::ServerId)?;
        let asks_one = matches!(self.phase, Phase::Requesting | Phase::Renewing | Phase::Releasing);
        if asks_one && server != self.server {
            return Err(Fault::ServerId);
        }
        let after = now.saturating_since(retry.first_at());
        let offer = message.kind == ServerMessageKind::Advertise;
        let rapid = self.phase == Phase::Soliciting && message.rapid_commit && behaviour.rapid_commit;
        let solicits = self.phase == Phase::Soliciting;
        let fits = if offer { solicits } else { !solicits || rapid };
        if !fits {
            return Err(Fault::Kind);
        }
        let refused = message.status.map(|status| status.code).filter(|code| *code != status::SUCCESS);
        if self.phase == Phase::Releasing {
            self.answered();
            self.rest();
            return Ok(Handled::Released { after });
        }
        if let Some(status) = refused {
            return Ok(self.refused(now, offer, status));
        }
        let verdicts = self.judge_ias(message, promises)?;
        if offer {
            if promises.is_empty() {
                return Ok(self.refused(now, true, first_refusal(&verdicts)));
            }
            // An offer promises nothing.
            promises.clear();
            self.server.clear();
            self.server.extend_from_slice(server);
            self.take_offer(message);
            self.answered();
            self.begin(now, Phase::Requesting);
            return Ok(Handled::Offered { after });
        }
        Ok(self.take_reply(now, behaviour, server, &verdicts, promises, after))
    }

    fn judge_ias(
        &self,
        message: &ServerMessage<'_>,
        promises: &mut Vec<Promise>,
    ) -> Result<Vec<IaVerdict>, Fault> {
        let is_ours =
            |kind: IaKind, iaid: u32| iaid == self.iaid && self.associations.iter().any(|ia| ia.kind == kind);
        if message.ias.iter().any(|ia| !is_ours(ia.kind, ia.iaid)) {
            return Err(Fault::IaUnasked);
        }
        let extends = matches!(self.phase, Phase::Renewing | Phase::Rebinding);
        let mut verdicts = Vec::with_capacity(self.associations.len());
        for ia in &self.associations {
            let answer = only_ia(message, ia.kind, self.iaid)?;
            let held: Vec<Prefix> =
                if extends { ia.leases.iter().map(|lease| lease.prefix).collect() } else { Vec::new() };
            verdicts.push(judge_ia(answer, &held, !extends || held.is_empty(), promises)?);
        }
        Ok(verdicts)
    }

    /// Keeps what was offered, to name it in the Request. It is not held yet.
    fn take_offer(&mut self, message: &ServerMessage<'_>) {
        for ia in &mut self.associations {
            ia.leases.clear();
            let offered =
                message.ias.iter().filter(|answer| answer.kind == ia.kind).flat_map(|answer| answer.leases());
            ia.leases.extend(
                offered
                    .filter_map(|lease| Prefix::new(lease.bits, u32::from(lease.len_bits)).ok())
                    .map(|prefix| HeldLease { prefix, valid_until: LocalTime::ZERO }),
            );
        }
    }

    fn take_reply(
        &mut self,
        now: LocalTime,
        behaviour: &Behaviour,
        server: &[u8],
        verdicts: &[IaVerdict],
        promises: &mut Vec<Promise>,
        after: Duration,
    ) -> Handled {
        let by = self.phase.message_kind().unwrap_or(MessageKind::Request);
        let extends = matches!(self.phase, Phase::Renewing | Phase::Rebinding);
        let given = promises.iter().any(|promise| promise.valid != Lifetime::ZERO);
        if !given && !extends {
            return self.refused(now, false, first_refusal(verdicts));
        }
        self.answered();
        let held_before: Vec<Prefix> =
            if extends { self.leases().map(|(_, lease)| lease.prefix).collect() } else { Vec::new() };
        for ia in &mut self.associations {
            ia.leases.clear();
            let is_kind = |promise: &&Promise| promise.prefix.is_address() == (ia.kind == IaKind::Na);
            let kept = promises.iter().filter(is_kind).filter(|promise| promise.valid != Lifetime::ZERO);
            ia.leases.extend(kept.map(|promise| HeldLease {
                prefix: promise.prefix,
                valid_until: ends_at(now, promise.valid),
            }));
        }
        let mut lost = 0;
        for held in
            held_before.into_iter().filter(|held| !self.leases().any(|(_, lease)| lease.prefix == *held))
        {
            lost += 1;
            // The client stops using it, whether the server said lifetime 0 or NoBinding.
            promises.push(Promise { prefix: held, preferred: Lifetime::ZERO, valid: Lifetime::ZERO });
        }
        if !given {
            self.start(now);
            return Handled::Lost { leases: lost, by, after };
        }
        self.server.clear();
        self.server.extend_from_slice(server);
        self.phase = Phase::Bound;
        self.retry = None;
        self.set_timers(now, behaviour, verdicts, promises);
        Handled::Bound { by, after, waited: now.saturating_since(self.waiting_since), lost }
    }

    fn set_timers(
        &mut self,
        now: LocalTime,
        behaviour: &Behaviour,
        verdicts: &[IaVerdict],
        promises: &[Promise],
    ) {
        let preferred = promises.iter().filter(|p| p.valid != Lifetime::ZERO).map(|p| p.preferred).min();
        let (own_t1, own_t2) = leasehold_proto::lifetimes::t1_t2(preferred.unwrap_or(Lifetime::ZERO));
        let given = |times: fn(&IaVerdict) -> u32, own: Lifetime| {
            verdicts.iter().map(times).filter(|secs| *secs != 0).min().map_or(own, Lifetime::from_wire)
        };
        self.t2_at = ends_at(now, given(|verdict| verdict.t2_secs, own_t2));
        let t1_at = match behaviour.renew_after {
            Some(span) => now + span,
            None => ends_at(now, given(|verdict| verdict.t1_secs, own_t1)),
        };
        self.deadline = t1_at.min(self.t2_at).min(self.first_expiry());
    }

    fn refused(&mut self, now: LocalTime, keeps_asking: bool, status: u16) -> Handled {
        // A refused Solicit goes on by its own timer; others begin anew, after a pause, their wait going on.
        if !keeps_asking && !matches!(self.phase, Phase::Renewing | Phase::Rebinding) {
            self.answered();
            self.drop_leases();
            self.phase = Phase::Soliciting;
            self.retry = None;
            self.deadline = now + REFUSED_PAUSE;
        }
        Handled::Refused { status }
    }

    fn answered(&mut self) {
        self.answered_transaction = Some(self.transaction);
    }
}

fn first_refusal(verdicts: &[IaVerdict]) -> u16 {
    verdicts.iter().find_map(|verdict| verdict.refused).unwrap_or(status::UNSPEC_FAIL)
}

fn ends_at(now: LocalTime, lifetime: Lifetime) -> LocalTime {
    if lifetime.to_wire() == INFINITY_SECS { LocalTime::NEVER } else { now + lifetime.span() }
}
