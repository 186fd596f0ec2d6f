//! Lifetimes that classes ask for, under R3.

use super::*;

/// One address pool that gives an hour and two by default, and lets classes ask for 10 minutes to a day.
fn ready() -> Bench {
    let mut b = Bench::ready();
    let network = network_with(|wire| {
        wire.version = 2;
        let pool = &mut wire.pools[0];
        (pool.preferred_lifetime_secs, pool.valid_lifetime_secs) = (3600, 7200);
        pool.lifetimes = Some(v1::Lifetimes {
            preferred_min_secs: 600,
            preferred_max_secs: DAY_SECS,
            valid_min_secs: 600,
            valid_max_secs: DAY_SECS,
            ..v1::Lifetimes::default()
        });
    });
    b.entry(vec![StoreEvent::Network(network)]);
    b
}

fn wish(preferred: u32, valid: u32) -> LifetimeWish {
    let secs = |secs| Some(Lifetime::from_wire(secs));
    LifetimeWish { preferred: secs(preferred), valid: secs(valid) }
}

fn create(b: &mut Bench, client: u8, lifetimes: LifetimeWish) -> Given {
    let key = binding(client, IaKind::Na);
    let wanted = Wanted { lifetimes, ..Wanted::of(&[POOL]) };
    let offered = b.leases.offer(b.now(), IaRef::of(&key), &wanted).unwrap();
    let given = b.leases.create(b.now(), IaRef::of(&key), &wanted).unwrap();
    assert_eq!(offered, given, "SV-303");
    given
}

fn extend(b: &mut Bench, client: u8, prefix: Prefix, lifetimes: LifetimeWish) -> (u32, u32) {
    let key = binding(client, IaKind::Na);
    let offered = b.leases.offer_extension(b.now(), IaRef::of(&key), prefix, lifetimes).unwrap();
    let given = b.leases.extend(b.now(), IaRef::of(&key), prefix, lifetimes, None).unwrap();
    assert_eq!(offered, given, "SV-303");
    (given.preferred.to_wire(), given.valid.to_wire())
}

#[test]
fn a_class_gets_what_it_asks_for_within_bounds() {
    let mut b = ready();
    let first = create(&mut b, 1, wish(900, 1800));
    assert_eq!((first.preferred.to_wire(), first.valid.to_wire()), (900, 1800));
    let given = create(&mut b, 2, wish(1, 1));
    assert_eq!((given.preferred.to_wire(), given.valid.to_wire()), (600, 600));
    b.settle();
    // No class any more: MCLT beyond what was acknowledged, and then the pool's defaults.
    assert!(extend(&mut b, 1, first.prefix, LifetimeWish::default()).1 < 7200);
    b.settle();
    assert_eq!(extend(&mut b, 1, first.prefix, LifetimeWish::default()), (3600, 7200));
}

#[test]
fn fo_402_r3_bounds_what_a_class_asks_for_as_anything_else() {
    let mut b = ready();
    let given = create(&mut b, 1, wish(u32::MAX, u32::MAX));
    assert_eq!((given.preferred.to_wire(), given.valid.to_wire()), (3600, 3600), "MCLT first");
    assert_eq!(extend(&mut b, 1, given.prefix, wish(DAY_SECS, DAY_SECS)), (3600, 3600));
    b.settle();
    assert_eq!(extend(&mut b, 1, given.prefix, wish(u32::MAX, u32::MAX)), (DAY_SECS, DAY_SECS));
    // What was asked of the store was for the class's lifetime (FO-405).
    let acked = b.known(1, given.prefix).acked_until;
    assert!(acked >= b.cluster().after_lifetime(Lifetime::from_wire(DAY_SECS)));
}

#[test]
fn a_shorter_lifetime_than_before_does_not_shorten_what_was_promised() {
    let mut b = ready();
    let given = create(&mut b, 1, LifetimeWish::default());
    let before = b.known(1, given.prefix).valid_until;
    assert_eq!(extend(&mut b, 1, given.prefix, wish(600, 600)), (600, 600));
    assert_eq!(b.known(1, given.prefix).valid_until, before, "the client may still go by the first Reply");
}
