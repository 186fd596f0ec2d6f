//! The lease record and its updates: the fields of FO-801 and LQ-07, the states of FO-802.
//!
//! One address or prefix in a binding until a moment, with lifetimes and state: the unit of every update.

use crate::time::{ClusterTime, Lifetime};
use crate::words::{BindingKey, Epoch, LogIndex, PoolId, Prefix};
use std::sync::Arc;

/// Where a lease stands. Numbers and names are RFC 8156 §5.5.1's (FO-802).
///
/// ```text
/// (no record) --promise--> Active --expiry--> Expired --+
///                          |  ^  \--Release-> Released -+--watermarks (R2)--> Free --promise--> Active
///                          |  +-- extension before Free-+                      ^
///                          +--Decline--> Abandoned --quarantine over--> Reset -+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LeaseState {
    /// Promised to its client and not known to have ended.
    Active = 1,
    /// Its time is over; not yet free for another client.
    Expired = 2,
    /// The client gave it back; not yet free for another client.
    Released = 3,
    /// RFC 8156's intermediate state; not entered here, kept so that its number is not reused.
    PendingFree = 4,
    /// Free for any client, from whoever owns the range. The binding tells who had it last.
    Free = 5,
    /// RFC 8156's state of a secondary's free prefix; ranges replace it here, the number is kept.
    FreeBackup = 6,
    /// Declined: nobody may have it until the quarantine is over.
    Abandoned = 7,
    /// Quarantine over; not yet free.
    Reset = 8,
}

impl LeaseState {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Active,
        Self::Expired,
        Self::Released,
        Self::PendingFree,
        Self::Free,
        Self::FreeBackup,
        Self::Abandoned,
        Self::Reset,
    ];

    /// Whether the record waits for watermarks before it is free (R2).
    #[must_use]
    pub fn awaits_freeing(self) -> bool {
        matches!(self, Self::Expired | Self::Released | Self::Reset)
    }

    /// Whether it has ended such that its own client may have it again, as long as it is not free.
    #[must_use]
    pub fn is_revivable(self) -> bool {
        matches!(self, Self::Expired | Self::Released)
    }

    /// RFC 8156's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Released => "RELEASED",
            Self::PendingFree => "PENDING-FREE",
            Self::Free => "FREE",
            Self::FreeBackup => "FREE-BACKUP",
            Self::Abandoned => "ABANDONED",
            Self::Reset => "RESET",
        }
    }
}

/// What few leases have: kept apart so that a plain lease stays small, and shared between records and updates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseExtra {
    /// How the client was last reached, if through relays (LQ-07) or if it accepts Reconfigure (SV-406).
    pub relay: Option<RelayData>,
    /// The client accepted Reconfigure and was given its key (SV-401), which is derived when it is needed and never kept.
    pub reconfigure: bool,
    /// FQDN and DNS state.
    pub name: Option<NameState>,
}

/// The way back to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayData {
    /// peer-address of the innermost Relay-forward; of a client that was heard directly, its own address.
    pub peer_address: u128,
    /// The Relay-forward chain, the client message taken out; empty: the client was heard directly on its link.
    pub relay_chain: Vec<u8>,
    /// Address and UDP port at which the outermost relay is answered; nothing without relays, or when it was not recorded.
    pub relay_source: Option<(u128, u16)>,
}

/// Client FQDN and the state of its DNS records (FO-801).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameState {
    /// The complete name.
    pub fqdn: String,
    /// Option 39's flags as answered.
    pub flags: u32,
    /// The DNS actor's own state.
    pub dns_state: u32,
}

/// One record of the lease store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub prefix: Prefix,
    /// The pool generation it came from.
    pub pool: PoolId,
    /// Who holds it, or held it last.
    pub binding: BindingKey,
    /// Where it stands.
    pub state: LeaseState,
    /// When it came to stand there.
    pub state_since: ClusterTime,
    /// Until when the client was promised it (CE of FO-402), as bounded by who promised.
    pub valid_until: ClusterTime,
    /// Preferred lifetime last given.
    pub preferred: Lifetime,
    /// Valid lifetime last given.
    pub valid: Lifetime,
    /// Until when the store acknowledged promises (APL of FO-402). Never lowered within one holding (R2).
    pub acked_until: ClusterTime,
    /// Last time the client was heard about it (CLT).
    pub client_last_contact: ClusterTime,
    /// Session that changed it last; `Epoch::NONE` = the store itself.
    pub epoch: Epoch,
    /// Log index of the last change: the record's version.
    pub version: LogIndex,
    /// Version of the last change by anybody but `epoch`; 0 when there was none in this holding. A session's late
    /// promise must not hide from R2 what another session changed before it.
    pub others_version: LogIndex,
    /// Log index as of which sessions may know of this holding: of its creation, or, when a superseded session made it,
    /// of the superseding. A session superseded before that cannot have extended it (R2). 0: any may know, as with what
    /// was adopted (R7).
    pub born: LogIndex,
    /// Rare fields.
    pub extra: Option<Arc<LeaseExtra>>,
}

/// What a session says of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateKind {
    /// A Reply promised or extended it.
    Promise,
    /// The client released it, or no longer uses it (R9).
    Release,
    /// The client found the address in use by somebody else.
    Decline,
    /// The client claims a lease of which nobody has a record (R7). Says what a Promise would; nothing was replied yet.
    Adopt,
}

/// One lease update: the latest word of one session about one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseUpdate {
    /// What happened.
    pub kind: UpdateKind,
    /// To which address or prefix.
    pub prefix: Prefix,
    /// Of which pool generation.
    pub pool: PoolId,
    /// For whom.
    pub binding: BindingKey,
    /// Until when the client was promised it.
    pub valid_until: ClusterTime,
    /// Preferred lifetime given.
    pub preferred: Lifetime,
    /// Valid lifetime given.
    pub valid: Lifetime,
    /// What the store is asked to acknowledge (R3): now + T1 + desired.
    pub ack_until: ClusterTime,
    /// When the client was heard.
    pub client_last_contact: ClusterTime,
    /// The record's version that a Release or Decline was based on (R2); 0 when the session knew of none but its own.
    pub base_version: LogIndex,
    /// Rare fields.
    pub extra: Option<Arc<LeaseExtra>>,
}
