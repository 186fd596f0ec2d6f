//! Giving leases to an IA: what Solicit, Request, Renew and Rebind have in common.
//!
//! Owns how a client's hints become a hint and an order of pools for [`Leases`], and how its refusal to give becomes
//! a status or silence. Refuses to choose addresses and lifetimes: [`Leases`] does. One new lease an IA is the policy
//! (SV-212). Source: RFC 9915 §18.3.2, §18.3.9; RFC 8168 §3.2.

use super::context::{Context, all_named, length_hint};
use super::plan::{Fate, IaAnswer, Line, Status};
use crate::codec::{Discard, Ia};
use crate::engine::leases::{Given, IaRef, Known, Leases, NoLease};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::words::{PoolId, Prefix};
use smallvec::SmallVec;

/// The wishes of a client for one IA, as far as they can be followed.
#[derive(Debug)]
pub(super) struct Wishes {
    /// Its pools, in the order in which to try them.
    pub(super) pools: SmallVec<[PoolId; 4]>,
    /// What it would like to have: exactly a lease of one of these pools (PD-05).
    pub(super) hint: Option<Prefix>,
}

impl Wishes {
    /// Reads the hints of an IA: the first address or prefix that is one of this server's on this link, else a length.
    pub(super) fn of(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>) -> Self {
        Self::among(cx, leases, ia, &all_named(ia))
    }

    /// As [`Wishes::of`], of these prefixes only.
    pub(super) fn among(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>, named: &[Prefix]) -> Self {
        let hinted = named.iter().find_map(|prefix| {
            let pool = leases.pool_of(*prefix)?.id;
            cx.pools.contains(pool).then_some((*prefix, pool))
        });
        let pools =
            cx.pools.in_order(super::context::word(ia.kind), length_hint(ia), hinted.map(|(_, pool)| pool));
        Self { pools, hint: hinted.map(|(prefix, _)| prefix) }
    }
}

/// All that is known of an IA's binding.
pub(super) fn known_leases(leases: &Leases, ia: IaRef<'_>) -> SmallVec<[Known; 4]> {
    let mut known = SmallVec::new();
    leases.leases_of(ia, &mut known);
    known
}

/// The leases of a binding that its client holds and that are this server's business.
pub(super) fn held<'k>(cx: &'k Context<'_, '_>, known: &'k [Known]) -> impl Iterator<Item = Prefix> + 'k {
    known.iter().filter(|k| k.state == LeaseState::Active && cx.is_own_pool(k.pool)).map(|k| k.prefix)
}

/// A lease that was given or extended now.
pub(super) fn extended(given: Given) -> Line {
    Line { prefix: given.prefix, preferred: given.preferred, valid: given.valid, extended: true }
}

/// A lease that is not extended, with what is left of it (SV-210).
pub(super) fn left(given: Given) -> Line {
    Line { extended: false, ..extended(given) }
}

/// Extends a held lease and lists it; lists what is left if nothing more may be promised; says whether it is listed.
pub(super) fn extend_held(
    cx: &Context<'_, '_>,
    leases: &mut Leases,
    ia: IaRef<'_>,
    prefix: Prefix,
    answer: &mut IaAnswer,
) -> bool {
    let extra = cx.extra_of_held(leases, prefix);
    let line = match leases.extend(cx.now, ia, prefix, extra) {
        Some(given) => Some(extended(given)),
        None => leases.remaining(cx.now, ia, prefix).map(left),
    };
    answer.lines.extend(line);
    line.is_some()
}

/// Gives leases to an IA and records them: those it holds are extended (SV-314), else it gets a new one (SV-315).
pub(super) fn assign(cx: &Context<'_, '_>, leases: &mut Leases, ia: &Ia<'_>) -> IaAnswer {
    let mut answer = IaAnswer::to(ia);
    let ia_ref = cx.ia_ref(ia);
    let known = known_leases(leases, ia_ref);
    for prefix in held(cx, &known) {
        extend_held(cx, leases, ia_ref, prefix, &mut answer);
    }
    if answer.lines.is_empty() {
        let wishes = Wishes::of(cx, leases, ia);
        match leases.create(cx.now, ia_ref, &wishes.pools, wishes.hint, cx.extra()) {
            Ok(given) => answer.lines.push(extended(given)),
            Err(refusal) => refuse(&mut answer, refusal),
        }
    }
    answer
}

/// Turns "no lease" into what the client is told, or into silence: it may hear that a pool is dry only once the store
/// has said so, because the partner's ranges may have room.
pub(super) fn refuse(answer: &mut IaAnswer, refusal: NoLease) {
    match refusal {
        NoLease::Dry | NoLease::NoPool | NoLease::TooMany => {
            answer.status = Some(Status::none_available(answer.kind));
        }
        NoLease::NotNow => answer.fate = Fate::NotNow,
    }
}

/// An IA that is not mentioned, because only somebody else could know about it.
pub(super) fn leave_alone(mut answer: IaAnswer, reason: Discard) -> IaAnswer {
    answer.fate = Fate::LeftAlone(reason);
    answer
}
