//! How many leases somebody holds: a client on a link, or all behind one port (SEC-02). Those that have ended and are not
//! free yet are counted apart, and to a wider bound.

use leasehold_proto::lease::LeaseState;

/// So many times its bound a client, or a port, may have leases that have ended and are not free yet: freeing can be held
/// back for long by others' faults, but a client that asks and releases all the time must not use up a pool meanwhile.
const ENDED_TIMES: u32 = 8;

/// Leases of one client, or of one port, that are not Free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Active, or declined and not over their quarantine.
    held: u32,
    /// Ended and not Free yet.
    ended: u32,
}

impl Held {
    /// The count that a lease in this state belongs to; none for a Free one.
    fn count_of(&mut self, state: LeaseState) -> Option<&mut u32> {
        match state {
            LeaseState::Free => None,
            LeaseState::Active | LeaseState::Abandoned => Some(&mut self.held),
            _ => Some(&mut self.ended),
        }
    }

    pub(super) fn count(&mut self, state: LeaseState) {
        if let Some(count) = self.count_of(state) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn uncount(&mut self, state: LeaseState) {
        if let Some(count) = self.count_of(state) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether there are too many for one more.
    pub(super) fn reaches(self, max: u32) -> bool {
        self.held >= max || self.ended >= max.saturating_mul(ENDED_TIMES)
    }
}
