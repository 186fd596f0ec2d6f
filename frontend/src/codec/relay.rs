//! Relay-forward levels around a client message, and what they say about where the client sits.
//!
//! Owns the unwrapping, outermost level first, by iteration and to a bound (SV-175), and the options by which a relay
//! is known and answered. Refuses to choose a link: it hands out link-addresses and identifiers. The hop-count is
//! copied, not judged: relays enforce its limit. dhcproto 0.15 reads what a Relay Message holds always as one more
//! relay level, so that a relayed Solicit becomes garbage, and keeps options 37, 38, 53, 79 and 135 raw.
//! Source: RFC 9915 §9, §19; RFC 4994; RFC 6939; RFC 8357.

use std::net::Ipv6Addr;

use smallvec::SmallVec;

use super::discard::Discard;
use super::options::{OptionBudget, Options, Oro, take_option};
use super::shape::{at_least, code_list};
use super::wire::{RELAY_HEADER_LEN, RELAY_LEVELS_MAX, SERVER_PORT, msg, opt};

/// Octets of the hardware type that opens a Client Link-Layer Address option.
const HARDWARE_TYPE_LEN: usize = 2;
/// Octets of the enterprise number that opens a Remote-Id.
const REMOTE_ID_LEN_MIN: usize = 4;

/// The fixed part of a relay message without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayHeader {
    /// Relays passed before this one; copied into the answer.
    pub hop_count: u8,
    /// Tells the link of the client; `::` means "look at another level" (SV-152).
    pub link_address: Ipv6Addr,
    /// Where this level's message came from: the client at the innermost level, else another relay.
    pub peer_address: Ipv6Addr,
}

impl RelayHeader {
    /// Reads the header of a relay message, whatever its type octet says; none if it is cut.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        Self::split(bytes).map(|(header, _)| header)
    }

    /// Reads the header after checking the type octet; gives the options that follow.
    pub(super) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, body) = bytes.split_at_checked(RELAY_HEADER_LEN)?;
        let (&hop_count, addresses) = header.get(1..)?.split_first()?;
        let (link_address, rest) = addresses.split_first_chunk::<16>()?;
        let peer_address = rest.first_chunk::<16>()?;
        let header = RelayHeader {
            hop_count,
            link_address: Ipv6Addr::from(*link_address),
            peer_address: Ipv6Addr::from(*peer_address),
        };
        Some((header, body))
    }
}

/// One Relay-forward level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLevel<'a> {
    /// Hop-count, link-address and peer-address.
    pub header: RelayHeader,
    /// Interface-Id, opaque; copied into the answer (SV-172).
    pub interface_id: Option<&'a [u8]>,
    /// Relay Source Port: 0, or the port of the relay below; copied into the answer (SV-173).
    pub relay_source_port: Option<u16>,
    /// Codes that the relay wants back (SV-174); empty if it does not say.
    pub echo_request: Oro<'a>,
    /// Remote-Id with its enterprise number, at least 4 octets.
    pub remote_id: Option<&'a [u8]>,
    /// Subscriber-Id, opaque.
    pub subscriber_id: Option<&'a [u8]>,
    /// DUID of the relay, opaque.
    pub relay_id: Option<&'a [u8]>,
    /// What it supplies for the client (RFC 6422); empty if it supplies nothing.
    pub supplied: Options<'a>,
    /// All options of the level as received, its Relay Message included.
    pub options: Options<'a>,
}

/// The Relay-forward levels around one client message: at least one, at most [`RELAY_LEVELS_MAX`].
#[derive(Clone, Debug)]
pub struct RelayChain<'a> {
    levels: SmallVec<[RelayLevel<'a>; 2]>,
    client_link_layer: Option<&'a [u8]>,
    payload: &'a [u8],
    repeated_options: u16,
}

impl<'a> RelayChain<'a> {
    /// Unwraps all levels of a datagram that begins with a Relay-forward.
    pub(super) fn decode(bytes: &'a [u8], budget: &mut OptionBudget) -> Result<Self, Discard> {
        let mut chain = Self::around(bytes);
        while chain.has_level()? {
            chain.payload = chain.take_level(budget)?.ok_or(Discard::RelayWithoutMessage)?;
        }
        Ok(chain)
    }

    /// Unwraps all levels of a chain as a lease record keeps it: the innermost carries no message (RFC 5007 §4.1.2.4).
    ///
    /// Errors: it is no such chain.
    pub fn decode_stored(bytes: &'a [u8]) -> Result<Self, Discard> {
        let mut budget = OptionBudget::new();
        let mut chain = Self::around(bytes);
        while chain.has_level()? {
            chain.payload = chain.take_level(&mut budget)?.unwrap_or_default();
        }
        if chain.levels.is_empty() { Err(Discard::RelayWithoutMessage) } else { Ok(chain) }
    }

    /// No level yet around these octets.
    fn around(payload: &'a [u8]) -> Self {
        Self { levels: SmallVec::new(), client_link_layer: None, payload, repeated_options: 0 }
    }

    /// Whether one more level is to be unwrapped.
    fn has_level(&self) -> Result<bool, Discard> {
        let is_level = self.payload.first() == Some(&msg::RELAY_FORWARD);
        if is_level && self.levels.len() == RELAY_LEVELS_MAX {
            return Err(Discard::RelayTooDeep);
        }
        Ok(is_level)
    }

    /// Reads the level that `payload` begins with; gives what it carries.
    fn take_level(&mut self, budget: &mut OptionBudget) -> Result<Option<&'a [u8]>, Discard> {
        let (header, body) = RelayHeader::split(self.payload).ok_or(Discard::TruncatedHeader)?;
        let mut level = RelayLevel {
            header,
            interface_id: None,
            relay_source_port: None,
            echo_request: Oro::default(),
            remote_id: None,
            subscriber_id: None,
            relay_id: None,
            supplied: Options::default(),
            options: Options::walked(body),
        };
        // Of option 79 only the innermost level's counts (SV-156): each level forgets what an outer one said.
        let mut client_link_layer = None;
        let mut payload = None;
        let mut echo_request = None;
        let mut supplied = None;
        let mut rest = body;
        while let Some(option) = take_option(&mut rest, budget)? {
            let data = option.data;
            let repeated = match option.code {
                opt::RELAY_MESSAGE => keep_first(&mut payload, data),
                opt::INTERFACE_ID => keep_first(&mut level.interface_id, data),
                opt::SUBSCRIBER_ID => keep_first(&mut level.subscriber_id, data),
                opt::RELAY_ID => keep_first(&mut level.relay_id, data),
                opt::REMOTE_ID => {
                    at_least(data, REMOTE_ID_LEN_MIN)?;
                    keep_first(&mut level.remote_id, data)
                }
                opt::CLIENT_LINKLAYER_ADDR => {
                    at_least(data, HARDWARE_TYPE_LEN)?;
                    keep_first(&mut client_link_layer, data)
                }
                opt::RELAY_SOURCE_PORT => {
                    let port: [u8; 2] = data.try_into().map_err(|_| Discard::BadOptionLength)?;
                    keep_first(&mut level.relay_source_port, u16::from_be_bytes(port))
                }
                opt::RSOO => keep_first(&mut supplied, Options::parse(data, budget)?),
                opt::ECHO_REQUEST => keep_first(&mut echo_request, code_list(data)?),
                _ => false,
            };
            self.repeated_options = self.repeated_options.saturating_add(u16::from(repeated));
        }
        level.echo_request = echo_request.unwrap_or_default();
        level.supplied = supplied.unwrap_or_default();
        self.client_link_layer = client_link_layer;
        self.levels.push(level);
        Ok(payload)
    }

    /// The levels, outermost (nearest the server) first; never empty.
    pub fn levels(&self) -> &[RelayLevel<'a>] {
        &self.levels
    }

    /// The level nearest the client; its peer-address is the client's.
    pub fn innermost(&self) -> &RelayLevel<'a> {
        self.levels
            .last()
            .expect("decode is entered only for a Relay-forward, so it pushed one level at least")
    }

    /// Where the client's message came from, as the innermost level says.
    pub fn client_address(&self) -> Ipv6Addr {
        self.innermost().header.peer_address
    }

    /// The level nearest the server, whose relay the answer is sent to.
    pub fn outermost(&self) -> &RelayLevel<'a> {
        self.levels
            .first()
            .expect("decode is entered only for a Relay-forward, so it pushed one level at least")
    }

    /// The link-address that tells the client's link: the first that is not `::`, from the innermost level outward
    /// (SV-152), with its level. `None` if all are `::`.
    pub fn link_level(&self) -> Option<&RelayLevel<'a>> {
        self.levels.iter().rev().find(|level| !level.header.link_address.is_unspecified())
    }

    /// Client Link-Layer Address of the innermost level: hardware type(2), address (SV-156).
    pub const fn client_link_layer(&self) -> Option<&'a [u8]> {
        self.client_link_layer
    }

    /// The client message inside all levels, as received.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Singleton options that were ignored as repeats, all levels together (SV-109).
    pub const fn repeated_options(&self) -> u16 {
        self.repeated_options
    }

    /// UDP port to which the Relay-reply goes: the source port of the packet if the outermost level has a Relay
    /// Source Port option, else 547 (SV-103). Source: RFC 8357 §5.2.
    pub fn reply_port(&self, packet_source_port: u16) -> u16 {
        if self.outermost().relay_source_port.is_some() { packet_source_port } else { SERVER_PORT }
    }
}

/// Fills an empty slot; says whether the slot was full already, so that the value is a repeat.
fn keep_first<T>(slot: &mut Option<T>, value: T) -> bool {
    if slot.is_some() {
        return true;
    }
    *slot = Some(value);
    false
}
