//! A pool as numbers: slots (leasable units), slices of slots, and the way between them and addresses.
//!
//! Slot 0 is the pool's first address or prefix. A range is a slice of 2^`range_bits` slots; the last one may be
//! clipped. Knows nothing of who owns or holds anything.

use crate::lifetimes::LifetimeWish;
use crate::network::Options;
use crate::time::Lifetime;
use crate::words::{IaKind, LinkId, PoolId, Prefix, RangeId, RelationshipId};
use std::time::Duration;

/// The shape of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    first: u128,
    last_slot: u64,
    length_bits: u8,
    range_bits: u8,
}

/// A shape that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The first lies above the last.
    #[error("the first address lies above the last")]
    Reversed,
    /// More than 2^64 slots.
    #[error("a pool holds at most 2^64 addresses or prefixes")]
    TooLarge,
    /// First or last is not on a boundary of the delegated length.
    #[error("first and last must be prefixes of the delegated length")]
    Unaligned,
    /// No such length.
    #[error("a delegated length is 1 to 128 bits")]
    Length,
    /// No such range size.
    #[error("a range holds 2^0 to 2^32 addresses or prefixes")]
    RangeBits,
}

impl Geometry {
    /// The shape from the first and last leasable unit (addresses: `length_bits` 128).
    ///
    /// # Errors
    /// When the bounds are reversed, unaligned or too far apart, or a size is out of its bounds.
    pub fn new(first: u128, last: u128, length_bits: u32, range_bits: u32) -> Result<Self, GeometryError> {
        let length =
            u8::try_from(length_bits).ok().filter(|l| (1..=128).contains(l)).ok_or(GeometryError::Length)?;
        let range = u8::try_from(range_bits).ok().filter(|b| *b <= 32).ok_or(GeometryError::RangeBits)?;
        let unit_bits = 128 - u32::from(length);
        let below = (1u128 << unit_bits) - 1;
        if first & below != 0 || last & below != 0 {
            return Err(GeometryError::Unaligned);
        }
        let span = last.checked_sub(first).ok_or(GeometryError::Reversed)?;
        let last_slot = u64::try_from(span >> unit_bits).map_err(|_| GeometryError::TooLarge)?;
        Ok(Self { first, last_slot, length_bits: length, range_bits: range })
    }

    /// The range size used when none is configured: scarce pools (prefixes, fewer than 2^24 slots) in at most 256
    /// small bites, so that a crash strands little; larger ones by 2^16; vast ones by 2^32, so that addresses
    /// inside a range cannot be guessed.
    #[must_use]
    pub fn default_range_bits(kind: IaKind, last_slot: u64) -> u32 {
        let size_bits = 64 - last_slot.leading_zeros();
        match kind {
            IaKind::Pd => size_bits.saturating_sub(8).min(16),
            IaKind::Na if size_bits < 24 => size_bits.saturating_sub(8),
            IaKind::Na if size_bits < 44 => 16,
            IaKind::Na => 32,
        }
    }

    /// Whether two shapes differ at most in where they end: every slot of the shorter one is the same in the longer one.
    #[must_use]
    pub fn same_but_for_end(&self, other: &Self) -> bool {
        (self.first, self.length_bits, self.range_bits) == (other.first, other.length_bits, other.range_bits)
    }

    /// Number of the last slot; there is one slot more than this.
    #[must_use]
    pub fn last_slot(&self) -> u64 {
        self.last_slot
    }

    /// Length of what is leased, in bits.
    #[must_use]
    pub fn length_bits(&self) -> u8 {
        self.length_bits
    }

    /// log2 of the slots in a range.
    #[must_use]
    pub fn range_bits(&self) -> u8 {
        self.range_bits
    }

    /// Number of the last slice; there is one slice more than this.
    #[must_use]
    pub fn last_slice(&self) -> u64 {
        self.last_slot >> self.range_bits
    }

    /// The slot of an address or prefix, if it is one of this pool's.
    #[must_use]
    pub fn slot_of(&self, prefix: Prefix) -> Option<u64> {
        if prefix.len_bits() != self.length_bits {
            return None;
        }
        let offset = prefix.bits().checked_sub(self.first)?;
        let slot = u64::try_from(offset >> (128 - u32::from(self.length_bits))).ok()?;
        (slot <= self.last_slot).then_some(slot)
    }

    /// The address or prefix in a slot.
    ///
    /// # Panics
    /// When the slot lies past the pool's end: a bug of the caller.
    #[must_use]
    pub fn prefix_at(&self, slot: u64) -> Prefix {
        assert!(slot <= self.last_slot, "slot {slot} lies past the pool's last, {}", self.last_slot);
        let bits = self.first + (u128::from(slot) << (128 - u32::from(self.length_bits)));
        Prefix::containing(bits, u32::from(self.length_bits))
            .expect("the length was checked when the pool was made")
    }

    /// The slice in which a slot lies.
    #[must_use]
    pub fn slice_of(&self, slot: u64) -> u64 {
        slot >> self.range_bits
    }

    /// First and last slot of a slice, or nothing when there is no such slice.
    #[must_use]
    pub fn slots_of(&self, slice: u64) -> Option<(u64, u64)> {
        if slice > self.last_slice() {
            return None;
        }
        let first = slice << self.range_bits;
        let last = first + ((1u64 << self.range_bits) - 1);
        Some((first, last.min(self.last_slot)))
    }

    /// The first address of the pool.
    #[must_use]
    pub fn first_bits(&self) -> u128 {
        self.first
    }

    /// The last address of the pool (of its last prefix).
    #[must_use]
    pub fn last_bits(&self) -> u128 {
        self.prefix_at(self.last_slot).last_bits()
    }

    /// Whether two pools share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last_bits() && other.first <= self.last_bits()
    }
}

/// One generation of a pool, as configured and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// This generation's id.
    pub id: PoolId,
    /// Its name, which stays when it is cut anew.
    pub name: String,
    /// The link it serves.
    pub link: LinkId,
    /// The one relationship it belongs to (FO-102).
    pub relationship: RelationshipId,
    /// Addresses or delegated prefixes.
    pub kind: IaKind,
    /// Its shape.
    pub geometry: Geometry,
    /// Preferred lifetime wanted.
    pub preferred: Lifetime,
    /// Valid lifetime wanted (D).
    pub valid: Lifetime,
    /// Maximum client lead time (R3).
    pub mclt: Lifetime,
    /// How long a session cut off may go on (R4); `Duration::MAX` = unlimited.
    pub autonomy: Duration,
    /// How long a Reply may be held for the commit, in milliseconds; 0 = not at all (FO-903).
    pub commit_wait_ms: u32,
    /// How long a declined address is left alone (FO-509).
    pub decline_quarantine: Duration,
    /// The shortest and the longest preferred lifetime that a class may ask for.
    pub preferred_bounds: (Lifetime, Lifetime),
    /// The same of the valid lifetime.
    pub valid_bounds: (Lifetime, Lifetime),
    /// Options of clients with a lease of this pool (OP-05).
    pub options: Options,
    /// Names of the classes whose members may have leases of it; empty: all clients may.
    pub classes: Vec<String>,
    /// Where a new lease is looked for.
    pub allocator: Allocator,
    /// So long a freed lease is kept for the client that had it, while there are others.
    pub affinity: Duration,
    /// What is excluded from each delegated prefix (PD-08).
    pub exclude: Option<Exclude>,
}

/// Where a new lease is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// From a place that a keyed hash of the client gives (SV-214).
    Hashed,
    /// The first free one.
    InOrder,
}

/// The part of each delegated prefix that stays with the delegating side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclude {
    /// Its length in bits, above the delegated one.
    pub len_bits: u8,
    /// Which of the prefixes of that length it is, from 0.
    pub subnet: u64,
}

impl Exclude {
    /// The excluded part of a delegated prefix; nothing for a length that no prefix has.
    #[must_use]
    pub fn of(&self, delegated: Prefix) -> Option<Prefix> {
        let unit_bits = 128u32.checked_sub(u32::from(self.len_bits))?;
        let offset = u128::from(self.subnet).checked_shl(unit_bits).unwrap_or(0);
        Prefix::containing(delegated.bits() | offset, u32::from(self.len_bits)).ok()
    }
}

impl Pool {
    /// The lifetimes wanted for a lease: those asked for within bounds, else the defaults. Preferred and valid.
    #[must_use]
    pub fn desired(&self, wish: LifetimeWish) -> (Lifetime, Lifetime) {
        let within = |value: Option<Lifetime>, default: Lifetime, bounds: (Lifetime, Lifetime)| {
            value.map_or(default, |value| value.clamp(bounds.0, bounds.1))
        };
        let valid = within(wish.valid, self.valid, self.valid_bounds);
        (within(wish.preferred, self.preferred, self.preferred_bounds).min(valid), valid)
    }

    /// The range in which a lease of this pool lies, or nothing when it is not of this pool.
    #[must_use]
    pub fn range_of(&self, prefix: Prefix) -> Option<RangeId> {
        let slot = self.geometry.slot_of(prefix)?;
        Some(RangeId { pool: self.id, slice: self.geometry.slice_of(slot) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> u128 {
        text.parse::<std::net::Ipv6Addr>().unwrap().to_bits()
    }

    #[test]
    fn slots_and_addresses_round_trip() {
        let g = Geometry::new(bits("2001:db8::10"), bits("2001:db8::2f"), 128, 2).unwrap();
        assert_eq!((g.last_slot(), g.last_slice()), (31, 7));
        for slot in 0..=31 {
            assert_eq!(g.slot_of(g.prefix_at(slot)), Some(slot));
        }
        assert_eq!(g.slot_of(Prefix::address(bits("2001:db8::30"))), None);
        assert_eq!(g.slot_of(Prefix::address(bits("2001:db8::f"))), None);
        assert_eq!(g.slots_of(7), Some((28, 31)));
        assert_eq!(g.slots_of(8), None);
    }

    #[test]
    fn a_whole_slash_64_counts_without_overflow() {
        let g = Geometry::new(bits("2001:db8::"), bits("2001:db8::ffff:ffff:ffff:ffff"), 128, 32).unwrap();
        assert_eq!((g.last_slot(), g.last_slice()), (u64::MAX, (1 << 32) - 1));
        assert_eq!(g.slots_of((1 << 32) - 1), Some((0xffff_ffff_0000_0000, u64::MAX)));
        assert_eq!(g.last_bits(), bits("2001:db8::ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn pd_slots_are_prefixes_of_the_delegated_length() {
        let g = Geometry::new(bits("2001:db8::"), bits("2001:db8:0:ff00::"), 56, 0).unwrap();
        assert_eq!(g.last_slot(), 255);
        assert_eq!(g.prefix_at(255).to_string(), "2001:db8:0:ff00::/56");
        assert_eq!(g.last_bits(), bits("2001:db8:0:ffff:ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn fo_211_a_pool_of_one_address_is_one_range() {
        let g = Geometry::new(5, 5, 128, Geometry::default_range_bits(IaKind::Na, 0)).unwrap();
        assert_eq!((g.last_slot(), g.last_slice(), g.range_bits()), (0, 0, 0));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert_eq!(Geometry::new(6, 5, 128, 0), Err(GeometryError::Reversed));
        assert_eq!(Geometry::new(1, 5, 120, 0), Err(GeometryError::Unaligned));
        assert_eq!(Geometry::new(0, u128::MAX, 128, 0), Err(GeometryError::TooLarge));
        assert_eq!(Geometry::new(0, 0, 0, 0), Err(GeometryError::Length));
        assert_eq!(Geometry::new(0, 0, 128, 33), Err(GeometryError::RangeBits));
    }
}
