//! Decline: the client found addresses in use by somebody else.
//!
//! Owns the answer: Success at top level, NoBinding for each unknown IA_NA (SV-371); the addresses leave the binding
//! and are quarantined. An IA_PD in a Decline is ignored, since prefixes are not probed. Source: RFC 9915 §18.3.8.

use super::context::{Context, all_named};
use super::plan::{IaAnswer, Plan, Status};
use super::release::bound_leases;
use crate::codec::{Discard, IaKind};
use crate::engine::leases::Leases;

/// Plans the answer to a Decline and marks what is declined.
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let mut plan = Plan { status: Some(Status::SUCCESS), ..Plan::reply() };
    for ia in cx.message.ias_of(IaKind::Na) {
        let bound = bound_leases(cx, leases, ia);
        if bound.is_empty() {
            plan.ias.push(IaAnswer::with_status(ia, Status::NO_BINDING));
        }
        for prefix in all_named(ia).into_iter().filter(|prefix| bound.contains(prefix)) {
            leases.decline(cx.now, cx.ia_ref(ia), prefix);
        }
    }
    Ok(plan)
}
