//! Request (and a Solicit with Rapid Commit): leases are given, recorded, and only then told.
//!
//! Owns the one case in which an address is refused for the link (SV-311). An IA_PD is never NotOnLink; a lease that
//! somebody else has is replaced by another (SV-315). Source: RFC 9915 §18.3.2.

use super::context::{Context, all_named};
use super::giving::assign;
use super::plan::{Fate, IaAnswer, Plan, Status};
use crate::codec::Discard;
use crate::engine::leases::Leases;

/// Plans the answer to a Request: every IA is answered on its own merits (PD-12).
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let mut plan = Plan::reply();
    for ia in &cx.message.ias {
        let off_link = all_named(ia).iter().any(|prefix| cx.is_off_link(*prefix));
        plan.ias.push(if off_link {
            IaAnswer::with_status(ia, Status::NOT_ON_LINK)
        } else {
            assign(cx, leases, ia)
        });
    }
    // A client is told of all its IAs at once: what is missing from a Reply to its Request it would take for refused.
    if plan.ias.iter().any(|ia| ia.fate == Fate::LeftAlone(Discard::AdoptionPending)) {
        return Err(Discard::AdoptionPending);
    }
    plan.settle()?;
    Ok(plan)
}
