//! `leasehold admin registrations`: addresses that clients chose themselves and registered (RFC 9686).

use std::net::Ipv6Addr;

use leasehold_proto::time::span_words;
use leasehold_proto::v1;
use serde::Serialize;

use super::connect::{AdminError, StoreAccess};
use super::table::{or_dash, text};
use super::{hex, table as tables};

/// One registration: the JSON form, whose field names are stable. Times are cluster time in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct RegistrationView {
    address: Option<Ipv6Addr>,
    link: String,
    duid: String,
    cluster_time_ms: u64,
    since_ms: u64,
    valid_until_ms: u64,
    valid_for_ms: u64,
    frontend: Option<String>,
    epoch: u64,
    version: u64,
}

impl RegistrationView {
    fn of(info: &v1::RegistrationInfo, now_ms: u64) -> Self {
        let registration = info.registration.clone().unwrap_or_default();
        let octets: Option<[u8; 16]> = registration.address.try_into().ok();
        Self {
            address: octets.map(Ipv6Addr::from),
            link: info.link_name.clone(),
            duid: hex(&registration.duid),
            cluster_time_ms: now_ms,
            since_ms: registration.since_ms,
            valid_until_ms: registration.valid_until_ms,
            valid_for_ms: registration.valid_until_ms.saturating_sub(now_ms),
            frontend: (!info.frontend.is_empty()).then(|| info.frontend.clone()),
            epoch: registration.epoch,
            version: registration.version,
        }
    }
}

/// All that are wanted, piece by piece.
pub(super) async fn list(
    access: &StoreAccess,
    mut request: v1::ListRegistrationsRequest,
) -> Result<Vec<RegistrationView>, AdminError> {
    let mut views = Vec::new();
    loop {
        let answer = access.call(async |mut store| store.list_registrations(request.clone()).await).await?;
        let now = answer.cluster_time_ms;
        views.extend(answer.registrations.iter().map(|info| RegistrationView::of(info, now)));
        if answer.next.is_empty() {
            return Ok(views);
        }
        request.after = answer.next;
    }
}

/// For people.
pub(super) fn table(views: &[RegistrationView]) -> String {
    let mut rows = tables::table(["address", "link", "duid", "valid for", "frontend"]);
    for view in views {
        rows.add_row([
            or_dash(view.address.map(|address| address.to_string()).as_ref()),
            view.link.clone(),
            view.duid.clone(),
            span_words(view.valid_for_ms),
            or_dash(view.frontend.as_ref()),
        ]);
    }
    text(&rows)
}
