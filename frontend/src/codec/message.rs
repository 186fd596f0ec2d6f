//! One client message, read once into what the engine asks of it.
//!
//! Owns the message kinds that clients send and the choice among repeats: the first instance of a singleton counts
//! (SV-109), the first IA of an IAID counts (SV-110), later ones are counted and ignored. Refuses to judge whether the
//! message is valid for its kind (`validate`) or how it came (`relay`). Input: a client message from its type octet
//! to its end. Output borrows from it; nothing is allocated for up to four IAs. Invariant: every option in it, known or
//! not, fits its container, and every known one has a legal length (SV-111). Source: RFC 9915 §8, §16, §21.

use std::time::Duration;

use smallvec::SmallVec;

use super::discard::Discard;
use super::ia::{Ia, IaKind, read_ia};
use super::options::{OptionBudget, Options, Oro, RawOption, take_option};
use super::registration::RegistrationOption;
use super::shape::{check_client_option, code_list, is_singleton};
use super::wire::{IAS_MAX, msg, opt};

/// The kinds of message that clients send and this server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    /// Looks for servers.
    Solicit,
    /// Asks one server for leases.
    Request,
    /// Asks whether addresses still fit the link.
    Confirm,
    /// Extends leases at their server.
    Renew,
    /// Extends leases at any server.
    Rebind,
    /// Gives leases back.
    Release,
    /// Says that addresses are in use by somebody else.
    Decline,
    /// Asks for configuration without leases.
    InformationRequest,
    /// Tells of an address that the client chose itself (RFC 9686).
    AddrRegInform,
}

impl MessageKind {
    /// Every kind, in index order.
    pub const ALL: [MessageKind; 9] = [
        MessageKind::Solicit,
        MessageKind::Request,
        MessageKind::Confirm,
        MessageKind::Renew,
        MessageKind::Rebind,
        MessageKind::Release,
        MessageKind::Decline,
        MessageKind::InformationRequest,
        MessageKind::AddrRegInform,
    ];

    /// The kind of a message type octet.
    ///
    /// Errors: why a message of any other type is dropped (SV-108, requirements 3.2).
    pub const fn from_wire(kind: u8) -> Result<Self, Discard> {
        match kind {
            msg::SOLICIT => Ok(MessageKind::Solicit),
            msg::REQUEST => Ok(MessageKind::Request),
            msg::CONFIRM => Ok(MessageKind::Confirm),
            msg::RENEW => Ok(MessageKind::Renew),
            msg::REBIND => Ok(MessageKind::Rebind),
            msg::RELEASE => Ok(MessageKind::Release),
            msg::DECLINE => Ok(MessageKind::Decline),
            msg::INFORMATION_REQUEST => Ok(MessageKind::InformationRequest),
            msg::ADDR_REG_INFORM => Ok(MessageKind::AddrRegInform),
            msg::ADVERTISE
            | msg::REPLY
            | msg::RECONFIGURE
            | msg::RELAY_REPLY
            | msg::LEASEQUERY_REPLY
            | msg::ADDR_REG_REPLY => Err(Discard::ServerMessage),
            0 => Err(Discard::UnknownMessage),
            other if other <= msg::HIGHEST_ASSIGNED => Err(Discard::UnsupportedMessage),
            _ => Err(Discard::UnknownMessage),
        }
    }

    /// The message type octet.
    pub const fn to_wire(self) -> u8 {
        match self {
            MessageKind::Solicit => msg::SOLICIT,
            MessageKind::Request => msg::REQUEST,
            MessageKind::Confirm => msg::CONFIRM,
            MessageKind::Renew => msg::RENEW,
            MessageKind::Rebind => msg::REBIND,
            MessageKind::Release => msg::RELEASE,
            MessageKind::Decline => msg::DECLINE,
            MessageKind::InformationRequest => msg::INFORMATION_REQUEST,
            MessageKind::AddrRegInform => msg::ADDR_REG_INFORM,
        }
    }

    /// The name used in metrics and logs: snake_case, stable.
    pub const fn name(self) -> &'static str {
        match self {
            MessageKind::Solicit => "solicit",
            MessageKind::Request => "request",
            MessageKind::Confirm => "confirm",
            MessageKind::Renew => "renew",
            MessageKind::Rebind => "rebind",
            MessageKind::Release => "release",
            MessageKind::Decline => "decline",
            MessageKind::InformationRequest => "information_request",
            MessageKind::AddrRegInform => "addr_reg_inform",
        }
    }

    /// Position in [`MessageKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The number by which a client matches answers to its message; three octets, copied unchanged (SV-201).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub [u8; 3]);

/// A client message whose structure is sound. Lengths of repeats and of ignored options were checked too.
#[derive(Clone, Debug)]
pub struct ClientMessage<'a> {
    /// What the client wants.
    pub kind: MessageKind,
    /// To be copied into the answer.
    pub transaction_id: TransactionId,
    /// The client's DUID, opaque, 3..=130 octets (SV-106).
    pub client_id: Option<&'a [u8]>,
    /// The DUID of the server that the client speaks to, opaque, 3..=130 octets.
    pub server_id: Option<&'a [u8]>,
    /// How long the client has been trying, in 1/100 s; 0 if it does not say, 0xffff is that long or longer.
    pub elapsed_centisecs: u16,
    /// Options that the client asks for; empty if it does not say.
    pub oro: Oro<'a>,
    /// Whether the client would take a Reply to its Solicit.
    pub rapid_commit: bool,
    /// Whether the client would take a Reconfigure.
    pub reconfigure_accept: bool,
    /// The IAs in wire order: at most [`IAS_MAX`], each (kind, IAID) once. IA_TA is left out (V-01); who is to obey
    /// RFC 8415 asks for [`ClientMessage::temporary_ias`].
    pub ias: SmallVec<[Ia<'a>; 4]>,
    /// Of an Addr-reg-inform: what it says of the address, if that is said of one and no other.
    pub registration: Option<RegistrationOption<'a>>,
    /// Singleton options that were ignored as repeats (SV-109).
    pub repeated_options: u16,
    /// IAs that were ignored as repeats of an IAID of the same kind (SV-110).
    pub repeated_iaids: u16,
    /// All options as received, for those that have no field: User Class, Vendor Class, Client FQDN, …
    /// Take the first instance of a singleton: `options.first(code)`.
    pub options: Options<'a>,
}

impl<'a> ClientMessage<'a> {
    /// Reads one client message that fills `bytes`.
    pub(super) fn decode(bytes: &'a [u8], budget: &mut OptionBudget) -> Result<Self, Discard> {
        let (&kind, rest) = bytes.split_first().ok_or(Discard::TruncatedHeader)?;
        let kind = MessageKind::from_wire(kind)?;
        let (transaction_id, body) = rest.split_first_chunk::<3>().ok_or(Discard::TruncatedHeader)?;
        let mut message = ClientMessage {
            kind,
            transaction_id: TransactionId(*transaction_id),
            client_id: None,
            server_id: None,
            elapsed_centisecs: 0,
            oro: Oro::default(),
            rapid_commit: false,
            reconfigure_accept: false,
            ias: SmallVec::new(),
            registration: None,
            repeated_options: 0,
            repeated_iaids: 0,
            options: Options::walked(body),
        };
        let mut singletons_seen: u128 = 0;
        let mut addresses_told = 0;
        let mut rest = body;
        while let Some(option) = take_option(&mut rest, budget)? {
            check_client_option(option, budget)?;
            match option.code {
                opt::IA_NA => message.take_ia(IaKind::Na, option.data, budget)?,
                opt::IA_PD => message.take_ia(IaKind::Pd, option.data, budget)?,
                opt::IA_ADDR if kind == MessageKind::AddrRegInform => {
                    addresses_told += 1;
                    let told = RegistrationOption::read(option.data, budget)?;
                    message.registration = Some(told).filter(|_| addresses_told == 1);
                }
                code if is_singleton(code) => {
                    let bit = 1u128 << (code & 127);
                    if singletons_seen & bit == 0 {
                        singletons_seen |= bit;
                        message.take_singleton(option)?;
                    } else {
                        message.repeated_options = message.repeated_options.saturating_add(1);
                    }
                }
                _ => {}
            }
        }
        Ok(message)
    }

    /// How long the client has been trying; 655.35 s stands for that long or longer.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::from(self.elapsed_centisecs) * 10)
    }

    /// The IAs of one kind, in wire order.
    pub fn ias_of(&self, kind: IaKind) -> impl Iterator<Item = &Ia<'a>> {
        self.ias.iter().filter(move |ia| ia.kind == kind)
    }

    fn take_singleton(&mut self, option: RawOption<'a>) -> Result<(), Discard> {
        match option.code {
            opt::CLIENT_ID => self.client_id = Some(option.data),
            opt::SERVER_ID => self.server_id = Some(option.data),
            opt::ORO => self.oro = code_list(option.data)?,
            opt::RAPID_COMMIT => self.rapid_commit = true,
            opt::RECONF_ACCEPT => self.reconfigure_accept = true,
            opt::ELAPSED_TIME => {
                let octets = option.data.first_chunk::<2>().ok_or(Discard::BadOptionLength)?;
                self.elapsed_centisecs = u16::from_be_bytes(*octets);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_ia(&mut self, kind: IaKind, data: &'a [u8], budget: &mut OptionBudget) -> Result<(), Discard> {
        let parts = read_ia(kind, data, budget)?;
        if self.ias.iter().any(|ia| ia.kind == kind && ia.iaid == parts.iaid) {
            self.repeated_iaids = self.repeated_iaids.saturating_add(1);
        } else if self.ias.len() == IAS_MAX {
            return Err(Discard::TooManyIas);
        } else {
            self.ias.push(Ia { kind, iaid: parts.iaid, options: parts.options });
        }
        Ok(())
    }
}
