//! Rebind: as Renew, but to any server, so that what is not known here may well be known elsewhere.
//!
//! Owns what differs from Renew: bindings are made only where Rapid Commit is allowed too, since other servers may
//! answer the same Rebind (SV-343), and NoBinding is said only by a server that must know all. A Rebind with nothing
//! to say gets no answer (SV-342). Source: RFC 9915 §18.3.5.

use super::context::Context;
use super::plan::Plan;
use super::renew::{WhenUnknown, extend_ia};
use crate::codec::Discard;
use crate::engine::leases::Leases;

/// Plans the answer to a Rebind.
pub(super) fn answer(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    let knows_all = cx.sole_server && leases.is_loaded() && leases.is_connected();
    let when_unknown = match (cx.link.rapid_commit, knows_all) {
        (true, _) => WhenUnknown::Create,
        (false, true) => WhenUnknown::NoBinding,
        (false, false) => WhenUnknown::Silence,
    };
    let mut plan = Plan::reply();
    for ia in &cx.message.ias {
        let answer = extend_ia(cx, leases, ia, when_unknown);
        plan.ias.push(answer);
    }
    plan.settle()?;
    if plan.ias.is_empty() { Err(Discard::NothingToSay) } else { Ok(plan) }
}
