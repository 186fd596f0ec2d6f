//! The judge: who was promised what, from when a Reply reached him, on his own clock.
//!
//! Owns the holdings that clients' Replies brought about. It knows nothing of frontends' and the store's state: only
//! of what clients accepted, gave up, and said that they use, and by which process they were told. Invariant judged
//! (design section 5): at no moment do two clients hold unexpired leases on the same address or on overlapping
//! prefixes. A holding begins only when a Reply is accepted, so judging at those moments judges every moment.

use super::clock::Nanos;
use leasehold_proto::words::{IaKind, Prefix};

/// Which IA of which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) client: usize,
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
}

/// Which process promised: its slot, and which of the slot's lives.
pub(super) type Promiser = (usize, u64);

/// One lease as its client understands it.
#[derive(Debug, Clone, Copy)]
struct Holding {
    holder: Holder,
    prefix: Prefix,
    /// True time at which the client's own clock calls it expired.
    until: Nanos,
    by: Promiser,
}

/// What a message under way says against its own client's leases.
#[derive(Debug, Clone)]
pub(super) enum Speaks {
    /// It uses these of the IA only.
    OnlyFor(Vec<Prefix>),
    /// It gives these up.
    Against(Vec<Prefix>),
}

impl Speaks {
    fn ends(&self, prefix: Prefix) -> bool {
        match self {
            Self::OnlyFor(used) => !used.contains(&prefix),
            Self::Against(given_up) => given_up.contains(&prefix),
        }
    }
}

/// Two owners of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) violation: String,
    /// The processes that promised.
    pub(super) by: [Promiser; 2],
}

/// All holdings.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    holdings: Vec<Holding>,
    /// Until when a message may arrive, of which IA it is, and what it says.
    disowned: Vec<(Nanos, Holder, Speaks)>,
}

impl Oracle {
    /// A client accepted a Reply that promises a lease until `until`.
    ///
    /// Errors: another client holds it, or a part of it.
    pub(super) fn promised(
        &mut self,
        now: Nanos,
        holder: Holder,
        prefix: Prefix,
        until: Nanos,
        by: Promiser,
    ) -> Result<(), Clash> {
        self.holdings.retain(|h| h.until > now);
        self.disowned.retain(|d| d.0 > now);
        let clash =
            self.holdings.iter().find(|h| h.holder.client != holder.client && h.prefix.overlaps(prefix));
        if let Some(other) = clash {
            let violation = format!(
                "{prefix} was promised to client {} until {:.3} s while client {} holds {} until {:.3} s",
                holder.client,
                seconds(until),
                other.holder.client,
                other.prefix,
                seconds(other.until),
            );
            return Err(Clash { violation, by: [by, other.by] });
        }
        if self.disowned.iter().any(|d| d.1 == holder && d.2.ends(prefix)) {
            // Its own message may end it at any moment: not judged.
            return Ok(());
        }
        match self.holdings.iter_mut().find(|h| h.holder == holder && h.prefix == prefix) {
            // What was promised once is not taken back by a shorter promise.
            Some(known) => {
                known.until = known.until.max(until);
                known.by = by;
            }
            None => self.holdings.push(Holding { holder, prefix, until, by }),
        }
        Ok(())
    }

    /// The same, where an operator's override explains the clash: the later promise is judged from now on.
    pub(super) fn overridden(
        &mut self,
        now: Nanos,
        holder: Holder,
        prefix: Prefix,
        until: Nanos,
        by: Promiser,
    ) {
        self.holdings.retain(|h| h.holder.client == holder.client || !h.prefix.overlaps(prefix));
        let taken = self.promised(now, holder, prefix, until, by);
        debug_assert_eq!(taken, Ok(()), "nobody else holds it any more");
    }

    /// A client was told to stop, or released or declined it.
    pub(super) fn given_up(&mut self, client: usize, prefix: Prefix) {
        self.holdings.retain(|h| h.holder.client != client || h.prefix != prefix);
    }

    /// A client's Renew or Rebind says what it uses of an IA: the rest it does not use.
    pub(super) fn uses(&mut self, holder: Holder, used: &[Prefix]) {
        self.holdings.retain(|h| h.holder != holder || used.contains(&h.prefix));
    }

    /// A message that may arrive until then speaks against leases of its own client: these are not judged meanwhile.
    pub(super) fn disowns(&mut self, until: Nanos, holder: Holder, speaks: Speaks) {
        self.holdings.retain(|h| h.holder != holder || !speaks.ends(h.prefix));
        self.disowned.push((until, holder, speaks));
    }

    /// Who holds an address now, and by whose promise.
    pub(super) fn holder_of(&self, now: Nanos, prefix: Prefix) -> Option<(usize, Promiser)> {
        let holding = self.holdings.iter().find(|h| h.prefix == prefix && h.until > now)?;
        Some((holding.holder.client, holding.by))
    }

    /// Which process promised an IA a lease that it holds now.
    pub(super) fn promiser(&self, now: Nanos, holder: Holder, prefix: Prefix) -> Option<Promiser> {
        let held = |h: &&Holding| h.holder == holder && h.prefix == prefix && h.until > now;
        self.holdings.iter().find(held).map(|h| h.by)
    }
}

fn seconds(at: Nanos) -> f64 {
    std::time::Duration::from_nanos(at).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: Promiser = (0, 1);

    fn holder(client: usize) -> Holder {
        Holder { client, kind: IaKind::Pd, iaid: 1 }
    }

    #[test]
    fn overlapping_prefixes_of_two_clients_are_caught_until_they_expire() {
        let mut oracle = Oracle::default();
        let wide: Prefix = "2001:db8::/56".parse().unwrap();
        let narrow: Prefix = "2001:db8:0:10::/60".parse().unwrap();
        oracle.promised(10, holder(1), wide, 100, BY).unwrap();
        let clash = oracle.promised(99, holder(2), narrow, 200, (2, 1)).unwrap_err();
        assert_eq!(clash.by, [(2, 1), BY]);
        assert!(oracle.promised(100, holder(2), narrow, 200, BY).is_ok());
    }

    #[test]
    fn a_shorter_promise_takes_nothing_back_but_giving_up_does() {
        let mut oracle = Oracle::default();
        let address = Prefix::address(7);
        oracle.promised(0, holder(1), address, 100, BY).unwrap();
        oracle.promised(1, holder(1), address, 50, BY).unwrap();
        assert!(oracle.promised(60, holder(2), address, 90, BY).is_err());
        oracle.uses(holder(1), &[address]);
        assert_eq!(oracle.promiser(60, holder(1), address), Some(BY));
        oracle.given_up(1, address);
        assert!(oracle.promised(60, holder(2), address, 90, BY).is_ok());
    }

    #[test]
    fn what_a_message_under_way_may_end_is_not_judged_until_it_cannot_arrive_any_more() {
        let mut oracle = Oracle::default();
        let (kept, other) = (Prefix::address(7), Prefix::address(8));
        oracle.disowns(50, holder(1), Speaks::OnlyFor(vec![kept]));
        oracle.promised(10, holder(1), other, 100, BY).unwrap();
        oracle.promised(10, holder(1), kept, 100, BY).unwrap();
        assert!(oracle.promised(20, holder(2), other, 30, BY).is_ok());
        assert!(oracle.promised(20, holder(2), kept, 30, BY).is_err());
        oracle.promised(50, holder(1), other, 100, BY).unwrap();
        assert!(oracle.promised(60, holder(2), other, 90, BY).is_err());
    }
}
