//! The DHCP Unique Identifier: opaque octets, compared for equality only (RFC 9915 §11, SV-106).

use std::fmt;
use std::sync::Arc;

/// A client's or server's DUID: 3 to 130 octets (a two-octet type and 1 to 128 more), never parsed.
///
/// Cloning shares the octets: one client's DUID stands in its bindings, its leases and their updates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duid(Arc<[u8]>);

/// A DUID of an impossible length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a DUID is {min} to {max} octets long, not {len}", min = Duid::LEN_MIN, max = Duid::LEN_MAX)]
pub struct DuidError {
    /// The length found, in octets.
    pub len: usize,
}

impl Duid {
    /// Shortest DUID: the type and one octet. Source: RFC 9915 §11.1.
    pub const LEN_MIN: usize = 3;
    /// Longest DUID: the type and 128 octets. Source: RFC 9915 §11.1.
    pub const LEN_MAX: usize = 130;

    /// Takes octets as they came.
    ///
    /// # Errors
    /// When the length is outside 3 to 130.
    pub fn new(octets: &[u8]) -> Result<Self, DuidError> {
        if (Self::LEN_MIN..=Self::LEN_MAX).contains(&octets.len()) {
            Ok(Self(octets.into()))
        } else {
            Err(DuidError { len: octets.len() })
        }
    }

    /// A DUID of type UUID (4) from 16 octets. Source: RFC 6355.
    #[must_use]
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        let mut octets = [0u8; 18];
        octets[1] = 4;
        octets[2..].copy_from_slice(&uuid);
        Self(Arc::from(octets.as_slice()))
    }

    /// The octets, as they stand in options 1 and 2.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Duid {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, octet) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duid({self})")
    }
}

impl std::str::FromStr for Duid {
    type Err = String;

    /// Reads hexadecimal octets, with or without colons: `00:03:00:01:aa` or `00030001aa`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("`{text}` is not a DUID: write pairs of hexadecimal digits"));
        }
        let octets = (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16))
            .collect::<Result<Vec<u8>, _>>()
            .map_err(|_| format!("`{text}` is not a DUID: write pairs of hexadecimal digits"))?;
        Self::new(&octets).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sv_106_bounds_of_a_duid() {
        assert!(Duid::new(&[0; 2]).is_err());
        assert!(Duid::new(&[0; 3]).is_ok());
        assert!(Duid::new(&[0; 130]).is_ok());
        assert!(Duid::new(&[0; 131]).is_err());
    }

    #[test]
    fn text_round_trip() {
        let duid: Duid = "00:03:00:01:02:ff".parse().unwrap();
        assert_eq!(duid.to_string(), "00:03:00:01:02:ff");
        assert_eq!("0003000102ff".parse::<Duid>().unwrap(), duid);
        assert!("0".parse::<Duid>().is_err());
        assert!("zz:00:00".parse::<Duid>().is_err());
        assert!("00:00:+1".parse::<Duid>().is_err());
    }
}
