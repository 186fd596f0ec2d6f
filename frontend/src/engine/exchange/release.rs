//! Release: the client gives leases back.
//!
//! Owns the answer: always Success at top level, NoBinding inside each IA without a binding, bound IAs not listed
//! (SV-361); so for an IA_PD that names another excluded prefix than was granted (PD-10). Only leases of that client
//! and IA are freed, and only marked: when they may go to others is R2's matter (SV-362). A delayed duplicate of a
//! client's own Release can free a newer lease of it: inherent in DHCPv6. Source: RFC 9915 §18.3.7.

use super::context::{Context, all_named, named};
use super::exclude;
use super::giving::known_leases;
use super::plan::{IaAnswer, Plan, Status};
use crate::codec::{Discard, Ia, IaKind, IaLease};
use crate::engine::leases::Leases;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// Plans the answer to a Release and marks what is released.
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let mut plan = Plan { status: Some(Status::SUCCESS), ..Plan::reply() };
    for ia in &cx.message.ias {
        let bound = bound_leases(cx, leases, ia);
        if bound.is_empty() || excludes_another(cx, ia) {
            plan.ias.push(IaAnswer::with_status(ia, Status::NO_BINDING));
            continue;
        }
        for prefix in all_named(ia).into_iter().filter(|prefix| bound.contains(prefix)) {
            leases.release(cx.now, cx.ia_ref(ia), prefix);
        }
    }
    Ok(plan)
}

/// PD-10: whether a prefix of an IA is named with another excluded prefix than goes with it. Source: RFC 6603 §6.2.
fn excludes_another(cx: &Context<'_, '_>, ia: &Ia<'_>) -> bool {
    let another = |lease: IaLease<'_>| named(&lease).is_some_and(|p| exclude::names_another(cx, &lease, p));
    ia.kind == IaKind::Pd && ia.leases().any(another)
}

/// The leases of an IA's binding that are this server's. Those that were released or declined a moment ago count, so
/// that a message sent again is answered as it was the first time; those long free do not.
pub(super) fn bound_leases(cx: &Context<'_, '_>, leases: &Leases, ia: &Ia<'_>) -> SmallVec<[Prefix; 4]> {
    let known = known_leases(leases, cx.ia_ref(ia));
    let bound = known.iter().filter(|known| known.state != LeaseState::Free && cx.is_own_pool(known.pool));
    bound.map(|known| known.prefix).collect()
}
