//! The upper bound of cluster time that this process can prove (design section 4).
//!
//! A batch first sent at local t0 whose entry is stamped S proves that cluster time at t0 was at most S, so now it is
//! at most S + (now - t0)(1 + rho). The tightest proof is kept. Without any proof nothing may be promised.

use leasehold_proto::lifetimes::Timing;
use leasehold_proto::time::{ClusterTime, LocalTime};
use std::time::Duration;

/// The tightest proof so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClusterClock {
    proof: Option<(ClusterTime, LocalTime)>,
}

impl ClusterClock {
    /// Cluster time is at most this; nothing when nothing was proved.
    pub(super) fn now_at_most(&self, now: LocalTime, timing: &Timing) -> Option<ClusterTime> {
        self.proof.map(|(stamp, sent)| bound(stamp, sent, now, timing))
    }

    /// Takes a proof if it is tighter than the one known.
    pub(super) fn prove(
        &mut self,
        stamp: ClusterTime,
        first_sent: LocalTime,
        now: LocalTime,
        timing: &Timing,
    ) {
        let tighter =
            self.now_at_most(now, timing).is_none_or(|known| bound(stamp, first_sent, now, timing) < known);
        if tighter {
            self.proof = Some((stamp, first_sent));
        }
    }

    /// Forgets everything: local time cannot be trusted to have run evenly, or this is another session.
    pub(super) fn forget(&mut self) {
        self.proof = None;
    }
}

fn bound(stamp: ClusterTime, sent: LocalTime, now: LocalTime, timing: &Timing) -> ClusterTime {
    let elapsed = now.saturating_since(sent);
    // Cluster time counts whole milliseconds: rounded up, or the bound would not be one.
    let up = Duration::from_millis(u64::from(!elapsed.subsec_nanos().is_multiple_of(1_000_000)));
    stamp + elapsed.saturating_add(timing.drift(elapsed)).saturating_add(up)
}
