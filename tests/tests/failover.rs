//! RFC 7031's requirements and the rules of design section 5, one story each: a store node and frontends under one
//! clock, real machine, hub, engines and codecs. Each test is named after the requirement that it shows.

use leasehold_frontend::codec::wire::{msg, status};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::Network;
use leasehold_proto::session::HostProof;
use leasehold_proto::v1;
use leasehold_proto::words::{FrontendId, Prefix};
use leasehold_store::machine::{Command, ConflictKind, RangeStanding};
use leasehold_tests::pair::{Client, Pair, network};
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// More than the largest autonomy, MCLT, acknowledged lifetime and guard together.
const LONG: Duration = secs(3000);
const PATIENCE: Duration = secs(30);
const BOTH: [&str; 2] = ["fe-a", "fe-b"];

fn frontend(name: &str) -> FrontendId {
    FrontendId::new(name).expect("tests name frontends well")
}

/// Clients with a lease each.
fn bound(pair: &mut Pair, count: u16) -> Vec<Client> {
    (1..=count)
        .map(|number| {
            let mut client = Client::new(number);
            client.obtain(pair, PATIENCE).expect("there is room");
            client
        })
        .collect()
}

/// The client renews, is answered, and keeps what it has.
fn renews(pair: &mut Pair, client: &mut Client) -> leasehold_tests::pair::Said {
    let before = client.lease();
    let said = client.ask(pair, msg::RENEW, PATIENCE).expect("a Renew is answered");
    assert_eq!(said.lease(), before, "the client keeps its lease: {said:?}");
    said
}

// ---- 2.1, 2.2: what is to survive

#[test]
fn fo_101_fo_901_exactly_two_partners_know_a_lease_and_a_third_frontend_leaves_it_alone() {
    let mut wire = network(64, 0);
    wire.pools.push(v1::Pool { name: "more".into(), ..wire.pools[0].clone() });
    wire.pools[1].first =
        (u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 1).to_be_bytes().to_vec();
    wire.pools[1].last =
        (u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 64).to_be_bytes().to_vec();
    wire.relationships.push(v1::Relationship {
        name: "cd".into(),
        primary: "fe-c".into(),
        pools: vec!["more".into()],
        ..wire.relationships[0].clone()
    });
    wire.relationships[1].secondary = String::new();
    let mut pair = Pair::serving(wire, &["fe-a", "fe-b", "fe-c"]);
    let mut clients = bound(&mut pair, 8);
    for client in &mut clients {
        let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("its own server answers");
        let pool = pair.machine.lease(client.lease().unwrap()).unwrap().pool;
        let of_c = pair.machine.pool(pool).unwrap().name == "more";
        assert_eq!(said.by == "fe-c", of_c, "each logical server answers for its own pools only");
    }
    pair.advance(secs(1));
    for name in ["fe-a", "fe-b"] {
        let known = pair.engine(name).status(pair.now()).leases.known_leases;
        let of_ab = clients.iter().filter(|c| {
            let pool = pair.machine.lease(c.lease().unwrap()).unwrap().pool;
            pair.machine.pool(pool).unwrap().name == "na"
        });
        assert_eq!(
            known as usize,
            of_ab.count(),
            "{name} knows the leases of its relationship and no others"
        );
    }
}

#[test]
fn fo_102_a_pool_in_two_relationships_and_overlapping_pools_are_refused() {
    let mut twice = network(16, 0);
    twice.relationships.push(v1::Relationship {
        name: "other".into(),
        primary: "fe-c".into(),
        secondary: String::new(),
        ..twice.relationships[0].clone()
    });
    let errors = Network::from_wire(&twice).unwrap_err();
    assert!(errors.iter().any(|e| e.to_string().contains("two relationships")), "{errors:?}");
    let mut overlap = network(16, 0);
    overlap.pools.push(v1::Pool { name: "same".into(), ..overlap.pools[0].clone() });
    overlap.relationships.push(v1::Relationship {
        name: "other".into(),
        primary: "fe-c".into(),
        pools: vec!["same".into()],
        ..twice.relationships[0].clone()
    });
    let errors = Network::from_wire(&overlap).unwrap_err();
    assert!(errors.iter().any(|e| e.to_string().contains("overlaps pool")), "{errors:?}");
}

#[test]
fn fo_103_fo_203_a_shared_standby_keeps_its_relationships_apart() {
    let mut wire = network(16, 0);
    let first = u128::from_be_bytes(wire.pools[0].last.clone().try_into().unwrap()) + 1;
    wire.pools.push(v1::Pool {
        name: "second".into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + 15).to_be_bytes().to_vec(),
        ..wire.pools[0].clone()
    });
    wire.relationships[0].secondary = "fe-s".into();
    wire.relationships.push(v1::Relationship {
        name: "bs".into(),
        primary: "fe-b".into(),
        pools: vec!["second".into()],
        ..wire.relationships[0].clone()
    });
    let mut pair = Pair::serving(wire, &["fe-a", "fe-b", "fe-s"]);
    let mut clients = bound(&mut pair, 8);
    pair.crash("fe-a");
    pair.advance(secs(2));
    for client in &mut clients {
        let said = renews(&mut pair, client);
        let pool = pair.machine.lease(client.lease().unwrap()).unwrap().pool;
        let expected = if pair.machine.pool(pool).unwrap().name == "second" { "fe-b" } else { "fe-s" };
        assert_eq!(said.by, expected, "losing fe-a changes nothing for fe-b");
    }
}

#[test]
fn fo_104_fo_107_fo_112_one_partner_alone_carries_everything_after_the_other_is_gone() {
    for dies in BOTH {
        let mut wire = network(128, 0);
        wire.relationships[0].buckets = v1::BucketMode::LoadBalancing.into();
        let mut pair = Pair::serving(wire, &BOTH);
        let mut clients = bound(&mut pair, 24);
        pair.crash(dies);
        for client in &mut clients {
            let said = renews(&mut pair, client);
            assert_ne!(said.by, dies);
            assert_eq!(said.sent, 1, "without a retransmission: {said:?}");
        }
        let mut new = Client::new(900);
        let said = new.obtain(&mut pair, PATIENCE).expect("new clients too");
        assert_ne!(said.by, dies);
    }
}

#[test]
fn fo_105_delegated_prefixes_survive_like_addresses() {
    let mut pair = Pair::serving(network(64, 64), &BOTH);
    let mut clients: Vec<Client> = (1..=8).map(Client::of_both).collect();
    for client in &mut clients {
        client.obtain(&mut pair, PATIENCE).expect("there is room");
        assert_eq!(client.leases.len(), 2);
    }
    pair.crash("fe-a");
    for client in &mut clients {
        let before = client.leases.clone();
        let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("the partner answers");
        assert!(before.iter().all(|l| said.leases.iter().any(|s| s.0 == l.1 && s.1 > 0)), "{said:?}");
    }
}

#[test]
fn fo_108_fo_202_fo_208_a_partition_in_which_both_served_ends_in_one_agreed_state() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut old = bound(&mut pair, 4);
    // Both have room, as the store gave it: what is out of reach cannot be asked for.
    for (number, side) in [(50, "fe-a"), (51, "fe-b")] {
        Client::new(number).obtain_at(&mut pair, Some(side), PATIENCE).expect("both serve");
    }
    pair.advance(secs(3));
    pair.cut("fe-a");
    pair.cut("fe-b");
    // Each side has clients of its own meanwhile, and both sides renew.
    let (mut left, mut right) = (Client::new(100), Client::new(200));
    let l = left.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("fe-a goes on");
    let r = right.obtain_at(&mut pair, Some("fe-b"), PATIENCE).expect("fe-b goes on");
    assert_ne!(l.lease(), r.lease());
    for (n, client) in old.iter_mut().enumerate() {
        let side = BOTH[n % 2];
        let said =
            client.ask_at(&mut pair, Some(side), msg::RENEW, PATIENCE).expect("known leases are renewed");
        assert_eq!(said.by, side);
    }
    pair.heal("fe-a");
    pair.heal("fe-b");
    pair.advance(secs(5));
    for client in old.iter().chain([&left, &right]) {
        let prefix = client.lease().unwrap();
        let lease = pair.lease(prefix).expect("told after all");
        assert_eq!((lease.state, lease.binding.duid.as_bytes()), (LeaseState::Active, &client.duid()[..]));
    }
    assert_eq!(pair.machine.conflicts().count(), 0);
    for client in old.iter_mut().chain([&mut left, &mut right]) {
        renews(&mut pair, client);
    }
}

#[test]
fn fo_201_a_hot_standby_is_silent_until_the_primary_is_gone() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut clients = bound(&mut pair, 6);
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-a");
    }
    pair.crash("fe-a");
    for client in &mut clients {
        assert_eq!(renews(&mut pair, client).by, "fe-b");
    }
    assert_eq!(Client::new(77).obtain(&mut pair, PATIENCE).expect("a new one").by, "fe-b");
}

#[test]
fn fo_204_fo_213_a_standalone_frontend_serves_without_a_partner() {
    let mut wire = network(16, 0);
    wire.relationships[0].secondary = String::new();
    let mut pair = Pair::serving(wire, &["fe-a"]);
    let mut client = Client::new(1);
    client.obtain(&mut pair, PATIENCE).expect("it serves alone");
    renews(&mut pair, &mut client);
}

#[test]
fn fo_205_one_address_through_crash_return_partition_and_heal() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    let address = client.obtain(&mut pair, PATIENCE).unwrap().lease();
    for _ in 0..3 {
        pair.crash("fe-a");
        renews(&mut pair, &mut client);
        pair.start("fe-a");
        pair.advance(secs(5));
        renews(&mut pair, &mut client);
        pair.cut("fe-a");
        renews(&mut pair, &mut client);
        pair.cut("fe-b");
        renews(&mut pair, &mut client);
        pair.heal("fe-a");
        pair.heal("fe-b");
        pair.advance(secs(20));
        renews(&mut pair, &mut client);
    }
    assert_eq!(client.lease(), address);
}

#[test]
fn fo_207_r6_a_returning_frontend_serves_from_new_ranges_once_it_has_loaded() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    bound(&mut pair, 2);
    let before: Vec<_> = pair.machine.ranges().filter(|r| r.standing == RangeStanding::Granted).collect();
    pair.crash("fe-a");
    pair.start("fe-a");
    pair.advance(secs(3));
    let mut client = Client::new(50);
    let said = client.obtain(&mut pair, PATIENCE).expect("it serves");
    assert_eq!(said.by, "fe-a");
    let range = pair
        .machine
        .pool(pair.lease(said.lease().unwrap()).unwrap().pool)
        .unwrap()
        .range_of(said.lease().unwrap());
    let old: Vec<_> = before
        .iter()
        .filter(|r| r.owner.as_ref().is_some_and(|o| o.1 == frontend("fe-a")))
        .map(|r| r.range)
        .collect();
    assert!(range.is_some_and(|r| !old.contains(&r)), "not from the ranges of its old session");
}

#[test]
fn fo_209_r7_a_lease_promised_in_the_last_moment_before_a_crash_is_adopted() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    bound(&mut pair, 1);
    // The promise leaves, and its update does not.
    pair.cut("fe-a");
    let mut client = Client::new(2);
    let address = client.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("it goes on").lease().unwrap();
    assert!(pair.lease(address).is_none());
    pair.crash("fe-a");
    pair.advance(secs(2));
    let said = client.ask(&mut pair, msg::RENEW, PATIENCE).expect("the partner adopts it");
    assert_eq!((said.by.as_str(), said.lease()), ("fe-b", Some(address)));
    assert_eq!(pair.state(address), Some(LeaseState::Active));
}

#[test]
fn fo_211_of_two_clients_at_the_two_sides_of_a_partition_one_gets_the_only_address() {
    for owner in 0..2 {
        let mut pair = Pair::serving(network(1, 0), &BOTH);
        let (near, far) = (BOTH[owner], BOTH[1 - owner]);
        // The address moves to whoever has a client for it.
        let mut first = Client::new(1);
        first.obtain_at(&mut pair, Some(near), PATIENCE).expect("it is handed over");
        first.ask_at(&mut pair, Some(near), msg::RELEASE, PATIENCE).expect("released");
        pair.advance(secs(5));
        pair.cut(near);
        let (mut one, mut two) = (Client::new(2), Client::new(3));
        let got_near = one.obtain_at(&mut pair, Some(near), secs(20));
        let got_far = two.obtain_at(&mut pair, Some(far), secs(20));
        assert!(got_near.is_none() || got_far.is_none(), "{got_near:?} and {got_far:?}");
        assert!(got_near.is_some(), "the side that owns it gives it");
        let refused = two.ask_at(&mut pair, Some(far), msg::SOLICIT, secs(10)).expect("the store says: dry");
        assert_eq!(refused.statuses, [status::NO_ADDRS_AVAIL]);
    }
}

#[test]
fn fo_115_a_prefix_pool_is_used_to_the_last_prefix_by_both_partners_together() {
    let mut pair = Pair::serving(network(0, 16), &BOTH);
    let mut given = Vec::new();
    for number in 0..16 {
        let mut client = Client::of_prefix(number + 1);
        let side = BOTH[usize::from(number) % 2];
        let said = client.obtain_at(&mut pair, Some(side), PATIENCE);
        given.push(said.unwrap_or_else(|| panic!("prefix {number} at {side}")).lease().unwrap());
    }
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 16);
    let none = Client::of_prefix(99).ask(&mut pair, msg::SOLICIT, PATIENCE).expect("dry is told");
    assert_eq!(none.statuses, [status::NO_PREFIX_AVAIL]);
}

// ---- 2.4: lifetimes

#[test]
fn fo_401_fo_404_fo_405_mclt_rules_the_first_lease_and_the_next_is_a_full_one_partner_or_no_partner() {
    for partner_down in [false, true] {
        let mut pair = Pair::serving(network(64, 0), &BOTH);
        if partner_down {
            pair.crash("fe-b");
            pair.advance(secs(3));
        }
        let mut client = Client::new(1);
        let first = client.obtain(&mut pair, PATIENCE).unwrap();
        assert_eq!(first.leases[0].1, 60, "MCLT: nothing is acknowledged yet");
        pair.advance(secs(30));
        let second = renews(&mut pair, &mut client);
        assert_eq!(second.leases[0].1, 600, "the store acknowledged it, partner or no partner");
    }
}

#[test]
fn fo_407_fo_411_preferred_t1_and_t2_follow_the_granted_lifetime_in_offer_and_reply() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    let offer = client.ask(&mut pair, msg::SOLICIT, PATIENCE).unwrap();
    assert_eq!(
        (offer.leases[0].1, offer.times),
        (60, (60, 30, 48)),
        "the offer promises no more than the Reply"
    );
    let first = client.ask(&mut pair, msg::REQUEST, PATIENCE).unwrap();
    assert_eq!((first.leases[0].1, first.times), (60, (60, 30, 48)));
    pair.advance(secs(30));
    assert_eq!(renews(&mut pair, &mut client).times, (300, 150, 240));
}

#[test]
fn fo_409_fo_904_cut_off_lifetimes_shrink_to_mclt_and_service_goes_on_until_autonomy_ends() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    let mut client = Client::new(1);
    client.obtain(&mut pair, PATIENCE).unwrap();
    pair.advance(secs(30));
    renews(&mut pair, &mut client);
    pair.advance(secs(5));
    pair.store(false);
    let mut last = u32::MAX;
    for _ in 0..5 {
        pair.advance(secs(50));
        let said = client.ask_at(&mut pair, Some("fe-a"), msg::RENEW, PATIENCE).unwrap();
        assert!(said.leases[0].1 <= last, "it never grows while nothing is acknowledged");
        last = said.leases[0].1;
    }
    // New clients are served too, with MCLT.
    let mut new = Client::new(2);
    assert_eq!(new.obtain_at(&mut pair, Some("fe-a"), PATIENCE).unwrap().leases[0].1, 60);
}

#[test]
fn fo_410_infinity_is_given_once_infinity_was_acknowledged() {
    let mut wire = network(16, 0);
    wire.pools[0].valid_lifetime_secs = u32::MAX;
    wire.pools[0].preferred_lifetime_secs = u32::MAX;
    let mut pair = Pair::serving(wire, &BOTH);
    let mut client = Client::new(1);
    assert_eq!(client.obtain(&mut pair, PATIENCE).unwrap().leases[0].1, 60);
    pair.advance(secs(20));
    let said = renews(&mut pair, &mut client);
    assert_eq!((said.leases[0].1, said.times), (u32::MAX, (u32::MAX, u32::MAX, u32::MAX)));
    pair.advance(LONG);
    assert_eq!(pair.state(client.lease().unwrap()), Some(LeaseState::Active), "it never expires");
}

// ---- 2.5: when a lease may go to somebody else

#[test]
fn fo_501_fo_502_fo_503_a_released_address_goes_to_another_client_once_both_partners_have_read_so() {
    let mut pair = Pair::serving(network(1, 0), &BOTH);
    let mut one = Client::new(1);
    let address = one.obtain(&mut pair, PATIENCE).unwrap().lease().unwrap();
    pair.advance(secs(2));
    pair.stopped("fe-b", true);
    one.ask_at(&mut pair, Some("fe-a"), msg::RELEASE, PATIENCE).expect("released");
    pair.advance(secs(3));
    assert_eq!(pair.state(address), Some(LeaseState::Released), "fe-b may extend it yet");
    let mut two = Client::new(2);
    assert_eq!(two.obtain_at(&mut pair, Some("fe-a"), secs(8)), None);
    pair.stopped("fe-b", false);
    pair.until("both have read it", |p| p.state(address) == Some(LeaseState::Free));
    assert_eq!(two.obtain_at(&mut pair, Some("fe-a"), PATIENCE).unwrap().lease(), Some(address));
}

#[test]
fn fo_504_fo_505_fo_507_fo_508_what_a_silent_partner_may_have_promised_is_waited_for_and_then_opens() {
    let mut pair = Pair::serving(network(1, 0), &BOTH);
    let mut one = Client::new(1);
    let address = one.obtain_at(&mut pair, Some("fe-b"), PATIENCE).unwrap().lease().unwrap();
    pair.crash("fe-b");
    let mut two = Client::new(2);
    assert_eq!(two.obtain(&mut pair, secs(40)), None, "MCLT alone is not enough: fe-b may live, cut off");
    // Autonomy 300 s, MCLT 60 s, guard: then the range is open.
    pair.advance(LONG);
    assert_eq!(two.obtain(&mut pair, PATIENCE).unwrap().lease(), Some(address));
}

#[test]
fn fo_704_declaring_a_dead_frontend_down_opens_its_ranges_after_its_last_promises() {
    let mut pair = Pair::serving(network(1, 0), &BOTH);
    Client::new(1).obtain_at(&mut pair, Some("fe-b"), PATIENCE).unwrap();
    pair.advance(secs(100));
    pair.crash("fe-b");
    pair.command(Command::DeclareDown { frontend: frontend("fe-b") });
    pair.advance(secs(60 + 30));
    let mut two = Client::new(2);
    let early = two.obtain(&mut pair, PATIENCE).is_some();
    if !early {
        // The lease of the first client, acknowledged long before, holds its address until it ends.
        pair.advance(secs(1000));
        assert!(two.obtain(&mut pair, PATIENCE).is_some());
    }
}

#[test]
fn fo_509_a_declined_address_is_left_alone() {
    let mut pair = Pair::serving(network(16, 0), &BOTH);
    let mut one = Client::new(1);
    let address = one.obtain(&mut pair, PATIENCE).unwrap().lease().unwrap();
    pair.advance(secs(1));
    one.ask(&mut pair, msg::DECLINE, PATIENCE).expect("declined");
    pair.advance(secs(5));
    assert_eq!(pair.state(address), Some(LeaseState::Abandoned));
    for number in 2..=16 {
        let said = Client::new(number).obtain(&mut pair, PATIENCE);
        assert_ne!(said.and_then(|s| s.lease()), Some(address));
    }
    pair.advance(secs(1100));
    assert_eq!(pair.state(address), Some(LeaseState::Free), "the quarantine is over");
}

// ---- 2.6: pools

#[test]
fn fo_601_fo_602_fo_603_each_partner_gives_out_of_its_own_ranges_only() {
    let mut pair = Pair::serving(network(64, 0), &BOTH);
    for number in 1..=12 {
        let side = BOTH[usize::from(number % 2)];
        let mut client = Client::new(number);
        let given = client.obtain_at(&mut pair, Some(side), PATIENCE).unwrap().lease().unwrap();
        pair.advance(secs(1));
        let lease = pair.lease(given).expect("told");
        let range = pair.machine.pool(lease.pool).unwrap().range_of(given).unwrap();
        let owner = pair.machine.ranges().find(|r| r.range == range).and_then(|r| r.owner).unwrap();
        assert_eq!(owner.1, frontend(side));
    }
}

#[test]
fn fo_605_fo_606_a_needy_partner_gets_spare_ranges_and_leased_ones_keep_their_leases() {
    let mut pair = Pair::serving(network(16, 0), &BOTH);
    let mut clients = Vec::new();
    for number in 1..=10 {
        let mut client = Client::new(number);
        client.obtain_at(&mut pair, Some("fe-a"), PATIENCE).expect("fe-a has, or gets, what it needs");
        clients.push(client);
    }
    for number in 11..=16 {
        let mut client = Client::new(number);
        client.obtain_at(&mut pair, Some("fe-b"), PATIENCE).expect("the rest goes to fe-b");
        clients.push(client);
    }
    for client in &mut clients {
        renews(&mut pair, client);
    }
}

// ---- 2.8, 2.9

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
    pair.command(Command::DeclareDown { frontend: frontend("fe-b") });
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
    const HOST: HostProof = HostProof { boot_id: [5; 16], lock_id: [6; 16] };
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
