//! How messages of generated clients travel: as a relay's, by unicast, or straight from the clients, by multicast.
//!
//! Owns the Relay-forward level around a message and its check when it comes back. Refuses to know clients' states
//! and to send. A relay uses the Relay Source Port option, so that it needs no privileged port; a client's number
//! stands in its peer-address. Source: RFC 9915 §9, §19.1; RFC 8357 §5.1.

use std::net::{Ipv6Addr, SocketAddrV6};

use leasehold_frontend::codec::encode::{EncodeError, Writer};
use leasehold_frontend::codec::options::RawOption;
use leasehold_frontend::codec::relay::RelayHeader;
use leasehold_frontend::codec::relay_encode::{ForwardLevel, encode_relay_forward};
use leasehold_frontend::codec::reply::unwrap_relay_reply;
use leasehold_frontend::codec::wire::{CLIENT_PORT, SERVER_PORT, opt};
use leasehold_frontend::io::ReplyPath;
use leasehold_frontend::io::socket::ALL_RELAYS_AND_SERVERS;

use super::oracle::ClientNumber;

/// Where the clients are, and where their messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Behind one relay, which sends each message to every server.
    Relay {
        /// The servers; at least one.
        servers: Vec<SocketAddrV6>,
        /// The relay's address on the clients' link: tells servers the link.
        link_address: Ipv6Addr,
    },
    /// On the link of an interface: messages go to All_DHCP_Relay_Agents_and_Servers, from port 546, which needs a
    /// privilege.
    Direct {
        /// The interface's index.
        interface_index: u32,
    },
}

/// Option 135 as a relay sends it: "answer to the port that this came from".
const SOURCE_PORT: [RawOption<'static>; 1] = [RawOption { code: opt::RELAY_SOURCE_PORT, data: &[0, 0] }];

/// What a datagram from a server holds.
pub(super) struct Unwrapped<'a> {
    /// The message for the client.
    pub(super) payload: &'a [u8],
    /// The client that a Relay-reply names.
    pub(super) client: Option<ClientNumber>,
    /// The Relay-reply says of itself what the Relay-forward said.
    pub(super) header_fits: bool,
}

impl Target {
    /// The address to bind.
    pub(super) fn local(&self) -> SocketAddrV6 {
        let port = match self {
            Self::Relay { .. } => 0,
            Self::Direct { .. } => CLIENT_PORT,
        };
        SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0)
    }

    /// Where each message goes: it is sent to every one of these.
    pub(super) fn paths(&self) -> Vec<ReplyPath> {
        match self {
            Self::Relay { servers, .. } => servers
                .iter()
                .map(|server| ReplyPath {
                    destination: *server,
                    interface_index: server.scope_id(),
                    source: None,
                })
                .collect(),
            Self::Direct { interface_index } => vec![ReplyPath {
                destination: SocketAddrV6::new(ALL_RELAYS_AND_SERVERS, SERVER_PORT, 0, *interface_index),
                interface_index: *interface_index,
                source: None,
            }],
        }
    }

    /// The servers that are known beforehand: none by multicast.
    pub(super) fn servers(&self) -> &[SocketAddrV6] {
        match self {
            Self::Relay { servers, .. } => servers,
            Self::Direct { .. } => &[],
        }
    }

    fn header(client: ClientNumber, link_address: Ipv6Addr) -> RelayHeader {
        let peer_address = Ipv6Addr::from_bits((0xfe80 << 112) | u128::from(client));
        RelayHeader { hop_count: 0, link_address, peer_address }
    }

    /// Writes a client's message as it travels; `inner` writes the message itself.
    pub(super) fn wrap<'b>(
        &self,
        client: ClientNumber,
        out: &mut Writer<'b>,
        inner: impl FnOnce(&mut Writer<'b>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Relay { link_address, .. } => {
                let header = Self::header(client, *link_address);
                encode_relay_forward(&[ForwardLevel { header, options: &SOURCE_PORT }], out, inner)
            }
            Self::Direct { .. } => inner(out),
        }
    }

    /// Unwraps a server's datagram; `None` if it is no Relay-reply where one belongs.
    pub(super) fn unwrap<'a>(&self, bytes: &'a [u8]) -> Option<Unwrapped<'a>> {
        match self {
            Self::Direct { .. } => Some(Unwrapped { payload: bytes, client: None, header_fits: true }),
            Self::Relay { link_address, .. } => {
                let reply = unwrap_relay_reply(bytes).ok()?;
                let level = reply.levels.first()?;
                let [.., a, b, c, d] = level.header.peer_address.octets();
                let client = u32::from_be_bytes([a, b, c, d]);
                let header_fits = reply.levels.len() == 1
                    && level.header == Self::header(client, *link_address)
                    && level.options.first(opt::RELAY_SOURCE_PORT) == Some(&[0, 0]);
                Some(Unwrapped { payload: reply.payload, client: Some(client), header_fits })
            }
        }
    }
}
