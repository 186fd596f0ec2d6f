//! Questions about what is known and configured. None changes anything.

use super::{IaRef, Known, Leases, Owner};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::Network;
use leasehold_proto::pool::Pool;
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::words::{BindingKey, FrontendId, LinkId, LogIndex, PoolId, Prefix};
use smallvec::SmallVec;
use std::sync::Arc;

/// Bounds on what one question walks through. A binding holds more only after partitions or hostile clients.
pub(super) const HELD_MAX: usize = 64;
pub(super) const FREE_MAX: usize = 16;

impl Leases {
    /// The configuration in use; nothing before the store sent one.
    #[must_use]
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.names.network()
    }

    /// This frontend's name.
    #[must_use]
    pub fn frontend(&self) -> &FrontendId {
        &self.frontend
    }

    /// Whether the load is complete. What is known while cut off is stale, but loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.load.loaded
    }

    /// Whether the store answers on a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.session.is_connected() && self.session.is_welcomed()
    }

    /// Whether this session is before its autonomy deadline for a pool (R4): until then the store waits for it, so
    /// that no lease that it knows as Active can have been freed.
    #[must_use]
    pub fn is_autonomous(&self, now: LocalTime, pool: PoolId) -> bool {
        self.names.pool(pool).is_some_and(|pool| self.autonomy.allowance(now, pool) > Lifetime::ZERO)
    }

    /// Whether there is any record of a client on a link.
    #[must_use]
    pub fn knows_client(&self, link: LinkId, duid: &[u8]) -> bool {
        self.records.has_client(link, duid)
    }

    /// The hash of a client on a link, for [`IaRef`]s of one message: under a secret key, good for this process.
    #[must_use]
    pub fn client_hash(&self, link: LinkId, duid: &[u8]) -> u64 {
        self.key.client(link, duid)
    }

    /// Every lease whose binding is this IA, in the order of prefixes, put into `out`, which is cleared. Those that
    /// are Free are only the IA's last: they may be gone to somebody else any moment. At most 64 held and 16 free
    /// ones are given.
    pub fn leases_of(&self, ia: IaRef<'_>, out: &mut SmallVec<[Known; 4]>) {
        out.clear();
        out.extend(self.records.held(ia, HELD_MAX).map(|r| r.known()));
        out.extend(self.records.free(ia, FREE_MAX).map(|r| r.known()));
        out.sort_unstable_by_key(|known| known.prefix);
    }

    /// Who holds an address or prefix, or held it last, and where its lease stands; nothing when it has no record.
    #[must_use]
    pub fn holder_of(&self, prefix: Prefix) -> Option<(&BindingKey, LeaseState)> {
        let at = self.records.find(prefix)?;
        let record = self.records.get(at)?;
        let state = match record.state() {
            // The store has called its end already. A Decline of ours that is on its way keeps nobody from it: it may
            // be freed, and be another's, as soon as that end is acknowledged.
            LeaseState::Abandoned if record.store_state.awaits_freeing() => record.store_state,
            state => state,
        };
        Some((self.records.binding_of(at)?, state))
    }

    /// R2, R6: whether nobody is given an address in the place of the holder known here before this session has read of
    /// that one's end. Not so of what was born after this session was superseded.
    #[must_use]
    pub fn reads_of_its_end(&self, prefix: Prefix) -> bool {
        self.records.of(prefix).is_some_and(|record| self.is_waited_for(record))
    }

    /// Which record of the store a lease is known by, and what changed since on this side: two equal answers mean that
    /// nothing was seen to happen to the lease in between. Nothing when it is not an Active lease of this IA.
    #[must_use]
    pub fn standing_of(&self, ia: IaRef<'_>, prefix: Prefix) -> Option<(LogIndex, ClusterTime)> {
        let at = self.records.find(prefix).filter(|at| self.records.belongs(*at, ia))?;
        let record = self.records.get(at).filter(|r| r.state() == LeaseState::Active)?;
        Some((record.version, record.valid_until))
    }

    /// The configured pool, of this frontend's relationships, of which this is a leasable unit.
    #[must_use]
    pub fn pool_of(&self, prefix: Prefix) -> Option<&Pool> {
        self.names.pool_of(prefix)
    }

    /// PD-14: whether a lease on record is of a pool that is configured no more, or not so far: it runs out, and its
    /// client is to have another.
    #[must_use]
    pub fn runs_out(&self, prefix: Prefix) -> bool {
        self.records.of(prefix).is_some_and(|record| !self.offers(record.pool, prefix))
    }

    /// Whether a pool is configured, and this is of it.
    #[must_use]
    pub fn offers(&self, pool: PoolId, prefix: Prefix) -> bool {
        self.names.pool(pool).is_some_and(|pool| pool.range_of(prefix).is_some())
    }

    /// Whose range a leasable unit lies in.
    #[must_use]
    pub fn owner_of(&self, prefix: Prefix) -> Owner<'_> {
        let range = self.names.pool_of(prefix).and_then(|pool| pool.range_of(prefix));
        let Some(info) = range.and_then(|range| self.ranges.info(range)) else { return Owner::Nobody };
        if info.is_owned_by(self.session.epoch) {
            return Owner::Me;
        }
        match &info.frontend {
            // On its way back: the next owner may have it before we read so.
            _ if info.is_returning() => Owner::Nobody,
            // A range of an older session of this frontend: nobody issues from it.
            _ if info.closed => Owner::Closed,
            Some(frontend) if *frontend == self.frontend && !info.owner.is_none() => Owner::Closed,
            Some(frontend) if !info.owner.is_none() => Owner::Partner(frontend),
            _ => Owner::Nobody,
        }
    }
}
