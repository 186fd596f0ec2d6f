//! What lengths an option of a client message may have, by its code.
//!
//! Owns the table of fixed sizes and of inner length fields (SV-111). Refuses to know what the values mean. Options
//! that it has no rule for pass: unknown ones are ignored, never a reason to drop a message (SV-108); obsolete ones
//! (IA_TA, Server Unicast) and those of relays are ignored in a client message, whatever they hold (V-01, SV-156).
//! dhcproto 0.15 ignores the length of fixed-size options, and panics on a short Vendor Class, Vendor Opts or Status
//! Code where overflow checks are on. Source: RFC 9915 §21.

use super::discard::Discard;
use super::options::{OptionBudget, Options, Oro, RawOption};
use super::wire::{DUID_LEN_MAX, DUID_LEN_MIN, opt};

/// Octets of the enterprise number that opens Vendor Class and Vendor-specific Information.
const ENTERPRISE_LEN: usize = 4;
/// Octets of protocol, algorithm, RDM and replay detection that open an Authentication option.
const AUTH_LEN_MIN: usize = 11;

/// Checks one top-level option of a client message; IAs check themselves while they are read.
///
/// Inner items are taken from the budget, so that the work per datagram stays bounded.
pub(super) fn check_client_option(option: RawOption<'_>, budget: &mut OptionBudget) -> Result<(), Discard> {
    let data = option.data;
    match option.code {
        opt::CLIENT_ID | opt::SERVER_ID => check_duid(data),
        opt::RAPID_COMMIT | opt::RECONF_ACCEPT => exactly(data, 0),
        opt::PREFERENCE | opt::RECONF_MSG => exactly(data, 1),
        opt::ELAPSED_TIME => exactly(data, 2),
        opt::CLIENT_NII => exactly(data, 3),
        opt::INFO_REFRESH_TIME | opt::SOL_MAX_RT | opt::INF_MAX_RT => exactly(data, 4),
        opt::STATUS_CODE => at_least(data, 2),
        opt::AUTH => at_least(data, AUTH_LEN_MIN),
        opt::CLIENT_FQDN => at_least(data, 1),
        opt::ORO => code_list(data).map(|_| ()),
        opt::CLIENT_ARCH_TYPE => {
            at_least(data, 2)?;
            code_list(data).map(|_| ())
        }
        opt::USER_CLASS => check_items(data, budget),
        opt::VENDOR_CLASS => check_items(after_enterprise(data)?, budget),
        opt::VENDOR_OPTS => {
            Options::parse(after_enterprise(data)?, budget)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a repeat of this option in a client message is to be ignored and counted (SV-109).
///
/// Only options that are known here are singletons; of an unknown one nothing can be said. All are below 128.
pub(super) const fn is_singleton(code: u16) -> bool {
    matches!(
        code,
        opt::CLIENT_ID
            | opt::SERVER_ID
            | opt::ORO
            | opt::PREFERENCE
            | opt::ELAPSED_TIME
            | opt::AUTH
            | opt::STATUS_CODE
            | opt::RAPID_COMMIT
            | opt::USER_CLASS
            | opt::RECONF_MSG
            | opt::RECONF_ACCEPT
            | opt::INFO_REFRESH_TIME
            | opt::CLIENT_FQDN
            | opt::CLIENT_ARCH_TYPE
            | opt::CLIENT_NII
            | opt::SOL_MAX_RT
            | opt::INF_MAX_RT
    )
}

/// Reads a list of option codes: an even number of octets, at most [`super::wire::CODES_MAX`] codes.
pub(super) fn code_list(data: &[u8]) -> Result<Oro<'_>, Discard> {
    let codes = Oro::from_data(data).ok_or(Discard::BadOptionLength)?;
    if codes.is_too_long() { Err(Discard::TooManyCodes) } else { Ok(codes) }
}

/// A DUID is opaque: only its length is looked at (SV-106).
fn check_duid(data: &[u8]) -> Result<(), Discard> {
    if (DUID_LEN_MIN..=DUID_LEN_MAX).contains(&data.len()) { Ok(()) } else { Err(Discard::BadDuidLength) }
}

fn exactly(data: &[u8], len: usize) -> Result<(), Discard> {
    if data.len() == len { Ok(()) } else { Err(Discard::BadOptionLength) }
}

pub(super) fn at_least(data: &[u8], len: usize) -> Result<(), Discard> {
    if data.len() >= len { Ok(()) } else { Err(Discard::BadOptionLength) }
}

fn after_enterprise(data: &[u8]) -> Result<&[u8], Discard> {
    data.get(ENTERPRISE_LEN..).ok_or(Discard::BadOptionLength)
}

/// Walks (length, data) items to their exact end.
fn check_items(mut rest: &[u8], budget: &mut OptionBudget) -> Result<(), Discard> {
    while !rest.is_empty() {
        budget.spend()?;
        let (len, tail) = rest.split_first_chunk::<2>().ok_or(Discard::TruncatedOption)?;
        let len = usize::from(u16::from_be_bytes(*len));
        rest = tail.get(len..).ok_or(Discard::TruncatedOption)?;
    }
    Ok(())
}
