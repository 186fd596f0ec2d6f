//! What must be seen to happen somewhere, or a run without violations says nothing.
//!
//! Noted beside the exploration, not in its states: a note that stayed in the state would multiply the states.

use std::sync::atomic::{AtomicU32, Ordering};

/// One thing that a run is expected to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// R2: a lease was freed because everybody had acknowledged its end.
    FreedByWatermark,
    /// R2 and R4: a lease was freed though a session had not, because that is dead for certain.
    FreedByDeath,
    /// An address that one client had went to the other.
    Reused,
    /// R5: a session extended a lease in a range that is not its own.
    PartnerExtended,
    /// R2: an extension made a released or expired record active again.
    Revived,
    /// R2: a Release came too late to end what another session had extended.
    StaleReleaseRefused,
    /// R4: a range of a session dead for certain was granted to another.
    GrantedAfterDeath,
    /// R4: a late update of a session dead for certain changed nothing.
    Fenced,
    /// R4: a lease was extended past the deadline, out of what was acknowledged.
    PromisedPastDeadline,
    /// R6: a session's autonomy was ended by a same-host proof.
    Proved,
    /// R7: a lease was adopted.
    Adopted,
    /// A frontend stopped cleanly.
    Closed,
    /// A batch came again and changed nothing.
    Repeated,
}

impl Sight {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::FreedByWatermark,
        Self::FreedByDeath,
        Self::Reused,
        Self::PartnerExtended,
        Self::Revived,
        Self::StaleReleaseRefused,
        Self::GrantedAfterDeath,
        Self::Fenced,
        Self::PromisedPastDeadline,
        Self::Proved,
        Self::Adopted,
        Self::Closed,
        Self::Repeated,
    ];
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Sights(AtomicU32);

impl Sights {
    pub(super) fn note(&self, sight: Sight) {
        let bit = 1 << sight as u32;
        // Most notes are not the first: reading alone keeps the line shared between threads.
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether it was seen.
    #[must_use]
    pub fn has(&self, sight: Sight) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << sight as u32) != 0
    }
}
