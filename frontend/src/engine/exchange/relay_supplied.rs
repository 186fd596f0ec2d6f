//! Options that relays supply for the client (SV-176).
//!
//! Owns which of them are passed on: those of the configured codes that the client asked for and may ask for (SV-203), of
//! which the server has no value of its own; of several levels the innermost that has the code counts. Refuses to change
//! them. Whether a relay may speak at all was judged before (`access`). Source: RFC 6422 §6.

use super::context::Context;
use super::options::OptionSet;
use crate::codec::RelayChain;
use leasehold_proto::options::is_requestable;

/// What relays supply to this client, in the order of the innermost level.
pub(super) fn options<'a>(
    cx: &'a Context<'_, '_>,
    own: &'a [&'a OptionSet],
) -> impl Iterator<Item = (u16, &'a [u8])> {
    let levels = cx.relay.map(RelayChain::levels).unwrap_or_default();
    levels.iter().enumerate().rev().flat_map(move |(at, level)| {
        level.supplied.iter().filter_map(move |option| {
            let code = option.code;
            let is_open = cx.topology.network().relay_supplied.binary_search(&code).is_ok()
                && cx.message.oro.contains(code)
                && is_requestable(code);
            let is_said_further_in =
                || levels[at + 1..].iter().any(|inner| inner.supplied.first(code).is_some());
            let has_own = || own.iter().any(|set| set.has_code(code));
            (is_open && !is_said_further_in() && !has_own()).then_some((code, option.data))
        })
    })
}
