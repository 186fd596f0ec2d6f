//! The names of the lab's namespaces and places.
//!
//! Owns: the vocabulary only. Refuses to know: how namespaces are made (`lab`).

use std::fmt;

/// Which of two partner frontends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    /// The partner.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The last 16 bits of a frontend's addresses.
    pub(super) fn host_part(self) -> u16 {
        match self {
            Self::A => 0xa,
            Self::B => 0xb,
        }
    }
}

/// Where a client sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the frontends' own link, 2001:db8:1::/64.
    Direct,
    /// Behind the relay, on 2001:db8:2::/64.
    Relayed,
}

impl Place {
    /// The bridge of that link.
    pub(super) fn bridge(self) -> &'static str {
        match self {
            Self::Direct => "near",
            Self::Relayed => "far",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        })
    }
}

/// A namespace of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// Holds the bridges; administrators sit on the store's.
    Core,
    /// A frontend: `eth0` to the clients, `eth1` to the store.
    Frontend(Side),
    /// A store node, 1 to 3: `eth1`.
    Store(u8),
    /// The relay: `up0` to the frontends, `down0` to its clients.
    Relay,
    /// A further relay, made by [`Lab::add_hop`](super::Lab::add_hop): `up0` towards the frontends, `down0` to its clients.
    Hop(u8),
    /// A client made by [`Lab::add_client`]: `eth0`.
    Client(u8),
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => out.write_str("core"),
            Self::Frontend(Side::A) => out.write_str("fa"),
            Self::Frontend(Side::B) => out.write_str("fb"),
            Self::Store(number) => write!(out, "s{number}"),
            Self::Relay => out.write_str("relay"),
            Self::Hop(number) => write!(out, "h{number}"),
            Self::Client(number) => write!(out, "c{number}"),
        }
    }
}
