//! The option catalogue: which options there are, how their values are written, and how they lie on the wire (OP-*).

use std::net::Ipv6Addr;

/// A value that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option {code}: {message}")]
pub struct OptionError {
    /// Option code.
    pub code: u32,
    /// What is wrong and what to do.
    pub message: String,
}

/// Vendor-specific Information.
const VENDOR_OPTS: u16 = 17;

/// The enterprise number that opens the data of Vendor Opts.
#[must_use]
pub fn enterprise_of(code: u16, data: &[u8]) -> Option<u32> {
    let octets = data.first_chunk::<4>().filter(|_| code == VENDOR_OPTS)?;
    Some(u32::from_be_bytes(*octets))
}

/// Whether a value may be configured for a code, and has the shape that the code demands.
///
/// # Errors
/// Why not.
pub fn check(code: u32, data: &[u8]) -> Result<(), OptionError> {
    let fail = |message: &str| Err(OptionError { code, message: message.to_owned() });
    match code {
        23 if data.is_empty() || !data.len().is_multiple_of(16) => {
            fail("is a list of addresses of 16 octets")
        }
        24 if decode_names(data).is_none() => fail("is a list of names in DNS wire form"),
        1..=65535 => Ok(()),
        _ => fail("a code is from 1 to 65535"),
    }
}

/// Addresses one after the other.
#[must_use]
pub fn encode_addresses(addresses: &[Ipv6Addr]) -> Vec<u8> {
    addresses.iter().flat_map(|address| address.octets()).collect()
}

/// Names out of uncompressed DNS wire form; nothing when it is none.
#[must_use]
pub fn decode_names(mut data: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !data.is_empty() {
        let mut labels: Vec<String> = Vec::new();
        loop {
            let (&len, rest) = data.split_first()?;
            if len == 0 {
                data = rest;
                break;
            }
            let (label, rest) = rest.split_at_checked(usize::from(len))?;
            labels.push(String::from_utf8(label.to_vec()).ok()?);
            data = rest;
        }
        names.push(labels.join("."));
    }
    Some(names)
}

/// A name in uncompressed DNS wire form (RFC 9915 §10).
///
/// # Errors
/// When it is no domain name: says why.
pub fn encode_name(name: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        let fits = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match u8::try_from(label.len()) {
            Ok(len) if (1..=63).contains(&len) && fits => {
                out.push(len);
                out.extend(label.bytes());
            }
            _ => {
                return Err(format!(
                    "`{name}` is not a domain name: labels are 1 to 63 letters, digits, `-` or `_`"
                ));
            }
        }
    }
    out.push(0);
    if out.len() > 255 { Err(format!("`{name}` is longer than 255 octets")) } else { Ok(out) }
}

/// Whether clients may ask for a code by their Option Request option (SV-203). Codes that IANA has not told to be
/// otherwise may be.
#[must_use]
pub fn is_requestable(code: u16) -> bool {
    !matches!(code, 0..=9 | 11..=16 | 18..=20 | 25 | 26 | 37 | 38 | 44..=48 | 53 | 61 | 66 | 79..=81 | 87..=93 | 97..=102 | 112 | 135 | 138..=140)
}
