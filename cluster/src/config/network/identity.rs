//! What identifies clients, relays and servers, as people write it: DUIDs, link-layer addresses, enterprise numbers with
//! an item.
//!
//! Owns these text forms, both ways. Invariant: reading what was written gives the same octets.

use leasehold_proto::options::octets_text;
use leasehold_proto::words::Duid;

use super::values::parse_hex_or_text;
use crate::config::document::Table;
use crate::config::pairs::{parse_digits, parse_pairs};

/// The hardware type of Ethernet, which need not be written.
const ETHERNET: u16 = 1;

/// Reads a DUID: pairs of hexadecimal digits, with colons or after `0x`.
pub(super) fn parse_duid(text: &str) -> Result<Vec<u8>, String> {
    text.strip_prefix("0x").unwrap_or(text).parse::<Duid>().map(|duid| duid.as_bytes().to_vec())
}

/// Writes octets as pairs of digits with colons between.
pub(super) fn colons(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

/// Reads `52:54:00:12:34:56`, or `TYPE/…` for hardware that is not Ethernet: the type in 2 octets, then the address.
pub(super) fn parse_link_layer(text: &str) -> Result<Vec<u8>, String> {
    let fail = || format!("`{text}` is not a link-layer address: write 52:54:00:12:34:56, or TYPE/ADDRESS");
    let (hardware, address) = match text.split_once('/') {
        Some((hardware, address)) => (parse_digits::<u16>(hardware).ok_or_else(fail)?, address),
        None => (ETHERNET, text),
    };
    let mut octets = hardware.to_be_bytes().to_vec();
    octets.extend(parse_pairs(address).ok_or_else(fail)?);
    Ok(octets)
}

/// Writes what [`parse_link_layer`] reads.
pub(super) fn link_layer_text(octets: &[u8]) -> String {
    match octets.split_first_chunk::<2>() {
        Some((hardware, address)) if u16::from_be_bytes(*hardware) == ETHERNET => colons(address),
        Some((hardware, address)) => format!("{}/{}", u16::from_be_bytes(*hardware), colons(address)),
        None => colons(octets),
    }
}

/// Reads `ENTERPRISE:ITEM`, the item in hexadecimal after `0x` or as it is: the number in 4 octets, then the item.
pub(super) fn parse_enterprise(text: &str) -> Result<Vec<u8>, String> {
    let fail = || format!("`{text}` has no enterprise number in front: write NUMBER:TEXT or NUMBER:0x0102");
    let (number, item) = text.split_once(':').ok_or_else(fail)?;
    let mut octets = parse_digits::<u32>(number).ok_or_else(fail)?.to_be_bytes().to_vec();
    octets.extend(parse_hex_or_text(item)?);
    Ok(octets)
}

/// Writes what [`parse_enterprise`] reads.
pub(super) fn enterprise_text(octets: &[u8]) -> String {
    match octets.split_first_chunk::<4>() {
        Some((number, item)) => format!("{}:{}", u32::from_be_bytes(*number), octets_text(item)),
        None => octets_text(octets),
    }
}

/// Reads the server DUID of a relationship: `uuid`, which the store makes and which is none here, the octets of one, or a
/// table that says of what it is made. Source of the layouts: RFC 9915 §11.2 to §11.4, RFC 6355.
pub(super) fn server_duid(table: &mut Table<'_>) -> Vec<u8> {
    if !table.is_table("server_duid") {
        let parsed = table.parsed("server_duid", |text| match text {
            "uuid" => Ok(Vec::new()),
            text => parse_duid(text).map_err(|error| format!("{error}, \"uuid\", or a table")),
        });
        return parsed.map(|duid| duid.value).unwrap_or_default();
    }
    let Some(mut parts) = table.table("server_duid") else { return Vec::new() };
    let kind = parts.required("type", "write \"llt\", \"ll\", \"en\" or \"uuid\"", |text| match text {
        "llt" => Ok(1),
        "en" => Ok(2),
        "ll" => Ok(3),
        "uuid" => Ok(4),
        _ => Err(format!("`{text}` is no type of DUID: write llt, ll, en or uuid")),
    });
    let content = kind.and_then(|kind| duid_of(kind.value, &mut parts));
    parts.done();
    content.unwrap_or_default()
}

fn duid_of(kind: u16, parts: &mut Table<'_>) -> Option<Vec<u8>> {
    let mut octets = kind.to_be_bytes().to_vec();
    match kind {
        1 | 3 => {
            let address = parts
                .required("link_layer", "write the address, as 52:54:00:12:34:56", parse_link_layer)?
                .value;
            octets.extend(&address[..2]);
            if kind == 1 {
                let Some(time) = parts.number("time", 0, u32::MAX.into()) else {
                    parts.missing("time", "write the seconds from the year 2000 on, at which it was made");
                    return None;
                };
                octets.extend(u32::try_from(time.value).unwrap_or(u32::MAX).to_be_bytes());
            }
            octets.extend(&address[2..]);
        }
        2 => {
            let Some(enterprise) = parts.number("enterprise", 0, u32::MAX.into()) else {
                parts.missing("enterprise", "write the enterprise number");
                return None;
            };
            octets.extend(u32::try_from(enterprise.value).unwrap_or(u32::MAX).to_be_bytes());
            octets.extend(
                parts
                    .required("identifier", "write what the enterprise numbers it by", parse_hex_or_text)?
                    .value,
            );
        }
        _ => octets.extend(parts.required("uuid", "write the UUID", parse_uuid)?.value),
    }
    Some(octets)
}

fn parse_uuid(text: &str) -> Result<Vec<u8>, String> {
    let fail = || format!("`{text}` is not a UUID: write 8-4-4-4-12 hexadecimal digits");
    if text.split('-').map(str::len).ne([8, 4, 4, 4, 12]) {
        return Err(fail());
    }
    parse_hex_or_text(&format!("0x{}", text.replace('-', ""))).map_err(|_| fail())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_as_they_are_written() {
        for text in ["52:54:00:12:34:56", "6/00:01", "32/ff"] {
            assert_eq!(link_layer_text(&parse_link_layer(text).unwrap()), text);
        }
        assert_eq!(parse_link_layer("52:54").unwrap(), [0, 1, 0x52, 0x54]);
        assert_eq!(parse_link_layer("6/52-54").unwrap(), [0, 6, 0x52, 0x54]);
        for text in ["311:MSFT 5.0", "4491:0x00ff", "9:a:b"] {
            assert_eq!(enterprise_text(&parse_enterprise(text).unwrap()), text);
        }
        assert_eq!(parse_duid("0x000300010a"), Ok(vec![0, 3, 0, 1, 10]));
        assert_eq!(colons(&parse_duid("00:03:00:01:0a").unwrap()), "00:03:00:01:0a");
        for bad in ["", "5", "5g:00", "x/00:01", "+1:00", "70000/00", "+1/00:01", "1/+1", "/00"] {
            assert!(parse_link_layer(bad).is_err(), "{bad}");
        }
        for bad in ["", "MSFT", "x:y", "5:", "5:0xz", "+4491:x", ":x"] {
            assert!(parse_enterprise(bad).is_err(), "{bad}");
        }
        for bad in ["00:03:00:01:+a", "0x00030001+a"] {
            assert!(parse_duid(bad).is_err(), "{bad}");
        }
        assert!(parse_uuid("00000000-0000-0000-0000-00000000000g").is_err());
    }
}
