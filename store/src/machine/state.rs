//! What the machine holds. Everything but the indexes (`due`, `awaiting`, `bindings`, `current`) is a row on disk;
//! the indexes are rebuilt from the rows.

use super::conflicts::Conflict;
use super::history::History;
use super::ownership::Tally;
use super::reconfigure::Reconfigure;
use super::rows::RowKey;
use leasehold_proto::lease::Lease;
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::registration::Registration;
use leasehold_proto::session::{HostProof, UpdateRefusal};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{
    BindingKey, Epoch, FrontendId, LogIndex, PoolId, Prefix, RangeId, RelationshipId, UpdateSeq,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The replicated state.
#[derive(Debug, Default)]
pub struct Machine {
    pub(super) cluster: Option<Cluster>,
    pub(super) applied: LogIndex,
    pub(super) time: ClusterTime,
    pub(super) epoch_counter: u64,
    pub(super) next_id: u32,
    /// The furthest moment any acknowledgement ever reached: bounds how long a dead session can matter.
    pub(super) acked_until_max: ClusterTime,
    pub(super) network: Option<Arc<Network>>,
    /// As it was written, if parts of it are left to the store.
    pub(super) written: Option<Arc<leasehold_proto::v1::Network>>,
    pub(super) relationships: BTreeMap<RelationshipId, Members>,
    pub(super) pools: BTreeMap<PoolId, PoolState>,
    pub(super) sessions: BTreeMap<Epoch, Session>,
    pub(super) ranges: BTreeMap<RangeId, RangeState>,
    pub(super) leases: BTreeMap<Prefix, Arc<Lease>>,
    /// By address (RFC 9686).
    pub(super) registrations: BTreeMap<u128, Arc<Registration>>,
    /// Frontends that hand everything back and get nothing more, until they are told to serve again.
    pub(super) draining: BTreeSet<FrontendId>,
    /// Founded from an old cluster's rows: nothing is granted before this.
    pub(super) grants_held_until: ClusterTime,
    /// Rows of an old cluster were taken, and nothing is founded yet.
    pub(super) restoring: bool,
    /// Each allowance the largest ever configured.
    pub(super) timing_max: Option<Timing>,
    /// The secret behind clients' reconfigure keys, and how often clients were to be asked.
    pub(super) reconfigure: Reconfigure,
    /// What was granted by pools that are no more, or was cut off.
    pub(super) history: History,
    /// By number, the latest ones.
    pub(super) conflicts: BTreeMap<u64, Conflict>,

    // Indexes, rebuilt from the rows.
    pub(super) current: BTreeMap<FrontendId, Epoch>,
    pub(super) bindings: BTreeSet<(BindingKey, Prefix)>,
    pub(super) due: BTreeSet<(ClusterTime, super::due::Due)>,
    /// Ended leases that await freeing, by when they ended: held back by nobody that is gone as far as was looked.
    pub(super) awaiting: BTreeMap<RelationshipId, BTreeSet<(LogIndex, Prefix)>>,
    /// The others: each has a reminder in `due` for when those that are gone are dead for certain.
    pub(super) held_back: BTreeMap<RelationshipId, BTreeSet<(LogIndex, Prefix)>>,
    /// How far `awaiting` was looked through for leases that sessions that are gone hold back.
    pub(super) looked: BTreeMap<RelationshipId, LogIndex>,
    /// Every range that has an owner; and the same by owner.
    pub(super) owned: BTreeSet<RangeId>,
    pub(super) by_owner: BTreeSet<(Epoch, RangeId)>,
    pub(super) tallies: BTreeMap<PoolId, Tally>,
    /// Pools of which something is to be let go: retired, or cut.
    pub(super) unsettled: BTreeSet<PoolId>,
    /// Frontends that left a relationship and may own ranges there.
    pub(super) leavers: BTreeSet<(RelationshipId, FrontendId)>,
    pub(super) changed: BTreeSet<RowKey>,
    /// The last apply left leases unfreed only because its work is bounded.
    pub(super) more_to_free: bool,
    /// The same of what retired or cut pools are to let go.
    pub(super) more_to_settle: bool,

    /// The format of the entry that is being applied.
    pub(super) format: u32,
    /// Counts since this process started; not replicated.
    pub(super) counters: Counters,
}

/// Named once, at the founding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) incarnation: u16,
    pub(super) server_duid_seed: [u8; 16],
}

/// The frontends whose sessions may know a relationship's leases: partners now, and those that left until their
/// sessions have read so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// `None`: a partner now. Else the log index of the configuration that took it out.
    pub(super) frontends: BTreeMap<FrontendId, Option<LogIndex>>,
    /// Of partners now: the log index of the configuration since which they are.
    pub(super) joined: BTreeMap<FrontendId, LogIndex>,
}

/// One incarnation of a frontend.
///
/// ```text
/// open --newer session---------> superseded --R4--> dead for certain --> forgotten
///   |---deadline passed---------> ended ------R4--> dead for certain
///   |---declared down-----------> ended, as of now
///   +---closing batch-----------> closed (dead at once: nothing is left to wait for)
/// ```
/// The deadline is ended early, as of now, by an operator's word and by a newer session's proof (R4, R6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) frontend: FrontendId,
    pub(super) applied_sequence: UpdateSeq,
    /// Cluster time of the last extension.
    pub(super) extended_at: ClusterTime,
    /// It has read every event up to here.
    pub(super) acked_index: LogIndex,
    pub(super) superseded_by: Option<Epoch>,
    /// Log index of the superseding; 0 while there is none.
    pub(super) superseded_index: LogIndex,
    /// Where its process runs, if it told.
    pub(super) host: Option<HostProof>,
    /// A later process on the same host holds the lock that this one held (R6).
    pub(super) proven_gone: Option<ClusterTime>,
    /// An operator said that the frontend is down (R4).
    pub(super) declared_down: Option<ClusterTime>,
    pub(super) closed: bool,
    pub(super) ended: bool,
    pub(super) opened_at: ClusterTime,
}

impl Session {
    /// Superseded or past its deadline: it will never be extended again.
    pub(super) fn is_gone(&self) -> bool {
        self.superseded_by.is_some() || self.ended
    }

    /// When its autonomy was ended early, if it was (R4, *end autonomy now*).
    pub(super) fn autonomy_ended(&self) -> Option<ClusterTime> {
        match (self.proven_gone, self.declared_down) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// A range that was granted at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RangeState {
    pub(super) owner: Epoch,
    /// The owner is gone but not dead for certain.
    pub(super) closed: bool,
    /// Once taken back from a session that did not close cleanly.
    pub(super) unclean: bool,
    /// Nobody's, and to be granted only when no other pool holds anything there.
    pub(super) passed: bool,
}

/// A pool generation. `pool` may reach further than what is offered: a pool that was cut keeps its extent while leases
/// and ranges past its new end run out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PoolState {
    pub(super) pool: Arc<Pool>,
    pub(super) wire: leasehold_proto::v1::Pool,
    /// The log index of the configuration that took it out.
    pub(super) retired: Option<LogIndex>,
    /// The largest MCLT and autonomy ever configured for it: what a silent session may go by (R4).
    pub(super) mclt_max: Duration,
    pub(super) autonomy_max: Duration,
    /// Slices below this number were granted before.
    pub(super) fresh_slices_used: u64,
    /// When its owner was last asked to give ranges back; zero: never.
    pub(super) asked_back_at: ClusterTime,
    /// On whose behalf, until that session was granted a range.
    pub(super) asked_for: Epoch,
    /// Nothing past this slot is granted or extended.
    pub(super) offered_last_slot: u64,
    /// The log index of the configuration that cut it, until nothing past its end is left.
    pub(super) cut: Option<LogIndex>,
    /// Slices below this number may have been promised from before they are granted (R7): of entries before
    /// `FORMAT_HISTORY`, and of an old cluster's rows. Else `history` knows.
    pub(super) unclean_below: u64,
    /// Free records from this address on are still to be dropped, as far as they are not offered any more.
    pub(super) sweep_from: Option<u128>,
    /// The passed slice to look at next.
    pub(super) look_from: u64,
    /// Index: slices granted before and owned by nobody now, clear of other pools.
    pub(super) free_slices: BTreeSet<u64>,
    /// Index: slices owned by nobody where another pool may hold something.
    pub(super) passed_slices: BTreeSet<u64>,
}

/// What happened since this process started, for metrics and alarms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Updates that took effect.
    pub updates: u64,
    /// Updates refused, by cause.
    pub refused: BTreeMap<UpdateRefusal, u64>,
    /// Leases expired.
    pub expired: u64,
    /// Leases freed.
    pub freed: u64,
    /// Released or expired leases made active again by an extension.
    pub reactivated: u64,
    /// Ranges opened again after their owner was dead for certain.
    pub reopened: u64,
    /// Leases adopted (R7).
    pub adopted: u64,
    /// Addresses that two clients were promised (R8).
    pub conflicts_two_clients: u64,
    /// Bindings that two sessions gave an address each (R9).
    pub conflicts_two_addresses: u64,
    /// Registrations made, extended or ended by their clients (RFC 9686).
    pub registrations: u64,
    /// Registrations not taken.
    pub registrations_refused: u64,
}

impl Machine {
    /// The allowances to judge others by: a silent session may still go by an earlier configuration, as with
    /// `PoolState::mclt_max`.
    pub(super) fn timing(&self) -> Timing {
        self.timing_max.unwrap_or_default()
    }

    pub(super) fn touch(&mut self, key: RowKey) {
        self.changed.insert(key);
    }

    /// The next link, pool or relationship number.
    pub(super) fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.touch(RowKey::Cluster);
        self.next_id
    }
}
