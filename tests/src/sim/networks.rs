//! Networks of the simulation: links, pools and relationships of each flavour.
//!
//! Owns the shapes; refuses to know time, faults and clients' behaviour. Lifetimes, MCLT and autonomy are short, so
//! that expiry, freeing, certain death and reuse happen within minutes; the rules do not know the difference. Two
//! links: clients on the servers' own, and clients behind relays.

use super::client::{Attachment, ClientPlan};
use super::plan::Flavour;
use leasehold_proto::v1;
use rand::Rng;
use rand::rngs::SmallRng;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Lifetimes and the like of one run.
pub(super) struct Spans {
    preferred_secs: u32,
    valid_secs: u32,
    pub(super) mclt_secs: u32,
    /// Nothing: unlimited.
    autonomy_secs: Option<u32>,
    prefix_autonomy_secs: u32,
    quarantine_secs: u32,
    commit_wait_ms: u32,
}

impl Spans {
    pub(super) fn draw(rng: &mut SmallRng, flavour: Flavour) -> Self {
        let finite_secs = rng.random_range(60..300);
        let valid_secs = if flavour == Flavour::Infinite { u32::MAX } else { finite_secs };
        let mclt_secs = if flavour == Flavour::Large { valid_secs } else { rng.random_range(20..=60) };
        let autonomy_secs = rng.random_range(60..300);
        Self {
            preferred_secs: rng.random_range(finite_secs / 2..=finite_secs),
            valid_secs,
            mclt_secs,
            autonomy_secs: (flavour != Flavour::Unlimited).then_some(autonomy_secs),
            prefix_autonomy_secs: rng.random_range(40..200),
            quarantine_secs: rng.random_range(30..120),
            commit_wait_ms: if flavour == Flavour::CommitWait { rng.random_range(5..500) } else { 0 },
        }
    }

    /// Long enough for everything that was promised, and for what may be promised while unheard, to be over.
    pub(super) fn settling(&self) -> Duration {
        let autonomy = self.autonomy_secs.unwrap_or(300).max(self.prefix_autonomy_secs);
        let valid_secs = if self.valid_secs == u32::MAX { 300 } else { self.valid_secs };
        Duration::from_secs(
            u64::from(autonomy + 2 * self.mclt_secs + 3 * valid_secs + self.quarantine_secs) + 60,
        )
    }
}

/// Names of a flavour's frontends.
pub(super) fn frontends(flavour: Flavour) -> Vec<&'static str> {
    let count = match flavour {
        Flavour::Three | Flavour::Alone => 3,
        Flavour::Shared | Flavour::Pairs => 4,
        Flavour::Crowd => 5,
        _ => 2,
    };
    ["fe-a", "fe-b", "fe-c", "fe-d", "fe-e"][..count].to_vec()
}

/// Names, primary and secondary (empty: none) of a flavour's relationships.
fn partners(flavour: Flavour) -> &'static [(&'static str, &'static str, &'static str)] {
    match flavour {
        Flavour::Three => &[("one", "fe-a", "fe-b"), ("two", "fe-b", "fe-c")],
        Flavour::Alone => &[("one", "fe-a", "fe-b"), ("two", "fe-c", "")],
        Flavour::Shared => &[("one", "fe-a", "fe-d"), ("two", "fe-b", "fe-d"), ("three", "fe-c", "fe-d")],
        Flavour::Pairs => &[("one", "fe-a", "fe-b"), ("two", "fe-c", "fe-d")],
        Flavour::Crowd => &[("one", "fe-a", "fe-b"), ("two", "fe-c", "fe-d"), ("three", "fe-e", "fe-a")],
        _ => &[("one", "fe-a", "fe-b")],
    }
}

/// How many IAs of a kind clients of one link want.
fn demand(clients: &[ClientPlan], direct: bool, of: impl Fn(&ClientPlan) -> u8) -> u32 {
    let fits = |c: &&ClientPlan| (c.attachment == Attachment::Direct) == direct;
    clients.iter().filter(fits).map(|c| u32::from(of(c))).sum()
}

pub(super) fn draw_network(
    rng: &mut SmallRng,
    flavour: Flavour,
    spans: &Spans,
    clients: &[ClientPlan],
) -> v1::Network {
    let mut relationships: Vec<v1::Relationship> = partners(flavour)
        .iter()
        .map(|(name, primary, secondary)| relationship(name, primary, secondary))
        .collect();
    let mut pools = Vec::new();
    for (link, direct) in [("direct", true), ("relayed", false)] {
        let wanted = |of: fn(&ClientPlan) -> u8| demand(clients, direct, of).max(1);
        let (addresses, prefixes) = (wanted(|c| c.addresses), wanted(|c| c.prefixes));
        let (addresses, prefixes) = match flavour {
            Flavour::Scarce => ((addresses * 2 / 3).clamp(2, 16), (prefixes * 2 / 3).clamp(2, 16)),
            Flavour::Single => (1, 1),
            Flavour::Crowd => (addresses + 64, prefixes + 64),
            _ => (addresses * 4 + 16, prefixes * 4 + 16),
        };
        for (place, relationship) in (0u16..).zip(&mut relationships) {
            // With two relationships of three frontends, one link has both.
            if flavour == Flavour::Three && !direct && place == 0 {
                continue;
            }
            let subnet = u16::from(!direct) + 1;
            let mut a = address_pool(link, subnet, 0x1000 + place * 0x1000, addresses, spans);
            let mut p = prefix_pool(link, (u16::from(!direct) * 8 + place + 1) * 0x400, prefixes, spans);
            a.name = format!("{}-{}", a.name, relationship.name);
            p.name = format!("{}-{}", p.name, relationship.name);
            relationship.pools.extend([a.name.clone(), p.name.clone()]);
            pools.extend([a, p]);
        }
    }
    if flavour == Flavour::Large {
        for pool in pools.iter_mut().filter(|p| p.kind == i32::from(v1::IaKind::Na)) {
            let first = u128::from_be_bytes(pool.first.as_slice().try_into().expect("written above"));
            pool.last = (first + (1 << 26) - 1).to_be_bytes().to_vec();
        }
    }
    for pool in &mut pools {
        let small = flavour != Flavour::Large || pool.kind == i32::from(v1::IaKind::Pd);
        pool.range_bits = Some(match flavour {
            Flavour::Crowd => rng.random_range(2..=4),
            _ if small => rng.random_range(0..=2),
            _ => 6,
        });
    }
    for r in &mut relationships {
        r.buckets = match flavour {
            Flavour::Balanced | Flavour::Three | Flavour::Pairs | Flavour::Crowd => {
                v1::BucketMode::LoadBalancing.into()
            }
            _ => v1::BucketMode::HotStandby.into(),
        };
        r.answering = match flavour {
            Flavour::Any => v1::Answering::Any.into(),
            _ => v1::Answering::Buckets.into(),
        };
    }
    v1::Network {
        links: vec![link("direct", 1), link("relayed", 2)],
        pools,
        relationships,
        timing: Some(v1::Timing { rho_ppm: 1000, flight_ms: 5000, send_ms: 1000 }),
        ..v1::Network::default()
    }
}

fn link(name: &str, number: u16) -> v1::Link {
    v1::Link {
        name: name.to_owned(),
        prefixes: vec![v1::Prefix {
            address: Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0).octets().to_vec(),
            length_bits: 64,
        }],
        rapid_commit: true,
        ..v1::Link::default()
    }
}

fn relationship(name: &str, primary: &str, secondary: &str) -> v1::Relationship {
    v1::Relationship {
        name: name.to_owned(),
        primary: primary.to_owned(),
        secondary: secondary.to_owned(),
        takeover_after_ms: 500,
        ..v1::Relationship::default()
    }
}

fn address_pool(link: &str, subnet: u16, host: u16, size: u32, spans: &Spans) -> v1::Pool {
    let first = Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, 0, 0, host).to_bits();
    v1::Pool {
        name: format!("addresses-{link}"),
        kind: v1::IaKind::Na.into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + u128::from(size) - 1).to_be_bytes().to_vec(),
        length_bits: 128,
        autonomy_ms: spans.autonomy_secs.map_or(u64::MAX, |secs| u64::from(secs) * 1000),
        ..common(link, spans)
    }
}

fn prefix_pool(link: &str, number: u16, size: u32, spans: &Spans) -> v1::Pool {
    let first = Ipv6Addr::new(0x2001, 0xdb9, number, 0, 0, 0, 0, 0).to_bits();
    v1::Pool {
        name: format!("prefixes-{link}"),
        kind: v1::IaKind::Pd.into(),
        first: first.to_be_bytes().to_vec(),
        last: (first + (u128::from(size - 1) << 68)).to_be_bytes().to_vec(),
        length_bits: 60,
        autonomy_ms: u64::from(spans.prefix_autonomy_secs) * 1000,
        ..common(link, spans)
    }
}

fn common(link: &str, spans: &Spans) -> v1::Pool {
    v1::Pool {
        link: link.to_owned(),
        preferred_lifetime_secs: spans.preferred_secs,
        valid_lifetime_secs: spans.valid_secs,
        mclt_secs: spans.mclt_secs,
        decline_quarantine_secs: spans.quarantine_secs,
        commit_wait_ms: spans.commit_wait_ms,
        ..v1::Pool::default()
    }
}
