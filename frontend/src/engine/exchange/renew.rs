//! Renew, and the treatment of one IA that Renew and Rebind share.
//!
//! Owns the judgement of each lease that a client says it has: extended when it is on record for that client (R5),
//! withdrawn with lifetimes 0 when it certainly is not the client's (SV-332), and left alone when only somebody else
//! could know, because a lease may have been promised and never committed (R7, SV-344): the store is asked to adopt it,
//! and the message waits for that. Leases of the binding that
//! the client does not use are released (R9). A lease of a pool that is configured no more runs out beside its successor
//! (PD-14). A length that is asked for beside a prefix is passed over: the prefix is kept and extended, since changing it
//! would renumber a site that works (PD-06, RFC 8168 §3.5). Source: RFC 9915 §18.3.4.

use super::context::{Context, all_named, word};
use super::giving::{
    Wishes, adopt, extend_held, extended, gone, held, known_leases, leave_alone, look_once, refuse,
};
use super::plan::{Fate, IaAnswer, Line, Plan, Status};
use crate::codec::{Discard, Ia};
use crate::engine::leases::{IaRef, Known, Leases, NoLease, Owner};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::Lifetime;
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// Plans the answer to a Renew. New bindings may be made (SV-334, SV-335).
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let mut plan = Plan::reply();
    for ia in &cx.message.ias {
        let answer = extend_ia(cx, leases, ia, WhenUnknown::Create);
        plan.ias.push(answer);
    }
    plan.settle()?;
    Ok(plan)
}

/// What to do for an IA of which nothing is known and which claims nothing doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenUnknown {
    /// Make a binding.
    Create,
    /// Say NoBinding.
    NoBinding,
    /// Say nothing.
    Silence,
}

/// How a lease that the client lists stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// On record for this IA.
    Recorded,
    /// Wrong for the link, or certainly another's: withdraw it.
    NotTheirs,
    /// Nobody's, in a range of ours of which we know everything: it may be given, else it is withdrawn.
    Unclaimed,
    /// Nobody's by any record, in a range from which a session that is not heard may have promised it (R7); or this
    /// IA's by a record that has expired.
    Adoptable,
    /// It may have been promised by somebody else (R7), is another server's, or cannot be spoken about now: leave it
    /// alone, for this reason.
    Doubtful(Discard),
}

/// A lease of another logical server.
const OTHERS: Standing = Standing::Doubtful(Discard::NotOurs);

/// Extends, withdraws and gives leases of one IA.
pub(super) fn extend_ia(
    cx: &Context<'_, '_>,
    leases: &mut Leases,
    ia: &Ia<'_>,
    when_unknown: WhenUnknown,
) -> IaAnswer {
    let ia_ref = cx.ia_ref(ia);
    let listed = all_named(ia);
    let known = known_leases(leases, ia_ref);
    let mut answer = IaAnswer::to(ia);
    let mut unclaimed: SmallVec<[Prefix; 4]> = SmallVec::new();
    let mut adoptable: SmallVec<[Prefix; 4]> = SmallVec::new();
    let mut doubt = None;
    for prefix in &listed {
        let mut standing = standing(cx, leases, ia, &known, *prefix);
        if standing == Standing::Recorded {
            standing = extend_recorded(cx, leases, ia_ref, &known, *prefix, &mut answer);
        }
        match standing {
            Standing::Recorded => {}
            Standing::NotTheirs => answer.withdraw(*prefix),
            Standing::Unclaimed => unclaimed.push(*prefix),
            Standing::Doubtful(reason) => doubt = Some(reason),
            Standing::Adoptable => {
                doubt = Some(Discard::UnrecordedLease);
                adoptable.push(*prefix);
            }
        }
    }
    if answer.has_extended() {
        // The client has told which of its leases it uses (R9). When what it sent was kept meanwhile, it may have been
        // given another since: its next Renew says so.
        if !cx.is_kept {
            leases.release_unused(cx.now, ia_ref, &listed);
        }
    } else if !answer.has_live() {
        if let Some(reason) = doubt {
            let is_pending = adopt(cx, leases, ia_ref, &adoptable);
            return leave_alone(answer, if is_pending { Discard::AdoptionPending } else { reason });
        }
        for prefix in held(cx, &known).filter(|prefix| !listed.contains(prefix)) {
            extend_held(cx, leases, ia_ref, prefix, &mut answer);
        }
        if !answer.has_live() {
            make_binding(cx, leases, ia, (&known, &unclaimed), when_unknown, &mut answer);
        }
    }
    if let Some(old) = ending(leases, &answer) {
        replace(cx, leases, ia, &known, old, &mut answer);
        if answer.fate == Fate::NotNow {
            return answer;
        }
    }
    for prefix in unclaimed {
        // Without a binding here, that an address is not found is no reason to withdraw it (SV-344).
        if answer.fate == Fate::Told
            && answer.status != Some(Status::NO_BINDING)
            && !answer.lines.iter().any(|line| line.prefix == prefix)
        {
            answer.withdraw(prefix);
        }
    }
    if !answer.lines.is_empty() && answer.fate == Fate::NotNow {
        answer.fate = Fate::Told;
    }
    answer
}

/// PD-14: a lease that is listed and runs out, where none of the answer is extended.
fn ending(leases: &Leases, answer: &IaAnswer) -> Option<Prefix> {
    let is_ending = |line: &&Line| line.valid > Lifetime::ZERO && leases.runs_out(line.prefix);
    if answer.has_extended() { None } else { answer.lines.iter().find(is_ending).map(|line| line.prefix) }
}

/// PD-14: the client of a lease that runs out is given another in the same IA, or is told again of the one that it was
/// given before. While none can be had, though there may be one presently, it is left to ask again: were it told what is
/// left, it would not ask before that is over.
fn replace(
    cx: &Context<'_, '_>,
    leases: &mut Leases,
    ia: &Ia<'_>,
    known: &[Known],
    old: Prefix,
    answer: &mut IaAnswer,
) {
    let mut ends = 0;
    for prefix in held(cx, known) {
        if leases.runs_out(prefix) {
            ends += 1;
        } else if !answer.lines.iter().any(|line| line.prefix == prefix) {
            extend_held(cx, leases, cx.ia_ref(ia), prefix, answer);
        }
    }
    if answer.has_extended() {
        return;
    }
    let wishes = Wishes::instead_of(cx, ia, old);
    let extra = cx.extra();
    let wanted = wishes.wanted(cx, extra.as_ref(), ends);
    match look_once(cx, ia, || leases.create(cx.now, cx.ia_ref(ia), &wanted)) {
        Ok(given) => answer.lines.push(extended(given)),
        Err(NoLease::NotNow) => answer.fate = Fate::NotNow,
        // The old one serves as long as it lasts.
        Err(NoLease::Dry | NoLease::NoPool | NoLease::TooMany) => {}
    }
}

/// Judges one listed lease.
fn standing(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>, known: &[Known], prefix: Prefix) -> Standing {
    let record = known.iter().find(|record| record.prefix == prefix);
    if record.is_some_and(|record| !cx.is_own_pool(record.pool)) {
        return OTHERS;
    }
    // Wherever it is from, the client cannot use it here any more (SV-332). Cut off, the link may have been given another
    // prefix since.
    if cx.is_off_link(prefix) && leases.is_connected() {
        return Standing::NotTheirs;
    }
    // What is free again is judged as if it were not on record: of a pool that is configured no more nobody can have
    // promised it.
    if record.is_some_and(|record| record.state != LeaseState::Free) {
        return Standing::Recorded;
    }
    if cx.is_off_link(prefix) {
        return Standing::Doubtful(Discard::UnrecordedLease);
    }
    let Some(pool) = leases.pool_of(prefix) else {
        // Another server's pool, or no pool at all, which nobody can have promised.
        return match cx.topology.pool_of(prefix).is_some() {
            true => OTHERS,
            // A pool may have grown since.
            false if !leases.is_connected() => Standing::Doubtful(Discard::UnrecordedLease),
            false => Standing::NotTheirs,
        };
    };
    if pool.link != cx.link.id || pool.kind != word(ia.kind) {
        return Standing::NotTheirs;
    }
    if pool.relationship != cx.relationship.id {
        return OTHERS;
    }
    if !leases.is_loaded() {
        return Standing::Doubtful(Discard::UnrecordedLease);
    }
    match leases.holder_of(prefix) {
        // It cannot be freed before this session has read of its end (R2), so it is not this client's.
        Some((_, LeaseState::Active | LeaseState::Abandoned))
            if leases.is_autonomous(cx.now, pool.id) && leases.reads_of_its_end(prefix) =>
        {
            Standing::NotTheirs
        }
        // Of what has ended, the next holder may be known elsewhere before it is known here.
        _ => unrecorded(cx, leases, prefix),
    }
}

/// Judges a lease that is nobody's as far as is known here, by who could have promised it since.
fn unrecorded(cx: &Context<'_, '_>, leases: &Leases, prefix: Prefix) -> Standing {
    let is_autonomous = leases.pool_of(prefix).is_some_and(|pool| leases.is_autonomous(cx.now, pool.id));
    if is_off(Mechanism::AdoptionConditions) {
        return Standing::Adoptable;
    }
    match leases.owner_of(prefix) {
        // Past the deadline it may be granted to another by now (R4).
        Owner::Me if is_autonomous => Standing::Unclaimed,
        // A partner that serves has told what it promised, or will presently; and may promise this address to another.
        Owner::Partner(partner) if leases.service_of(partner, cx.link.id, None).is_live => {
            Standing::Doubtful(Discard::UnrecordedLease)
        }
        Owner::Partner(_) | Owner::Closed if is_autonomous && leases.holder_of(prefix).is_none() => {
            Standing::Adoptable
        }
        // Nobody may promise from a range without an owner; but of a grant, and of what followed it, we may not have
        // heard yet: cut off, or while the stream is behind.
        Owner::Me | Owner::Nobody | Owner::Partner(_) | Owner::Closed => {
            Standing::Doubtful(Discard::UnrecordedLease)
        }
    }
}

/// Extends a lease on record for this IA. One that has ended meanwhile may be extended too, as long as it was not
/// given to anybody (R2); else it is judged as if it were not on record.
fn extend_recorded(
    cx: &Context<'_, '_>,
    leases: &mut Leases,
    ia: IaRef<'_>,
    known: &[Known],
    prefix: Prefix,
    answer: &mut IaAnswer,
) -> Standing {
    if extend_held(cx, leases, ia, prefix, answer) {
        return Standing::Recorded;
    }
    let state = known.iter().find(|record| record.prefix == prefix).map(|record| record.state);
    match state {
        // Held, but nothing more may be promised and nothing is left: the client keeps its own timers (SV-333).
        Some(LeaseState::Active) => Standing::Doubtful(Discard::AutonomyEnded),
        Some(LeaseState::Abandoned | LeaseState::Reset) => Standing::NotTheirs,
        // It was when the message began to be judged; another IA of it may have changed that.
        Some(LeaseState::Free) | None => unrecorded(cx, leases, prefix),
        // The store called its end, but has not freed it: whoever extended it unheard (R5) may be gone.
        Some(LeaseState::Expired) => Standing::Adoptable,
        // Its client, or somebody in its name, gave it back, and wants it again; but for what was sent before that and kept.
        Some(LeaseState::Released) if !cx.is_kept => Standing::Adoptable,
        Some(_) => Standing::Doubtful(Discard::UnrecordedLease),
    }
}

/// Makes a binding for an IA that has none, if that is allowed.
fn make_binding(
    cx: &Context<'_, '_>,
    leases: &mut Leases,
    ia: &Ia<'_>,
    (known, unclaimed): (&[Known], &[Prefix]),
    when_unknown: WhenUnknown,
    answer: &mut IaAnswer,
) {
    match when_unknown {
        WhenUnknown::Create => {
            let wishes = Wishes::among(cx, leases, ia, unclaimed);
            let extra = cx.extra();
            let wanted = wishes.wanted(cx, extra.as_ref(), gone(cx, known));
            match look_once(cx, ia, || leases.create(cx.now, cx.ia_ref(ia), &wanted)) {
                Ok(given) => answer.lines.push(extended(given)),
                Err(refusal) => refuse(answer, refusal),
            }
        }
        // What is withdrawn says enough.
        WhenUnknown::NoBinding | WhenUnknown::Silence if !answer.lines.is_empty() => {}
        WhenUnknown::NoBinding => answer.status = Some(Status::NO_BINDING),
        WhenUnknown::Silence => answer.fate = Fate::LeftAlone(Discard::NothingToSay),
    }
}
