//! Relay-forward levels as lease records keep them: read back for what they say of a client (LQ-07, SEC-02).
//!
//! Owns the reading of that form: each level in the Relay Message option of the one before, the innermost without one.
//! Whatever does not read ends the list: what was stored by another release may be of another form. Refuses to judge.

use super::options::{OptionBudget, Options};
use super::relay::RelayHeader;
use super::wire::{RELAY_LEVELS_MAX, msg, opt};
use smallvec::SmallVec;

/// What one stored level says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLevel<'a> {
    /// Its link-address; 0 for `::`.
    pub link_address: u128,
    /// DUID of the relay.
    pub relay_id: Option<&'a [u8]>,
    /// Interface-Id.
    pub interface_id: Option<&'a [u8]>,
    /// Remote-Id with its enterprise number.
    pub remote_id: Option<&'a [u8]>,
    /// Client Link-Layer Address; only the innermost level's counts (SV-156).
    pub link_layer: Option<&'a [u8]>,
}

/// The levels, outermost first.
pub fn stored_levels(chain: &[u8]) -> SmallVec<[StoredLevel<'_>; 2]> {
    let mut levels = SmallVec::new();
    let mut budget = OptionBudget::new();
    let mut next = Some(chain);
    while let Some(level) = next.filter(|_| levels.len() < RELAY_LEVELS_MAX) {
        if level.first() != Some(&msg::RELAY_FORWARD) {
            break;
        }
        let Some((header, body)) = RelayHeader::split(level) else { break };
        let Ok(options) = Options::parse(body, &mut budget) else { break };
        levels.push(StoredLevel {
            link_address: header.link_address.to_bits(),
            relay_id: options.first(opt::RELAY_ID),
            interface_id: options.first(opt::INTERFACE_ID),
            remote_id: options.first(opt::REMOTE_ID),
            link_layer: options.first(opt::CLIENT_LINKLAYER_ADDR),
        });
        next = options.first(opt::RELAY_MESSAGE);
    }
    levels
}
