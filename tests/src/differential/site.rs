//! What both servers are configured with: one description, written out for each.
//!
//! Owns links, pools, lifetimes and options, and both configuration files. Refuses to know processes.
//!
//! Kea 2.2 forces these choices:
//! - A subnet is chosen by interface or by interface-id, never by either: the link `port` has the interface-id, and the
//!   direct link `lan` has none.
//! - Kea knows of every free lease, a frontend only of those in its own ranges; so each pool is granted to the one
//!   frontend in one range. Pools are so large that our choice, which is not foreseeable, hardly ever falls on a lease
//!   that a script names.
//! - Lifetimes are below the MCLT: Kea has none, so the first lease is a full one here too.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::netns::Prefix;

/// Preferred lifetime of all leases, seconds.
pub const PREFERRED_SECS: u32 = 1800;
/// Valid lifetime of all leases, seconds.
pub const VALID_SECS: u32 = 3600;

/// Leases in each pool that does not hold just one.
const RANGE_SIZE: u32 = 1 << 20;

/// A link.
pub struct Link {
    /// Its name, the same for both.
    pub name: &'static str,
    /// Its one prefix.
    pub prefix: &'static str,
    /// Whether Rapid Commit is served.
    pub rapid_commit: bool,
    /// The clients' interface of the server, for the direct link.
    pub interface: Option<&'static str>,
    /// The Interface-Id by which relays tell it.
    pub interface_id: Option<&'static str>,
    /// DNS servers that go before the global ones.
    pub dns_servers: &'static [&'static str],
}

const PLAIN: Link =
    Link { name: "", prefix: "", rapid_commit: false, interface: None, interface_id: None, dns_servers: &[] };

/// All links.
pub const LINKS: &[Link] = &[
    Link { name: "lan", prefix: "2001:db8:1::/64", interface: Some("eth0"), ..PLAIN },
    Link {
        name: "far",
        prefix: "2001:db8:2::/64",
        rapid_commit: true,
        dns_servers: &["2001:db8:2::53", "2001:db8:2::54"],
        ..PLAIN
    },
    // Its one address and its one prefix are taken before the scripts begin.
    Link { name: "full", prefix: "2001:db8:4::/64", ..PLAIN },
    // Addresses only.
    Link { name: "port", prefix: "2001:db8:6::/64", interface_id: Some("port-6"), ..PLAIN },
];

/// A pool of [`RANGE_SIZE`] leases, or of one.
pub struct Pool {
    /// Its name.
    pub name: &'static str,
    /// The name of its link.
    pub link: &'static str,
    /// What it leases from.
    pub range: &'static str,
    /// The length of what it leases: 128 for addresses.
    pub length: u8,
}

/// All pools.
pub const POOLS: &[Pool] = &[
    Pool { name: "lan-addresses", link: "lan", range: "2001:db8:1:0:1::/108", length: 128 },
    Pool { name: "lan-56", link: "lan", range: "2001:db8:1000::/36", length: 56 },
    Pool { name: "lan-60", link: "lan", range: "2001:db8:2000::/40", length: 60 },
    Pool { name: "far-addresses", link: "far", range: "2001:db8:2:0:1::/108", length: 128 },
    Pool { name: "far-56", link: "far", range: "2001:db8:3000::/36", length: 56 },
    Pool { name: "full-address", link: "full", range: "2001:db8:4::10/128", length: 128 },
    Pool { name: "full-56", link: "full", range: "2001:db8:400::/56", length: 56 },
    Pool { name: "port-addresses", link: "port", range: "2001:db8:6:0:1::/108", length: 128 },
];

/// The name of the pool that a lease is out of, as far as its place and its length tell.
#[must_use]
pub fn pool_of(lease: Prefix) -> Option<&'static str> {
    let fits = |pool: &&Pool| {
        lease.length == pool.length && pool.range.parse::<Prefix>().is_ok_and(|range| range.contains(lease))
    };
    POOLS.iter().find(fits).map(|pool| pool.name)
}

const DNS_SERVERS: &[&str] = &["2001:db8::53"];
const DOMAIN_SEARCH: &[&str] = &["example.org", "example.net"];

/// The network file for the store.
#[must_use]
pub fn ours() -> String {
    // Writing into a String cannot fail.
    let mut text = format!("[options]\ndns_servers = {DNS_SERVERS:?}\ndomain_search = {DOMAIN_SEARCH:?}\n");
    for Link { name, prefix, rapid_commit, interface_id, dns_servers, .. } in LINKS {
        let _ = write!(text, "\n[[link]]\nname = {name:?}\nprefixes = [{prefix:?}]\n");
        let _ = writeln!(text, "rapid_commit = {rapid_commit}");
        if let Some(id) = interface_id {
            let _ = writeln!(text, "interface_id = {id:?}");
        }
        if !dns_servers.is_empty() {
            let _ = writeln!(text, "options = {{ dns_servers = {dns_servers:?} }}");
        }
    }
    for Pool { name, link, range, length } in POOLS {
        let what = match length {
            128 => format!("addresses = {range:?}"),
            _ => format!("prefixes = {range:?}\ndelegated_length = {length}"),
        };
        let range_size = if range.ends_with(&format!("/{length}")) { 1 } else { RANGE_SIZE };
        let _ = write!(
            text,
            "\n[[pool]]\nname = {name:?}\nlink = {link:?}\n{what}\nrange_size = {range_size}\nmclt = \"2h\"\n\
             preferred_lifetime = \"{PREFERRED_SECS}s\"\nvalid_lifetime = \"{VALID_SECS}s\"\n"
        );
    }
    let pools: Vec<&str> = POOLS.iter().map(|pool| pool.name).collect();
    let _ = write!(text, "\n[[relationship]]\nname = \"site\"\nprimary = \"fe-a\"\npools = {pools:?}\n");
    text
}

/// Kea's configuration file; `unicast` is the server's address for relays.
#[must_use]
pub fn kea(unicast: &str) -> Value {
    let option = |name: &str, values: &[&str]| json!({ "name": name, "data": values.join(", ") });
    let subnet = |(index, link): (usize, &Link)| {
        let own = || POOLS.iter().filter(|pool| pool.link == link.name);
        let mut subnet = json!({
            "id": index + 1,
            "subnet": link.prefix,
            "rapid-commit": link.rapid_commit,
            "pools": own().filter(|pool| pool.length == 128).map(|p| json!({ "pool": p.range })).collect::<Vec<_>>(),
            "pd-pools": own().filter(|pool| pool.length < 128).map(pd_pool).collect::<Vec<_>>(),
        });
        if let Some(interface) = link.interface {
            subnet["interface"] = interface.into();
        }
        if let Some(id) = link.interface_id {
            subnet["interface-id"] = id.into();
        }
        if !link.dns_servers.is_empty() {
            subnet["option-data"] = json!([option("dns-servers", link.dns_servers)]);
        }
        subnet
    };
    json!({ "Dhcp6": {
        "interfaces-config": { "interfaces": ["eth0", format!("eth0/{unicast}")] },
        "lease-database": { "type": "memfile", "persist": false },
        "server-id": { "type": "EN", "enterprise-id": 2495, "identifier": "6b6561", "persist": false },
        "multi-threading": { "enable-multi-threading": false },
        "calculate-tee-times": true,
        "t1-percent": 0.5,
        "t2-percent": 0.8,
        "preferred-lifetime": PREFERRED_SECS,
        "valid-lifetime": VALID_SECS,
        "option-data": [option("dns-servers", DNS_SERVERS), option("domain-search", DOMAIN_SEARCH)],
        "subnet6": LINKS.iter().enumerate().map(subnet).collect::<Vec<_>>(),
        "loggers": [{
            "name": "kea-dhcp6",
            "severity": "INFO",
            "output_options": [{ "output": "stdout" }],
        }],
    }})
}

fn pd_pool(pool: &Pool) -> Value {
    let (prefix, length) = pool.range.split_once('/').expect("a range is a prefix");
    let length: u8 = length.parse().expect("a constant that is a length");
    json!({ "prefix": prefix, "prefix-len": length, "delegated-len": pool.length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_found_in_their_pools() {
        assert_eq!(pool_of("2001:db8:1:0:1:0:f:ffff/128".parse().unwrap()), Some("lan-addresses"));
        assert_eq!(pool_of("2001:db8:1:0:1:0:10:0/128".parse().unwrap()), None);
        assert_eq!(pool_of("2001:db8:1fff:ff00::/56".parse().unwrap()), Some("lan-56"));
        assert_eq!(pool_of("2001:db8:1fff:ff00::/60".parse().unwrap()), None);
    }
}
