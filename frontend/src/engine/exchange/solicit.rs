//! Solicit: an Advertise of what a Request would get, or at once the leases by Rapid Commit.
//!
//! Owns the choice between the two and the offers. An Advertise records nothing (SV-303, SEC-03); its lifetimes obey
//! R3 like those of a Reply (FO-411). It never says NotOnLink (SV-304): a hint that does not fit is passed over.
//! Source: RFC 9915 §18.3.1, §18.3.9.

use super::context::Context;
use super::giving::{Wishes, extended, held, known_leases, left, refuse};
use super::plan::{IaAnswer, Plan};
use super::request;
use crate::codec::{Discard, Ia};
use crate::engine::leases::{Given, IaRef, Leases, NoLease};
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// How many neighbours of an address are tried when two IAs of one message are offered the same one.
const NEIGHBOURS_TRIED: u128 = 8;

/// Plans the answer to a Solicit.
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    if cx.message.rapid_commit && cx.link.rapid_commit {
        let mut plan = request::answer(cx, leases)?;
        plan.rapid_commit = true;
        return Ok(plan);
    }
    let mut plan = Plan::advertise();
    for ia in &cx.message.ias {
        let answer = offer(cx, leases, ia, &plan);
        plan.ias.push(answer);
    }
    plan.settle()?;
    Ok(plan)
}

/// Offers what the IA holds, else one new lease.
fn offer(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>, so_far: &Plan) -> IaAnswer {
    let mut answer = IaAnswer::to(ia);
    let ia_ref = cx.ia_ref(ia);
    for prefix in held(cx, &known_leases(leases, ia_ref)) {
        let extension = leases.offer_extension(cx.now, ia_ref, prefix).map(extended);
        answer.lines.extend(extension.or_else(|| leases.remaining(cx.now, ia_ref, prefix).map(left)));
    }
    if answer.lines.is_empty() {
        let wishes = Wishes::of(cx, leases, ia);
        match offer_new(cx, leases, ia_ref, &wishes, so_far) {
            Ok(given) => answer.lines.push(extended(given)),
            Err(refusal) => refuse(&mut answer, refusal),
        }
    }
    answer
}

/// Offers a lease that no other IA of this message is offered (SV-212). Since offers are not recorded, two IAs can
/// come to the same one in a small pool; then its neighbours are asked for by name.
fn offer_new(
    cx: &Context<'_, '_>,
    leases: &Leases,
    ia: IaRef<'_>,
    wishes: &Wishes,
    so_far: &Plan,
) -> Result<Given, NoLease> {
    let offered: SmallVec<[Prefix; 8]> =
        so_far.ias.iter().flat_map(|ia| &ia.lines).map(|line| line.prefix).collect();
    let first = leases.offer(cx.now, ia, &wishes.pools, wishes.hint)?;
    if !offered.contains(&first.prefix) {
        return Ok(first);
    }
    for distance in 1..=NEIGHBOURS_TRIED {
        for neighbour in neighbours(first.prefix, distance) {
            let given = leases.offer(cx.now, ia, &wishes.pools, Some(neighbour))?;
            if !offered.contains(&given.prefix) {
                return Ok(given);
            }
        }
    }
    Err(NoLease::NotNow)
}

/// The prefixes of the same length `distance` before and after one; whether they can be leased is not known here.
fn neighbours(prefix: Prefix, distance: u128) -> impl Iterator<Item = Prefix> {
    let length = u32::from(prefix.len_bits());
    let step = 128u32.checked_sub(length).and_then(|unit_bits| distance.checked_shl(unit_bits));
    let after = step.and_then(|step| prefix.bits().checked_add(step));
    let before = step.and_then(|step| prefix.bits().checked_sub(step));
    [after, before].into_iter().flatten().filter_map(move |bits| Prefix::containing(bits, length).ok())
}
