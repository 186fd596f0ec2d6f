//! Updates, conflicts, and the rules of the store (requirements 2.8 and 2.9).

use crate::{BOTH, PATIENCE, bound, frontend, renews, secs};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::HostProof;
use leasehold_proto::v1;
use leasehold_proto::words::Prefix;
use leasehold_store::machine::{Command, ConflictKind};
use leasehold_tests::pair::{Client, Pair, network};

#[test]
fn fo_801_fo_802_the_record_says_all_that_a_partner_needs() {
    let mut pair = Pair::serving(network(16, 0), &BOTH);
    let mut client = Client::new(1);
    let address = client.obtain(&mut pair, PATIENCE).unwrap().lease().unwrap();
    pair.advance(secs(1));
    let lease = pair.lease(address).expect("committed");
    assert_eq!(lease.binding.duid.as_bytes(), client.duid());
    assert_eq!(lease.state, LeaseState::Active);
    assert!(lease.acked_until > lease.valid_until && lease.client_last_contact.as_millis() > 0);
    assert!(lease.version.0 > 0 && lease.born == lease.version);
    assert_eq!((lease.preferred.to_wire(), lease.valid.to_wire()), (60, 60));
    let numbers: Vec<u8> = LeaseState::ALL.iter().map(|s| *s as u8).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8], "RFC 8156 §5.5.1");
}

#[test]
fn fo_807_r9_two_addresses_of_one_binding_are_settled_by_the_clients_next_renewal() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    pair.cut("fe-a");
    pair.cut("fe-b");
    let mut client = Client::new(1);
    let at_a = client.obtain_at(&mut pair, Some("fe-a"), PATIENCE).unwrap().lease().unwrap();
    let mut rebooted = Client::new(1);
    let at_b = rebooted.obtain_at(&mut pair, Some("fe-b"), PATIENCE).unwrap().lease().unwrap();
    assert_ne!(at_a, at_b);
    pair.heal("fe-a");
    pair.heal("fe-b");
    pair.advance(secs(5));
    assert_eq!((pair.state(at_a), pair.state(at_b)), (Some(LeaseState::Active), Some(LeaseState::Active)));
    let kinds: Vec<_> = pair.machine.conflicts().map(|(_, c)| c.kind.clone()).collect();
    assert!(matches!(kinds[..], [ConflictKind::TwoAddresses { .. }]), "{kinds:?}");
    // It uses the later one, and says so.
    renews(&mut pair, &mut rebooted);
    pair.advance(secs(5));
    assert_eq!(pair.state(at_b), Some(LeaseState::Active));
    assert!(
        matches!(pair.state(at_a), Some(LeaseState::Released | LeaseState::Free)),
        "{:?}",
        pair.state(at_a)
    );
}

#[test]
fn fo_808_fo_810_r8_after_a_wrong_override_the_loser_is_told_with_lifetimes_zero_and_a_fresh_lease() {
    let mut pair = Pair::serving(network(1, 0), &BOTH);
    // fe-b owns the only address, is cut off, and an operator says that it is down. It is not.
    let mut seed = Client::new(9);
    seed.obtain_at(&mut pair, Some("fe-b"), PATIENCE).unwrap();
    seed.ask_at(&mut pair, Some("fe-b"), msg::RELEASE, PATIENCE).unwrap();
    pair.advance(secs(5));
    pair.cut("fe-b");
    let newest = pair.machine.newest_epoch();
    pair.command(Command::DeclareDown { frontend: frontend("fe-b"), newest });
    pair.advance(secs(90));
    let mut winner = Client::new(1);
    let address = winner.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("the range is open").lease();
    let mut loser = Client::new(2);
    let said = loser.obtain_at(&mut pair, Some("fe-b"), PATIENCE).expect("fe-b does not know").lease();
    assert_eq!(said, address, "this is what the override risks");
    pair.heal("fe-b");
    pair.advance(secs(10));
    assert_eq!(
        pair.lease(address.unwrap()).unwrap().binding.duid.as_bytes(),
        winner.duid(),
        "committed first stays"
    );
    let told = loser.ask(&mut pair, msg::RENEW, PATIENCE).expect("it is told");
    assert!(told.leases.contains(&(address.unwrap(), 0)), "{told:?}");
    renews(&mut pair, &mut winner);
}

#[test]
fn fo_905_a_frontend_paused_past_its_deadline_promises_nothing_new_when_it_wakes() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    pair.stopped("fe-a", true);
    pair.advance(secs(400));
    pair.cut("fe-a");
    pair.stopped("fe-a", false);
    let mut client = Client::new(1);
    assert_eq!(client.obtain_at(&mut pair, Some("fe-a"), secs(10)), None);
    // Back with the store it opens a new session and serves.
    pair.heal("fe-a");
    pair.advance(secs(10));
    assert!(client.obtain_at(&mut pair, Some("fe-a"), PATIENCE).is_some());
}

#[test]
fn fo_908_solicit_to_one_request_to_the_other_renew_to_the_first() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    client.ask_at(&mut pair, Some("fe-a"), msg::SOLICIT, PATIENCE).expect("an offer");
    let given =
        client.ask_at(&mut pair, Some("fe-b"), msg::REQUEST, PATIENCE).expect("a lease, of fe-b's perhaps");
    assert!(given.lease().is_some());
    pair.advance(secs(1));
    let renewed = client.ask_at(&mut pair, Some("fe-a"), msg::RENEW, PATIENCE).expect("known there too");
    assert_eq!(renewed.lease(), given.lease());
}

#[test]
fn fo_910_one_message_heard_by_both_is_answered_once() {
    for mode in [v1::BucketMode::HotStandby, v1::BucketMode::LoadBalancing] {
        let mut wire = network(128, 0);
        wire.relationships[0].buckets = mode.into();
        let mut pair = Pair::serving(wire, &BOTH);
        let mut clients = bound(&mut pair, 20);
        for client in &mut clients {
            pair.heard();
            client.send(&mut pair, msg::RENEW);
            pair.advance(secs(1));
            assert_eq!(pair.heard().len(), 1);
        }
    }
}

#[test]
fn fo_911_past_autonomy_known_leases_get_what_is_left_of_what_was_acknowledged_and_nothing_new_is_given() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    client.obtain(&mut pair, PATIENCE).unwrap();
    pair.advance(secs(20));
    renews(&mut pair, &mut client);
    pair.advance(secs(5));
    pair.store(false);
    pair.advance(secs(310));
    let said = client.ask_at(&mut pair, Some("fe-a"), msg::RENEW, PATIENCE).expect("what is left");
    assert!(said.leases[0].1 > 0 && said.leases[0].1 < 600, "{said:?}");
    assert_eq!(Client::new(2).obtain_at(&mut pair, Some("fe-a"), secs(10)), None);
    // What it said was recorded all the same: told when the store is back.
    pair.store(true);
    pair.advance(secs(10));
    assert_eq!(pair.state(client.lease().unwrap()), Some(LeaseState::Active));
}

#[test]
fn fo_912_fo_914_r6_a_proof_of_the_host_opens_the_ranges_of_a_crashed_frontend_without_a_person() {
    const HOST: HostProof = HostProof { boot_id: [5; 16], lock_id: [6; 16], holding: 1 };
    let mut pair = Pair::new(network(1, 0));
    pair.host("fe-a", HOST);
    pair.start("fe-a");
    pair.start("fe-b");
    pair.advance(secs(3));
    let mut one = Client::new(1);
    one.obtain_at(&mut pair, Some("fe-a"), PATIENCE).unwrap();
    one.ask_at(&mut pair, Some("fe-a"), msg::RELEASE, PATIENCE).unwrap();
    pair.advance(secs(5));
    pair.crash("fe-a");
    pair.host("fe-a", HostProof { holding: 2, ..HOST });
    pair.start("fe-a");
    pair.advance(secs(40));
    let mut two = Client::new(2);
    assert_eq!(two.obtain(&mut pair, secs(10)), None, "its last promises may be in force");
    pair.advance(secs(60));
    assert!(two.obtain(&mut pair, PATIENCE).is_some(), "long before its autonomy of 300 s would have ended");
}

#[test]
fn a_drained_frontend_hands_everything_back_and_no_renewal_is_lost() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut clients = bound(&mut pair, 6);
    pair.command(Command::Drain { frontend: frontend("fe-a"), on: true });
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).sent, 1);
    }
    pair.advance(secs(5));
    let owned = |pair: &Pair| {
        pair.machine.ranges().filter(|r| r.owner.as_ref().is_some_and(|o| o.1 == frontend("fe-a"))).count()
    };
    assert_eq!(owned(&pair), 0);
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-b");
    }
    pair.command(Command::Drain { frontend: frontend("fe-a"), on: false });
    pair.advance(secs(5));
    assert!(owned(&pair) > 0);
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-a");
    }
}

/// A guard against a story that tells nothing: the helper finds what it must.
#[test]
fn clients_of_scenarios_hear_only_their_own_answers() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let (mut one, mut two) = (Client::new(1), Client::new(2));
    let first = one.obtain(&mut pair, PATIENCE).unwrap().lease();
    let second: Option<Prefix> = two.obtain(&mut pair, PATIENCE).unwrap().lease();
    assert_ne!(first, second);
}
