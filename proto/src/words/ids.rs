//! Identifiers and numbers that must not be confused with one another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Identity association id: the client's own number. Source: RFC 9915 §12.
    Iaid(u32)
}
number! {
    /// A configured link. Never 0 once the store has numbered it.
    LinkId(u32)
}
number! {
    /// One generation of a pool: a pool cut anew, moved or re-parented gets a new id. Never 0 once numbered.
    PoolId(u32)
}
number! {
    /// A relationship: one logical DHCP server of at most two partner frontends.
    RelationshipId(u32)
}
number! {
    /// A session's number, which only grows. The upper 16 bits are the cluster's incarnation, so that a restored
    /// cluster starts above all old sessions. 0 stands for the store itself, or for nobody.
    Epoch(u64)
}
number! {
    /// The number of one batch that a session sent to the store: starts at 1, no gaps, its content never changes.
    UpdateSeq(u64)
}
number! {
    /// A position in the Raft log.
    LogIndex(u64)
}

impl Epoch {
    /// Nobody, or the store itself.
    pub const NONE: Self = Self(0);

    /// The `counter`-th session (from 1) of an incarnation.
    ///
    /// # Panics
    /// When 2^48 sessions were opened in one incarnation, which no cluster lives to see.
    #[must_use]
    pub fn new(incarnation: u16, counter: u64) -> Self {
        assert!(counter < 1 << 48, "an incarnation has fewer than 2^48 sessions");
        Self((u64::from(incarnation) << 48) | counter)
    }

    /// The cluster's incarnation in which the session was opened.
    #[must_use]
    pub fn incarnation(self) -> u16 {
        u16::try_from(self.0 >> 48).expect("sixteen bits are left")
    }

    /// Whether this is no session at all.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl UpdateSeq {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One slice of a pool: the unit of ownership. Slices are numbered from 0 in the order of their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId {
    /// The pool generation that is sliced.
    pub pool: PoolId,
    /// Which slice, from 0.
    pub slice: u64,
}

impl fmt::Display for RangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.slice)
    }
}

/// The name of a frontend: also the name in its certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendId(std::sync::Arc<str>);

/// A name that cannot stand in a certificate or a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use 1 to 63 lower-case letters, digits, `-` and `.`, beginning with a letter or digit"
)]
pub struct InvalidName(pub String);

impl FrontendId {
    /// Takes a name.
    ///
    /// # Errors
    /// When it has other characters than lower-case letters, digits, `-` and `.`, does not begin with a letter or
    /// digit, or is not 1 to 63 long.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let first_fits = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let all_fit =
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        if first_fits && all_fit && name.len() <= 63 {
            Ok(Self(name.into()))
        } else {
            Err(InvalidName(name.to_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FrontendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_a_later_incarnation_are_above_all_old_ones() {
        assert!(Epoch::new(2, 1) > Epoch::new(1, (1 << 48) - 1));
        assert!(Epoch::new(1, 2) > Epoch::new(1, 1));
    }

    #[test]
    fn names_are_strict() {
        assert!(FrontendId::new("fe-a.example1").is_ok());
        for bad in ["", "-a", "A", "a b", "a/b", &"x".repeat(64)] {
            assert!(FrontendId::new(bad).is_err(), "{bad}");
        }
    }
}
