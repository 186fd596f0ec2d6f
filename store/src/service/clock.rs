//! The only clock of the store, tokio's timers aside: CLOCK_BOOTTIME, which counts suspend (design section 4).

use leasehold_proto::time::LocalTime;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The monotonic time now; the origin if the system has no such clock, which Linux has since 2.6.39.
pub(super) fn now() -> LocalTime {
    let span = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    LocalTime::ZERO + span
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_forward() {
        let before = super::now();
        assert!(before > leasehold_proto::time::LocalTime::ZERO && super::now() >= before);
    }
}
