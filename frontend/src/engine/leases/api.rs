//! The words in which the rest of the engine talks with [`Leases`](super::Leases).

use leasehold_proto::lease::{LeaseExtra, LeaseState};
use leasehold_proto::lifetimes::LifetimeWish;
use leasehold_proto::reconfigure::{ReconfigureOrder, ReconfigureSecret};
use leasehold_proto::session::Refused;
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::words::{Duid, FrontendId, IaKind, Iaid, LinkId, PoolId, Prefix};
use std::sync::Arc;

/// Names one IA of one client without owning the DUID's octets: looking up costs no allocation.
#[derive(Debug, Clone, Copy)]
pub struct IaRef<'a> {
    /// Where the client attaches.
    pub link: LinkId,
    /// The client.
    pub duid: &'a [u8],
    /// Which IAID space.
    pub kind: IaKind,
    /// The client's number for the IA.
    pub iaid: Iaid,
    /// The client's hash, where it was worked out before ([`Leases::client_hash`](super::Leases::client_hash)).
    pub client_hash: Option<u64>,
}

impl PartialEq for IaRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.link, self.duid, self.kind, self.iaid) == (other.link, other.duid, other.kind, other.iaid)
    }
}

impl Eq for IaRef<'_> {}

/// One lease of a binding as this frontend knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What is leased.
    pub prefix: Prefix,
    /// The pool generation it came from.
    pub pool: PoolId,
    /// Where it stands. Only an Active one can be extended.
    pub state: LeaseState,
    /// Until when the client was promised it, at the latest.
    pub valid_until: ClusterTime,
    /// Preferred lifetime last given.
    pub preferred: Lifetime,
    /// Valid lifetime last given.
    pub valid: Lifetime,
    /// Until when the store acknowledged promises.
    pub acked_until: ClusterTime,
}

/// What is wanted for an IA that gets a new lease.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The pools that it may come from, in the order in which to try them.
    pub pools: &'a [PoolId],
    /// The client asked for a length: a pool of the next length is tried only when all before it have nothing, not even
    /// what the IA had there (PD-04).
    pub by_length: bool,
    /// What the client would like to have.
    pub hint: Option<Prefix>,
    /// The lifetimes of its class.
    pub lifetimes: LifetimeWish,
    /// How it was reached, and other rare fields: kept with the lease, and judged by the bounds of the link (SEC-02).
    pub extra: Option<&'a Arc<LeaseExtra>>,
    /// The link-address of the relay that prefixes are delegated through: those of one relay are given from the same
    /// ranges as far as possible, so that its routes aggregate.
    pub relay: Option<u128>,
    /// How it is judged against bounds.
    pub margin: Margin,
}

/// By how much a new lease is to be judged against bounds otherwise than by what is on record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Margin {
    /// So many leases of the client give way to it, and do not count against bounds (PD-14).
    pub replaces: u32,
    /// So many more the same message has been offered: they are not on record, and count against bounds (SV-303).
    pub besides: u32,
}

impl Margin {
    /// What may be on record where so many leases are allowed.
    pub(super) fn of(self, max: u32) -> u32 {
        max.saturating_add(self.replaces).saturating_sub(self.besides)
    }
}

impl<'a> Wanted<'a> {
    /// Any lease of these pools.
    #[must_use]
    pub fn of(pools: &'a [PoolId]) -> Self {
        Self {
            pools,
            by_length: false,
            hint: None,
            lifetimes: LifetimeWish::default(),
            extra: None,
            relay: None,
            margin: Margin::default(),
        }
    }
}

/// What a client may be told. Recorded and dirty, unless it is an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// What is leased.
    pub prefix: Prefix,
    /// Preferred lifetime.
    pub preferred: Lifetime,
    /// Valid lifetime, above zero.
    pub valid: Lifetime,
}

/// Why no new lease can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLease {
    /// The store has said that every pool asked for is dry: NoAddrsAvail or NoPrefixAvail may be told.
    #[error("the store says that every pool of the link is dry")]
    Dry,
    /// Nothing can be given now and the store has not said that the pools are dry: stay silent.
    #[error("this frontend may give nothing now")]
    NotNow,
    /// None of the pools asked for is of that kind, on that link, and of one of this frontend's relationships.
    #[error("no pool of that kind on that link is this frontend's")]
    NoPool,
    /// The client, or its port, holds as many leases on the link as it may (SEC-02).
    #[error("the client, or the port that it sits behind, holds as many leases as it may")]
    TooMany,
}

/// Why an address is not registered (RFC 9686).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRegistration {
    /// It is leased, or its lease has ended and it is not free yet.
    #[error("the address is leased")]
    Leased,
    /// The client has as many as it may, or all clients have.
    #[error("too many addresses are registered")]
    TooMany,
    /// Leases are not known yet, cluster time is not, or the session has ended.
    #[error("nothing can be recorded now")]
    NotNow,
}

/// Whose range an address lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// Granted to the current session.
    Me,
    /// Granted to another frontend's session.
    Partner(&'a FrontendId),
    /// Its owner is gone but not dead for certain: nobody issues from it.
    Closed,
    /// Granted to nobody, or in no pool of this frontend.
    Nobody,
}

/// What changed by a message of the store, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Another configuration is in force.
    Network,
    /// The leader's judgement of a frontend, maybe of this one, changed.
    Liveness {
        /// Whom it is about.
        frontend: FrontendId,
        /// Whether it is heard.
        live: bool,
    },
    /// A frontend, maybe this one, serves other links than before (RFC 7031 §4.7).
    Links {
        /// Whom it is about.
        frontend: FrontendId,
        /// Those that it serves no more.
        down: Vec<LinkId>,
        /// Those that it serves again.
        up: Vec<LinkId>,
    },
    /// A frontend, maybe this one, hears other relays than before.
    Relays {
        /// Whom it is about.
        frontend: FrontendId,
    },
    /// All leases are known.
    Loaded,
    /// A look-up was answered.
    LookedUp {
        /// Where the client attaches.
        link: LinkId,
        /// The client.
        duid: Duid,
    },
    /// The store said whether a pool is dry.
    PoolWord(PoolId),
    /// A newer session of this frontend exists (R6): this one creates nothing any more.
    Superseded,
    /// The session can never be extended again and has nothing left to tell: drop the connection and make another;
    /// a new session is opened on it.
    SessionOver,
    /// The store refused or ended the connection.
    ConnectionRefused(Refused),
    /// An adoption (R7) that this client's message asked for was decided: taken, its lease is known now.
    Adopted {
        /// Where the client attaches.
        link: LinkId,
        /// The client.
        duid: Duid,
    },
    /// This frontend is drained, or no more.
    Draining {
        /// Whether it is.
        on: bool,
    },
    /// The secret from which clients' reconfigure keys follow is known.
    ReconfigureSecret {
        /// The secret; never shown (SEC-07).
        secret: ReconfigureSecret,
        /// Orders to ask clients that were given so far.
        orders: u64,
    },
    /// Clients are to be asked for a message.
    Reconfigure(Arc<ReconfigureOrder>),
    /// A range was granted, and can be used now or as soon as it is known.
    RangeGranted(PoolId),
}
