//! Which worlds are explored: together they exhaust what each rule is about, within two minutes on two cores; and for
//! each sabotage the smallest world in which it shows.
//!
//! The product of everything is out of reach, so each world has a subject. Bounds on promises are one short: the last
//! promise is judged without being made (`check`), so `promises: 2` covers every history of three Replies.

use super::check::{NO_OPEN_RANGE, NOT_FREED, NOT_REFUSED, ONE_HOLDER};
use super::config::{Config, Sabotage};

/// One address, two frontends, two clients; either side may be cut off for any time. (FO-211)
const PARTITION: Config = Config { name: "one address, partition", ticks: 4, ..Config::BASE };

/// Worlds that are explored to the end each time.
pub const EXHAUSTED: [Config; 8] = [
    PARTITION,
    Config { name: "two addresses", addresses: 2, ticks: 2, ..Config::BASE },
    Config { name: "nothing granted yet", addresses: 2, granted: false, ticks: 1, ..Config::BASE },
    Config {
        name: "restarts, zombies, proofs",
        sessions: 3,
        promises: 1,
        ticks: 2,
        crashes: true,
        proofs: true,
        ..Config::BASE
    },
    Config { name: "long acknowledgements", lifetime: 3, ticks: 4, releases: false, ..Config::BASE },
    Config { name: "adoption", adoption: true, ticks: 2, ..Config::BASE },
    Config { name: "clean stops, no leader", stops: true, stalls: 1, ticks: 2, ..Config::BASE },
    Config { name: "duplicates, drift", duplicates: true, drift: 1, window: 2, ticks: 1, ..Config::BASE },
];

/// Worlds for a machine with time: 28 million states more, and 1.3 GB of memory.
pub const LARGE: [Config; 5] = [
    Config { name: "one address, partition, longer", ticks: 5, ..Config::BASE },
    Config { name: "two addresses, longer", addresses: 2, ticks: 3, ..Config::BASE },
    Config {
        name: "restarts, zombies, proofs, longer",
        sessions: 3,
        promises: 1,
        ticks: 3,
        crashes: true,
        proofs: true,
        restarting: 2,
        ..Config::BASE
    },
    Config {
        name: "adoption and restarts",
        sessions: 3,
        promises: 2,
        ticks: 2,
        zombies: false,
        crashes: true,
        proofs: true,
        adoption: true,
        releases: false,
        ..Config::BASE
    },
    Config { name: "clean stops, restarts", sessions: 3, promises: 1, stops: true, ticks: 3, ..Config::BASE },
];

/// Each sabotage, the world in which to look, and the property that must fall; none where the mechanism is a second
/// line of defence, without which the whole world still holds.
///
/// [`Sabotage::DeadNotFenced`] is of that kind: an update of a session dead for certain meets R1 (the range is not its
/// own any more), the holder's record, or a newer version, and changes nothing that matters even if it is looked at.
#[must_use]
pub fn sabotages() -> Vec<(Config, Option<&'static str>)> {
    let base = Config { promises: 2, ticks: 1, ..Config::BASE };
    let one_promise = Config { promises: 1, ticks: 4, ..Config::BASE };
    let restarting = Config { sessions: 3, promises: 1, ..Config::BASE };
    let adopting = Config { adoption: true, ..base };
    let two_holders = |sabotage, config: Config| (Config { sabotage, ..config }, Some(ONE_HOLDER));
    let falls = |property, sabotage, config: Config| (Config { sabotage, ..config }, Some(property));
    vec![
        two_holders(Sabotage::BatchesReordered, Config { window: 2, ..base }),
        two_holders(Sabotage::AckOvertakesUpdates, base),
        two_holders(Sabotage::BatchesAppliedTwice, Config { duplicates: true, ..base }),
        two_holders(Sabotage::FreedUnacknowledged, base),
        two_holders(Sabotage::StaleReleaseTaken, base),
        falls(
            NOT_FREED,
            Sabotage::AckLowered,
            Config { lifetime: 4, autonomy: 1, flight: 0, promises: 4, ticks: 5, releases: false, ..base },
        ),
        two_holders(Sabotage::ExpiryLowered, Config { promises: 3, ticks: 2, ..base }),
        two_holders(Sabotage::AckCarriedOver, Config { lifetime: 3, ticks: 4, ..base }),
        two_holders(Sabotage::NotRevived, base),
        two_holders(Sabotage::DeadlineFromAnswer, Config { ticks: 5, ..one_promise }),
        two_holders(Sabotage::LeadPastDeadline, one_promise),
        two_holders(Sabotage::LateSend, one_promise),
        two_holders(Sabotage::DeathIgnoresAck, Config { lifetime: 4, ticks: 4, ..base }),
        two_holders(Sabotage::DeathWithoutGuard, Config { drift: 1, ticks: 5, ..one_promise }),
        two_holders(Sabotage::ExpiryWithoutGuard, Config { ticks: 2, ..one_promise }),
        two_holders(
            Sabotage::ExtendedPastDeadline,
            Config { autonomy: 4, promises: 3, ticks: 6, releases: false, ..base },
        ),
        (Config { sabotage: Sabotage::DeadNotFenced, releases: false, ..PARTITION }, None),
        falls(NO_OPEN_RANGE, Sabotage::SupersededServed, Config { granted: false, ticks: 0, ..restarting }),
        two_holders(Sabotage::ReopenedAtOnce, Config { ticks: 1, ..restarting }),
        two_holders(Sabotage::FalseProof, Config { proofs: true, ticks: 2, ..restarting }),
        two_holders(Sabotage::AdoptedAfterRecord, Config { ticks: 0, ..adopting }),
        falls(
            NOT_REFUSED,
            Sabotage::AdoptedUnclean,
            Config {
                sessions: 3,
                ticks: 2,
                zombies: false,
                crashes: true,
                proofs: true,
                releases: false,
                ..adopting
            },
        ),
    ]
}
