//! What store and frontends share of Reconfigure (RFC 9915 §18.3.11, §20.4): the cluster's secret from which clients'
//! keys follow, whom an operator asks for what, and the replay value.
//!
//! Owns the value space of replay values (SV-405) and that the secret is never shown (SEC-07). Refuses to know how keys
//! are derived and messages are written: frontends do. Pure.

use crate::time::ClusterTime;
use crate::words::{Duid, LinkId, PoolId};
use std::fmt;

/// The cluster's secret: 32 octets of a system's entropy, drawn once and replicated. Every client's reconfigure key
/// follows from it (SV-402). Its `Debug` form says nothing (SEC-07).
#[derive(Clone, PartialEq, Eq)]
pub struct ReconfigureSecret([u8; Self::LEN]);

impl ReconfigureSecret {
    /// Octets of a secret.
    pub const LEN: usize = 32;

    /// Takes octets fresh from a system's entropy, or as the store keeps them.
    #[must_use]
    pub const fn new(octets: [u8; Self::LEN]) -> Self {
        Self(octets)
    }

    /// The octets: for deriving keys, for the wire and for the disk, and for nothing that people read.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for ReconfigureSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReconfigureSecret(not shown)")
    }
}

/// What a client is asked to send. Source: RFC 9915 §21.19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconfigureMessage {
    /// A Renew.
    Renew,
    /// A Rebind.
    Rebind,
    /// An Information-request.
    InformationRequest,
}

impl ReconfigureMessage {
    /// The message type that stands in the option.
    #[must_use]
    pub const fn msg_type(self) -> u8 {
        match self {
            Self::Renew => 5,
            Self::Rebind => 6,
            Self::InformationRequest => 11,
        }
    }
}

/// Whom an operator wants asked: of these clients those that accepted Reconfigure and have a lease (SV-401).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReconfigureWhom {
    /// One client, on every link.
    Client(Duid),
    /// All on one link.
    Link(LinkId),
    /// All with a lease of one pool generation.
    Pool(PoolId),
    /// All.
    Everyone,
}

/// An order to ask clients, as the log has put it among all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconfigureOrder {
    /// Whom.
    pub whom: ReconfigureWhom,
    /// For what.
    pub message: ReconfigureMessage,
    /// Its number in the cluster's life, from 1.
    pub number: u64,
    /// The replay value of its Reconfigures.
    pub replay: u64,
}

/// By how much one order raises all replay values after it. Why 2^22 ms, some 70 minutes: half of it is how far the
/// clocks of store and frontends may be apart without a client's refusing anything; 2^25 orders fit.
const ORDER_STEP_MS: u64 = 1 << 22;
/// Replay values of one incarnation, at most.
const INCARNATION_MAX: u64 = (1 << 48) - 1;

/// The replay value of the `number`-th order, at a cluster time: above that of every earlier order, and above every value
/// given with a key by a frontend that had not read of it (SV-405). Neither a restart nor a new leader changes what it
/// rests on, which is in the log; a cluster founded anew is of a later incarnation.
#[must_use]
pub fn replay_of_order(incarnation: u16, number: u64, at: ClusterTime) -> u64 {
    replay(incarnation, number.saturating_mul(ORDER_STEP_MS).saturating_sub(ORDER_STEP_MS / 2), at)
}

/// The replay value of a Reply that gives a key, at a cluster time as the frontend knows it, after it has read of so many
/// orders. A client compares Replies with Reconfigures (RFC 9915 §20.3): it is above the value of the last order.
#[must_use]
pub fn replay_of_key(incarnation: u16, orders_read: u64, at: ClusterTime) -> u64 {
    replay(incarnation, orders_read.saturating_mul(ORDER_STEP_MS), at)
}

fn replay(incarnation: u16, raised_by: u64, at: ClusterTime) -> u64 {
    u64::from(incarnation) << 48 | raised_by.saturating_add(at.as_millis()).min(INCARNATION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> ClusterTime {
        ClusterTime::from_millis(ms)
    }

    #[test]
    fn sv_405_orders_and_keys_rise_in_the_order_in_which_a_client_sees_them() {
        let now = at(5_000_000);
        // Whoever gave the key may have had a clock half an hour ahead, and who gives the next one half an hour behind.
        let (ahead, behind) = (at(5_000_000 + 1_800_000), at(5_000_000 - 1_800_000));
        let before = replay_of_key(1, 6, ahead);
        let order = replay_of_order(1, 7, now);
        let after = replay_of_key(1, 7, behind);
        assert!(before < order && order < after, "{before} {order} {after}");
        assert!(replay_of_order(1, 8, now) > order, "two orders within one millisecond");
        assert!(replay_of_key(1, 7, at(5_000_001)) > replay_of_key(1, 7, now));
    }

    #[test]
    fn sv_405_a_cluster_founded_anew_is_above_all_that_was_before() {
        let last = replay_of_key(1, u64::MAX, ClusterTime::NEVER);
        assert!(replay_of_order(2, 1, at(0)) > last && replay_of_key(2, 0, at(0)) > last);
    }

    #[test]
    fn sec_07_the_secret_is_not_shown() {
        let shown = format!("{:?}", ReconfigureSecret::new([0xab; 32]));
        assert!(!shown.to_lowercase().contains("ab, ab") && !shown.contains("171"), "{shown}");
    }
}
