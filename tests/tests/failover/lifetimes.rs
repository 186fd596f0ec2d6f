//! What lifetimes are promised (requirements 2.4).

use crate::{BOTH, LONG, PATIENCE, renews, secs};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::lease::LeaseState;
use leasehold_tests::pair::{Client, Pair, network};

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
