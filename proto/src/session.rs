//! What a frontend's session and the store say to each other, as checked types (design section 5, Order).
//!
//! Up: one sequence numbered under the session's epoch, a number's content never changes. Down: one stream ordered
//! by log index, and answers outside that order. The Protobuf forms are in `session.proto`; `convert` goes between.

use crate::lease::{Lease, LeaseUpdate};
use crate::network::Network;
use crate::reconfigure::{ReconfigureOrder, ReconfigureSecret};
use crate::registration::{Registration, RegistrationUpdate};
use crate::time::ClusterTime;
use crate::trace::{TraceFilter, TraceReport};
use crate::words::{Duid, Epoch, FrontendId, LinkId, LogIndex, PoolId, Prefix, RangeId, UpdateSeq};
use std::sync::Arc;

/// The version of the session protocol spoken here. A store refuses one it does not know.
pub const PROTOCOL_VERSION: u32 = 3;

/// From a frontend to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToStore {
    /// First on every connection.
    Hello(Hello),
    /// The next of the session's one sequence.
    Batch(Arc<SessionBatch>),
    /// Sign of life, each 200 ms.
    Heartbeat(Heartbeat),
    /// What does the store know of a client that this frontend does not know yet?
    Lookup {
        /// Where the client attaches.
        link: LinkId,
        /// The client.
        duid: Duid,
    },
    /// What was seen of clients that somebody looks at.
    Trace(TraceReport),
}

/// Opens a session or resumes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Who is calling; must be the name in its certificate.
    pub frontend: FrontendId,
    /// The session to resume; `Epoch::NONE` opens a new one.
    pub resume_epoch: Epoch,
    /// Every event up to here was applied.
    pub resume_index: LogIndex,
    /// Whether a load was completed in this session.
    pub loaded: bool,
    /// Where the caller runs, if it can tell (R6).
    pub host: Option<HostProof>,
}

/// Which boot of which host a frontend's process runs on, and the exclusive lock that it holds there (R6). The lock is
/// held for the life of the process: whoever shows the same with a higher `holding` proves the earlier process gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostProof {
    /// The kernel's random name of this boot.
    pub boot_id: [u8; 16],
    /// Random, written into the lock file when that was made.
    pub lock_id: [u8; 16],
    /// Grows each time that the lock is taken: tells an earlier process from this one, and from a late word of its own.
    pub holding: u64,
}

/// One numbered batch. Taken once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBatch {
    /// The session.
    pub epoch: Epoch,
    /// Its number, from 1.
    pub sequence: UpdateSeq,
    /// Lease updates, at most one for each lease.
    pub updates: Vec<LeaseUpdate>,
    /// Ranges asked for.
    pub requests: Vec<RangeRequest>,
    /// Ranges given back: nothing dirty or unacknowledged is in them.
    pub returned: Vec<RangeId>,
    /// Every event up to here was applied, and all updates made before that are in this or an earlier batch.
    pub acked_index: LogIndex,
    /// Clean stop: nothing will be promised after this batch was sent (R4, *end autonomy now*).
    pub closing: bool,
    /// What clients told of addresses of their own (RFC 9686), at most one for each address; taken after the updates.
    pub registrations: Vec<RegistrationUpdate>,
}

/// A wish for ranges of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeRequest {
    /// Of which pool.
    pub pool: PoolId,
    /// How many ranges.
    pub ranges: u32,
}

/// Sign of life with what the leader needs to judge service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The session.
    pub epoch: Epoch,
    /// Version of the network configuration in use.
    pub network_version: u64,
    /// Leases promised and not yet acknowledged.
    pub dirty_leases: u64,
    /// Health of each client-facing interface.
    pub interfaces: Vec<InterfaceHealth>,
    /// Addresses of relays heard in the last minute, bounded.
    pub relays_heard: Vec<u128>,
    /// Whether it answers its clients: all is loaded, and something may be promised. Until it says so, and when it says
    /// so no more, its partner answers for it.
    pub serving: bool,
    /// What was heard on each link since the last heartbeat; links without a client message are left out.
    pub links: Vec<LinkReport>,
}

/// What a frontend heard on one link since its last heartbeat (RFC 7031 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkReport {
    /// The link.
    pub link: LinkId,
    /// Client messages heard.
    pub heard: u64,
    /// Of these, messages left to the partner that came again: it did not answer them.
    pub unanswered: u64,
}

/// One client-facing interface (RFC 7031 §4.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceHealth {
    /// Its name on that machine.
    pub name: String,
    /// The link it serves.
    pub link: String,
    /// Whether it exists.
    pub present: bool,
    /// Whether it has carrier.
    pub carrier: bool,
    /// DHCPv6 packets received on it since start.
    pub packets_seen: u64,
    /// Receive and send errors since start.
    pub errors: u64,
}

/// From the store to a frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromStore {
    /// Answers Hello.
    Welcome(Welcome),
    /// Answers Hello, or ends a connection.
    Refused(Refused),
    /// A piece of the load.
    Load(LoadChunk),
    /// What one log entry means for this session, in order of index.
    Entry(StreamEntry),
    /// Answers a heartbeat.
    HeartbeatAnswer {
        /// How far the store's log is applied.
        log_index: LogIndex,
    },
    /// The leader's judgement of a frontend of one of this session's relationships, the receiver included.
    Liveness(Liveness),
    /// Answers a Lookup.
    Lookup {
        /// Where the client attaches.
        link: LinkId,
        /// The client.
        duid: Duid,
        /// All it has there.
        leases: Vec<Arc<Lease>>,
        /// As of this log index.
        index: LogIndex,
    },
    /// All traces that are wanted from now on, in place of those told before on this connection.
    Traces(Vec<TraceFilter>),
}

/// How the leader judges one frontend's service. Never safety: only who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Whom it is about.
    pub frontend: FrontendId,
    /// Whether it is heard and serves.
    pub live: bool,
    /// Links on which it does not serve its clients though it lives (RFC 7031 §4.7), sorted.
    pub links_down: Vec<LinkId>,
    /// Source addresses of the relays that it hears, sorted; none when it has not said so.
    pub relays_heard: Option<Vec<u128>>,
}

/// A session was opened or resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session.
    pub epoch: Epoch,
    /// The stream carries what lies above this index.
    pub index: LogIndex,
    /// False: a load follows, and the session knows nothing until it is done.
    pub resumed: bool,
    /// Highest batch the store has taken: what lies above is to be sent again.
    pub applied_sequence: UpdateSeq,
    /// The configuration as of `index`; absent before the first was applied.
    pub network: Option<Arc<Network>>,
    /// The session of the same frontend that this one superseded (R6) and that had not stopped cleanly: it crashed, or
    /// another process of this name still runs. For people; `Epoch::NONE` = there was none.
    pub supersedes: Epoch,
    /// The frontend is being drained, as of `index`.
    pub draining: bool,
    /// What clients' reconfigure keys follow from; absent until a link needs it.
    pub reconfigure_secret: Option<ReconfigureSecret>,
    /// How many orders to ask clients the cluster has given so far: none is missing in replay values (SV-405).
    pub reconfigure_orders: u64,
}

/// Why a connection was not taken, or is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// By cause.
    pub reason: RefusalReason,
    /// For people.
    pub detail: String,
    /// With `NotLeader`: where the leader is, when known.
    pub leader_address: Option<String>,
}

/// By who can act: try elsewhere, open anew, stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Another store node leads.
    NotLeader,
    /// A newer session of the same frontend exists (R6).
    Superseded,
    /// The session to be resumed is unknown or dead for certain: open a new one.
    UnknownSession,
    /// The other side speaks another protocol version, or broke the order.
    Protocol,
    /// The certificate does not allow it.
    Forbidden,
}

/// A piece of a load: records as they are at some index at or after `Welcome::index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadChunk {
    /// Leases of the session's relationships.
    pub leases: Vec<Arc<Lease>>,
    /// Ranges of its relationships' pools.
    pub ranges: Vec<RangeRecord>,
    /// Registrations on links on which its relationships have pools.
    pub registrations: Vec<Arc<Registration>>,
    /// Set on the last piece: the load is complete together with the stream up to this index.
    pub done: Option<LogIndex>,
}

/// A range as everyone in its relationship sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRecord {
    /// Which.
    pub range: RangeId,
    /// The owning session; `Epoch::NONE` = nobody.
    pub owner: Epoch,
    /// The owner's frontend, when there is an owner.
    pub frontend: Option<FrontendId>,
    /// The owner is gone but not dead for certain: nobody issues from it.
    pub closed: bool,
    /// It was never granted before: there are no leases to know about.
    pub fresh: bool,
}

/// All that one log entry means for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The entry's log index.
    pub index: LogIndex,
    /// In the order of the machine's decisions.
    pub events: Vec<StoreEvent>,
}

/// One thing that happened in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEvent {
    /// One of this session's batches was taken.
    Batch(BatchOutcome),
    /// A lease record changed, by whichever cause but this session's own promises.
    Lease(Arc<Lease>),
    /// A range was granted, closed, returned or opened again.
    Range(RangeRecord),
    /// The store's word on whether a pool has ranges left for this session.
    PoolDry {
        /// Which pool.
        pool: PoolId,
        /// No range can be granted now.
        dry: bool,
    },
    /// A new configuration.
    Network(Arc<Network>),
    /// A newer session of the same frontend was opened (R6): issue nothing new from now on.
    Superseded {
        /// The newer session.
        by: Epoch,
        /// Log index of the superseding: of leases born later this session extends none (R2).
        at: LogIndex,
    },
    /// The partner has nothing left of a pool: return ranges that can be spared, so many at most.
    GiveBack {
        /// Which pool.
        pool: PoolId,
        /// How many ranges are wanted.
        ranges: u32,
    },
    /// This frontend is being drained: promise nothing new, give everything back, leave clients to the partners. Or no
    /// more.
    Draining {
        /// Whether it is.
        on: bool,
    },
    /// The cluster has a secret from now on, and clients may be given keys.
    ReconfigureSecret(ReconfigureSecret),
    /// Clients are to be asked for a message.
    Reconfigure(Arc<ReconfigureOrder>),
    /// A registration changed, or ended; or one that was told by this session was not taken, and this is what stands.
    Registration(Arc<Registration>),
}

/// The answer to one batch: all of it is committed as of the entry's index, but for what was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Which batch.
    pub sequence: UpdateSeq,
    /// Cluster time of the entry that carried it.
    pub stamp: ClusterTime,
    /// Whether the session's autonomy was extended by it (not after superseding, not past the deadline).
    pub extended: bool,
    /// The updates that changed nothing, with the reason. All others took effect, and what they asked to be
    /// acknowledged is acknowledged.
    pub refused: Vec<UpdateOutcome>,
}

/// A refused update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateOutcome {
    /// The lease it was about.
    pub prefix: Prefix,
    /// Why it changed nothing.
    pub refusal: UpdateRefusal,
}

/// Why the store left a record as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpdateRefusal {
    /// It would create a lease outside the session's grants (R1).
    NotGranted,
    /// Another client holds it.
    OtherClient,
    /// Another session changed the record since (R2).
    ChangedSince,
    /// A Release or Decline of a lease of which there is no record.
    UnknownLease,
    /// No such pool generation.
    UnknownPool,
    /// The session is dead for certain (R4): its late updates change nothing.
    Fenced,
    /// An adoption (R7) of what once had a record, or of a range that was once taken back uncleanly.
    NotAdopted,
}
