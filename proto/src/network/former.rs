//! Networks as format 1 had them, in the log and on disk: read, and never written.
//!
//! Owns what each former field means today, and values for fields that did not exist: these are fixed here, whatever
//! today's defaults are, since every node and every release has to make the same of an entry. Refuses to judge: what was
//! wrong then is left for the check to name.

use crate::options::encode_name;
use crate::v1;

/// Option 23, RFC 3646 §3.
const DNS_SERVERS: u32 = 23;
/// Option 24, RFC 3646 §4.
const DOMAIN_SEARCH: u32 = 24;
const ANSWER_OCTETS: u32 = 1280;
const RELAY_SUPPLIED: u32 = 65;
const AFFINITY_SECS: u32 = 86_400;

/// Brings a network of format 1 into today's form. One that has it already is left alone: it says how long answers are,
/// which format 1 did not.
pub fn from_format_1(network: &mut v1::Network) {
    if network.answer_octets != 0 {
        return;
    }
    network.answer_octets = ANSWER_OCTETS;
    network.relay_supplied = vec![RELAY_SUPPLIED];
    options(network.options.as_mut());
    for link in &mut network.links {
        options(link.options.as_mut());
        let interface_id = std::mem::take(&mut link.interface_id);
        if !interface_id.is_empty() {
            link.selectors.push(v1::LinkSelector { interface_id, ..v1::LinkSelector::default() });
        }
    }
    network.pools.iter_mut().for_each(pool_from_format_1);
}

/// The same of one pool, as its row has it. One of today's says how its leases are chosen.
pub fn pool_from_format_1(pool: &mut v1::Pool) {
    if pool.allocator == 0 {
        pool.allocator = v1::Allocator::Hashed.into();
        pool.affinity_secs = Some(AFFINITY_SECS);
    }
}

fn options(options: Option<&mut v1::DhcpOptions>) {
    let Some(options) = options else { return };
    let mut add = |code, data| options.options.push(v1::DhcpOption { code, data, forced: false });
    if !options.dns_servers.is_empty() {
        add(DNS_SERVERS, std::mem::take(&mut options.dns_servers).concat());
    }
    if !options.domain_search.is_empty() {
        let names = std::mem::take(&mut options.domain_search);
        // What is no name was refused then, and no octets are refused now.
        let octets =
            names.iter().map(|name| encode_name(name.trim_end_matches('.'))).collect::<Result<Vec<_>, _>>();
        add(DOMAIN_SEARCH, octets.unwrap_or_default().concat());
    }
}
