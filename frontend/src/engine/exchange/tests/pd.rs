//! Prefix delegation: PD-01 to PD-07, PD-12, PD-13, PD-15. What is excluded and what runs out have files of their own.

use super::lab::{PREFIXES, network, pool, prefix};
use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg, relayed};
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::lease::{LeaseState, UpdateKind};
use leasehold_proto::session::ToStore;
use leasehold_proto::v1;
use leasehold_proto::words::{PoolId, Prefix};

/// Prefixes `2001:db8:4000::/48` to `2001:db8:400f::/48`, all ours.
const SHORT: PoolId = PoolId(3);
/// Prefixes `2001:db8:6000::/60` to `2001:db8:6000:ff0::/60`, all ours.
const LONG: PoolId = PoolId(4);

/// Pools of /56, /48 and /60, in this order.
fn three_lengths() -> Lab {
    let mut wire = network();
    wire.pools.push(pool("p48", "lan", v1::IaKind::Pd, ("2001:db8:4000::", "2001:db8:400f::"), 48, 4));
    wire.pools.push(pool("p60", "lan", v1::IaKind::Pd, ("2001:db8:6000::", "2001:db8:6000:ff0::"), 60, 8));
    wire.relationships[0].pools.extend(["p48".into(), "p60".into()]);
    let mut lab = Lab::with("fe-a", wire);
    lab.grant(SHORT, 0);
    lab.grant(LONG, 0);
    lab
}

fn inside(outer: &str, inner: Prefix) -> bool {
    prefix(outer).contains(inner)
}

#[test]
fn pd_01_a_prefix_goes_by_client_and_ia_pd_and_iaid() {
    let mut lab = Lab::new();
    let first = lab.send(Msg::request().pd(1, &[])).expect("a Reply").pd().one();
    let second = lab.send(Msg::request().pd(2, &[])).expect("a Reply").pd().one();
    let other = Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID);
    let third = lab.send(other.pd(1, &[])).expect("a Reply").pd().one();
    assert!(first != second && first != third && second != third);
    // The same IAID of the other kind is another IA.
    let both = lab.send(Msg::request().na(1, &[]).pd(1, &[])).expect("a Reply");
    assert_eq!(both.pd().one(), first);
    assert!(both.na().one().is_address());
    assert_eq!(lab.send(Msg::request().pd(2, &[])).expect("a Reply").pd().one(), second);
}

#[test]
fn pd_02_what_is_sent_has_no_host_bits_and_real_lifetimes() {
    let mut lab = Lab::new();
    let reply = lab.send(Msg::request().pd(1, &[])).expect("a Reply");
    let given = reply.pd().one();
    assert_eq!((given.len_bits(), given.bits() << 56), (56, 0));
    assert_eq!(reply.pd().lifetimes_of(&given.to_string()), Some((3000, 4000)));
}

#[test]
fn pd_03_several_prefixes_of_an_ia_pd_are_kept_as_a_set() {
    let mut lab = Lab::new();
    lab.lease("2001:db8:8000:8000::/56", DUID, 1, LeaseState::Active);
    lab.lease("2001:db8:8000:8100::/56", DUID, 1, LeaseState::Active);
    let both = ["2001:db8:8000:8000::/56", "2001:db8:8000:8100::/56"];
    for message in [Msg::request().pd(1, &[]), Msg::renew().pd(1, &both), Msg::rebind().pd(1, &both)] {
        let reply = lab.send(message).expect("a Reply");
        for what in both {
            assert_eq!(reply.pd().lifetimes_of(what), Some((3000, 4000)), "{what}");
        }
        assert_eq!(reply.pd().leases.len(), 2);
    }
}

#[test]
fn pd_03_several_ia_pds_of_a_client_get_prefixes_side_by_side_up_to_its_bound() {
    let mut lab = Lab::new();
    let mut asked = Msg::request();
    for iaid in 0..9 {
        asked = asked.pd(iaid, &[]);
    }
    let reply = lab.send(asked).expect("a Reply");
    let mut given: Vec<u128> = reply.ias[..8].iter().map(|ia| ia.one().bits() >> 72).collect();
    assert_eq!(reply.ias[8].status, Some(status::NO_PREFIX_AVAIL), "the ninth is above the default");
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 8);
    // Around the end of a range of 16 at most once.
    let gaps = given.windows(2).filter(|pair| pair[1] - pair[0] != 1).count();
    assert!(gaps <= 1, "{given:x?}");
}

#[test]
fn pd_04_exactly_the_length_first_then_the_longest_that_is_shorter() {
    for (hint, length) in
        [("::/48", 48), ("::/56", 56), ("::/60", 60), ("::/64", 60), ("::/57", 56), ("::/50", 48)]
    {
        let mut lab = three_lengths();
        let offered = lab.send(Msg::solicit().pd(1, &[hint])).expect("an Advertise").pd().one();
        assert_eq!(offered.len_bits(), length, "{hint}");
        let given = lab.send(Msg::request().pd(1, &[hint])).expect("a Reply").pd().one();
        assert_eq!(given, offered, "{hint}");
    }
}

#[test]
fn pd_04_a_length_goes_before_what_the_client_had_or_has() {
    let mut lab = three_lengths();
    lab.lease("2001:db8:8000:200::/56", DUID, 1, LeaseState::Free);
    let offered = lab.send(Msg::solicit().pd(1, &[])).expect("an Advertise").pd().one();
    assert_eq!(offered, prefix("2001:db8:8000:200::/56"), "without a hint what it had last");
    let offered = lab.send(Msg::solicit().pd(1, &["::/48"])).expect("an Advertise").pd().one();
    assert_eq!(offered.len_bits(), 48);
    let offered = lab.send(Msg::solicit().pd(1, &["::/56"])).expect("an Advertise").pd().one();
    assert_eq!(offered, prefix("2001:db8:8000:200::/56"), "of that length what it had last");

    let held = lab.send(Msg::request().pd(7, &["::/56"])).expect("a Reply").pd().one();
    let offered = lab.send(Msg::solicit().pd(7, &["::/48"])).expect("an Advertise").pd().one();
    assert_eq!((held.len_bits(), offered.len_bits()), (56, 48));
    // As advertised it is asked for.
    let reply = lab.send(Msg::request().pd(7, &[&offered.to_string()])).expect("a Reply");
    assert_eq!(reply.pd().one(), offered);
    let again = lab.send(Msg::request().pd(7, &[&offered.to_string()])).expect("a Reply");
    assert_eq!(again.pd().one(), offered, "and given once");
    let other = lab.send(Msg::request().pd(7, &["::/56"])).expect("a Reply");
    assert_eq!(other.pd().one(), held);
}

#[test]
fn pd_04_what_is_not_there_in_that_length_leaves_the_client_what_it_has() {
    let mut lab = Lab::new();
    let held = lab.send(Msg::request().pd(1, &[])).expect("a Reply").pd().one();
    assert_eq!(lab.send(Msg::request().pd(1, &["::/48"])).expect("a Reply").pd().one(), held);
}

#[test]
fn pd_05_a_prefix_is_given_if_it_is_free_else_the_length_counts_else_policy() {
    let mut lab = three_lengths();
    let given = lab.send(Msg::request().pd(1, &["2001:db8:8000:700::/56"])).expect("a Reply").pd().one();
    assert_eq!(given, prefix("2001:db8:8000:700::/56"));
    // Taken: the length in the same IA counts.
    let other = Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID);
    let asked = other.clone().pd(1, &["2001:db8:8000:700::/56", "::/48"]);
    assert_eq!(lab.send(asked).expect("a Reply").pd().one().len_bits(), 48);
    // Taken, and no length: another of that pool.
    let given = lab.send(other.pd(2, &["2001:db8:8000:700::/56"])).expect("a Reply").pd().one();
    assert!(inside("2001:db8:8000::/48", given) && given != prefix("2001:db8:8000:700::/56"));
    // `::/0` is no hint: the first pool.
    let given = lab.send(Msg::request().pd(9, &["::/0"])).expect("a Reply").pd().one();
    assert_eq!(given.len_bits(), 56);
}

#[test]
fn pd_06_a_length_beside_a_current_prefix_changes_nothing() {
    let mut lab = three_lengths();
    let held = lab.send(Msg::request().pd(1, &[])).expect("a Reply").pd().one().to_string();
    lab.commit();
    for message in [Msg::renew(), Msg::rebind()] {
        let reply = lab.send(message.pd(1, &[&held, "::/48"])).expect("a Reply");
        assert_eq!(reply.pd().one().to_string(), held);
        assert_eq!(reply.pd().lifetimes_of(&held), Some((3000, 4000)));
    }
}

#[test]
fn pd_07_a_hint_is_not_remembered() {
    let mut lab = three_lengths();
    let hinted = lab.send(Msg::solicit().pd(1, &["::/60"])).expect("an Advertise").pd().one();
    let plain = lab.send(Msg::request().pd(1, &[])).expect("a Reply").pd().one();
    assert_eq!((hinted.len_bits(), plain.len_bits()), (60, 56));
}

#[test]
fn pd_12_each_ia_is_answered_on_its_own_merits() {
    let mut lab = Lab::loading("fe-a", network());
    lab.load_done();
    lab.pool_dry(super::lab::ADDRESSES);
    for slice in 0..4 {
        lab.grant(PREFIXES, slice);
    }
    for message in [Msg::solicit(), Msg::request(), Msg::renew()] {
        let answer = lab.send(message.na(1, &[]).pd(1, &[])).expect("an answer");
        assert_eq!(answer.na().status, Some(status::NO_ADDRS_AVAIL));
        assert!(inside("2001:db8:8000::/48", answer.pd().one()));
    }
    let mut lab = Lab::loading("fe-a", network());
    lab.load_done();
    lab.pool_dry(PREFIXES);
    lab.grant(super::lab::ADDRESSES, 0);
    for message in [Msg::solicit(), Msg::request(), Msg::renew()] {
        let answer = lab.send(message.na(1, &[]).pd(1, &[])).expect("an answer");
        assert_eq!(answer.pd().status, Some(status::NO_PREFIX_AVAIL));
        assert!(answer.na().one().is_address());
    }
}

/// A Request through a relay with this link-address.
fn through(lab: &mut Lab, relay: &str, client: u8) -> Prefix {
    let duid = [0, 3, 0, 1, 2, 0, 0, 0, 7, client];
    let asked = Msg::bare(msg::REQUEST).client(&duid).server(super::lab::SERVER_DUID).pd(1, &[]);
    let wrapped = relayed(relay, &[(opt::INTERFACE_ID, b"port-1")], asked);
    lab.send_relayed(&wrapped).expect("a Reply").pd().one()
}

#[test]
fn pd_13_the_reply_is_the_same_through_a_relay_and_the_way_back_is_stored() {
    let mut direct = Lab::new();
    let expected = direct.send(Msg::request().pd(1, &["2001:db8:8000:100::/56"])).expect("a Reply");
    let mut lab = Lab::new();
    let wrapped = relayed(
        "2001:db8:1::1",
        &[(opt::INTERFACE_ID, b"port-1")],
        Msg::request().pd(1, &["2001:db8:8000:100::/56"]),
    );
    let reply = lab.send_relayed(&wrapped).expect("a Reply at once");
    assert_eq!((&reply.ias, &reply.options), (&expected.ias, &expected.options));
    lab.drain();
    let stored = lab.to_store.iter().find_map(|message| match message {
        ToStore::Batch(batch) => {
            batch.updates.iter().find(|u| u.kind == UpdateKind::Promise).and_then(|u| u.extra.clone())
        }
        _ => None,
    });
    let relay = stored.and_then(|extra| extra.relay.clone()).expect("relay data");
    assert_eq!(relay.peer_address, super::lab::ip("fe80::c").to_bits());
    assert!(relay.relay_chain.windows(6).any(|octets| octets == b"port-1"));
}

#[test]
fn pd_13_prefixes_behind_one_relay_come_from_the_same_ranges() {
    let mut lab = Lab::new();
    // Ours are four ranges of 16: a /52 each.
    let ranges = |lab: &mut Lab, relay: &str, clients: std::ops::Range<u8>| {
        let mut of: Vec<u128> = clients.map(|n| through(lab, relay, n).bits() >> 76).collect();
        of.sort_unstable();
        of.dedup();
        of
    };
    let one = ranges(&mut lab, "2001:db8:1::1", 0..12);
    assert_eq!(one.len(), 1, "twelve of one relay fit into one range of sixteen");
    let mut all = one.clone();
    for n in 2..10u8 {
        all.extend(ranges(&mut lab, &format!("2001:db8:1::{n}"), 20 * n..20 * n + 4));
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() >= 3, "relays are spread over ranges: {all:x?}");
    // A full range is gone past.
    assert!(ranges(&mut lab, "2001:db8:1::1", 12..20).len() <= 3);
}

#[test]
fn pd_15_fo_602_a_freed_prefix_goes_to_another_only_when_read_as_free() {
    let mut wire = network();
    wire.pools[1].last = super::lab::ip("2001:db8:8000::").octets().to_vec();
    let mut lab = Lab::loading("fe-a", wire);
    lab.load_done();
    lab.grant(PREFIXES, 0);
    let held = lab.send(Msg::request().pd(1, &[])).expect("a Reply").pd().one().to_string();
    lab.commit();
    lab.send(Msg::to_server(msg::RELEASE).pd(1, &[&held])).expect("a Reply");
    lab.commit();
    lab.pool_dry(PREFIXES);
    let other = || Msg::bare(msg::REQUEST).client(OTHER_DUID).server(super::lab::SERVER_DUID).pd(1, &[]);
    assert_eq!(lab.send(other()).expect("a Reply").pd().status, Some(status::NO_PREFIX_AVAIL));
    lab.lease(&held, DUID, 1, LeaseState::Free);
    assert_eq!(lab.send(other()).expect("a Reply").pd().one().to_string(), held);
}
