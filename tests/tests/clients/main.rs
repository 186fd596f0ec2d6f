//! Debian's client and relay programs in network namespaces, each through every case that it can: with one frontend, and
//! with a pair whose serving frontend is killed in the middle of the case.
//!
//! The cases are in `leasehold_tests::clients`; this file names them after what they show and says which belong into one
//! lab. The tests may run side by side: each has a lab of its own, and mostly waits. Each prints its rows; all rows are in
//! `clients.table` beside the tests' logs. Needs root; where namespaces are not to be had each test says `skipped`.

use leasehold_tests::clients::decline::decline;
use leasehold_tests::clients::information::information;
use leasehold_tests::clients::party::{Frontends, Party, Program, hold};
use leasehold_tests::clients::reconfigure::reconfigure;
use leasehold_tests::clients::relayed::through_relays;
use leasehold_tests::clients::{lifecycle, returning};
use leasehold_tests::interop::{ENDLESS, Setup};
use leasehold_tests::netns::relay::{self, Upstream};
use leasehold_tests::netns::{Ask, Side};

/// T1 after 20 s and T2 after 32 s, no nearer, since `systemd-networkd` may be ten seconds late; a valid lifetime that
/// lasts until everybody has rebound.
fn setup() -> Setup {
    Setup { preferred_secs: 40, valid_secs: 80, ..Setup::default() }
}

fn whole_life(test: &str, frontends: Frontends) {
    hold(test, frontends, setup(), |party| {
        let servers = [Side::A, Side::B].map(|side| party.lab.near_address(side)).to_vec();
        let _relay = relay::start(party.lab, &Upstream::Unicast(servers))?;
        lifecycle::invite_all(party)?;
        lifecycle::obtain(party, |ask| match ask {
            Ask::Address => "obtain IA_NA",
            Ask::Prefix => "obtain IA_PD",
            Ask::Both | Ask::Information => "obtain both",
        })?;
        lifecycle::renew(party)?;
        lifecycle::rebind(party)?;
        returning::confirm(party)?;
        returning::confirm_elsewhere(party)?;
        returning::release(party)
    });
}

#[test]
fn sv_312_sv_321_sv_323_sv_331_sv_341_sv_361_every_program_from_solicit_to_release() {
    whole_life(
        "sv_312_sv_321_sv_323_sv_331_sv_341_sv_361_every_program_from_solicit_to_release",
        Frontends::One,
    );
}

#[test]
fn sv_313_sv_321_sv_323_sv_331_sv_341_sv_361_every_program_from_solicit_to_release_through_kill_9() {
    whole_life(
        "sv_313_sv_321_sv_323_sv_331_sv_341_sv_361_every_program_from_solicit_to_release_through_kill_9",
        Frontends::Pair,
    );
}

/// Twenty clients of each program, all started at once.
fn twenty(party: &mut Party<'_>) -> anyhow::Result<()> {
    for program in Program::ALL {
        for _ in 0..20 {
            party.add(program, Ask::Address)?;
        }
    }
    lifecycle::obtain(party, |_| "twenty at once")
}

#[test]
fn sv_107_sv_313_twenty_clients_of_every_program_at_once() {
    hold("sv_107_sv_313_twenty_clients_of_every_program_at_once", Frontends::One, setup(), twenty);
}

#[test]
fn sv_107_sv_313_twenty_clients_of_every_program_at_once_through_kill_9() {
    let test = "sv_107_sv_313_twenty_clients_of_every_program_at_once_through_kill_9";
    hold(test, Frontends::Pair, setup(), twenty);
}

/// Leases as `clients::decline` wants them.
fn without_end() -> Setup {
    Setup { preferred_secs: ENDLESS, valid_secs: ENDLESS, ..Setup::default() }
}

#[test]
fn sv_314_sv_371_decline_of_an_address_that_another_host_uses() {
    hold(
        "sv_314_sv_371_decline_of_an_address_that_another_host_uses",
        Frontends::One,
        without_end(),
        decline,
    );
}

#[test]
fn sv_314_sv_371_decline_of_an_address_that_another_host_uses_through_kill_9() {
    let test = "sv_314_sv_371_decline_of_an_address_that_another_host_uses_through_kill_9";
    hold(test, Frontends::Pair, without_end(), decline);
}

#[test]
fn sv_351_information_for_every_program() {
    hold("sv_351_information_for_every_program", Frontends::One, setup(), information);
}

#[test]
fn sv_351_information_for_every_program_through_kill_9() {
    hold("sv_351_information_for_every_program_through_kill_9", Frontends::Pair, setup(), information);
}

#[test]
fn sv_103_sv_152_sv_171_sv_172_every_program_behind_every_relay_at_one_and_two_levels() {
    let test = "sv_103_sv_152_sv_171_sv_172_every_program_behind_every_relay_at_one_and_two_levels";
    hold(test, Frontends::One, setup(), through_relays);
}

#[test]
fn sv_103_sv_152_sv_171_sv_172_every_program_behind_every_relay_through_kill_9() {
    let test = "sv_103_sv_152_sv_171_sv_172_every_program_behind_every_relay_through_kill_9";
    hold(test, Frontends::Pair, setup(), through_relays);
}

/// No T1 comes within the case, so that every Renew was asked for.
fn with_reconfigure() -> Setup {
    Setup { preferred_secs: 3600, valid_secs: 7200, reconfigure: true, ..Setup::default() }
}

#[test]
fn sv_401_sv_404_sv_405_sv_406_clients_that_accept_reconfigure_come_when_asked() {
    let test = "sv_401_sv_404_sv_405_sv_406_clients_that_accept_reconfigure_come_when_asked";
    hold(test, Frontends::One, with_reconfigure(), reconfigure);
}

#[test]
fn sv_401_sv_402_sv_404_sv_405_sv_406_clients_that_accept_reconfigure_come_when_asked_through_kill_9() {
    let test =
        "sv_401_sv_402_sv_404_sv_405_sv_406_clients_that_accept_reconfigure_come_when_asked_through_kill_9";
    hold(test, Frontends::Pair, with_reconfigure(), reconfigure);
}
