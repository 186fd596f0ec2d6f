//! Which pools of a relationship on one link may serve an IA, and in which order they are tried.
//!
//! Owns the choice by the client's classes, by a hint and by a length. Refuses to know leases, ranges and packets.

use super::classes::Audience;
use leasehold_proto::pool::Pool;
use leasehold_proto::words::{IaKind, PoolId};
use smallvec::SmallVec;

#[derive(Debug, Clone)]
struct Entry {
    id: PoolId,
    /// Bits of a leasable unit.
    length: u8,
    audience: Audience,
}

/// The pools of one relationship on one link, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct LinkPools {
    addresses: Vec<Entry>,
    prefixes: Vec<Entry>,
}

impl LinkPools {
    /// Adds a pool; `audience`: who may have new leases of it.
    pub(super) fn push(&mut self, pool: &Pool, audience: Audience) {
        let entry = Entry { id: pool.id, length: pool.geometry.length_bits(), audience };
        match pool.kind {
            IaKind::Na => &mut self.addresses,
            IaKind::Pd => &mut self.prefixes,
        }
        .push(entry);
    }

    /// Those that clients of these classes may have new leases of.
    pub(super) fn open_to<'a>(&'a self, classes: &'a [usize]) -> OpenPools<'a> {
        OpenPools { pools: self, classes }
    }
}

/// The pools of a link that are open to one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenPools<'a> {
    pools: &'a LinkPools,
    classes: &'a [usize],
}

impl<'a> OpenPools<'a> {
    fn of(self, kind: IaKind) -> impl Iterator<Item = &'a Entry> {
        self.all(kind).iter().filter(move |entry| entry.audience.includes(self.classes))
    }

    fn all(self, kind: IaKind) -> &'a [Entry] {
        match kind {
            IaKind::Na => &self.pools.addresses,
            IaKind::Pd => &self.pools.prefixes,
        }
    }

    /// Whether a pool is one of these.
    pub(super) fn contains(self, pool: PoolId) -> bool {
        [IaKind::Na, IaKind::Pd].into_iter().any(|kind| self.of(kind).any(|entry| entry.id == pool))
    }

    /// The pools of prefixes of exactly this length.
    pub(super) fn of_length(self, length: u8) -> SmallVec<[PoolId; 4]> {
        self.of(IaKind::Pd).filter(|entry| entry.length == length).map(|entry| entry.id).collect()
    }

    /// The pools for an IA in the order in which they are to be tried: `first` before all others; for prefixes with a
    /// length hint those of exactly that length, then the longest ones that are shorter, then the rest (PD-04).
    pub(super) fn in_order(
        self,
        kind: IaKind,
        length_hint: Option<u8>,
        first: Option<PoolId>,
    ) -> SmallVec<[PoolId; 4]> {
        // At once for all that there are, so that a link with many pools costs one allocation.
        let mut order: SmallVec<[PoolId; 4]> = SmallVec::with_capacity(self.all(kind).len());
        match (kind, length_hint) {
            (IaKind::Pd, Some(wanted)) => {
                let mut by_length: SmallVec<[&Entry; 4]> = SmallVec::with_capacity(self.all(kind).len());
                by_length.extend(self.of(kind));
                by_length.sort_by_key(|entry| match wanted.checked_sub(entry.length) {
                    Some(shorter_by) => (0, shorter_by),
                    None => (1, entry.length),
                });
                order.extend(by_length.into_iter().map(|entry| entry.id));
            }
            _ => order.extend(self.of(kind).map(|entry| entry.id)),
        }
        if let Some(at) = first.and_then(|first| order.iter().position(|id| *id == first)) {
            order[..=at].rotate_right(1);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools() -> LinkPools {
        let entry = |id, length, audience| Entry { id: PoolId(id), length, audience };
        LinkPools {
            addresses: vec![entry(1, 128, Audience::All), entry(2, 128, Audience::All)],
            prefixes: vec![
                entry(3, 64, Audience::All),
                entry(4, 56, Audience::All),
                entry(5, 48, Audience::All),
                entry(6, 56, Audience::Classes([7].into())),
            ],
        }
    }

    fn order(kind: IaKind, length: Option<u8>, first: Option<u32>) -> Vec<u32> {
        pools().open_to(&[1]).in_order(kind, length, first.map(PoolId)).iter().map(|id| id.0).collect()
    }

    #[test]
    fn pd_04_exact_length_then_the_longest_that_is_shorter() {
        assert_eq!(order(IaKind::Pd, Some(56), None), [4, 5, 3]);
        assert_eq!(order(IaKind::Pd, Some(60), None), [4, 5, 3]);
        assert_eq!(order(IaKind::Pd, Some(64), None), [3, 4, 5]);
        assert_eq!(order(IaKind::Pd, Some(40), None), [5, 4, 3]);
        assert_eq!(order(IaKind::Pd, None, None), [3, 4, 5]);
    }

    #[test]
    fn a_hinted_pool_goes_first() {
        assert_eq!(order(IaKind::Na, None, Some(2)), [2, 1]);
        assert_eq!(order(IaKind::Pd, None, Some(5)), [5, 3, 4]);
        assert_eq!(order(IaKind::Na, None, Some(9)), [1, 2]);
    }

    #[test]
    fn sv_157_a_pool_for_classes_is_open_to_their_members_alone() {
        let pools = pools();
        let member = pools.open_to(&[2, 7]);
        assert_eq!(member.of_length(56).as_slice(), [PoolId(4), PoolId(6)]);
        assert!(member.contains(PoolId(6)));
        let other = pools.open_to(&[2]);
        assert_eq!(other.of_length(56).as_slice(), [PoolId(4)]);
        assert!(!other.contains(PoolId(6)) && other.contains(PoolId(1)));
    }
}
