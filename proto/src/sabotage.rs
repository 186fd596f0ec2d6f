//! Switching one mechanism of the rules off, to see that the simulation finds what then goes wrong.
//!
//! Only in a build of its own (feature `sabotage`, used by the sabotage tests and nothing else): in every other build
//! [`is_off`] is a constant `false` and costs nothing. Mechanisms are switched off for the current thread, one in general,
//! two where each does what the other fails to do; each place in the cores that asks is one condition.

/// One mechanism of the rules R1 to R9 (design section 5), by what it does while it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// Order: an acknowledgement never overtakes an update made before it.
    OneOrder,
    /// Order: a batch is taken once, whatever is sent again (FO-909).
    Idempotence,
    /// R1: a frontend leases to a new client only out of its own ranges. The store's fence stands.
    ExclusiveRanges,
    /// R1: the store refuses what is created outside its sender's ranges. Redundant for correct frontends.
    StoreFence,
    /// R2: an ended lease is freed only when all who could have extended it have read so.
    Watermarks,
    /// R2: a Release is refused when another session changed the record since.
    RecordVersions,
    /// R2: what was acknowledged, and the expiry, are never lowered within one holding.
    MaxMerge,
    /// R2: what was acknowledged belongs to one holding.
    AcknowledgedPerHolding,
    /// R3: the lead over what is acknowledged is bounded.
    Lead,
    /// R4: nothing is issued past the autonomy deadline.
    AutonomyDeadline,
    /// R4: the deadline is measured from before the request.
    DeadlineFromBefore,
    /// R4: replies that were held up are dropped just before sending.
    SendShare,
    /// R4: the store waits for the guard.
    Guard,
    /// R4: a session past its deadline is never extended again.
    NoExtensionPastDeadline,
    /// R4: the late updates of a session that is dead for certain change nothing. Redundant for clients: R1's fence, R2 and
    /// R8 keep what they hold. It tells a late update from a conflict.
    LateUpdates,
    /// R5: either partner extends what it knows.
    PartnerRenewal,
    /// R6: the ranges of a superseded session stay closed until it is dead for certain.
    ClosedRanges,
    /// R6: a superseded session extends nothing that was born later.
    BornLater,
    /// R7: only what never had a record is adopted, and not out of ranges taken back uncleanly.
    AdoptionConditions,
    /// R7: a lease that was promised and never committed is adopted.
    Adoption,
    /// R8: what was committed first stays.
    CommittedFirstStays,
    /// R9: what a client turns out not to use is released.
    UnusedReleased,
}

#[cfg(feature = "sabotage")]
mod switch {
    use super::Mechanism;
    use std::cell::Cell;

    thread_local! {
        /// One bit for each mechanism that is off.
        static OFF: Cell<u32> = const { Cell::new(0) };
    }

    /// Switches these mechanisms off for this thread, and all others on.
    pub fn switch_off(mechanisms: &[Mechanism]) {
        OFF.set(mechanisms.iter().fold(0, |off, mechanism| off | bit(*mechanism)));
    }

    /// Whether a mechanism is switched off.
    #[must_use]
    pub fn is_off(mechanism: Mechanism) -> bool {
        OFF.get() & bit(mechanism) != 0
    }

    fn bit(mechanism: Mechanism) -> u32 {
        1 << mechanism as u32
    }
}

#[cfg(feature = "sabotage")]
pub use switch::{is_off, switch_off};

/// Whether a mechanism is switched off: never, in this build.
#[cfg(not(feature = "sabotage"))]
#[inline]
#[must_use]
pub const fn is_off(_mechanism: Mechanism) -> bool {
    false
}
