//! Information-request: configuration without leases.
//!
//! Owns the answer, a Reply that holds nothing but the options asked for; `reply` writes those. It needs no lease and
//! no promise, so it is given even past the end of autonomy (FO-911). Source: RFC 9915 §18.3.6.

use super::plan::Plan;

/// Plans the answer to an Information-request, with or without a Client ID (SV-351).
pub(super) fn answer() -> Plan {
    Plan::reply()
}
