//! Confirm: do these addresses fit this link?
//!
//! Owns the answer, which follows from the configuration alone: whether anybody holds the addresses does not matter
//! (SV-323), so a frontend past its autonomy answers too (FO-911). An IA_PD is ignored (SV-324); without an address,
//! or on a link whose prefixes are not known, there is no answer (SV-322). Source: RFC 9915 §18.3.3.

use super::context::{Context, all_named};
use super::legacy;
use super::plan::{Plan, Status};
use crate::codec::{Discard, IaKind};

/// Plans the answer to a Confirm.
pub(super) fn answer(cx: &Context<'_, '_>) -> Result<Plan, Discard> {
    if cx.link.prefixes.is_empty() {
        return Err(Discard::UnknownLinkConfirm);
    }
    let mut status = None;
    for prefix in cx.message.ias_of(IaKind::Na).flat_map(all_named).chain(legacy::named(cx)) {
        if cx.is_off_link(prefix) {
            status = Some(Status::NOT_ON_LINK);
            break;
        }
        status = Some(Status::SUCCESS);
    }
    if status.is_none() {
        return Err(Discard::ConfirmWithoutAddress);
    }
    Ok(Plan { status, ..Plan::reply() })
}
