//! An address or a delegated prefix: what a lease is of.

use std::fmt;
use std::net::Ipv6Addr;

/// An address (length 128) or a prefix; the bits past the length are zero. Ordered by address, then by length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    bits: u128,
    len_bits: u8,
}

/// A prefix that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Longer than 128 bits.
    #[error("a prefix length is 0 to 128, not {0}")]
    Length(u32),
    /// Bits past the length are set.
    #[error("{0} has bits set past its length of {1}")]
    HostBits(Ipv6Addr, u8),
}

impl Prefix {
    /// A prefix of `len_bits` bits.
    ///
    /// # Errors
    /// When the length is over 128 or bits past it are set.
    pub fn new(bits: u128, len_bits: u32) -> Result<Self, PrefixError> {
        let short = u8::try_from(len_bits).ok().filter(|l| *l <= 128).ok_or(PrefixError::Length(len_bits))?;
        if bits & !mask(short) != 0 {
            return Err(PrefixError::HostBits(Ipv6Addr::from_bits(bits), short));
        }
        Ok(Self { bits, len_bits: short })
    }

    /// One address.
    #[must_use]
    pub fn address(bits: u128) -> Self {
        Self { bits, len_bits: 128 }
    }

    /// The prefix of that length in which an address lies: bits past the length are cleared.
    ///
    /// # Errors
    /// When the length is over 128.
    pub fn containing(bits: u128, len_bits: u32) -> Result<Self, PrefixError> {
        let short = u8::try_from(len_bits).ok().filter(|l| *l <= 128).ok_or(PrefixError::Length(len_bits))?;
        Ok(Self { bits: bits & mask(short), len_bits: short })
    }

    /// The first address, as a big-endian number.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.bits
    }

    /// The length in bits, 0 to 128.
    #[must_use]
    pub fn len_bits(self) -> u8 {
        self.len_bits
    }

    /// Whether this is a single address.
    #[must_use]
    pub fn is_address(self) -> bool {
        self.len_bits == 128
    }

    /// The last address, as a big-endian number.
    #[must_use]
    pub fn last_bits(self) -> u128 {
        self.bits | !mask(self.len_bits)
    }

    /// Whether `other` lies inside (or is the same).
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.len_bits <= other.len_bits && other.bits & mask(self.len_bits) == self.bits
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The first address in the form people read.
    #[must_use]
    pub fn ip(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits)
    }
}

/// A mask of `len_bits` leading ones.
fn mask(len_bits: u8) -> u128 {
    if len_bits == 0 { 0 } else { u128::MAX << (128 - u32::from(len_bits)) }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_address() {
            write!(f, "{}", self.ip())
        } else {
            write!(f, "{}/{}", self.ip(), self.len_bits)
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Prefix {
    type Err = String;

    /// Reads `2001:db8::/32`, or an address alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, len_bits) = match text.split_once('/') {
            Some((address, len)) => {
                // Digits only: a sign is none of a prefix's.
                let digits = len.bytes().all(|digit| digit.is_ascii_digit());
                let len_bits = len.parse::<u32>().ok().filter(|_| digits);
                (address, len_bits.ok_or_else(|| format!("`{len}` is not a prefix length"))?)
            }
            None => (text, 128),
        };
        let address: Ipv6Addr = address.parse().map_err(|_| format!("`{address}` is not an IPv6 address"))?;
        Self::new(address.to_bits(), len_bits).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_and_overlap() {
        let wide: Prefix = "2001:db8::/32".parse().unwrap();
        let narrow: Prefix = "2001:db8:1::/48".parse().unwrap();
        let other: Prefix = "2001:db9::/32".parse().unwrap();
        assert!(
            wide.contains(narrow) && !narrow.contains(wide) && wide.overlaps(narrow) && narrow.overlaps(wide)
        );
        assert!(!wide.overlaps(other));
        assert_eq!(
            narrow.last_bits(),
            "2001:db8:1:ffff:ffff:ffff:ffff:ffff".parse::<Ipv6Addr>().unwrap().to_bits()
        );
        assert!("::/0".parse::<Prefix>().unwrap().contains(other));
    }

    #[test]
    fn host_bits_are_refused() {
        assert!("2001:db8::1/64".parse::<Prefix>().is_err());
        assert!("2001:db8::/129".parse::<Prefix>().is_err());
        assert!("2001:db8::/+32".parse::<Prefix>().is_err());
        assert!("2001:db8::1".parse::<Prefix>().unwrap().is_address());
    }
}
