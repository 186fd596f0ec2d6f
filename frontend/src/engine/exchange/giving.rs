//! Giving leases to an IA: what Solicit, Request, Renew and Rebind have in common.
//!
//! Owns how a client's hints become a hint and an order of pools for [`Leases`], and how its refusal to give becomes
//! a status or silence. Refuses to choose addresses and lifetimes: [`Leases`] does. One new lease an IA is the policy
//! (SV-212). Source: RFC 9915 §18.3.2, §18.3.9; RFC 8168 §3.2.

use super::context::{Context, all_named, length_hint, word};
use super::plan::{Fate, IaAnswer, Line, Status};
use crate::codec::{Discard, Ia, IaKind};
use crate::engine::leases::{Given, IaRef, Known, Leases, Margin, NoLease, Wanted};
use leasehold_proto::lease::{LeaseExtra, LeaseState};
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::{PoolId, Prefix};
use smallvec::SmallVec;
use std::sync::Arc;

/// The wishes of a client for one IA, as far as they can be followed.
#[derive(Debug)]
pub(super) struct Wishes {
    /// Its pools, in the order in which to try them.
    pub(super) pools: SmallVec<[PoolId; 4]>,
    /// What it would like to have: exactly a lease of one of these pools (PD-05).
    pub(super) hint: Option<Prefix>,
    /// It asked for a length, in the order of which the pools stand (PD-04).
    pub(super) by_length: bool,
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
        let length = length_hint(ia);
        // Where the prefix cannot be had, a length goes before the pool that it lies in (PD-05).
        let first = hinted.map(|(_, pool)| pool).filter(|_| length.is_none());
        let pools = cx.pools.in_order(word(ia.kind), length, first);
        Self { pools, hint: hinted.map(|(prefix, _)| prefix), by_length: length.is_some() }
    }

    /// Another lease in the place of one: of prefixes, one as long as that, if there is any (PD-14).
    pub(super) fn instead_of(cx: &Context<'_, '_>, ia: &Ia<'_>, old: Prefix) -> Self {
        let length = (ia.kind == IaKind::Pd).then_some(old.len_bits());
        let pools = cx.pools.in_order(word(ia.kind), length, None);
        Self { pools, hint: None, by_length: length.is_some() }
    }

    /// A prefix of exactly this length.
    fn exactly(length: u8, cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>) -> Self {
        let pools = cx.pools.of_length(length);
        let hint = all_named(ia).into_iter().find(|prefix| {
            prefix.len_bits() == length
                && leases.pool_of(*prefix).is_some_and(|pool| pools.contains(&pool.id))
        });
        Self { pools, hint, by_length: true }
    }

    /// All that is wanted; `replaces`: so many leases of the client give way.
    pub(super) fn wanted<'w>(
        &'w self,
        cx: &Context<'_, '_>,
        extra: Option<&'w Arc<LeaseExtra>>,
        replaces: usize,
    ) -> Wanted<'w> {
        Wanted {
            by_length: self.by_length,
            hint: self.hint,
            lifetimes: cx.lifetimes,
            extra,
            relay: cx.relay_address(),
            margin: Margin { replaces: u32::try_from(replaces).unwrap_or(u32::MAX), besides: 0 },
            ..Wanted::of(&self.pools)
        }
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
    known.iter().filter(|k| is_held(cx, k)).map(|k| k.prefix)
}

/// Whether a lease is its client's to use here: not where its address is wrong for the link by now (SV-311, SV-332).
fn is_held(cx: &Context<'_, '_>, lease: &Known) -> bool {
    lease.state == LeaseState::Active && cx.is_own_pool(lease.pool) && !cx.is_off_link(lease.prefix)
}

/// How many leases of a binding its client holds by our records and cannot use here any more: they give way to others.
pub(super) fn gone(cx: &Context<'_, '_>, known: &[Known]) -> usize {
    let is_gone = |lease: &&Known| lease.state == LeaseState::Active && cx.is_off_link(lease.prefix);
    known.iter().filter(is_gone).count()
}

/// A lease that was given or extended now.
pub(super) fn extended(given: Given) -> Line {
    Line { prefix: given.prefix, preferred: given.preferred, valid: given.valid, extended: true }
}

/// A lease that is not extended, with what is left of it (SV-210).
pub(super) fn left(given: Given) -> Line {
    Line { extended: false, ..extended(given) }
}

/// A lease that runs out, since its pool is configured no more: not to be preferred, and not extended (PD-14).
pub(super) fn running_out(given: Given) -> Line {
    Line { preferred: Lifetime::ZERO, ..left(given) }
}

/// What is left of a held lease that cannot be extended now, if anything is.
pub(super) fn rest_of(cx: &Context<'_, '_>, leases: &Leases, ia: IaRef<'_>, prefix: Prefix) -> Option<Line> {
    let rest = leases.remaining(cx.now, ia, prefix)?;
    Some(if leases.runs_out(prefix) { running_out(rest) } else { left(rest) })
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
    let line = match leases.extend(cx.now, ia, prefix, cx.lifetimes, extra) {
        Some(given) => Some(extended(given)),
        None => rest_of(cx, leases, ia, prefix),
    };
    answer.lines.extend(line);
    line.is_some()
}

/// Among which of the pools that are open to a client a new lease is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of its kind.
    AllPools,
    /// Those of prefixes of one length.
    OneLength,
}

/// Looks for a new lease in all pools that are open to a client, once for each kind: where an IA found nothing, another of
/// the same message finds nothing either, and a link may have hundreds of pools.
pub(super) fn look_once(
    cx: &Context<'_, '_>,
    ia: &Ia<'_>,
    look: impl FnOnce() -> Result<Given, NoLease>,
) -> Result<Given, NoLease> {
    let nothing_left = &cx.nothing_left[usize::from(ia.kind == IaKind::Pd)];
    if let Some(refusal) = nothing_left.get() {
        return Err(refusal);
    }
    let found = look();
    // Bounds are judged for each IA anew: one may give way to another.
    nothing_left.set(found.as_ref().err().copied().filter(|refusal| *refusal != NoLease::TooMany));
    found
}

/// What an IA holds, for a client that asks for leases.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// To be extended (SV-314).
    pub(super) kept: SmallVec<[Prefix; 4]>,
    /// Of pools that are configured no more: the client is to have others (PD-14).
    pub(super) ending: SmallVec<[Prefix; 4]>,
    /// What the IA had and does not have any more, but nobody else can have yet: its client is back, and gets it again if
    /// the store agrees (SV-363).
    pub(super) returning: Option<Prefix>,
    /// The client asks for a length of which it has nothing: a prefix of exactly that length goes before what it has
    /// (PD-04, RFC 8168 §3.2).
    pub(super) length: Option<u8>,
    /// So many leases give way to a new one.
    pub(super) gives_way: usize,
}

impl Holdings {
    pub(super) fn of(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>) -> Self {
        let known = known_leases(leases, cx.ia_ref(ia));
        let mut holdings = Self::default();
        for lease in known.iter().filter(|lease| is_held(cx, lease)) {
            let is_kept = leases.offers(lease.pool, lease.prefix);
            if is_kept { &mut holdings.kept } else { &mut holdings.ending }.push(lease.prefix);
        }
        holdings.gives_way = holdings.ending.len() + gone(cx, &known);
        let mut ended = known.iter().filter(|k| k.state.is_revivable() && cx.pools.contains(k.pool));
        holdings.returning = ended.find(|k| leases.offers(k.pool, k.prefix)).map(|k| k.prefix);
        if ia.kind == IaKind::Pd
            && !holdings.kept.is_empty()
            && let Some(length) = asked_length(cx, leases, ia)
        {
            if holdings.kept.iter().any(|prefix| prefix.len_bits() == length) {
                holdings.kept.retain(|prefix| prefix.len_bits() == length);
            } else {
                holdings.length = Some(length);
            }
        }
        holdings
    }

    /// Lists a new lease, and of those that run out what the client named.
    pub(super) fn replaced(
        &self,
        given: Given,
        ia: &Ia<'_>,
        answer: &mut IaAnswer,
        rest_of: impl Fn(Prefix) -> Option<Line>,
    ) {
        answer.lines.push(extended(given));
        let named = all_named(ia);
        answer.lines.extend(self.ending.iter().filter(|p| named.contains(p)).filter_map(|p| rest_of(*p)));
    }

    /// Nothing new can be given: what runs out serves as long as it lasts, unless there will be something presently.
    pub(super) fn refused(
        &self,
        refusal: NoLease,
        answer: &mut IaAnswer,
        rest_of: impl Fn(Prefix) -> Option<Line>,
    ) {
        if refusal != NoLease::NotNow {
            answer.lines.extend(self.ending.iter().filter_map(|prefix| rest_of(*prefix)));
        }
        if answer.lines.is_empty() {
            refuse(answer, refusal);
        }
    }
}

/// The length that a client asks for: by itself, or by a prefix of this server's that it names, as it was advertised.
fn asked_length(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>) -> Option<u8> {
    let is_ours = |prefix: &Prefix| leases.pool_of(*prefix).is_some_and(|pool| cx.pools.contains(pool.id));
    let named = || all_named(ia).into_iter().find(is_ours).map(Prefix::len_bits);
    length_hint(ia).or_else(named)
}

/// Gives leases to an IA and records them: those it holds are extended (SV-314), else it gets a new one (SV-315).
pub(super) fn assign(cx: &Context<'_, '_>, leases: &mut Leases, ia: &Ia<'_>) -> IaAnswer {
    let mut answer = IaAnswer::to(ia);
    let ia_ref = cx.ia_ref(ia);
    let holdings = Holdings::of(cx, leases, ia);
    let extra = cx.extra();
    if let Some(length) = holdings.length {
        let wishes = Wishes::exactly(length, cx, leases, ia);
        let wanted = wishes.wanted(cx, extra.as_ref(), holdings.kept.len());
        if let Ok(given) = leases.create(cx.now, ia_ref, &wanted) {
            answer.lines.push(extended(given));
            return answer;
        }
    }
    for prefix in &holdings.kept {
        extend_held(cx, leases, ia_ref, *prefix, &mut answer);
    }
    if answer.lines.is_empty()
        && let Some(prefix) = holdings.returning
        && adopt(cx, leases, ia_ref, &[prefix])
    {
        return leave_alone(answer, Discard::AdoptionPending);
    }
    if answer.lines.is_empty() {
        let wishes = Wishes::of(cx, leases, ia);
        let wanted = wishes.wanted(cx, extra.as_ref(), holdings.gives_way);
        let given = look_once(cx, ia, || leases.create(cx.now, ia_ref, &wanted));
        let rest_of = |prefix| rest_of(cx, leases, ia_ref, prefix);
        match given {
            Ok(given) => holdings.replaced(given, ia, &mut answer, rest_of),
            Err(refusal) => holdings.refused(refusal, &mut answer, rest_of),
        }
    }
    answer
}

/// Offers what [`assign`] would give, and records nothing; `offer` looks for a new lease.
pub(super) fn offer(
    cx: &Context<'_, '_>,
    leases: &Leases,
    ia: &Ia<'_>,
    offer: impl Fn(&Wanted<'_>, Scope) -> Result<Given, NoLease>,
) -> IaAnswer {
    let mut answer = IaAnswer::to(ia);
    let ia_ref = cx.ia_ref(ia);
    let holdings = Holdings::of(cx, leases, ia);
    let extra = cx.extra_if_bounded();
    if let Some(length) = holdings.length {
        let wishes = Wishes::exactly(length, cx, leases, ia);
        if let Ok(given) = offer(&wishes.wanted(cx, extra.as_ref(), holdings.kept.len()), Scope::OneLength) {
            answer.lines.push(extended(given));
            return answer;
        }
    }
    let rest_of = |prefix| rest_of(cx, leases, ia_ref, prefix);
    for prefix in &holdings.kept {
        let extension = leases.offer_extension(cx.now, ia_ref, *prefix, cx.lifetimes).map(extended);
        answer.lines.extend(extension.or_else(|| rest_of(*prefix)));
    }
    if answer.lines.is_empty()
        && let Some(prefix) = holdings.returning
        && let Some(given) = leases.offer_adoption(cx.now, ia_ref, prefix, cx.lifetimes, extra.clone())
    {
        answer.lines.push(extended(given));
    }
    if answer.lines.is_empty() {
        let wishes = Wishes::of(cx, leases, ia);
        match offer(&wishes.wanted(cx, extra.as_ref(), holdings.gives_way), Scope::AllPools) {
            Ok(given) => holdings.replaced(given, ia, &mut answer, rest_of),
            Err(refusal) => holdings.refused(refusal, &mut answer, rest_of),
        }
    }
    answer
}

/// R7: has the store asked whether it adopts these; says whether an answer is to come for any.
pub(super) fn adopt(cx: &Context<'_, '_>, leases: &mut Leases, ia: IaRef<'_>, adoptable: &[Prefix]) -> bool {
    let mut is_pending = false;
    for prefix in adoptable {
        let left = cx.adoptions_left.get();
        if left == 0 {
            break;
        }
        cx.adoptions_left.set(left - 1);
        is_pending |= leases.adopt(cx.now, ia, *prefix, cx.lifetimes, cx.extra());
    }
    is_pending
}

/// Turns "no lease" into what the client is told, or into silence: it may hear that a pool is dry only once the store
/// has said so, because the partner's ranges may have room.
pub(super) fn refuse(answer: &mut IaAnswer, refusal: NoLease) {
    answer.refusal = Some(refusal);
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
