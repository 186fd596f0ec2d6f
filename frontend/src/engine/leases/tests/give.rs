//! R1, R2, R3, R5: what may be given and extended.

use super::*;
use smallvec::SmallVec;

const T1: u64 = HOUR / 2;

#[test]
fn r1_a_new_lease_only_from_a_range_granted_to_this_session() {
    let mut b = Bench::ready();
    for client in 0..16 {
        let given = b.create(client).unwrap();
        assert!((address(0)..=address(15)).contains(&given.prefix), "{}", given.prefix);
    }
    assert_eq!(b.create(16), Err(NoLease::NotNow));
    let key = binding(17, IaKind::Na);
    let outside =
        b.leases.create(b.now(), IaRef::of(&key), &Wanted { hint: Some(address(16)), ..Wanted::of(&[POOL]) });
    assert_eq!(outside, Err(NoLease::NotNow));
}

#[test]
fn r1_every_one_gets_another_address() {
    let mut b = Bench::ready();
    let given: std::collections::BTreeSet<Prefix> = (0..16).map(|c| b.create(c).unwrap().prefix).collect();
    assert_eq!(given.len(), 16);
}

#[test]
fn fo_402_403_first_lease_is_mclt_and_the_next_after_the_acknowledgement_full() {
    let mut b = Bench::ready();
    let first = b.create(1).unwrap();
    assert_eq!(first.valid, Lifetime::from_wire(3600));
    b.drain();
    b.ms += T1;
    // Not acknowledged yet: no more than MCLT again.
    assert_eq!(b.extend(1, first.prefix).unwrap().valid, Lifetime::from_wire(3600));
    b.drain();
    b.answer_all();
    let full = b.extend(1, first.prefix).unwrap();
    assert_eq!(full.valid, Lifetime::from_wire(2 * DAY_SECS));
    assert!(full.preferred <= full.valid);
}

#[test]
fn fo_402_what_was_promised_never_ends_after_the_acknowledged_and_mclt() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    for step in 0..40u64 {
        let acked_before = b.known(1, prefix).acked_until;
        if let Some(given) = b.extend(1, prefix) {
            // True cluster time is at most the bound used.
            let end = b.cluster().as_millis() + u64::from(given.valid.to_wire()) * 1000;
            let bound = acked_before.as_millis().max(b.cluster().as_millis()) + HOUR;
            assert!(end <= bound, "step {step}");
        }
        b.drain();
        if step % 3 == 0 {
            b.answer_all();
        }
        b.ms += (step * 7919) % (5 * T1);
    }
}

#[test]
fn fo_406_only_the_outcome_of_the_update_that_asked_moves_acked_until() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let sent = b.drain();
    assert_eq!(b.known(1, prefix).acked_until, ClusterTime::ZERO);
    b.answer(&[]);
    assert_eq!(b.known(1, prefix).acked_until, sent[0].updates[0].ack_until);
}

#[test]
fn fo_409_cut_off_from_the_store_lifetimes_shrink_toward_mclt() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    b.disconnect();
    let mut last = u32::MAX;
    // Acknowledged: 30 min and two days; autonomy: 24 h.
    for _ in 0..46 {
        b.ms += T1;
        let valid = b.extend(1, prefix).unwrap().valid.to_wire();
        assert!(valid <= last);
        last = valid;
    }
    assert!(last < 2 * DAY_SECS && last > 3600);
}

#[test]
fn fo_410_infinity_only_after_infinity_was_acknowledged() {
    let mut b = Bench::ready();
    let eternal = network_with(|wire| {
        wire.version = 2;
        wire.pools[0].valid_lifetime_secs = u32::MAX;
        wire.pools[0].preferred_lifetime_secs = u32::MAX;
    });
    b.entry(vec![StoreEvent::Network(eternal)]);
    let first = b.create(1).unwrap();
    assert_eq!(first.valid, Lifetime::from_wire(3600));
    b.settle();
    let second = b.extend(1, first.prefix).unwrap();
    assert_eq!((second.valid, second.preferred), (Lifetime::INFINITE, Lifetime::INFINITE));
}

#[test]
fn fo_411_sv_303_an_offer_shows_what_the_request_gets_and_records_nothing() {
    let mut b = Bench::ready();
    let key = binding(1, IaKind::Na);
    let before = b.leases.status(b.now());
    let offer = b.leases.offer(b.now(), IaRef::of(&key), &Wanted::of(&[POOL])).unwrap();
    assert_eq!(b.leases.status(b.now()), before);
    assert!(!b.leases.knows_client(LINK, key.duid.as_bytes()));
    assert_eq!(
        b.leases.create(
            b.now(),
            IaRef::of(&key),
            &Wanted { hint: Some(offer.prefix), ..Wanted::of(&[POOL]) }
        ),
        Ok(offer)
    );
    b.settle();
    // Held already: what an extension would give.
    let again = b
        .leases
        .offer(b.now(), IaRef::of(&key), &Wanted { hint: Some(offer.prefix), ..Wanted::of(&[POOL]) })
        .unwrap();
    assert_eq!((again.prefix, again.valid), (offer.prefix, Lifetime::from_wire(2 * DAY_SECS)));
}

#[test]
fn r5_a_lease_of_the_partner_is_extended_for_its_client_only() {
    let mut b = Bench::ready();
    let acked = b.cluster().after_lifetime(Lifetime::from_wire(DAY_SECS));
    let record = b.record(address(200), 9, LeaseState::Active, acked);
    b.lease(&record);
    assert_eq!(b.extend(8, address(200)), None);
    let given = b.extend(9, address(200)).unwrap();
    // A day is acknowledged (less a rounded-up millisecond of drift), an hour comes on top.
    assert!((DAY_SECS + 3599..=DAY_SECS + 3600).contains(&given.valid.to_wire()));
    let batch = b.drain().remove(0);
    assert_eq!(
        (batch.updates[0].prefix, batch.updates[0].binding.clone()),
        (address(200), binding(9, IaKind::Na))
    );
}

#[test]
fn r2_a_released_address_goes_to_another_only_when_read_as_free() {
    let mut b = Bench::ready();
    let given: Vec<Prefix> = (0..16).map(|c| b.create(c).unwrap().prefix).collect();
    b.settle();
    assert!(b.release(3, given[3]));
    assert_eq!(b.extend(3, given[3]), None);
    b.settle();
    for state in [LeaseState::Released, LeaseState::Expired, LeaseState::Abandoned, LeaseState::Reset] {
        let record = b.record(given[3], 3, state, ClusterTime::ZERO);
        b.lease(&record);
        assert_eq!(b.create(99), Err(NoLease::NotNow), "{state:?}");
        assert_eq!(b.extend(3, given[3]), None, "{state:?}");
    }
    let record = b.record(given[3], 3, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&record);
    assert_eq!(b.create(99).unwrap().prefix, given[3]);
}

#[test]
fn r2_a_new_holding_begins_with_nothing_acknowledged() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.settle();
    assert!(b.known(1, prefix).acked_until > b.cluster());
    let network = network_with(|wire| {
        wire.version = 2;
        wire.pools[0].affinity_secs = Some(0);
    });
    b.entry(vec![StoreEvent::Network(network)]);
    let free = b.record(prefix, 1, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&free);
    let key = binding(2, IaKind::Na);
    let given = b
        .leases
        .create(b.now(), IaRef::of(&key), &Wanted { hint: Some(prefix), ..Wanted::of(&[POOL]) })
        .unwrap();
    assert_eq!((given.prefix, given.valid), (prefix, Lifetime::from_wire(3600)));
    assert_eq!(b.known(2, prefix).acked_until, ClusterTime::ZERO);
}

#[test]
fn a_client_gets_its_last_address_again() {
    let mut b = Bench::ready();
    let free = b.record(address(11), 1, LeaseState::Free, ClusterTime::ZERO);
    b.lease(&free);
    assert_eq!(b.create(1).unwrap().prefix, address(11));
}

#[test]
fn fo_509_a_declined_address_is_left_alone_and_its_promise_told_first() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    let key = binding(1, IaKind::Na);
    assert!(b.leases.decline(b.now(), IaRef::of(&key), prefix));
    assert_eq!(b.state(prefix), Some(LeaseState::Abandoned));
    let kinds: Vec<_> = b.drain().iter().flat_map(|batch| batch.updates.clone()).map(|u| u.kind).collect();
    use leasehold_proto::lease::UpdateKind::{Decline, Promise};
    assert_eq!(kinds, [Promise, Decline]);
}

#[test]
fn r9_what_a_binding_does_not_use_is_released() {
    let mut b = Bench::ready();
    let mine = b.create(1).unwrap().prefix;
    let other = b.record(address(200), 1, LeaseState::Active, ClusterTime::ZERO);
    b.lease(&other);
    let key = binding(1, IaKind::Na);
    let mut known = SmallVec::new();
    b.leases.leases_of(IaRef::of(&key), &mut known);
    assert_eq!(known.len(), 2);
    b.leases.release_unused(b.now(), IaRef::of(&key), &[address(200)]);
    assert_eq!(
        (b.state(mine), b.state(address(200))),
        (Some(LeaseState::Released), Some(LeaseState::Active))
    );
}

#[test]
fn sec_02_a_client_holds_a_bounded_number_of_leases() {
    let mut b = Bench::ready();
    let give = |b: &mut Bench, iaid| {
        let key = BindingKey { iaid: Iaid(iaid), ..binding(1, IaKind::Na) };
        b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[POOL]))
    };
    for iaid in 0..8 {
        assert!(give(&mut b, iaid).is_ok());
    }
    assert_eq!(give(&mut b, 8), Err(NoLease::TooMany));
}

#[test]
fn sec_02_leases_that_have_ended_count_apart_and_to_a_wider_bound() {
    let mut b = Bench::ready();
    for slice in 1..6 {
        b.grant(POOL, slice, true);
    }
    // Freeing is held back: a client releases and asks again.
    let (mut cycles, mut last) = (0, None);
    while let Ok(given) = b.create(1) {
        last = Some(given.prefix);
        assert!(b.release(1, given.prefix));
        cycles += 1;
        assert!(cycles <= 64, "ended leases are bounded too");
    }
    assert_eq!((cycles, b.create(1)), (64, Err(NoLease::TooMany)));
    assert!(b.create(2).is_ok());
    // What is freed counts no more, in whatever order the states came.
    let last = last.unwrap();
    for state in [LeaseState::Expired, LeaseState::Active, LeaseState::Released, LeaseState::Free] {
        let record = b.record(last, 1, state, ClusterTime::ZERO);
        b.settle();
        b.lease(&record);
    }
    assert!(b.create(1).is_ok());
}

#[test]
fn fo_101_a_pool_of_another_relationship_is_none() {
    let mut b = Bench::ready();
    let key = binding(1, IaKind::Na);
    assert_eq!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[FOREIGN])), Err(NoLease::NoPool));
    assert_eq!(b.leases.create(b.now(), IaRef::of(&key), &Wanted::of(&[PREFIXES])), Err(NoLease::NoPool));
    assert!(b.leases.pool_of(Prefix::address(bits("2001:db8:0:2::1"))).is_none());
}

#[test]
fn sv_210_what_remains_of_a_lease_that_is_not_extended() {
    let mut b = Bench::ready();
    let prefix = b.create(1).unwrap().prefix;
    b.ms += 600_000;
    let key = binding(1, IaKind::Na);
    let left = b.leases.remaining(b.now(), IaRef::of(&key), prefix).unwrap();
    // 1000 ppm of ten minutes and the rounding make it a second or two shorter.
    assert!((2997..=3000).contains(&left.valid.to_wire()), "{left:?}");
    assert!(left.preferred <= left.valid);
    b.ms += 2 * HOUR;
    assert_eq!(b.leases.remaining(b.now(), IaRef::of(&key), prefix), None);
}

#[test]
fn rare_fields_are_sent_only_when_they_changed() {
    let mut b = Bench::ready();
    let key = binding(1, IaKind::Na);
    let extra = |n| {
        Some(Arc::new(leasehold_proto::lease::LeaseExtra {
            name: Some(leasehold_proto::lease::NameState { fqdn: String::new(), flags: n, dns_state: 0 }),
            ..Default::default()
        }))
    };
    let prefix = b
        .leases
        .create(b.now(), IaRef::of(&key), &Wanted { extra: extra(1).as_ref(), ..Wanted::of(&[POOL]) })
        .unwrap()
        .prefix;
    assert_eq!(b.drain()[0].updates[0].extra, extra(1));
    b.leases.extend(b.now(), IaRef::of(&key), prefix, LifetimeWish::default(), extra(1)).unwrap();
    assert_eq!(b.drain()[0].updates[0].extra, None);
    b.leases.extend(b.now(), IaRef::of(&key), prefix, LifetimeWish::default(), extra(2)).unwrap();
    assert_eq!(b.drain()[0].updates[0].extra, extra(2));
}
