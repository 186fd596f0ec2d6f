//! Solicit: an Advertise of what a Request would get, or at once the leases by Rapid Commit.
//!
//! Owns the choice between the two, and that no two IAs are offered the same. An Advertise records nothing (SV-303,
//! SEC-03); its lifetimes obey R3 like those of a Reply (FO-411). It never says NotOnLink (SV-304): a hint that does
//! not fit is passed over. Source: RFC 9915 §18.3.1, §18.3.9.

use super::context::Context;
use super::giving::{Scope, look_once, offer};
use super::plan::Plan;
use super::request;
use crate::codec::{Discard, Ia};
use crate::engine::leases::{Given, Leases, Margin, NoLease, Wanted};
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;
use std::cell::Cell;

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
    // Offered to IAs of this message, and on no record.
    let mut new = 0;
    for ia in &cx.message.ias {
        let is_new = Cell::new(false);
        let answer = offer(cx, leases, ia, |wanted, scope| {
            let wanted = Wanted { margin: Margin { besides: new, ..wanted.margin }, ..*wanted };
            let given = offer_new(cx, leases, ia, (&wanted, scope), &plan);
            is_new.set(is_new.get() || given.is_ok());
            given
        });
        new += u32::from(is_new.get());
        plan.ias.push(answer);
    }
    plan.settle()?;
    Ok(plan)
}

/// Offers a lease that no other IA of this message is offered (SV-212). Since offers are not recorded, two IAs can
/// come to the same one in a small pool; then its neighbours are asked for by name.
fn offer_new(
    cx: &Context<'_, '_>,
    leases: &Leases,
    asked: &Ia<'_>,
    (wanted, scope): (&Wanted<'_>, Scope),
    so_far: &Plan,
) -> Result<Given, NoLease> {
    let offered: SmallVec<[Prefix; 8]> =
        so_far.ias.iter().flat_map(|ia| &ia.lines).map(|line| line.prefix).collect();
    let ia = cx.ia_ref(asked);
    let look = || leases.offer(cx.now, ia, wanted);
    let first = if scope == Scope::AllPools { look_once(cx, asked, look) } else { look() }?;
    if !offered.contains(&first.prefix) {
        return Ok(first);
    }
    // They are of the same pool, or not for this.
    let Some(pool) = leases.pool_of(first.prefix).map(|pool| [pool.id]) else { return Err(NoLease::NotNow) };
    for distance in 1..=NEIGHBOURS_TRIED {
        for neighbour in neighbours(first.prefix, distance) {
            let beside = Wanted { hint: Some(neighbour), pools: &pool, ..*wanted };
            let given = leases.offer(cx.now, ia, &beside)?;
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
