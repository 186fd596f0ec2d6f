//! What every exchange needs to know about the message that it answers.
//!
//! Owns the view of one message together with its link, the logical server that is spoken to and that server's pools
//! there; and the questions about an address that only the configuration answers. Refuses to know leases. Lives for
//! one message; building it allocates nothing.

use super::link_pools::OpenPools;
use super::pools::Topology;
use super::reconfigure::Offer;
use super::relay_data;
use crate::codec::{ClientMessage, Ia, IaKind, IaLease, MessageKind, RelayChain, TemporaryIa};
use crate::engine::leases::{IaRef, Leases, NoLease};
use leasehold_proto::lease::LeaseExtra;
use leasehold_proto::lifetimes::LifetimeWish;
use leasehold_proto::network::{Link, Relationship};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{self, Iaid, PoolId, Prefix};
use smallvec::SmallVec;
use std::cell::{Cell, OnceCell};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// One message and where it stands.
#[derive(Debug)]
pub(super) struct Context<'a, 'm> {
    pub(super) now: LocalTime,
    pub(super) message: &'a ClientMessage<'m>,
    pub(super) relay: Option<&'a RelayChain<'m>>,
    /// IA_TAs, if they are to be answered (SV-135).
    pub(super) temporary: &'a [TemporaryIa<'m>],
    pub(super) topology: &'a Topology,
    pub(super) link: &'a Link,
    pub(super) relationship: &'a Relationship,
    /// Those that it may have new leases of.
    pub(super) pools: OpenPools<'a>,
    /// Lifetimes that the classes of this client ask for.
    pub(super) lifetimes: LifetimeWish,
    /// No other relationship serves this link, so what this one does not know nobody knows.
    pub(super) sole_server: bool,
    /// The client's DUID; empty only for an Information-request without one.
    pub(super) duid: &'a [u8],
    /// The client's hash in the tables of leases.
    pub(super) client_hash: u64,
    /// Where the datagram came from: address and UDP port of the client or the outermost relay.
    pub(super) source: (Ipv6Addr, u16),
    /// What the answer says of Reconfigure.
    pub(super) reconfigure: Offer,
    /// How the client was reached, built when the first lease needs it; of a client that cannot be asked to come.
    pub(super) extra: OnceCell<Option<Arc<LeaseExtra>>>,
    /// The same of one that can.
    pub(super) extra_noted: OnceCell<Option<Arc<LeaseExtra>>>,
    /// How many leases of this message the store may still be asked to adopt (R7).
    pub(super) adoptions_left: Cell<u8>,
    /// Why an IA of this message found nothing, for addresses and for prefixes: others need not look.
    pub(super) nothing_left: [Cell<Option<NoLease>>; 2],
    /// The message was kept for a while: its client may have done more since.
    pub(super) is_kept: bool,
}

impl<'a> Context<'a, '_> {
    /// Names an IA of this client.
    pub(super) fn ia_ref(&self, ia: &Ia<'_>) -> IaRef<'a> {
        IaRef {
            link: self.link.id,
            duid: self.duid,
            kind: word(ia.kind),
            iaid: Iaid(ia.iaid),
            client_hash: Some(self.client_hash),
        }
    }

    /// The rare fields of a lease given to this client now: whether it can be asked to come is whether it has its key
    /// from this answer.
    pub(super) fn extra(&self) -> Option<Arc<LeaseExtra>> {
        self.extra_if(self.reconfigure.gives_key())
    }

    /// The rare fields of a lease that is extended. A Renew or Rebind gives no key, so what was noted stays; another
    /// message says it anew.
    pub(super) fn extra_of_held(&self, leases: &Leases, prefix: Prefix) -> Option<Arc<LeaseExtra>> {
        if !self.link.reconfigure {
            return self.extra();
        }
        let was_noted = leases.extra_of(prefix).is_some_and(|extra| extra.reconfigure);
        let gives_no_key = matches!(self.message.kind, MessageKind::Renew | MessageKind::Rebind);
        let noted = if gives_no_key { was_noted } else { self.reconfigure.gives_key() };
        // Nothing is kept of a direct client that cannot be asked: what was noted of it is to be taken back.
        self.extra_if(noted).or_else(|| was_noted.then(Arc::default))
    }

    fn extra_if(&self, noted: bool) -> Option<Arc<LeaseExtra>> {
        let cell = if noted { &self.extra_noted } else { &self.extra };
        cell.get_or_init(|| relay_data::extra_of(self.relay, self.source, noted)).clone()
    }

    /// The same where bounds of the link are judged by it before anything is given (SEC-02); else nothing, for nothing.
    pub(super) fn extra_if_bounded(&self) -> Option<Arc<LeaseExtra>> {
        if self.link.limits.bounds_ports() { self.extra() } else { None }
    }

    /// The link-address by which the client's relay is known; nothing without relay, or where none says one.
    pub(super) fn relay_address(&self) -> Option<u128> {
        self.relay?.link_level().map(|level| level.header.link_address.to_bits())
    }

    /// Whether an address or prefix is wrong for this link by configuration: an address outside all on-link prefixes.
    /// Prefixes are never judged so, nor is anything on a link that has no prefixes.
    pub(super) fn is_off_link(&self, prefix: Prefix) -> bool {
        prefix.is_address()
            && !self.link.prefixes.is_empty()
            && !self.link.prefixes.iter().any(|on_link| on_link.contains(prefix))
    }

    /// Whether leases of a pool are this server's business: its own pools, and those that are configured no more.
    pub(super) fn is_own_pool(&self, pool: PoolId) -> bool {
        self.topology.pool(pool).is_none_or(|pool| pool.relationship == self.relationship.id)
    }
}

/// The kind of an IA in the words of the store.
pub(super) fn word(kind: IaKind) -> words::IaKind {
    match kind {
        IaKind::Na => words::IaKind::Na,
        IaKind::Pd => words::IaKind::Pd,
    }
}

/// The address or prefix that a client named; nothing for `::` and `::/n`, which name none.
pub(super) fn named(lease: &IaLease<'_>) -> Option<Prefix> {
    if lease.bits == 0 {
        return None;
    }
    Prefix::containing(lease.bits, u32::from(lease.len_bits)).ok()
}

/// The addresses or prefixes that a client named in an IA, each once, in wire order.
pub(super) fn all_named(ia: &Ia<'_>) -> SmallVec<[Prefix; 4]> {
    let mut all = SmallVec::new();
    for prefix in ia.leases().filter_map(|lease| named(&lease)) {
        if !all.contains(&prefix) {
            all.push(prefix);
        }
    }
    all
}

/// The first length that a client asks for without naming a prefix (PD-04). Read from each message anew, and never
/// remembered (PD-07).
pub(super) fn length_hint(ia: &Ia<'_>) -> Option<u8> {
    let bare = ia.leases().find(|lease| ia.kind == IaKind::Pd && lease.bits == 0 && lease.len_bits > 0);
    bare.map(|lease| lease.len_bits)
}
