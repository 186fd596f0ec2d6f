//! What a client's script was told: the client's own account of its leases.
//!
//! Owns: the line format that the hook scripts write (`at=UPTIME|NAME=VALUE|…`, one line an event) and its reading.
//! Refuses to know: files and processes. In: text. Out: [`ClientEvent`]s.
//! The two clients differ: `dhclient` runs its script once for each address and once for each prefix, with names
//! like `new_ip6_address`, and writes DUIDs as `0:2:0:9b`; `dhcpcd` runs it once for all, with names like
//! `new_dhcp6_ia_na1_ia_addr1`, and writes DUIDs as `0002009b`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// The shell lines of a hook script that append one event to `$events`.
pub(super) const RECORD: &str = "read up idle < /proc/uptime\n\
    line=$(env | grep -E '^(reason|new_|old_)' | tr '\\n' '|')\n\
    printf 'at=%s|%s\\n' \"$up\" \"$line\" >> \"$events\"\n";

/// An IPv6 prefix; an address is one of length 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The first address.
    pub address: Ipv6Addr,
    /// Length in bits, at most 128.
    pub length: u8,
}

impl Prefix {
    /// A single address.
    pub fn host(address: Ipv6Addr) -> Self {
        Self { address, length: 128 }
    }

    /// Whether `other` lies within this prefix.
    pub fn contains(self, other: Self) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
        other.length >= self.length && self.address.to_bits() & mask == other.address.to_bits() & mask
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, length) = text.split_once('/').context("a prefix needs a length")?;
        let prefix = Self {
            address: address.parse().with_context(|| format!("{address:?} is no address"))?,
            length: length.parse().with_context(|| format!("{length:?} is no length"))?,
        };
        ensure!(prefix.length <= 128, "{length} is longer than 128 bits");
        Ok(prefix)
    }
}

/// Why the client ran its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A new lease, by Request.
    Bound,
    /// Extended, by Renew.
    Renewed,
    /// Extended, by Rebind.
    Rebound,
    /// Given back.
    Released,
    /// Run out.
    Expired,
    /// Anything else, in the client's words.
    Other(String),
}

impl From<&str> for Reason {
    fn from(word: &str) -> Self {
        match word {
            "BOUND6" => Self::Bound,
            "RENEW6" => Self::Renewed,
            "REBIND6" => Self::Rebound,
            "RELEASE6" => Self::Released,
            "EXPIRE6" => Self::Expired,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// One run of the client's script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    /// Time since boot, to 10 ms.
    pub at: Duration,
    /// Why.
    pub reason: Reason,
    /// The address that this is about, the former one where there is no new one.
    pub address: Option<Ipv6Addr>,
    /// The delegated prefix that this is about, likewise.
    pub prefix: Option<Prefix>,
    /// The valid lifetime of the new lease, seconds; of the address where there are both.
    pub valid_secs: Option<u32>,
    /// The preferred lifetime of the new lease, seconds; of the address where there are both.
    pub preferred_secs: Option<u32>,
    /// The server's DUID; empty where none was told.
    pub server_id: Vec<u8>,
    /// DNS servers of the new lease (the client must ask for them).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Search list of the new lease, its names without the last dot (`dhclient` writes it, `dhcpcd` does not).
    pub dns_search: Vec<String>,
}

/// Reads all complete lines of an event file.
pub(super) fn parse_events(text: &str) -> Result<Vec<ClientEvent>> {
    // A last line without its end is still being written.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(|line| parse_event(line).with_context(|| format!("in the event {line:?}"))).collect()
}

/// Reads `/proc/uptime`'s first number, seconds with two decimals.
pub(super) fn parse_uptime(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("{text:?} is no number"))?;
    Duration::try_from_secs_f64(seconds).context("a time since boot is not negative")
}

fn parse_event(line: &str) -> Result<ClientEvent> {
    let values: BTreeMap<&str, &str> = line.split('|').filter_map(|field| field.split_once('=')).collect();
    let find = |names: &[&str]| names.iter().find_map(|name| values.get(name).copied());
    let seconds = |names: &[&str]| find(names).map(str::parse::<u32>).transpose();

    let address = find(&[
        "new_ip6_address",
        "new_dhcp6_ia_na1_ia_addr1",
        "old_ip6_address",
        "old_dhcp6_ia_na1_ia_addr1",
    ]);
    let mut prefix = find(&["new_ip6_prefix", "old_ip6_prefix"]).map(str::parse).transpose()?;
    for age in ["new", "old"] {
        let first = values.get(format!("{age}_dhcp6_ia_pd1_prefix1").as_str());
        let length = values.get(format!("{age}_dhcp6_ia_pd1_prefix1_length").as_str());
        if let (None, Some(first), Some(length)) = (prefix, first, length) {
            prefix = Some(format!("{first}/{length}").parse()?);
        }
    }
    let dns = find(&["new_dhcp6_name_servers"]).unwrap_or_default();
    let search = find(&["new_dhcp6_domain_search"]).unwrap_or_default();
    Ok(ClientEvent {
        at: parse_uptime(find(&["at"]).context("no time")?)?,
        reason: find(&["reason"]).context("no reason")?.into(),
        address: address.map(str::parse).transpose().with_context(|| format!("{address:?} is no address"))?,
        prefix,
        valid_secs: seconds(&[
            "new_max_life",
            "new_dhcp6_ia_na1_ia_addr1_vltime",
            "new_dhcp6_ia_pd1_prefix1_vltime",
        ])?,
        preferred_secs: seconds(&[
            "new_preferred_life",
            "new_dhcp6_ia_na1_ia_addr1_pltime",
            "new_dhcp6_ia_pd1_prefix1_pltime",
        ])?,
        server_id: parse_duid(find(&["new_dhcp6_server_id", "old_dhcp6_server_id"]).unwrap_or_default())?,
        dns_servers: dns.split_whitespace().map(str::parse).collect::<Result<_, _>>()?,
        dns_search: search.split_whitespace().map(|name| name.trim_end_matches('.').to_owned()).collect(),
    })
}

/// Reads a DUID in either client's notation.
fn parse_duid(text: &str) -> Result<Vec<u8>> {
    let octet = |digits: &str| u8::from_str_radix(digits, 16).with_context(|| format!("{text:?} is no DUID"));
    if text.contains(':') {
        return text.split(':').map(octet).collect();
    }
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        bail!("{text:?} is no DUID");
    }
    (0..text.len()).step_by(2).map(|start| octet(&text[start..start + 2])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dhclient_tells_of_one_lease_at_a_time() {
        let text = "at=12.50|new_dhcp6_server_id=0:2:0:0:9:bf|reason=BOUND6|new_ip6_address=2001:db8:1::7|\
            new_max_life=40|new_preferred_life=20|new_dhcp6_name_servers=2001:db8::53 2001:db8::54|\
            new_dhcp6_domain_search=a.example. b.example.|\n\
            at=12.51|reason=RELEASE6|old_ip6_prefix=2001:db8:100::/56|\nat=13";
        let events = parse_events(text).unwrap();
        assert_eq!(events.len(), 2, "the line without an end is left for later");
        assert_eq!(events[0].at, Duration::from_millis(12_500));
        assert_eq!(events[0].reason, Reason::Bound);
        assert_eq!(events[0].address, Some("2001:db8:1::7".parse().unwrap()));
        assert_eq!((events[0].valid_secs, events[0].preferred_secs), (Some(40), Some(20)));
        assert_eq!(events[0].server_id, [0, 2, 0, 0, 9, 0xbf]);
        assert_eq!(events[0].dns_servers.len(), 2);
        assert_eq!(events[0].dns_search, ["a.example", "b.example"]);
        assert_eq!(events[1].reason, Reason::Released);
        assert_eq!(events[1].prefix, Some("2001:db8:100::/56".parse().unwrap()));
    }

    #[test]
    fn dhcpcd_tells_of_all_leases_at_once() {
        let text = "at=1.00|reason=RENEW6|new_dhcp6_ia_na1_ia_addr1=2001:db8:1::1001|\
            new_dhcp6_ia_na1_ia_addr1_vltime=40|new_dhcp6_ia_pd1_prefix1=2001:db8:100:100::|\
            new_dhcp6_ia_pd1_prefix1_length=56|new_dhcp6_server_id=0002000009bf|\n";
        let events = parse_events(text).unwrap();
        assert_eq!(events[0].reason, Reason::Renewed);
        assert_eq!(events[0].address, Some("2001:db8:1::1001".parse().unwrap()));
        assert_eq!(events[0].prefix, Some("2001:db8:100:100::/56".parse().unwrap()));
        assert_eq!(events[0].valid_secs, Some(40));
        assert_eq!(events[0].server_id, [0, 2, 0, 0, 9, 0xbf]);
    }

    #[test]
    fn prefixes_contain_what_lies_within_them() {
        let pool: Prefix = "2001:db8:100::/40".parse().unwrap();
        assert!(pool.contains("2001:db8:1ff::/56".parse().unwrap()));
        assert!(!pool.contains("2001:db8:200::/56".parse().unwrap()));
        assert!(!pool.contains("2001:db8::/32".parse().unwrap()));
        assert!("::/0".parse::<Prefix>().unwrap().contains(pool));
        assert!("2001:db8::/129".parse::<Prefix>().is_err());
    }
}
