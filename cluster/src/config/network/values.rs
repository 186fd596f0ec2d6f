//! Single values of the network file: prefixes, bounds of a pool, identifiers.
//!
//! Owns their text form, both ways. Refuses to know fields and rules. Invariant: reading what was written gives the
//! same value.

use std::net::Ipv6Addr;

use leasehold_proto::options::octets_of;
use leasehold_proto::words::Prefix;

/// The bounds of a pool as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// All of a prefix.
    Prefix(Prefix),
    /// From the first to the last address.
    Span(u128, u128),
}

impl Addresses {
    /// First and last unit of `unit_bits` bits (128: addresses). A prefix is taken whole; a span as it is written.
    pub(super) fn bounds(self, unit_bits: u32) -> (u128, u128) {
        match self {
            Self::Prefix(prefix) => {
                let host_bits = 128 - unit_bits.min(128);
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                (prefix.bits(), prefix.last_bits() & mask)
            }
            Self::Span(first, last) => (first, last),
        }
    }
}

/// Reads `2001:db8:1::/64` or `2001:db8:1::10-2001:db8:1::ff`.
pub(super) fn parse_addresses(text: &str) -> Result<Addresses, String> {
    match text.split_once('-') {
        Some((first, last)) => Ok(Addresses::Span(parse_ipv6(first.trim())?, parse_ipv6(last.trim())?)),
        None if text.contains('/') => parse_prefix(text).map(Addresses::Prefix),
        None => Err(format!("`{text}` is neither a prefix (ADDRESS/LENGTH) nor a span (FIRST-LAST)")),
    }
}

/// Writes the bounds of a pool of units of `unit_bits` bits: as a prefix where one holds exactly these.
pub(super) fn addresses_text(first: u128, last: u128, unit_bits: u32) -> String {
    let host_bits = 128 - unit_bits.min(128);
    let last_bit = last | 1u128.checked_shl(host_bits).map_or(u128::MAX, |bit| bit - 1);
    let differing = 128 - (first ^ last_bit).leading_zeros();
    match Prefix::containing(first, 128 - differing) {
        Ok(prefix) if prefix.bits() == first && prefix.last_bits() == last_bit && prefix.len_bits() < 128 => {
            prefix.to_string()
        }
        _ => format!("{}-{}", Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last)),
    }
}

/// Reads an address.
pub(super) fn parse_ipv6(text: &str) -> Result<u128, String> {
    text.parse::<Ipv6Addr>().map(Ipv6Addr::to_bits).map_err(|_| format!("`{text}` is not an IPv6 address"))
}

/// Reads `ADDRESS/LENGTH`.
pub(super) fn parse_prefix(text: &str) -> Result<Prefix, String> {
    let (address, _) =
        text.split_once('/').ok_or_else(|| format!("`{text}` has no length: write ADDRESS/LENGTH"))?;
    text.parse::<Prefix>().map_err(|error| {
        let host_bits = address.parse::<Ipv6Addr>().is_ok() && error.contains("bits set past");
        if host_bits { format!("{error}: write the prefix with these bits zero") } else { error }
    })
}

/// Reads octets, at least one: hexadecimal digits after `0x`, else the text itself.
pub(super) fn parse_hex_or_text(text: &str) -> Result<Vec<u8>, String> {
    match octets_of(text)? {
        octets if octets.is_empty() => Err("is empty: leave it out".to_owned()),
        octets => Ok(octets),
    }
}

/// Reads a prefix, or a single address.
pub(super) fn parse_prefix_or_address(text: &str) -> Result<Prefix, String> {
    if text.contains('/') { parse_prefix(text) } else { parse_ipv6(text).map(Prefix::address) }
}

#[cfg(test)]
mod tests {
    use leasehold_proto::options::octets_text;

    use super::*;

    #[test]
    fn bounds_are_prefixes_or_spans_and_survive_a_round_trip() {
        for (text, unit_bits) in [
            ("2001:db8:1::/64", 128),
            ("2001:db8:1::10-2001:db8:1::ff", 128),
            ("2001:db8:f00::/40", 56),
            ("2001:db8:f00::-2001:db8:f00:200::", 56),
            ("2001:db8::1-2001:db8::1", 128),
        ] {
            let (first, last) = parse_addresses(text).unwrap().bounds(unit_bits);
            assert_eq!(addresses_text(first, last, unit_bits), text);
        }
        assert!(parse_addresses("2001:db8::1").is_err());
        assert!(parse_addresses("2001:db8::1/64").unwrap_err().contains("these bits zero"));
    }

    #[test]
    fn identifiers_are_text_or_hexadecimal() {
        assert_eq!(parse_hex_or_text("eth0.7"), Ok(b"eth0.7".to_vec()));
        assert_eq!(parse_hex_or_text("0x00ff"), Ok(vec![0, 255]));
        for bad in ["", "0x", "0x0", "0xzz", "0x0é"] {
            assert!(parse_hex_or_text(bad).is_err(), "{bad}");
        }
        for octets in [b"port 7".to_vec(), vec![0, 1], b"0xab".to_vec()] {
            assert_eq!(parse_hex_or_text(&octets_text(&octets)), Ok(octets));
        }
    }
}
