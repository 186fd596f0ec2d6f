//! When a lease may go to somebody else, and out of which pool (requirements 2.5 and 2.6).

use crate::{BOTH, LONG, PATIENCE, frontend, renews, secs};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::lease::LeaseState;
use leasehold_store::machine::Command;
use leasehold_tests::pair::{Client, Pair, network};

#[test]
fn fo_501_fo_502_fo_503_fo_604_a_released_address_goes_to_another_client_once_both_partners_have_read_so() {
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
fn fo_504_fo_505_fo_506_fo_507_fo_508_what_a_silent_partner_may_have_promised_is_waited_for_and_then_opens() {
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
    let newest = pair.machine.newest_epoch();
    pair.command(Command::DeclareDown { frontend: frontend("fe-b"), newest });
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
