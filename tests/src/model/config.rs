//! What a run of the model is given: the size of the world, what may happen in it, and the one mechanism taken away.
//!
//! All spans are ticks of abstract time, all bounds are counts. A run explores everything that can happen within them.

/// One mechanism of design section 5 that is taken away; nothing else changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing is: the rules as they are.
    None,
    /// Order: a batch may reach the store before one that was made earlier.
    BatchesReordered,
    /// Order: events are acknowledged before the updates that were promised earlier are told.
    AckOvertakesUpdates,
    /// Order: a batch that comes again is applied again.
    BatchesAppliedTwice,
    /// R2: an ended lease is freed without anybody's acknowledgement.
    FreedUnacknowledged,
    /// R2: a Release ends the lease though another session changed the record since.
    StaleReleaseTaken,
    /// R2: an acknowledgement replaces a longer one.
    AckLowered,
    /// R2: an expiry replaces a later one.
    ExpiryLowered,
    /// R2: what was acknowledged of one holding counts for the next.
    AckCarriedOver,
    /// R2: an extension leaves a released or expired record ended.
    NotRevived,
    /// R4: the frontend measures its deadline from the answer.
    DeadlineFromAnswer,
    /// R4: MCLT is promised past the deadline.
    LeadPastDeadline,
    /// R4: a Reply may be sent however long ago it was computed.
    LateSend,
    /// R4: certain death is judged without what was acknowledged.
    DeathIgnoresAck,
    /// R4: certain death is judged without the guard.
    DeathWithoutGuard,
    /// R4: a lease expires in the store without the guard.
    ExpiryWithoutGuard,
    /// R4: a session is extended though its deadline has passed.
    ExtendedPastDeadline,
    /// R4: late updates of a session that is dead for certain are taken.
    DeadNotFenced,
    /// R6: a superseded session is extended and granted ranges, and makes use of them.
    SupersededServed,
    /// R6: the ranges of a superseded session open at once.
    ReopenedAtOnce,
    /// R6: a same-host proof is believed though the predecessor runs.
    FalseProof,
    /// R7: an address that had a record is adopted.
    AdoptedAfterRecord,
    /// R7: an address of a range taken back from an unclean session is adopted.
    AdoptedUnclean,
}

impl Sabotage {
    /// All that take something away.
    pub const ALL: [Self; 22] = [
        Self::BatchesReordered,
        Self::AckOvertakesUpdates,
        Self::BatchesAppliedTwice,
        Self::FreedUnacknowledged,
        Self::StaleReleaseTaken,
        Self::AckLowered,
        Self::ExpiryLowered,
        Self::AckCarriedOver,
        Self::NotRevived,
        Self::DeadlineFromAnswer,
        Self::LeadPastDeadline,
        Self::LateSend,
        Self::DeathIgnoresAck,
        Self::DeathWithoutGuard,
        Self::ExpiryWithoutGuard,
        Self::ExtendedPastDeadline,
        Self::DeadNotFenced,
        Self::SupersededServed,
        Self::ReopenedAtOnce,
        Self::FalseProof,
        Self::AdoptedAfterRecord,
        Self::AdoptedUnclean,
    ];
}

/// One world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Shown with the results.
    pub name: &'static str,
    /// Addresses, each the only one of its range: 1 or 2.
    pub addresses: usize,
    /// Sessions opened at most, the first of each frontend included: 2 to 4.
    pub sessions: usize,
    /// Replies promised at most, but for one that is only judged.
    pub promises: u8,
    /// Time ends here.
    pub ticks: u8,
    /// Desired valid lifetime.
    pub lifetime: u8,
    /// Maximum client lead time.
    pub mclt: u8,
    /// How long a session goes on without the store.
    pub autonomy: u8,
    /// Longest flight of a Reply; the guard for flight and sending.
    pub flight: u8,
    /// How much later than it should a frontend's clock may see its deadline pass; the guard for drift.
    pub drift: u8,
    /// At the beginning the first frontend owns all ranges.
    pub granted: bool,
    /// How many frontends, from the first, may be restarted.
    pub restarting: u8,
    /// Batches of one session in flight.
    pub window: usize,
    /// Ticks in which cluster time may stand still (no leader).
    pub stalls: u8,
    /// Clients give leases back.
    pub releases: bool,
    /// A frontend may be started anew while an older process of it still runs.
    pub zombies: bool,
    /// A frontend's process stops for good without a word. Without this its silence stands for it.
    pub crashes: bool,
    /// A session may be superseded by one that knows its predecessor's process to be gone (same-host proof).
    pub proofs: bool,
    /// Frontends stop cleanly.
    pub stops: bool,
    /// Clients come with addresses of which the frontend knows nothing (R7).
    pub adoption: bool,
    /// The network keeps a copy of a batch and brings it again.
    pub duplicates: bool,
    /// What is taken away.
    pub sabotage: Sabotage,
}

impl Config {
    /// Two frontends, two clients, and the smallest spans at which each rule can matter.
    pub const BASE: Self = Self {
        name: "base",
        addresses: 1,
        sessions: 2,
        promises: 2,
        ticks: 4,
        lifetime: 1,
        mclt: 1,
        autonomy: 2,
        flight: 1,
        drift: 0,
        granted: true,
        restarting: 1,
        window: 1,
        stalls: 0,
        releases: true,
        zombies: true,
        crashes: false,
        proofs: false,
        stops: false,
        adoption: false,
        duplicates: false,
        sabotage: Sabotage::None,
    };

    pub(super) fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == sabotage
    }
}
