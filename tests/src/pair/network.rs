//! The configuration that scenarios begin with.

use leasehold_proto::v1;
use leasehold_proto::words::{PoolId, Prefix};
use std::net::Ipv6Addr;

fn octets(text: &str) -> Vec<u8> {
    text.parse::<Ipv6Addr>().expect("scenarios write addresses well").octets().to_vec()
}

/// One link `lan`; one relationship `ab` of `fe-a` (primary) and `fe-b`; a pool `na` of `addresses` addresses from
/// 2001:db8:1::1000 on and a pool `pd` of `prefixes` /60 from 2001:db8:8000:: on (none: no such pool). Valid lifetime
/// 600 s, MCLT 60 s, autonomy 300 s.
///
/// # Panics
/// When an address cannot be written: a bug of the scenario.
#[must_use]
pub fn network(addresses: u32, prefixes: u32) -> v1::Network {
    let mut pools = Vec::new();
    let pool = |name: &str, kind: v1::IaKind, first: Vec<u8>, last: Vec<u8>, length_bits| v1::Pool {
        name: name.to_owned(),
        link: "lan".to_owned(),
        kind: kind.into(),
        first,
        last,
        length_bits,
        preferred_lifetime_secs: 300,
        valid_lifetime_secs: 600,
        mclt_secs: 60,
        autonomy_ms: 300_000,
        decline_quarantine_secs: 1000,
        ..v1::Pool::default()
    };
    let first = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x1000));
    if addresses > 0 {
        let last = (first + u128::from(addresses - 1)).to_be_bytes().to_vec();
        pools.push(pool("na", v1::IaKind::Na, first.to_be_bytes().to_vec(), last, 128));
    }
    if prefixes > 0 {
        let first = octets("2001:db8:8000::");
        let start = u128::from_be_bytes(first.clone().try_into().expect("sixteen octets"));
        let last = (start + (u128::from(prefixes - 1) << 68)).to_be_bytes().to_vec();
        pools.push(pool("pd", v1::IaKind::Pd, first, last, 60));
    }
    let names = pools.iter().map(|p| p.name.clone()).collect();
    v1::Network {
        links: vec![v1::Link {
            name: "lan".to_owned(),
            prefixes: vec![v1::Prefix { address: octets("2001:db8:1::"), length_bits: 64 }],
            ..v1::Link::default()
        }],
        pools,
        relationships: vec![v1::Relationship {
            name: "ab".to_owned(),
            primary: "fe-a".to_owned(),
            secondary: "fe-b".to_owned(),
            pools: names,
            ..v1::Relationship::default()
        }],
        ..v1::Network::default()
    }
}

/// The configured pool in which a lease lies.
#[must_use]
pub fn pool_of(machine: &leasehold_store::machine::Machine, prefix: Prefix) -> Option<PoolId> {
    let network = machine.network()?;
    network.pools.iter().find(|p| p.geometry.slot_of(prefix).is_some()).map(|p| p.id)
}
