//! Tells the engine's counters, and people, what was given up before the engine saw it: by the admission queue in an
//! overload, and by the kernel before that.
//!
//! Owns what was told last. Refuses to judge. In: the packet thread's counters, once a second. Out: the engine's
//! discards by reason; a log line in each second in which something was lost, and none otherwise.

use crate::codec::Discard;
use crate::engine::Engine;
use crate::io::PacketCounts;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct ShedTeller {
    told: PacketCounts,
}

impl ShedTeller {
    /// Tells what came since the last call.
    pub(super) fn tell(&mut self, engine: &mut Engine, counts: &PacketCounts) {
        let since = |count: fn(&PacketCounts) -> u64| count(counts).saturating_sub(count(&self.told));
        let overload = since(|counts| counts.datagrams_shed_full);
        let stale = since(|counts| counts.datagrams_shed_stale);
        let by_kernel = since(|counts| counts.datagrams_dropped_by_kernel);
        engine.shed(Discard::Overload, overload);
        engine.shed(Discard::WaitedTooLong, stale);
        engine.shed(Discard::Superseded, since(|counts| counts.datagrams_superseded));
        if overload + stale + by_kernel > 0 {
            tracing::warn!(
                overload,
                waited_too_long = stale,
                by_kernel,
                "overloaded: messages were given up in the last second, new clients' first; clients send them again"
            );
        }
        self.told = *counts;
    }
}
