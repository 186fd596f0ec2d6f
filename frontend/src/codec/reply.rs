//! What a server said: Advertise and Reply as a client or a judge reads them, and the unwrapping of Relay-replies.
//!
//! Owns the view that the simulation, the tests and the load generator judge by: leases and lifetimes exactly as sent,
//! host bits and all, and every IA, repeats included. Never used to answer anybody. Refuses to decide whether what was
//! promised is right. Bounded and borrowed like the rest of the codec, for it too reads from the network.
//! Source: RFC 9915 §18.2.10, §21.

use smallvec::SmallVec;

use super::ia::{IaError, IaKind, IaLease, Leases, Timers, read_ia};
use super::message::TransactionId;
use super::options::{OptionBudget, Options, TlvError, take_option};
use super::relay::RelayHeader;
use super::wire::{IAS_MAX, RELAY_LEVELS_MAX, msg, opt};

/// Why a server's message could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The message ends inside its header.
    #[error("the message ends inside its header")]
    TruncatedHeader,
    /// A run of options is malformed or too long.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// An option has a length that its definition does not allow.
    #[error("option {code} has a length that its definition does not allow")]
    BadOptionLength {
        /// Option code.
        code: u16,
    },
    /// A prefix length above 128.
    #[error("a prefix length is above 128")]
    BadPrefixLength,
    /// Not the type of message expected here.
    #[error("message type {found} is not expected here")]
    UnexpectedType {
        /// The type octet.
        found: u8,
    },
    /// A Relay-reply carries no Relay Message.
    #[error("a Relay-reply carries no Relay Message")]
    RelayWithoutMessage,
    /// More relay levels than [`RELAY_LEVELS_MAX`].
    #[error("more than {RELAY_LEVELS_MAX} relay levels")]
    RelayTooDeep,
    /// More IAs than [`IAS_MAX`].
    #[error("more than {IAS_MAX} IAs")]
    TooManyIas,
}

/// The two answers that carry leases, and the one to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerMessageKind {
    /// An offer: promises nothing.
    Advertise,
    /// A promise.
    Reply,
    /// An address was registered.
    AddrRegReply,
}

/// A Status Code option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// One of [`super::wire::status`], or any other.
    pub code: u16,
    /// Text for people, as sent: UTF-8 if the server is right.
    pub text: &'a [u8],
}

/// The first Status Code among `options`; `None` means Success (SV-206).
fn status_of<'a>(options: &Options<'a>) -> Option<Status<'a>> {
    let (code, text) = options.first(opt::STATUS_CODE)?.split_first_chunk::<2>()?;
    Some(Status { code: u16::from_be_bytes(*code), text })
}

/// One IA of a server's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerIa<'a> {
    /// Addresses or prefixes.
    pub kind: IaKind,
    /// The client's number for the IA.
    pub iaid: u32,
    /// T1 and T2 as sent.
    pub timers: Timers,
    /// Status of the IA; `None` means Success.
    pub status: Option<Status<'a>>,
    /// All options inside the IA.
    pub options: Options<'a>,
}

impl<'a> ServerIa<'a> {
    /// The leases in wire order, exactly as sent.
    pub fn leases(&self) -> Leases<'a> {
        Leases::as_sent(self.kind, self.options)
    }
}

impl<'a> IaLease<'a> {
    /// Status of this lease; `None` means Success.
    pub fn status(&self) -> Option<Status<'a>> {
        status_of(&self.options)
    }
}

/// An Advertise, a Reply or an Addr-reg-reply.
#[derive(Clone, Debug)]
pub struct ServerMessage<'a> {
    /// Offer or promise.
    pub kind: ServerMessageKind,
    /// Copied from the client's message.
    pub transaction_id: TransactionId,
    /// The client's DUID, as sent.
    pub client_id: Option<&'a [u8]>,
    /// The server's DUID, as sent.
    pub server_id: Option<&'a [u8]>,
    /// Preference; absent means 0.
    pub preference: Option<u8>,
    /// Whether the Reply answers a Solicit by Rapid Commit.
    pub rapid_commit: bool,
    /// Status of the whole message; `None` means Success.
    pub status: Option<Status<'a>>,
    /// The IAs in wire order, at most [`IAS_MAX`], repeats included so that a judge sees them.
    pub ias: SmallVec<[ServerIa<'a>; 4]>,
    /// All options as received.
    pub options: Options<'a>,
}

impl<'a> ServerMessage<'a> {
    /// Reads an Advertise, a Reply or an Addr-reg-reply that fills `bytes`; a Relay-reply is to be unwrapped first.
    ///
    /// Errors: malformed, another type, or beyond a bound of [`super::wire`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ReplyError> {
        let (&[kind, x0, x1, x2], body) =
            bytes.split_first_chunk::<4>().ok_or(ReplyError::TruncatedHeader)?;
        let kind = match kind {
            msg::ADVERTISE => ServerMessageKind::Advertise,
            msg::REPLY => ServerMessageKind::Reply,
            msg::ADDR_REG_REPLY => ServerMessageKind::AddrRegReply,
            found => return Err(ReplyError::UnexpectedType { found }),
        };
        let mut budget = OptionBudget::new();
        let mut ias: SmallVec<[ServerIa<'a>; 4]> = SmallVec::new();
        let mut rest = body;
        while let Some(option) = take_option(&mut rest, &mut budget)? {
            let kind = match option.code {
                opt::IA_NA => IaKind::Na,
                opt::IA_PD => IaKind::Pd,
                opt::PREFERENCE if option.data.len() != 1 => {
                    return Err(ReplyError::BadOptionLength { code: option.code });
                }
                opt::STATUS_CODE if option.data.len() < 2 => {
                    return Err(ReplyError::BadOptionLength { code: option.code });
                }
                _ => continue,
            };
            if ias.len() == IAS_MAX {
                return Err(ReplyError::TooManyIas);
            }
            let parts = read_ia(kind, option.data, &mut budget).map_err(|error| match error {
                IaError::Tlv(error) => ReplyError::Tlv(error),
                IaError::Length => ReplyError::BadOptionLength { code: option.code },
                IaError::PrefixLength => ReplyError::BadPrefixLength,
            })?;
            ias.push(ServerIa {
                kind,
                iaid: parts.iaid,
                timers: parts.timers,
                status: status_of(&parts.options),
                options: parts.options,
            });
        }
        let options = Options::walked(body);
        Ok(ServerMessage {
            kind,
            transaction_id: TransactionId([x0, x1, x2]),
            client_id: options.first(opt::CLIENT_ID),
            server_id: options.first(opt::SERVER_ID),
            preference: options.first(opt::PREFERENCE).and_then(|data| data.first().copied()),
            rapid_commit: options.first(opt::RAPID_COMMIT).is_some(),
            status: status_of(&options),
            ias,
            options,
        })
    }
}

/// One Relay-reply level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLevel<'a> {
    /// Hop-count, link-address and peer-address.
    pub header: RelayHeader,
    /// All options of the level, its Relay Message included.
    pub options: Options<'a>,
}

/// A Relay-reply, unwrapped down to the message for the client.
#[derive(Clone, Debug)]
pub struct RelayReply<'a> {
    /// The levels, outermost first: at least one, at most [`RELAY_LEVELS_MAX`].
    pub levels: SmallVec<[ReplyLevel<'a>; 2]>,
    /// The message for the client; read it by [`ServerMessage::decode`].
    pub payload: &'a [u8],
}

/// Unwraps all levels of a Relay-reply that fills `bytes`.
///
/// Errors: not a Relay-reply, malformed, or beyond a bound of [`super::wire`].
pub fn unwrap_relay_reply(bytes: &[u8]) -> Result<RelayReply<'_>, ReplyError> {
    let &first = bytes.first().ok_or(ReplyError::TruncatedHeader)?;
    if first != msg::RELAY_REPLY {
        return Err(ReplyError::UnexpectedType { found: first });
    }
    let mut budget = OptionBudget::new();
    let mut reply = RelayReply { levels: SmallVec::new(), payload: bytes };
    while reply.payload.first() == Some(&msg::RELAY_REPLY) {
        if reply.levels.len() == RELAY_LEVELS_MAX {
            return Err(ReplyError::RelayTooDeep);
        }
        let (header, body) = RelayHeader::split(reply.payload).ok_or(ReplyError::TruncatedHeader)?;
        let options = Options::parse(body, &mut budget)?;
        reply.payload = options.first(opt::RELAY_MESSAGE).ok_or(ReplyError::RelayWithoutMessage)?;
        reply.levels.push(ReplyLevel { header, options });
    }
    Ok(reply)
}
