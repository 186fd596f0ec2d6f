//! Whether the store is in reach, and since when it is not.
//!
//! In reach means that the store's leader has taken the session on the present connection. A leader that has lost its
//! quorum sends its frontends away, so a store that cannot commit is out of reach as well.

use leasehold_proto::time::LocalTime;

/// How the store is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreReach {
    /// It has the session.
    InReach,
    /// No node of it has the session.
    OutOfReach {
        /// Since this moment; the first that was looked at if it was never in reach.
        since: LocalTime,
        /// Whether it was in reach before.
        was_reached: bool,
    },
}

/// What is remembered of the store's reach.
#[derive(Debug, Default)]
pub struct Reach {
    state: Option<StoreReach>,
}

impl Reach {
    /// Takes how it is now. True when the store was just lost.
    pub fn note(&mut self, now: LocalTime, in_reach: bool) -> bool {
        let before = self.state;
        match (before, in_reach) {
            (_, true) => self.state = Some(StoreReach::InReach),
            (Some(StoreReach::OutOfReach { .. }), false) => {}
            (_, false) => {
                let was_reached = before.is_some();
                self.state = Some(StoreReach::OutOfReach { since: now, was_reached });
                return was_reached;
            }
        }
        false
    }

    /// How it was when last noted; before that, out of reach from the origin of time.
    #[must_use]
    pub fn state(&self) -> StoreReach {
        self.state.unwrap_or(StoreReach::OutOfReach { since: LocalTime::ZERO, was_reached: false })
    }
}
