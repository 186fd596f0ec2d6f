//! A DHCPv6 message as the judge reads it, with the relay levels around it taken off.
//!
//! Owns: a reader of its own, of well-formed messages only; what is malformed is none. Refuses to know: who sent it.
//! In: the payload of a datagram. Out: a [`Message`]. Pure. Source: RFC 9915 §8, §9, §21.

use std::net::Ipv6Addr;

use crate::netns::Prefix;

/// Message types (RFC 9915 §7.3).
pub mod kind {
    /// Solicit.
    pub const SOLICIT: u8 = 1;
    /// Request.
    pub const REQUEST: u8 = 3;
    /// Confirm.
    pub const CONFIRM: u8 = 4;
    /// Renew.
    pub const RENEW: u8 = 5;
    /// Rebind.
    pub const REBIND: u8 = 6;
    /// Reply.
    pub const REPLY: u8 = 7;
    /// Release.
    pub const RELEASE: u8 = 8;
    /// Decline.
    pub const DECLINE: u8 = 9;
    /// Reconfigure.
    pub const RECONFIGURE: u8 = 10;
    /// Information-request.
    pub const INFORMATION_REQUEST: u8 = 11;
    /// Relay-forward.
    pub(super) const RELAY_FORWARD: u8 = 12;
    /// Relay-reply.
    pub(super) const RELAY_REPLY: u8 = 13;
}

/// Status codes (RFC 9915 §21.13).
pub mod status {
    /// Success.
    pub const SUCCESS: u16 = 0;
    /// The addresses are not right for the client's link.
    pub const NOT_ON_LINK: u16 = 4;
}

/// Option codes (RFC 9915 §21).
pub mod option {
    pub(super) const IA_NA: u16 = 3;
    pub(super) const IA_ADDRESS: u16 = 5;
    pub(super) const RELAY_MESSAGE: u16 = 9;
    /// Authentication.
    pub const AUTHENTICATION: u16 = 11;
    pub(super) const STATUS_CODE: u16 = 13;
    pub(super) const RECONFIGURE_MESSAGE: u16 = 19;
    /// Reconfigure Accept.
    pub const RECONFIGURE_ACCEPT: u16 = 20;
    /// DNS servers (RFC 3646).
    pub const DNS_SERVERS: u16 = 23;
    pub(super) const IA_PD: u16 = 25;
    pub(super) const IA_PREFIX: u16 = 26;
}

/// Octets of a Relay-forward or Relay-reply before its options: type, hop-count, link-address, peer-address.
const RELAY_HEADER_LEN: usize = 34;
/// Octets of an IA_NA or IA_PD before its options: IAID, T1, T2.
const IA_HEADER_LEN: usize = 12;

/// An address or prefix in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is; an address is a prefix of 128 bits.
    pub prefix: Prefix,
    /// Its valid lifetime, seconds.
    pub valid_secs: u32,
}

/// An Authentication option of the Reconfiguration Key Authentication Protocol with HMAC-MD5 (RFC 9915 §20.4, §21.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconfigureAuthentication {
    /// The replay detection value.
    pub replay: u64,
    /// Whether it gives a key; else it holds a digest.
    pub gives_key: bool,
}

/// A client's or server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One of [`kind`], or any other.
    pub kind: u8,
    /// The transaction id.
    pub transaction: [u8; 3],
    /// How many relays it has passed, or is to pass.
    pub levels: usize,
    /// The client's address as the lowest relay saw it; `None` without relays.
    pub peer: Option<Ipv6Addr>,
    /// The status of the whole message.
    pub status: Option<u16>,
    /// How many IAs it has.
    pub ias: usize,
    /// The leases of all its IAs.
    pub leases: Vec<Lease>,
    /// What a Reconfigure asks for, one of [`kind`].
    pub wants: Option<u8>,
    /// Its Authentication option, if that is of the protocol for Reconfigure.
    pub authentication: Option<ReconfigureAuthentication>,
    /// The codes of its options.
    pub options: Vec<u16>,
}

impl Message {
    /// Reads a payload; `None` if it is no well-formed DHCPv6 message.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (mut bytes, mut levels, mut peer) = (payload, 0, None);
        while matches!(bytes.first()?, &kind::RELAY_FORWARD | &kind::RELAY_REPLY) {
            let header = bytes.get(..RELAY_HEADER_LEN)?;
            peer = Some(address(header.get(18..34)?)?);
            levels += 1;
            let options = options(bytes.get(RELAY_HEADER_LEN..)?)?;
            bytes = options.iter().find(|(code, _)| *code == option::RELAY_MESSAGE)?.1;
        }
        let (&[kind, x0, x1, x2], body) = bytes.split_first_chunk::<4>()?;
        let mut message = Self {
            kind,
            transaction: [x0, x1, x2],
            levels,
            peer,
            status: None,
            ias: 0,
            leases: Vec::new(),
            wants: None,
            authentication: None,
            options: Vec::new(),
        };
        for (code, data) in options(body)? {
            message.options.push(code);
            match code {
                option::STATUS_CODE => message.status = Some(u16::from_be_bytes(*data.first_chunk()?)),
                option::RECONFIGURE_MESSAGE => message.wants = Some(*data.first()?),
                option::AUTHENTICATION => message.authentication = authentication(data),
                option::IA_NA | option::IA_PD => {
                    message.ias += 1;
                    for (code, data) in options(data.get(IA_HEADER_LEN..)?)? {
                        message.leases.extend(lease(code, data));
                    }
                }
                _ => {}
            }
        }
        Some(message)
    }
}

/// The lease in an option, if it is one for leases.
fn lease(code: u16, data: &[u8]) -> Option<Lease> {
    match code {
        option::IA_ADDRESS => Some(Lease {
            prefix: Prefix::host(address(data.get(..16)?)?),
            valid_secs: u32::from_be_bytes(*data.get(20..)?.first_chunk()?),
        }),
        option::IA_PREFIX => Some(Lease {
            prefix: Prefix { address: address(data.get(9..25)?)?, length: *data.get(8)? },
            valid_secs: u32::from_be_bytes(*data.get(4..)?.first_chunk()?),
        }),
        _ => None,
    }
}

/// Protocol 3, algorithm 1, replay detection method 0, then the value, 1 for a key or 2 for a digest, and 16 octets.
fn authentication(data: &[u8]) -> Option<ReconfigureAuthentication> {
    let replay = u64::from_be_bytes(*data.strip_prefix(&[3, 1, 0])?.first_chunk()?);
    let (kind, value) = data.get(11..)?.split_first()?;
    let gives_key = match kind {
        1 => true,
        2 => false,
        _ => return None,
    };
    (value.len() == 16).then_some(ReconfigureAuthentication { replay, gives_key })
}

/// The options that fill `bytes`, code and data.
fn options(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (&[c0, c1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        found.push((u16::from_be_bytes([c0, c1]), data));
        bytes = rest;
    }
    Some(found)
}

fn address(octets: &[u8]) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(code: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
    }

    fn ia(code: u16, leases: &[u8]) -> Vec<u8> {
        option(code, &[&[0; IA_HEADER_LEN][..], leases].concat())
    }

    #[test]
    fn leases_and_the_status_are_read_through_two_relays() {
        let held: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let delegated: Ipv6Addr = "2001:db8:100::".parse().unwrap();
        let address = [&held.octets()[..], &[0, 0, 0, 20, 0, 0, 0, 60]].concat();
        let prefix = [&[0, 0, 0, 20, 0, 0, 0, 70, 56][..], &delegated.octets()].concat();
        let mut bytes = [
            &[kind::REPLY, 1, 2, 3][..],
            &option(option::STATUS_CODE, &[0, 4, b'n']),
            &ia(option::IA_NA, &option(option::IA_ADDRESS, &address)),
            &ia(option::IA_PD, &option(option::IA_PREFIX, &prefix)),
        ]
        .concat();
        for peer in ["fe80::1", "fe80::2"] {
            let peer: Ipv6Addr = peer.parse().unwrap();
            let header = [&[kind::RELAY_REPLY, 0][..], &[0; 16], &peer.octets()].concat();
            bytes = [header, option(option::RELAY_MESSAGE, &bytes)].concat();
        }
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.kind, message.transaction, message.levels), (kind::REPLY, [1, 2, 3], 2));
        assert_eq!(message.peer, Some("fe80::1".parse().unwrap()), "of the lowest relay");
        assert_eq!((message.status, message.ias), (Some(status::NOT_ON_LINK), 2));
        let leases: Vec<_> = message.leases.iter().map(|l| (l.prefix.to_string(), l.valid_secs)).collect();
        assert_eq!(leases, [("2001:db8::7/128".to_owned(), 60), ("2001:db8:100::/56".to_owned(), 70)]);
        assert_eq!(Message::read(&bytes[..bytes.len() - 1]), None, "a cut message is none");
    }

    #[test]
    fn a_reconfigure_says_what_it_wants_and_its_replay_value() {
        let authentication =
            |header: [u8; 3], kind: u8| [&header[..], &7_u64.to_be_bytes(), &[kind], &[0xaa; 16]].concat();
        let read = |data: &[u8]| {
            let bytes = [
                &[kind::RECONFIGURE, 0, 0, 0][..],
                &option(option::RECONFIGURE_MESSAGE, &[kind::REBIND]),
                &option(option::AUTHENTICATION, data),
            ];
            Message::read(&bytes.concat()).unwrap()
        };
        let message = read(&authentication([3, 1, 0], 2));
        assert_eq!((message.kind, message.wants), (kind::RECONFIGURE, Some(kind::REBIND)));
        let of = |replay, gives_key| Some(ReconfigureAuthentication { replay, gives_key });
        assert_eq!(message.authentication, of(7, false));
        assert_eq!(read(&authentication([3, 1, 0], 1)).authentication, of(7, true));
        for (header, kind) in [([2, 1, 0], 2), ([3, 2, 0], 2), ([3, 1, 1], 2), ([3, 1, 0], 3)] {
            assert_eq!(read(&authentication(header, kind)).authentication, None);
        }
        assert_eq!(read(&authentication([3, 1, 0], 2)[..27]).authentication, None, "a digest cut short");
    }
}
