//! Addresses that clients chose themselves and told of (RFC 9686).
//!
//! Owns the shape of a registration as frontends and store tell each other of it. It is no lease: nothing is promised by
//! it, so R1 to R9 do not apply, and whether two hosts use one address is for duplicate address detection.

use crate::time::ClusterTime;
use crate::words::{Duid, Epoch, LinkId, LogIndex};
use std::time::Duration;

/// For so long a registration lasts at most, whatever valid lifetime the client tells. Why 30 days: the default valid
/// lifetime of an advertised prefix (RFC 4861 §6.2.1); a client tells anew after four fifths of it at the latest
/// (RFC 9686 §4.6.1).
pub const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a client told of one address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationUpdate {
    /// The address.
    pub address: u128,
    /// On which link.
    pub link: LinkId,
    /// Whose.
    pub duid: Duid,
    /// Until when the client may use it; [`ClusterTime::ZERO`]: it uses it no more.
    pub valid_until: ClusterTime,
}

/// A registration as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The address.
    pub address: u128,
    /// On which link.
    pub link: LinkId,
    /// Whose.
    pub duid: Duid,
    /// Until when it lasts; [`ClusterTime::ZERO`]: it is over, nobody has registered the address now.
    pub valid_until: ClusterTime,
    /// When this client registered it first.
    pub since: ClusterTime,
    /// The session that changed it last; [`Epoch::NONE`]: the store itself.
    pub epoch: Epoch,
    /// Log index of the last change.
    pub version: LogIndex,
}

impl Registration {
    /// Whether nobody has registered the address now.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.valid_until == ClusterTime::ZERO
    }
}
