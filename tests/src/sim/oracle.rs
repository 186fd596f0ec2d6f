//! The judge: who was promised what, from when a Reply reached him, on his own clock.
//!
//! Owns the holdings that clients' Replies brought about. It knows nothing of frontends' and the store's state: only
//! of what clients accepted, gave up, and said that they use. Invariant judged (design section 5): at no moment do
//! two clients hold unexpired leases on the same address or on overlapping prefixes. A holding begins only when a
//! Reply is accepted, so judging at those moments judges every moment.

use super::clock::Nanos;
use leasehold_proto::words::{IaKind, Prefix};

/// Which IA of which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) client: usize,
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
}

/// One lease as its client understands it.
#[derive(Debug, Clone, Copy)]
struct Holding {
    holder: Holder,
    prefix: Prefix,
    /// True time at which the client's own clock calls it expired.
    until: Nanos,
}

/// All holdings.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    holdings: Vec<Holding>,
}

impl Oracle {
    /// A client accepted a Reply that promises a lease until `until`.
    ///
    /// Errors: another client holds it, or a part of it, in words.
    pub(super) fn promised(
        &mut self,
        now: Nanos,
        holder: Holder,
        prefix: Prefix,
        until: Nanos,
    ) -> Result<(), String> {
        self.holdings.retain(|h| h.until > now);
        let clash =
            self.holdings.iter().find(|h| h.holder.client != holder.client && h.prefix.overlaps(prefix));
        if let Some(other) = clash {
            return Err(format!(
                "{prefix} was promised to client {} until {:.3} s while client {} holds {} until {:.3} s",
                holder.client,
                seconds(until),
                other.holder.client,
                other.prefix,
                seconds(other.until),
            ));
        }
        match self.holdings.iter_mut().find(|h| h.holder == holder && h.prefix == prefix) {
            // What was promised once is not taken back by a shorter promise.
            Some(known) => known.until = known.until.max(until),
            None => self.holdings.push(Holding { holder, prefix, until }),
        }
        Ok(())
    }

    /// A client was told to stop, or released or declined it.
    pub(super) fn given_up(&mut self, client: usize, prefix: Prefix) {
        self.holdings.retain(|h| h.holder.client != client || h.prefix != prefix);
    }

    /// A client's Renew or Rebind says what it uses of an IA: the rest it does not use.
    pub(super) fn uses(&mut self, holder: Holder, used: &[Prefix]) {
        self.holdings.retain(|h| h.holder != holder || used.contains(&h.prefix));
    }

    /// Whether a client holds a lease now.
    pub(super) fn holds(&self, now: Nanos, client: usize, prefix: Prefix) -> bool {
        self.holdings.iter().any(|h| h.holder.client == client && h.prefix == prefix && h.until > now)
    }
}

fn seconds(at: Nanos) -> f64 {
    std::time::Duration::from_nanos(at).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(client: usize) -> Holder {
        Holder { client, kind: IaKind::Pd, iaid: 1 }
    }

    #[test]
    fn overlapping_prefixes_of_two_clients_are_caught_until_they_expire() {
        let mut oracle = Oracle::default();
        let wide: Prefix = "2001:db8::/56".parse().unwrap();
        let narrow: Prefix = "2001:db8:0:10::/60".parse().unwrap();
        oracle.promised(10, holder(1), wide, 100).unwrap();
        assert!(oracle.promised(99, holder(2), narrow, 200).is_err());
        assert!(oracle.promised(100, holder(2), narrow, 200).is_ok());
    }

    #[test]
    fn a_shorter_promise_takes_nothing_back_but_giving_up_does() {
        let mut oracle = Oracle::default();
        let address = Prefix::address(7);
        oracle.promised(0, holder(1), address, 100).unwrap();
        oracle.promised(1, holder(1), address, 50).unwrap();
        assert!(oracle.promised(60, holder(2), address, 90).is_err());
        oracle.uses(holder(1), &[address]);
        assert!(oracle.holds(60, 1, address));
        oracle.given_up(1, address);
        assert!(oracle.promised(60, holder(2), address, 90).is_ok());
    }
}
