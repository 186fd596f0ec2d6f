//! Rules of pools: bounds of lifetimes, order, and what may overlap.

use super::Item;
use crate::lifetimes::LifetimeWish;
use crate::network::{Network, fill_defaults};
use crate::pool::{Allocator, Pool};
use crate::time::Lifetime;
use crate::v1;

pub(super) fn octets(text: &str) -> Vec<u8> {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()
}

fn on_link(text: &str) -> v1::Prefix {
    let (address, length) = text.split_once('/').unwrap();
    v1::Prefix { address: octets(address), length_bits: length.parse().unwrap() }
}

/// One link with an address pool and a pool of /56.
pub(super) fn wire() -> v1::Network {
    let pool = |name: &str, kind: v1::IaKind, first: &str, last: &str, length_bits| v1::Pool {
        name: name.into(),
        link: "lan".into(),
        kind: kind.into(),
        first: octets(first),
        last: octets(last),
        length_bits,
        ..v1::Pool::default()
    };
    v1::Network {
        links: vec![v1::Link {
            name: "lan".into(),
            prefixes: vec![on_link("2001:db8:1::/64")],
            ..v1::Link::default()
        }],
        pools: vec![
            pool("a", v1::IaKind::Na, "2001:db8:1::1", "2001:db8:1::ffff:ffff:ffff", 128),
            pool("p", v1::IaKind::Pd, "2001:db8:8000::", "2001:db8:8000:ff00::", 56),
        ],
        relationships: vec![v1::Relationship {
            name: "r".into(),
            server_duid: vec![0, 2, 0, 0, 0, 1, 1],
            primary: "fe-a".into(),
            pools: vec!["a".into(), "p".into()],
            ..v1::Relationship::default()
        }],
        ..v1::Network::default()
    }
}

fn checked(change: impl FnOnce(&mut v1::Network)) -> Result<Network, Vec<(Item, &'static str)>> {
    let mut wire = wire();
    change(&mut wire);
    fill_defaults(&mut wire);
    Network::from_wire(&wire).map_err(|errors| errors.iter().map(|e| (e.item, e.field)).collect())
}

/// The errors of what somebody wants to have in force; what is in force passes all the same.
fn refused_when_new(change: impl FnOnce(&mut v1::Network)) -> Vec<(Item, &'static str)> {
    let mut wire = wire();
    change(&mut wire);
    fill_defaults(&mut wire);
    assert_eq!(Network::from_wire(&wire).map(|_| ()), Ok(()), "what is in force stays");
    let errors = Network::accept(&wire).err().unwrap_or_default();
    errors.iter().map(|e| (e.item, e.field)).collect()
}

fn pool(change: impl FnOnce(&mut v1::Pool)) -> Result<Pool, Vec<(Item, &'static str)>> {
    checked(|wire| change(&mut wire.pools[0])).map(|network| network.pools[0].clone())
}

fn secs(secs: u32) -> Lifetime {
    Lifetime::from_wire(secs)
}

#[test]
fn defaults_outside_their_bounds_are_refused() {
    let with = |preferred, valid, bounds: v1::Lifetimes| {
        pool(|pool| {
            pool.preferred_lifetime_secs = preferred;
            pool.valid_lifetime_secs = valid;
            pool.lifetimes = Some(bounds);
        })
        .map(|_| ())
    };
    let bounds = v1::Lifetimes {
        preferred_min_secs: 100,
        preferred_max_secs: 200,
        valid_min_secs: 300,
        valid_max_secs: 400,
        ..v1::Lifetimes::default()
    };
    assert_eq!(with(100, 400, bounds), Ok(()));
    assert_eq!(with(99, 400, bounds), Err(vec![(Item::Pool(0), "preferred_lifetime")]));
    assert_eq!(with(201, 400, bounds), Err(vec![(Item::Pool(0), "preferred_lifetime")]));
    assert_eq!(with(150, 299, bounds), Err(vec![(Item::Pool(0), "valid_lifetime")]));
    assert_eq!(with(150, 401, bounds), Err(vec![(Item::Pool(0), "valid_lifetime")]));
}

#[test]
fn what_a_class_asks_for_is_kept_within_the_bounds_of_the_pool() {
    let pool = pool(|pool| {
        pool.preferred_lifetime_secs = 1000;
        pool.valid_lifetime_secs = 2000;
        pool.lifetimes = Some(v1::Lifetimes {
            preferred_min_secs: 500,
            preferred_max_secs: 1500,
            valid_max_secs: 3000,
            ..v1::Lifetimes::default()
        });
    })
    .unwrap();
    let desired = |preferred: Option<u32>, valid: Option<u32>| {
        pool.desired(LifetimeWish { preferred: preferred.map(secs), valid: valid.map(secs) })
    };
    assert_eq!(desired(None, None), (secs(1000), secs(2000)));
    assert_eq!(desired(Some(700), Some(2500)), (secs(700), secs(2500)));
    assert_eq!(
        desired(Some(10), Some(10)),
        (secs(500), secs(2000)),
        "no lower bound: the default is the lowest"
    );
    assert_eq!(desired(Some(9000), Some(9000)), (secs(1500), secs(3000)));
    assert_eq!(
        desired(Some(u32::MAX), Some(u32::MAX)),
        (secs(1500), secs(3000)),
        "infinity is above any bound"
    );
}

#[test]
fn a_pool_without_bounds_gives_its_defaults_whatever_a_class_asks_for() {
    let pool = pool(|_| {}).unwrap();
    let wish = LifetimeWish { preferred: Some(secs(1)), valid: Some(secs(u32::MAX)) };
    assert_eq!(pool.desired(wish), (pool.preferred, pool.valid));
}

#[test]
fn the_default_lead_of_a_large_pool_is_its_valid_lifetime_and_a_year_at_most() {
    let with = |valid: u32| {
        pool(|pool| {
            (pool.first, pool.last) = (octets("2001:db8:1::"), octets("2001:db8:1::ffff:ffff:ffff:ffff"));
            pool.valid_lifetime_secs = valid;
        })
        .map(|pool| pool.mclt)
    };
    let year = super::pools::MCLT_SECS_MAX;
    assert_eq!(with(200_000), Ok(secs(200_000)));
    assert_eq!(with(year), Ok(secs(year)));
    assert_eq!(with(400 * 86_400), Ok(secs(year)));
    assert_eq!(with(u32::MAX), Ok(secs(3600)), "for ever is given once it is acknowledged only (FO-410)");
}

#[test]
fn leases_are_given_in_order_from_ranges_with_a_map() {
    let in_order = |range_bits| {
        pool(|pool| {
            pool.allocator = v1::Allocator::InOrder.into();
            pool.range_bits = range_bits;
        })
    };
    let by_default = in_order(None).unwrap();
    assert_eq!((by_default.allocator, by_default.geometry.range_bits()), (Allocator::InOrder, 16));
    assert_eq!(in_order(Some(17)).unwrap_err(), [(Item::Pool(0), "range_size")]);
    assert_eq!(pool(|_| {}).unwrap().geometry.range_bits(), 32, "a hashed one has larger ones");
}

#[test]
fn pd_11_an_on_link_prefix_lies_in_no_delegated_one_but_where_it_is_excluded() {
    let with = |prefix: &str, exclude: Option<(u32, u64)>| {
        let result = checked(|wire| {
            wire.links[0].prefixes.push(on_link(prefix));
            wire.pools[1].exclude =
                exclude.map(|(length_bits, subnet)| v1::PrefixExclude { length_bits, subnet });
        });
        result.map(|_| ())
    };
    let clash = Err(vec![(Item::Pool(1), "prefixes")]);
    assert_eq!(with("2001:db8:8000:4ff::/64", None), clash);
    assert_eq!(with("2001:db8:8000:4ff::/64", Some((64, 0xff))), Ok(()));
    assert_eq!(with("2001:db8:8000:4ff:8000::/65", Some((64, 0xff))), Ok(()), "a part of it");
    assert_eq!(with("2001:db8:8000:4fe::/64", Some((64, 0xff))), clash, "beside it");
    assert_eq!(with("2001:db8:8000:4fe::/63", Some((64, 0xff))), clash, "more than it");
    assert_eq!(with("2001:db8:8000:400::/56", Some((64, 0xff))), clash);
    assert_eq!(with("2001:db8::/32", Some((64, 0xff))), clash);
    assert_eq!(with("2001:db8:8001::/64", None), Ok(()));
}

#[test]
fn pd_08_what_is_excluded_lies_in_the_delegated_prefix_and_is_longer() {
    let with = |length_bits, subnet| {
        checked(|wire| wire.pools[1].exclude = Some(v1::PrefixExclude { length_bits, subnet })).map(|_| ())
    };
    assert_eq!(with(64, 255), Ok(()));
    assert_eq!(with(64, 256), Err(vec![(Item::Pool(1), "exclude_subnet")]));
    assert_eq!(with(56, 0), Err(vec![(Item::Pool(1), "exclude_length")]));
    assert_eq!(with(129, 0), Err(vec![(Item::Pool(1), "exclude_length")]));
    // Nor is such a length counted with where an on-link prefix lies in the pool.
    let errors = checked(|wire| {
        wire.links[0].prefixes.push(on_link("2001:db8:8000:4ff::/64"));
        wire.pools[1].exclude = Some(v1::PrefixExclude { length_bits: 136, subnet: 0 });
    });
    assert!(errors.map(|_| ()).is_err_and(|errors| errors.contains(&(Item::Pool(1), "exclude_length"))));
}

fn option(code: u32) -> v1::DhcpOption {
    v1::DhcpOption { code, data: vec![1], forced: true }
}

#[test]
fn counts_are_bounded_so_that_a_check_is_short_on_every_node() {
    let with_options = |count| {
        let options = Some(v1::DhcpOptions { options: vec![option(60_000); count], ..Default::default() });
        checked(|wire| wire.options = options).map(|_| ())
    };
    assert_eq!(with_options(super::options::PLACE_MAX), Ok(()));
    assert_eq!(with_options(super::options::PLACE_MAX + 1), Err(vec![(Item::Global, "options")]));
    let class = |n: usize| v1::Class {
        name: format!("c{n}"),
        tests: vec![v1::ClientTest {
            field: v1::ClientField::Duid.into(),
            values: vec![vec![0, 3, 0, 1, 9]],
        }],
        ..Default::default()
    };
    let with_classes = |count| checked(|wire| wire.classes = (0..count).map(class).collect()).map(|_| ());
    assert_eq!(with_classes(super::clients::CLASSES_MAX), Ok(()));
    let too_many = Err(vec![(Item::Class(super::clients::CLASSES_MAX), "name")]);
    assert_eq!(with_classes(super::clients::CLASSES_MAX + 1), too_many);
    // Whatever is wrong beyond a bound is not looked at.
    let with_tests = |count| {
        let test = v1::ClientTest { field: v1::ClientField::Duid.into(), values: vec![vec![0, 3, 0, 1, 9]] };
        checked(|wire| wire.classes = vec![v1::Class { tests: vec![test; count], ..class(0) }]).map(|_| ())
    };
    assert_eq!(with_tests(1000), Err(vec![(Item::Class(0), "name")]));
    let link = v1::Link { name: "lan".into(), ..v1::Link::default() };
    let links = checked(|wire| wire.links = vec![link; super::LINKS_MAX + 1]).unwrap_err();
    assert_eq!(links, [(Item::Link(super::LINKS_MAX), "name")]);
    let pools = checked(|wire| wire.pools = vec![v1::Pool::default(); super::POOLS_MAX + 1]).unwrap_err();
    assert_eq!(pools, [(Item::Pool(super::POOLS_MAX), "name")]);
}

#[test]
fn a_configuration_that_no_frontend_could_be_sent_is_refused() {
    let with = |len| {
        let class = v1::Class {
            name: "c".into(),
            tests: vec![v1::ClientTest {
                field: v1::ClientField::UserClass.into(),
                values: vec![vec![1; 1000]; len / 1003],
            }],
            ..Default::default()
        };
        checked(|wire| wire.classes = vec![class]).map(|_| ())
    };
    assert_eq!(with(super::OCTETS_MAX - 10_000), Ok(()));
    assert_eq!(with(super::OCTETS_MAX + 1003), Err(vec![(Item::Global, "network")]));
}

#[test]
fn sv_176_relays_supply_nothing_that_the_protocol_itself_uses() {
    let with = |codes: &[u32]| checked(|wire| wire.relay_supplied = codes.to_vec()).map(|_| ());
    assert_eq!(with(&[65, 23, 60_000]), Ok(()));
    for code in [1, 3, 13, 25, 66] {
        assert_eq!(with(&[65, code]), Err(vec![(Item::Global, "relay_supplied")]), "{code}");
    }
    assert_eq!(with(&[70_000]), Err(vec![(Item::Global, "relay_supplied")]));
    let codes = |wire: fn(&mut v1::Network)| checked(wire).unwrap().relay_supplied;
    assert_eq!(codes(|_| {}), [65]);
    assert_eq!(codes(|wire| wire.relay_supplied = vec![65, 23, 65]), [23, 65]);
    assert_eq!(codes(|wire| wire.no_relay_supplied = true), [0; 0]);
    let both = refused_when_new(|wire| (wire.no_relay_supplied, wire.relay_supplied) = (true, vec![65]));
    assert_eq!(both, [(Item::Global, "relay_supplied")]);
}

#[test]
fn sv_157_a_class_tests_for_values_that_a_client_or_relay_can_send() {
    use v1::ClientField as Field;
    let with = |field: Field, len| {
        let tests = vec![v1::ClientTest { field: field.into(), values: vec![vec![1; len]] }];
        let class = v1::Class { name: "c".into(), tests, ..Default::default() };
        checked(|wire| wire.classes = vec![class]).is_ok()
    };
    let lengths = [
        (Field::Duid, 3, 130),
        (Field::VendorClass, 4, 65_000),
        (Field::UserClass, 0, 65_000),
        (Field::Architecture, 2, 2),
        (Field::LinkLayer, 2, 65_000),
        (Field::Relay, 16, 16),
        (Field::RelayId, 3, 130),
        (Field::InterfaceId, 0, 65_000),
        (Field::RemoteId, 4, 65_000),
        (Field::SubscriberId, 0, 65_000),
    ];
    for (field, least, most) in lengths {
        assert!(with(field, least) && with(field, most), "{field:?}");
        assert!(least == 0 || !with(field, least - 1), "{field:?}");
        assert!(!with(field, most + 1) || most == 65_000, "{field:?}");
        assert!(!with(field, 65_536), "{field:?}");
    }
}

#[test]
fn sv_153_no_two_links_have_the_same_selector_in_what_is_newly_written() {
    let selector = |interface_id: &[u8], relay_id: &[u8]| v1::LinkSelector {
        interface_id: interface_id.to_vec(),
        relay_id: relay_id.to_vec(),
        ..v1::LinkSelector::default()
    };
    let with = |first: Vec<v1::LinkSelector>, second: Vec<v1::LinkSelector>| {
        refused_when_new(|wire| {
            wire.links[0].selectors = first;
            wire.links.push(v1::Link { name: "b".into(), selectors: second, ..v1::Link::default() });
        })
    };
    let (one, other, both) = (selector(b"a", b""), selector(b"", b"aaa"), selector(b"a", b"aaa"));
    assert_eq!(with(vec![one.clone()], vec![one.clone()]), [(Item::Link(1), "select")]);
    assert_eq!(
        with(vec![one.clone(), other.clone()], vec![both.clone(), other.clone()]),
        [(Item::Link(1), "select")]
    );
    assert_eq!(with(vec![one.clone(), one.clone()], vec![other.clone()]), [], "twice on one link");
    assert_eq!(
        with(vec![both], vec![one, other]),
        [],
        "the first that fits is chosen, the others still can be"
    );
}

#[test]
fn no_pool_and_no_link_has_addresses_that_are_no_clients_own_in_what_is_newly_written() {
    let link = |text: &str| {
        refused_when_new(|wire| {
            wire.links.push(v1::Link {
                name: "b".into(),
                prefixes: vec![on_link(text)],
                ..v1::Link::default()
            });
        })
    };
    for text in
        ["fe80::/10", "fe80::/64", "febf:ffff::/32", "fe00::/8", "ff00::/8", "ff02::/16", "::/127", "::1/128"]
    {
        assert_eq!(link(text), [(Item::Link(1), "prefixes")], "{text}");
    }
    for text in ["2001:db8:2::/64", "fc00::/7", "fec0::/10", "::2/127", "64:ff9b::/96"] {
        assert_eq!(link(text), [], "{text}");
    }
    let delegated = |first: &str, last: &str| {
        refused_when_new(|wire| (wire.pools[1].first, wire.pools[1].last) = (octets(first), octets(last)))
    };
    assert_eq!(delegated("ff00::", "ff00:0:0:ff00::"), [(Item::Pool(1), "prefixes")]);
    assert_eq!(delegated("fe7f:ffff:ffff:ff00::", "fe80::"), [(Item::Pool(1), "prefixes")]);
    assert_eq!(delegated("::", "0:0:0:ff00::"), [(Item::Pool(1), "prefixes")]);
    assert_eq!(delegated("fe7f:ffff:ffff:ff00::", "fe7f:ffff:ffff:ff00::"), []);
    let addresses = refused_when_new(|wire| {
        wire.links[0].prefixes.push(on_link("fe80::/64"));
        (wire.pools[0].first, wire.pools[0].last) = (octets("fe80::1"), octets("fe80::ffff"));
    });
    assert_eq!(addresses, [(Item::Link(0), "prefixes"), (Item::Pool(0), "addresses")]);
}
