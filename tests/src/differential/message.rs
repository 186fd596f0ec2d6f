//! Messages as bytes, sound or not, written octet by octet.
//!
//! Owns the layout of headers, options, IAs and relay levels. Refuses to know what any server makes of a message, and of
//! the frontend's codec, which is under test, all but the numbers. In: values. Out: octets, exactly as asked for.
//! Source: RFC 9915 §8, §9, §21.

use std::net::Ipv6Addr;

use crate::netns::Prefix;

pub use leasehold_frontend::codec::wire::{msg as kind, opt as code};

/// Leasequery, which the frontend has no name for. Source: RFC 5007 §4.1.
pub const LEASEQUERY: u8 = 14;
/// ERP Local Domain Name, which a relay may supply. Source: RFC 6440 §4.
pub const ERP_DOMAIN: u16 = 65;

/// A message that is being written.
#[derive(Clone, Debug)]
pub struct Message(Vec<u8>);

impl Message {
    /// A header without options; of the transaction id the low 24 bits count.
    #[must_use]
    pub fn new(kind: u8, transaction_id: u32) -> Self {
        let [_, id @ ..] = transaction_id.to_be_bytes();
        Self([&[kind][..], &id].concat())
    }

    /// A Relay-forward level around `inner`.
    #[must_use]
    pub fn relayed(level: &Level, inner: &Self) -> Self {
        let mut bytes = vec![kind::RELAY_FORWARD, level.hop_count];
        bytes.extend(level.link.octets());
        bytes.extend(level.peer.octets());
        bytes.extend(&level.options);
        Self(bytes).option(code::RELAY_MESSAGE, &inner.0)
    }

    /// Exactly these octets.
    #[must_use]
    pub fn exactly(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Adds an option.
    #[must_use]
    pub fn option(self, code: u16, data: impl AsRef<[u8]>) -> Self {
        self.raw(option(code, data))
    }

    /// Adds octets, an option or not.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// Adds an Option Request.
    #[must_use]
    pub fn oro(self, codes: &[u16]) -> Self {
        self.option(code::ORO, codes_data(codes))
    }

    /// Adds an IA_NA that names addresses, all times 0.
    #[must_use]
    pub fn na(self, iaid: u32, addresses: &[Prefix]) -> Self {
        let inner: Vec<u8> = addresses.iter().flat_map(|address| ia_address(*address, 0, 0)).collect();
        self.option(code::IA_NA, ia_data(iaid, 0, 0, &inner))
    }

    /// Adds an IA_PD that names prefixes, all times 0.
    #[must_use]
    pub fn pd(self, iaid: u32, prefixes: &[Prefix]) -> Self {
        let inner: Vec<u8> = prefixes.iter().flat_map(|prefix| ia_prefix(*prefix, 0, 0)).collect();
        self.option(code::IA_PD, ia_data(iaid, 0, 0, &inner))
    }

    /// The first so many octets only.
    #[must_use]
    pub fn cut(mut self, length: usize) -> Self {
        self.0.truncate(length);
        self
    }

    /// The octets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One Relay-forward level, without what it carries.
#[derive(Clone, Debug)]
pub struct Level {
    hop_count: u8,
    link: Ipv6Addr,
    peer: Ipv6Addr,
    options: Vec<u8>,
}

impl Level {
    /// A level whose relay sits on the link of this address; the peer is some client's link-local address.
    #[must_use]
    pub fn on(link: &str) -> Self {
        Self {
            hop_count: 0,
            link: link.parse().expect("a constant that is an address"),
            peer: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77),
            options: Vec::new(),
        }
    }

    /// With another hop-count.
    #[must_use]
    pub fn hop(mut self, hop_count: u8) -> Self {
        self.hop_count = hop_count;
        self
    }

    /// With an option more, before the Relay Message.
    #[must_use]
    pub fn option(mut self, code: u16, data: impl AsRef<[u8]>) -> Self {
        self.options.extend(option(code, data));
        self
    }
}

/// A lease, or a hint, that is a constant of a script: `ADDRESS/LENGTH`.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn at(text: &str) -> Prefix {
    text.parse().expect("a constant that is a prefix")
}

/// One option.
///
/// # Panics
/// When the data is longer than any option.
#[must_use]
pub fn option(code: u16, data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let length = u16::try_from(data.len()).expect("option data of 65535 octets at most");
    [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

/// One option whose length says something else than the truth.
#[must_use]
pub fn option_claiming(code: u16, length: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}

/// The data of an IA_NA or IA_PD.
#[must_use]
pub fn ia_data(iaid: u32, t1: u32, t2: u32, inner: &[u8]) -> Vec<u8> {
    [&iaid.to_be_bytes()[..], &t1.to_be_bytes(), &t2.to_be_bytes(), inner].concat()
}

/// An IAADDR option.
#[must_use]
pub fn ia_address(address: Prefix, preferred: u32, valid: u32) -> Vec<u8> {
    let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
    option(code::IA_ADDR, [&address.address.octets()[..], &times].concat())
}

/// An IAPREFIX option.
#[must_use]
pub fn ia_prefix(prefix: Prefix, preferred: u32, valid: u32) -> Vec<u8> {
    let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
    option(code::IA_PREFIX, [&times[..], &[prefix.length], &prefix.address.octets()].concat())
}

/// The data of a list of option codes.
#[must_use]
pub fn codes_data(codes: &[u16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_be_bytes()).collect()
}
