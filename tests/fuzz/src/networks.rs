//! The configurations that the engine is fuzzed with: one plain, the others with one thing changed each, as an operator
//! changes it while clients hold leases.
//!
//! Items have numbers, as the store gives them, so that a pool that is gone for a while is the same when it returns.

use leasehold_proto::network::{Network, fill_defaults};
use leasehold_proto::v1;
use leasehold_proto::words::{LinkId, PoolId};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// The DUID of the logical server of which `fe-a` and `fe-b` are partners.
pub(crate) const SERVER_DUID: &[u8] = &[0, 2, 0, 0, 0, 1, 1];
/// Of another one, on the same link in some configurations.
pub(crate) const OTHER_SERVER_DUID: &[u8] = &[0, 2, 0, 0, 0, 1, 2];
/// The link of the pools.
pub(crate) const LAN: LinkId = LinkId(1);
/// `2001:db8:1::1000` and 4095 more.
pub(crate) const ADDRESSES: PoolId = PoolId(1);
/// `2001:db8:8000::/56` and 255 more.
pub(crate) const PREFIXES: PoolId = PoolId(2);
/// How many configurations there are.
pub(crate) const COUNT: u8 = MANY_POOLS + 1;
/// The last one, with some 300 pools.
pub(crate) const MANY_POOLS: u8 = 24;

fn octets(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().expect("an address").octets().to_vec()
}

fn on_link(text: &str) -> v1::Prefix {
    v1::Prefix { address: octets(text), length_bits: 64 }
}

fn pool(id: u32, name: &str, kind: v1::IaKind, bounds: (&str, &str), length: u32, bits: u32) -> v1::Pool {
    v1::Pool {
        id,
        name: name.into(),
        link: "lan".into(),
        kind: kind.into(),
        first: octets(bounds.0),
        last: octets(bounds.1),
        length_bits: length,
        range_bits: Some(bits),
        preferred_lifetime_secs: 3000,
        valid_lifetime_secs: 4000,
        mclt_secs: 4000,
        ..v1::Pool::default()
    }
}

fn options(values: &[(u32, Vec<u8>)], forced: bool) -> Option<v1::DhcpOptions> {
    let options =
        values.iter().map(|(code, data)| v1::DhcpOption { code: *code, data: data.clone(), forced });
    Some(v1::DhcpOptions { options: options.collect(), ..v1::DhcpOptions::default() })
}

fn lifetimes(preferred: u32, valid: u32) -> Option<v1::Lifetimes> {
    Some(v1::Lifetimes { preferred_secs: preferred, valid_secs: valid, ..v1::Lifetimes::default() })
}

/// Members by DUID, with options and lifetimes of their own.
fn class(name: &str, client: usize) -> v1::Class {
    v1::Class {
        name: name.into(),
        tests: vec![v1::ClientTest {
            field: v1::ClientField::Duid.into(),
            values: vec![crate::message::CLIENTS[client].to_vec()],
        }],
        options: options(
            &[
                (56, [&[0, 1, 0, 16][..], &octets("2001:db8::7b")].concat()),
                (17, vec![0, 0, 1, 1, 0, 1, 0, 1, 7]),
            ],
            true,
        ),
        lifetimes: lifetimes(50, 100),
        ..v1::Class::default()
    }
}

fn plain() -> v1::Network {
    v1::Network {
        version: 1,
        links: vec![
            v1::Link {
                id: LAN.0,
                name: "lan".into(),
                prefixes: vec![on_link("2001:db8:1::"), on_link("2001:db8:11::")],
                ..v1::Link::default()
            },
            v1::Link {
                id: 2,
                name: "wan".into(),
                prefixes: vec![on_link("2001:db8:2::")],
                selectors: vec![v1::LinkSelector {
                    interface_id: b"port-7".to_vec(),
                    ..v1::LinkSelector::default()
                }],
                options: options(&[(23, octets("2001:db8::99"))], false),
                ..v1::Link::default()
            },
        ],
        pools: vec![
            pool(ADDRESSES.0, "a1", v1::IaKind::Na, ("2001:db8:1::1000", "2001:db8:1::1fff"), 128, 8),
            pool(PREFIXES.0, "p1", v1::IaKind::Pd, ("2001:db8:8000::", "2001:db8:8000:ff00::"), 56, 4),
        ],
        relationships: vec![v1::Relationship {
            id: 1,
            name: "r1".into(),
            server_duid: SERVER_DUID.to_vec(),
            primary: "fe-a".into(),
            secondary: "fe-b".into(),
            pools: vec!["a1".into(), "p1".into()],
            ..v1::Relationship::default()
        }],
        options: options(
            &[
                (23, [octets("2001:db8::53"), octets("2001:db8::54")].concat()),
                (24, b"\x12a-rather-long-name\x07example\x03com\0".repeat(12)),
                (82, vec![0, 0, 1, 0]),
            ],
            false,
        ),
        ..v1::Network::default()
    }
}

fn without_pool(n: &mut v1::Network, name: &str) {
    n.pools.retain(|pool| pool.name != name);
    for relationship in &mut n.relationships {
        relationship.pools.retain(|pool| pool != name);
    }
}

fn another_relationship(n: &mut v1::Network, primary: &str, secondary: &str) {
    n.pools.push(pool(3, "a2", v1::IaKind::Na, ("2001:db8:1::2000", "2001:db8:1::20ff"), 128, 4));
    n.relationships.push(v1::Relationship {
        id: 2,
        name: "r2".into(),
        server_duid: OTHER_SERVER_DUID.to_vec(),
        primary: primary.into(),
        secondary: secondary.into(),
        pools: vec!["a2".into()],
        ..v1::Relationship::default()
    });
}

/// A configuration as an operator writes it, its defaults left out.
pub(crate) fn written(which: u8) -> v1::Network {
    let mut n = plain();
    match which % COUNT {
        1 => without_pool(&mut n, "a1"),
        2 => without_pool(&mut n, "p1"),
        3 => {
            n.links.retain(|link| link.name != "wan");
        }
        4 => n.pools.iter_mut().for_each(|pool| pool.commit_wait_ms = 200),
        5 => n.relationships[0].buckets = v1::BucketMode::LoadBalancing.into(),
        6 => n.relationships[0].answering = v1::Answering::Any.into(),
        7 => n.pools[0].last = octets("2001:db8:1::2fff"),
        8 => n.pools[0].last = octets("2001:db8:1::11ff"),
        9 => n.relationships[0].secondary = String::new(),
        10 => another_relationship(&mut n, "fe-a", "fe-c"),
        11 => another_relationship(&mut n, "fe-c", "fe-d"),
        12 => {
            n.links[0].rapid_commit = true;
            n.pools[0].valid_lifetime_secs = u32::MAX;
            n.pools[0].preferred_lifetime_secs = u32::MAX;
        }
        13 => {
            // All of a /64, in ranges too large for a map of their slots.
            n.pools[0] = v1::Pool {
                id: 4,
                ..pool(4, "a1", v1::IaKind::Na, ("2001:db8:1::", "2001:db8:1::ffff:ffff:ffff:ffff"), 128, 32)
            };
        }
        14 => {
            n.relationships[0].primary = "fe-c".into();
            n.relationships[0].secondary = "fe-d".into();
        }
        15 => {
            // Lifetimes so short that T1 and T2 round, and no time without the store.
            n.pools[0].valid_lifetime_secs = 60;
            n.pools[0].preferred_lifetime_secs = 1;
            n.pools[0].mclt_secs = 1;
            n.pools[0].autonomy_ms = 1;
        }
        16 => {
            n.classes = vec![class("some", 0), v1::Class { drop: true, ..class("nobody", 1) }];
            n.pools[1].classes = vec!["some".into()];
        }
        17 => {
            n.classes = vec![class("some", 0)];
            n.links[0].classes = vec!["some".into()];
            n.hosts = vec![v1::Host {
                name: "one".into(),
                duid: crate::message::CLIENTS[0].to_vec(),
                options: options(&[(23, octets("2001:db8::1"))], true),
            }];
        }
        18 => {
            let one = Some(1);
            n.limits = Some(v1::Limits {
                leases_per_client: one,
                leases_per_link_layer: one,
                leases_per_interface_id: one,
                leases_per_remote_id: one,
                declines_per_client: one,
                messages_per_client: Some(5),
                messages_per_port: Some(10),
            });
        }
        19 => n.relays = vec![on_link("2001:db8:ff::")],
        // Options that nobody asks for and that hardly fit.
        20 => {
            let vendor = [&[0, 0, 1, 1, 0, 1, 1, 0xe0][..], &[7; 480]].concat();
            let names = b"\x12a-rather-long-name\x07example\x03com\0".repeat(9);
            n.options = options(&[(17, vendor), (103, vec![b'a'; 600]), (24, names)], true);
        }
        21 => {
            n.pools[0].allocator = v1::Allocator::InOrder.into();
            n.pools[0].affinity_secs = Some(0);
            n.pools[1].exclude = Some(v1::PrefixExclude { length_bits: 64, subnet: 255 });
        }
        22 => {
            n.legacy = true;
            n.relay_supplied = vec![65, 0xfff0];
            n.relationships[0].preference = 255;
            n.answer_octets = 1280;
        }
        23 => {
            n.links[0].reconfigure = true;
            n.links[0].require_reconfigure_accept = true;
            n.links[0].register_addresses = true;
        }
        MANY_POOLS => {
            // Many pools: what a client names is looked for in all of them.
            for id in 5..300u32 {
                let name = format!("small-{id}");
                let address = |offset: u32| format!("2001:db8:11::{:x}", id * 16 + offset);
                let bounds = (address(0), address(15));
                n.pools.push(pool(id, &name, v1::IaKind::Na, (&bounds.0, &bounds.1), 128, 4));
                n.relationships[0].pools.push(name);
            }
        }
        _ => {}
    }
    n
}

/// The same as frontends get it.
pub(crate) fn checked(which: u8, version: u64) -> Arc<Network> {
    let mut wire = written(which);
    wire.version = version;
    fill_defaults(&mut wire);
    Arc::new(Network::accept(&wire).expect("these configurations are sound"))
}
