//! What this frontend knows, owns, has promised and must still tell the store.
//!
//! One value, [`Leases`], holds the lease records of this frontend's relationships, the ranges granted to its
//! session, the session's one sequence of batches, and the bounds of time under which it may promise. It knows
//! nothing of DHCPv6 messages, links' interfaces or who answers: [`super::exchange`] asks it. The rules, one place
//! each:
//!
//! - R1: `pool_ranges::PoolRanges::may_create`, a new lease only from a range granted to the current session;
//! - R2 (this side): `records::Records::is_free`, an address once leased goes to another client only when read as
//!   free, and `dirty::DirtyQueue::acknowledgeable`, an acknowledgement never overtakes an update;
//! - R3: `leasehold_proto::lifetimes::promise`, called from `promise` alone;
//! - R4: `autonomy::Autonomy::allowance`, measured from before the request that was answered;
//! - R5: `promise`, either partner extends a lease it knows for the same client;
//! - R6: `session`, a superseded session creates nothing;
//! - R7 (this side): `adoption`, what a client claims and nobody has on record is asked for, never promised;
//! - R8 (this side): `merge`, another client's committed lease stands;
//! - R9: `promise`, leases of a binding that its client turns out not to use are released.

mod acceptors;
mod adoption;
mod api;
mod autonomy;
mod batches;
mod clock;
mod commit;
mod demand;
mod dirty;
mod events;
mod free_map;
mod hash;
mod held;
mod kept;
mod load;
mod lookup;
mod merge;
mod names;
mod outcome;
mod owned;
mod partners;
mod place;
mod pool_ranges;
mod ports;
mod promise;
mod query;
mod ranges;
mod records;
mod registered;
mod reserved;
mod returns;
mod rooms;
mod session;
mod slab;
mod status;
mod survey;

#[cfg(test)]
mod tests;

pub use acceptors::Acceptor;
pub use api::{Given, IaRef, Known, Margin, News, NoLease, NoRegistration, Owner, Wanted};
pub use commit::Rest;
pub use partners::Service;
pub use status::{LeasesStatus, PoolStatus};
pub use survey::{KnownLeases, Pace};

use super::Limits;
use leasehold_proto::lifetimes::Timing;
use leasehold_proto::session::HostProof;
use leasehold_proto::words::FrontendId;

/// The leases, ranges and promises of one frontend. See the module for what it owns.
pub struct Leases {
    frontend: FrontendId,
    /// Where this process runs, shown with each Hello (R6).
    host: Option<HostProof>,
    limits: Limits,
    key: hash::HashKey,
    names: names::Names,
    records: records::Records,
    /// Knowledge of a session that is over, let go of piece by piece.
    graveyard: Vec<records::Records>,
    dirty: dirty::DirtyQueue,
    ranges: ranges::Ranges,
    session: session::Session,
    load: load::Load,
    lookups: lookup::Lookups,
    adoptions: adoption::Adoptions,
    clock: clock::ClusterClock,
    autonomy: autonomy::Autonomy,
    partners: partners::Partners,
    /// What the Reply being computed waits for.
    rest: Option<Rest>,
    counts: status::Counts,
    survey: survey::Survey,
}

impl Leases {
    /// Knows nothing yet. `hash_key` keys the choice of addresses (SV-214) and the tables.
    #[must_use]
    pub fn new(frontend: FrontendId, hash_key: [u8; 16], limits: Limits) -> Self {
        let key = hash::HashKey::new(hash_key);
        Self {
            frontend,
            host: None,
            limits,
            key,
            names: names::Names::default(),
            records: records::Records::new(key),
            graveyard: Vec::new(),
            dirty: dirty::DirtyQueue::default(),
            ranges: ranges::Ranges::default(),
            session: session::Session::default(),
            load: load::Load::default(),
            lookups: lookup::Lookups::default(),
            adoptions: adoption::Adoptions::default(),
            clock: clock::ClusterClock::default(),
            autonomy: autonomy::Autonomy::default(),
            partners: partners::Partners::default(),
            rest: None,
            counts: status::Counts::default(),
            survey: survey::Survey::default(),
        }
    }

    /// What the session shows to the store (R6).
    pub fn set_host_proof(&mut self, proof: Option<HostProof>) {
        self.host = proof;
    }

    /// R4's allowances as configured.
    fn timing(&self) -> Timing {
        self.names.timing()
    }
}
