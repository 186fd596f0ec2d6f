//! What is going to be answered: a [`Plan`], filled by one exchange, judged as a whole, then written by `reply`.
//!
//! Owns the parts of an answer that exchanges decide on, and the rules that look at all IAs at once: silence where
//! silence is due, and T1 and T2 equal over the message (SV-207). Refuses to know bindings, links and octets. Nothing
//! is allocated for up to four IAs of two leases.

use crate::codec::wire::{msg, status};
use crate::codec::{Discard, Ia, IaKind, Timers};
use crate::engine::leases::NoLease;
use leasehold_proto::lifetimes::t1_t2;
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// A status code with its text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// One of [`status`].
    pub(super) code: u16,
    /// Short: it costs octets in every answer.
    pub(super) text: &'static str,
}

impl Status {
    pub(super) const SUCCESS: Self = Self { code: status::SUCCESS, text: "" };
    pub(super) const NOT_ON_LINK: Self = Self { code: status::NOT_ON_LINK, text: "not on this link" };
    pub(super) const USE_MULTICAST: Self = Self { code: status::USE_MULTICAST, text: "use multicast" };
    pub(super) const NO_BINDING: Self = Self { code: status::NO_BINDING, text: "no binding" };

    /// The status of an IA for which there is nothing (SV-305, SV-312).
    pub(super) fn none_available(kind: IaKind) -> Self {
        match kind {
            IaKind::Na => Self { code: status::NO_ADDRS_AVAIL, text: "no addresses available" },
            IaKind::Pd => Self { code: status::NO_PREFIX_AVAIL, text: "no prefixes available" },
        }
    }
}

/// One lease as it will be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) prefix: Prefix,
    pub(super) preferred: Lifetime,
    pub(super) valid: Lifetime,
    /// Given or extended now: it counts for T1 and T2.
    pub(super) extended: bool,
}

/// What is to be said about one IA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// What its lines and its status say.
    Told,
    /// Nothing can be given, and the store has not said that nothing is left.
    NotNow,
    /// Not ours to speak about; the reason counts if the whole message stays without an answer.
    LeftAlone(Discard),
}

/// One IA of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IaAnswer {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) lines: SmallVec<[Line; 2]>,
    pub(super) status: Option<Status>,
    pub(super) fate: Fate,
    /// Why no lease could be given: for people.
    pub(super) refusal: Option<NoLease>,
}

impl IaAnswer {
    /// An answer that says nothing yet.
    pub(super) fn to(ia: &Ia<'_>) -> Self {
        Self {
            kind: ia.kind,
            iaid: ia.iaid,
            lines: SmallVec::new(),
            status: None,
            fate: Fate::Told,
            refusal: None,
        }
    }

    /// An IA with a status and nothing else (SV-215).
    pub(super) fn with_status(ia: &Ia<'_>, status: Status) -> Self {
        Self { status: Some(status), ..Self::to(ia) }
    }

    /// Tells the client to stop using a lease (SV-332).
    pub(super) fn withdraw(&mut self, prefix: Prefix) {
        self.lines.push(Line { prefix, preferred: Lifetime::ZERO, valid: Lifetime::ZERO, extended: false });
    }

    /// Whether a lease is listed that the client may go on using.
    pub(super) fn has_live(&self) -> bool {
        self.lines.iter().any(|line| line.valid > Lifetime::ZERO)
    }

    /// Whether a lease is listed as given or extended.
    pub(super) fn has_extended(&self) -> bool {
        self.lines.iter().any(|line| line.extended)
    }
}

/// What an answer holds beside identifiers and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// IAs and options.
    Usual,
    /// The address that was registered.
    Registration,
}

/// An answer in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Advertise, Reply or Addr-reg-reply.
    pub(super) message_type: u8,
    pub(super) body: Body,
    /// Whether it is a Reply to a Solicit (SV-302).
    pub(super) rapid_commit: bool,
    /// Top-level status.
    pub(super) status: Option<Status>,
    pub(super) ias: SmallVec<[IaAnswer; 4]>,
}

impl Plan {
    /// An empty Reply.
    pub(super) fn reply() -> Self {
        Self {
            message_type: msg::REPLY,
            body: Body::Usual,
            rapid_commit: false,
            status: None,
            ias: SmallVec::new(),
        }
    }

    /// An empty Advertise.
    pub(super) fn advertise() -> Self {
        Self { message_type: msg::ADVERTISE, ..Self::reply() }
    }

    /// Whether the client has asked for leases and would get none.
    pub(super) fn gives_nothing(&self) -> bool {
        !self.ias.is_empty() && !self.ias.iter().any(IaAnswer::has_live)
    }

    /// Leaves out half of what is only withdrawn, the last first, and IAs of which nothing is left to say. False when there
    /// was nothing of that kind.
    pub(super) fn halve_withdrawn(&mut self) -> bool {
        let is_withdrawn = |line: &Line| line.valid == Lifetime::ZERO;
        let withdrawn = self.ias.iter().flat_map(|ia| &ia.lines).filter(|line| is_withdrawn(line)).count();
        let mut kept = 0;
        for ia in &mut self.ias {
            ia.lines.retain(|line| {
                kept += usize::from(is_withdrawn(line));
                !is_withdrawn(line) || kept <= withdrawn / 2
            });
        }
        self.ias.retain(|ia| !ia.lines.is_empty() || ia.status.is_some());
        withdrawn > 0
    }

    /// Judges all IAs together: what cannot be given now is refused if the client gets something else, and the whole
    /// message is left without an answer if it would get nothing but that; IAs left alone are not mentioned.
    ///
    /// Errors: the reason for silence.
    pub(super) fn settle(&mut self) -> Result<(), Discard> {
        let said = |ia: &IaAnswer| {
            ia.fate == Fate::Told && (!ia.lines.is_empty() || ia.status == Some(Status::NOT_ON_LINK))
        };
        if self.ias.iter().any(|ia| ia.fate == Fate::NotNow) && !self.ias.iter().any(said) {
            return Err(Discard::RangesDry);
        }
        let mut reasons = self.ias.iter().filter_map(|ia| match ia.fate {
            Fate::LeftAlone(reason) => Some(reason),
            _ => None,
        });
        // What is being adopted is to be waited for, whatever the reason of the others.
        let pending = reasons.clone().find(|reason| *reason == Discard::AdoptionPending);
        let left_alone = pending.or_else(|| reasons.next());
        self.ias.retain(|ia| !matches!(ia.fate, Fate::LeftAlone(_)));
        if let (true, Some(reason)) = (self.ias.is_empty(), left_alone) {
            return Err(reason);
        }
        for ia in &mut self.ias {
            if ia.fate == Fate::NotNow {
                ia.fate = Fate::Told;
                // The client has leases from this answer and asks again for the rest in its Renew (RFC 9915 §18.2.10.1).
                // An IA whose old leases run out says so by their lifetimes.
                ia.status = ia.lines.is_empty().then(|| Status::none_available(ia.kind));
            }
        }
        Ok(())
    }

    /// T1 and T2 for every IA that lists a lease: from the shortest preferred lifetime extended anywhere in the
    /// message (SV-207, SV-208); if nothing was, from the shortest valid lifetime that is left (SV-210).
    pub(super) fn timers(&self) -> Timers {
        let lines = || self.ias.iter().flat_map(|ia| &ia.lines);
        let shortest_preferred = lines().filter(|line| line.extended).map(|line| line.preferred).min();
        let (t1, t2) = match shortest_preferred {
            Some(preferred) => t1_t2(preferred),
            None => {
                let left = lines().map(|line| line.valid).filter(|valid| *valid > Lifetime::ZERO).min();
                let left = left.unwrap_or(Lifetime::ZERO);
                (left, left)
            }
        };
        Timers { t1_secs: t1.to_wire(), t2_secs: t2.to_wire() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(preferred: u32, valid: u32, extended: bool) -> Line {
        Line {
            prefix: Prefix::address(1),
            preferred: Lifetime::from_wire(preferred),
            valid: Lifetime::from_wire(valid),
            extended,
        }
    }

    fn ia(kind: IaKind, lines: &[Line], fate: Fate) -> IaAnswer {
        IaAnswer { kind, iaid: 1, lines: lines.iter().copied().collect(), status: None, fate, refusal: None }
    }

    fn plan(ias: Vec<IaAnswer>) -> Plan {
        Plan { ias: ias.into(), ..Plan::reply() }
    }

    #[test]
    fn sv_207_sv_208_timers_follow_the_shortest_preferred_of_all_ias() {
        let p = plan(vec![
            ia(IaKind::Na, &[line(1000, 2000, true)], Fate::Told),
            ia(IaKind::Pd, &[line(400, 2000, true), line(0, 0, false)], Fate::Told),
        ]);
        assert_eq!(p.timers(), Timers { t1_secs: 200, t2_secs: 320 });
    }

    #[test]
    fn sv_210_nothing_extended_then_timers_are_the_valid_lifetime_left() {
        let p = plan(vec![ia(IaKind::Na, &[line(0, 700, false), line(0, 0, false)], Fate::Told)]);
        assert_eq!(p.timers(), Timers { t1_secs: 700, t2_secs: 700 });
        assert_eq!(plan(vec![ia(IaKind::Na, &[line(0, 0, false)], Fate::Told)]).timers(), Timers::default());
    }

    #[test]
    fn silence_until_the_store_has_said_that_the_pool_is_dry() {
        assert_eq!(plan(vec![ia(IaKind::Na, &[], Fate::NotNow)]).settle(), Err(Discard::RangesDry));
        let mut p =
            plan(vec![ia(IaKind::Na, &[line(1, 2, true)], Fate::Told), ia(IaKind::Pd, &[], Fate::NotNow)]);
        assert_eq!(p.settle(), Ok(()));
        assert_eq!(p.ias[1].status, Some(Status::none_available(IaKind::Pd)));
    }

    #[test]
    fn an_ia_left_alone_is_not_mentioned() {
        let alone = || ia(IaKind::Na, &[], Fate::LeftAlone(Discard::UnrecordedLease));
        assert_eq!(plan(vec![alone()]).settle(), Err(Discard::UnrecordedLease));
        let mut p = plan(vec![alone(), ia(IaKind::Pd, &[line(1, 2, true)], Fate::Told)]);
        assert_eq!(p.settle(), Ok(()));
        assert_eq!(p.ias.len(), 1);
    }
}
