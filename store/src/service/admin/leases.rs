//! Counting and listing leases, a piece at a time, so that the lock is held for moments.
//!
//! A list is not one moment's picture: each piece is as of when it was read, none older than the call.

use super::super::replica::{SharedReplica, lock};
use super::view;
use crate::machine::Machine;
use futures::stream::{self, Stream};
use leasehold_proto::lease::{Lease, LeaseState};
use leasehold_proto::v1;
use leasehold_proto::words::{Duid, LinkId, Prefix};
use std::collections::VecDeque;
use std::ops::Bound;
use tonic::Status;

/// Records looked at under one lock.
const PIECE_LOOKED_AT: usize = 8192;
/// Records of one piece that are listed.
const PIECE_LISTED: usize = 512;

/// Which leases are wanted.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    link: Option<LinkId>,
    pool: Option<String>,
    duid: Option<Duid>,
    state: Option<LeaseState>,
    left: u64,
}

impl Filter {
    /// # Errors
    /// `NotFound` for names that the configuration does not have, `InvalidArgument` for what cannot be.
    pub(super) fn of(request: &v1::ListLeasesRequest, machine: &Machine) -> Result<Self, Status> {
        let link = match request.link.as_str() {
            "" => None,
            name => {
                let network = machine.network();
                let link = network.and_then(|n| n.links.iter().find(|l| l.name == name));
                Some(link.ok_or_else(|| Status::not_found(format!("there is no link `{name}`")))?.id)
            }
        };
        let pool = match request.pool.as_str() {
            "" => None,
            // By name, so that older generations of the pool are listed too.
            name if machine.network().is_some_and(|n| n.pools.iter().any(|p| p.name == name)) => {
                Some(name.to_owned())
            }
            name => return Err(Status::not_found(format!("there is no pool `{name}`"))),
        };
        let duid = match request.duid.as_slice() {
            [] => None,
            octets => Some(Duid::new(octets).map_err(|e| Status::invalid_argument(e.to_string()))?),
        };
        let state = match request.state {
            0 => None,
            number => {
                let state =
                    LeaseState::ALL.into_iter().find(|s| i32::from(v1::LeaseState::from(*s)) == number);
                let unknown = || Status::invalid_argument(format!("{number} is not a state of a lease"));
                Some(state.ok_or_else(unknown)?)
            }
        };
        let left = if request.limit == 0 { u64::MAX } else { u64::from(request.limit) };
        Ok(Self { link, pool, duid, state, left })
    }

    fn wants(&self, lease: &Lease, machine: &Machine) -> bool {
        self.link.is_none_or(|link| lease.binding.link == link)
            && self.state.is_none_or(|state| lease.state == state)
            && self.duid.as_ref().is_none_or(|duid| lease.binding.duid == *duid)
            && self.pool.as_ref().is_none_or(|p| machine.pool(lease.pool).is_some_and(|pool| pool.name == *p))
    }
}

/// Counts of all leases by state, in the order of the states.
pub(super) async fn count(replica: &SharedReplica) -> Vec<v1::StateCount> {
    let mut counts = [0u64; LeaseState::ALL.len()];
    let mut from = Bound::Unbounded;
    loop {
        let last = {
            let replica = lock(replica);
            let mut last: Option<Prefix> = None;
            for lease in replica.machine.leases_from(from).take(PIECE_LOOKED_AT) {
                last = Some(lease.prefix);
                for (count, state) in counts.iter_mut().zip(LeaseState::ALL) {
                    *count += u64::from(lease.state == state);
                }
            }
            last
        };
        let Some(last) = last else { break };
        from = Bound::Excluded(last);
        tokio::task::yield_now().await;
    }
    let counted = LeaseState::ALL.into_iter().zip(counts);
    counted
        .map(|(state, count)| v1::StateCount { state: v1::LeaseState::from(state).into(), count })
        .collect()
}

/// How many leases wanted are of clients that accepted Reconfigure (SV-401).
pub(super) async fn count_reconfigurable(replica: &SharedReplica, filter: &Filter) -> u64 {
    let mut count = 0;
    let mut from = Bound::Unbounded;
    loop {
        let last = {
            let replica = lock(replica);
            let mut last: Option<Prefix> = None;
            for lease in replica.machine.leases_from(from).take(PIECE_LOOKED_AT) {
                last = Some(lease.prefix);
                let accepts = lease.extra.as_ref().is_some_and(|extra| extra.reconfigure);
                count += u64::from(accepts && filter.wants(lease, &replica.machine));
            }
            last
        };
        let Some(last) = last else { return count };
        from = Bound::Excluded(last);
        tokio::task::yield_now().await;
    }
}

/// A list under way.
struct Listing {
    replica: SharedReplica,
    filter: Filter,
    from: Bound<Prefix>,
    ended: bool,
    ready: VecDeque<v1::LeaseInfo>,
}

/// The leases wanted, in the order of their prefixes.
pub(super) fn stream(
    replica: SharedReplica,
    filter: Filter,
) -> impl Stream<Item = Result<v1::LeaseInfo, Status>> + Send {
    let listing = Listing { replica, filter, from: Bound::Unbounded, ended: false, ready: VecDeque::new() };
    stream::unfold(listing, |mut listing| async move {
        // Each turn looks at further records: bounded by their number.
        while listing.ready.is_empty() && !listing.ended {
            listing.read_piece();
            tokio::task::yield_now().await;
        }
        let lease = listing.ready.pop_front()?;
        Some((Ok(lease), listing))
    })
}

impl Listing {
    fn read_piece(&mut self) {
        let replica = lock(&self.replica);
        let mut last = None;
        for lease in replica.machine.leases_from(self.from).take(PIECE_LOOKED_AT) {
            if self.ready.len() >= PIECE_LISTED || self.filter.left == 0 {
                break;
            }
            last = Some(lease.prefix);
            if self.filter.wants(lease, &replica.machine) {
                self.filter.left -= 1;
                self.ready.push_back(view::lease(&replica, lease));
            }
        }
        match last {
            Some(last) => self.from = Bound::Excluded(last),
            None => self.ended = true,
        }
    }
}
