//! Writing messages: options appended in place, lengths filled in when an option ends.
//!
//! Owns the layout of headers, of simple option values and of nesting. Refuses to know which options belong into which
//! message. Output goes into a buffer of the caller, which is reused from packet to packet, and never beyond the limit
//! that the caller set: nothing is cut silently, a write that does not fit is an error and leaves no half option behind
//! if made under [`Writer::try_fit`]. Order of options is the order of calls. dhcproto 0.15 sorts options, writes wrong
//! lengths for User Class and Vendor Class, and cannot put a Reply into a Relay-reply. Source: RFC 9915 §8, §9, §21.

use std::net::Ipv6Addr;

use smallvec::SmallVec;

use super::ia::{ADDRESS_LEN_BITS, IaKind, LeaseTimes, Timers, prefix_mask};
use super::message::TransactionId;
use super::relay::RelayHeader;
use super::wire::{RELAY_LEVELS_MAX, opt};

/// Octets of code and length before an option's data.
const OPTION_HEADER_LEN: usize = 4;
/// Options that may be open at once: every relay level's Relay Message, an IA, a lease, a container in it, and some.
const OPEN_OPTIONS_MAX: usize = RELAY_LEVELS_MAX + 8;

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The message would be longer than the caller allows: leave options out, or raise the limit.
    #[error("the message does not fit into {limit_bytes} octets: send fewer options")]
    MessageTooLong {
        /// The caller's limit.
        limit_bytes: usize,
    },
    /// The data of one option would be longer than a 16-bit length can say.
    #[error("option {code} would hold {len_bytes} octets, more than 65535: shorten its value")]
    OptionTooLong {
        /// Option code.
        code: u16,
        /// Octets of data it would have.
        len_bytes: usize,
    },
    /// A prefix length above 128.
    #[error("prefix length {len_bits} is above 128")]
    BadPrefixLength {
        /// The length given.
        len_bits: u8,
    },
    /// An option was ended that was not begun.
    #[error("no option is open to be ended: a begin is missing")]
    NoOpenOption,
    /// The message was finished inside an option.
    #[error("{open} options were begun and not ended")]
    OpenOption {
        /// How many.
        open: usize,
    },
    /// Options nest deeper than any DHCPv6 message has reason to.
    #[error("options nest deeper than {OPEN_OPTIONS_MAX} levels")]
    NestedTooDeep,
}

/// Writes one message into a buffer of the caller.
///
/// Invariant: the buffer is never longer than the limit. After an error the content is unfinished and not to be sent,
/// unless the error came out of [`Writer::try_fit`], which restores what was there before.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    limit_bytes: usize,
    /// Where the data of each open option begins, outermost first.
    open: SmallVec<[usize; 8]>,
    /// Open options that may not be ended now: they were begun outside the running `try_fit`.
    open_floor: usize,
}

impl<'b> Writer<'b> {
    /// Begins an empty message in `out`, whose content is dropped and whose capacity is kept.
    ///
    /// `limit_bytes` bounds the whole message, relay levels included (SV-113).
    pub fn new(out: &'b mut Vec<u8>, limit_bytes: usize) -> Self {
        out.clear();
        Self { out, limit_bytes, open: SmallVec::new(), open_floor: 0 }
    }

    /// Ends the message and gives its octets. Errors: an option is still open.
    pub fn finish(self) -> Result<&'b [u8], EncodeError> {
        if self.open.is_empty() {
            Ok(self.out)
        } else {
            Err(EncodeError::OpenOption { open: self.open.len() })
        }
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Octets that still fit.
    pub fn remaining_bytes(&self) -> usize {
        self.limit_bytes.saturating_sub(self.out.len())
    }

    /// Runs `write`; if that does not fit, takes back all that it wrote and returns `false` (SV-113).
    ///
    /// Errors: any but [`EncodeError::MessageTooLong`]; what was written is taken back too.
    pub fn try_fit(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<bool, EncodeError> {
        let (len, open, floor) = (self.out.len(), self.open.len(), self.open_floor);
        self.open_floor = open;
        let outcome = write(self);
        self.open_floor = floor;
        if outcome.is_err() {
            self.out.truncate(len);
            self.open.truncate(open);
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(EncodeError::MessageTooLong { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Appends octets as they are: a whole inner message, or data of an open option.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.remaining_bytes() {
            return Err(EncodeError::MessageTooLong { limit_bytes: self.limit_bytes });
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Header of a client or server message. `kind` is one of [`super::wire::msg`].
    pub fn message(&mut self, kind: u8, transaction_id: TransactionId) -> Result<(), EncodeError> {
        let [x0, x1, x2] = transaction_id.0;
        self.raw(&[kind, x0, x1, x2])
    }

    /// Header of a Relay-forward or Relay-reply. `kind` is one of [`super::wire::msg`].
    pub fn relay_header(&mut self, kind: u8, header: &RelayHeader) -> Result<(), EncodeError> {
        self.raw(&[kind, header.hop_count])?;
        self.raw(&header.link_address.octets())?;
        self.raw(&header.peer_address.octets())
    }

    /// Begins an option whose data is whatever is written until its [`Writer::end_option`].
    pub fn begin_option(&mut self, code: u16) -> Result<(), EncodeError> {
        if self.open.len() == OPEN_OPTIONS_MAX {
            return Err(EncodeError::NestedTooDeep);
        }
        let [code_hi, code_lo] = code.to_be_bytes();
        self.raw(&[code_hi, code_lo, 0, 0])?;
        self.open.push(self.out.len());
        Ok(())
    }

    /// Ends the option begun last and fills in its length. Errors: none is open, or it grew beyond 65,535 octets.
    pub fn end_option(&mut self) -> Result<(), EncodeError> {
        if self.open.len() <= self.open_floor {
            return Err(EncodeError::NoOpenOption);
        }
        let data_start = self.open.pop().ok_or(EncodeError::NoOpenOption)?;
        let len_bytes = self.out.len() - data_start;
        let header = &mut self.out[data_start - OPTION_HEADER_LEN..data_start];
        let code = u16::from_be_bytes([header[0], header[1]]);
        let len = u16::try_from(len_bytes).map_err(|_| EncodeError::OptionTooLong { code, len_bytes })?;
        header[2..].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    /// One whole option.
    pub fn option(&mut self, code: u16, data: &[u8]) -> Result<(), EncodeError> {
        let len_bytes = data.len();
        let len = u16::try_from(len_bytes).map_err(|_| EncodeError::OptionTooLong { code, len_bytes })?;
        if OPTION_HEADER_LEN + len_bytes > self.remaining_bytes() {
            return Err(EncodeError::MessageTooLong { limit_bytes: self.limit_bytes });
        }
        self.raw(&code.to_be_bytes())?;
        self.raw(&len.to_be_bytes())?;
        self.raw(data)
    }

    /// An option of one octet.
    pub fn option_u8(&mut self, code: u16, value: u8) -> Result<(), EncodeError> {
        self.option(code, &[value])
    }

    /// An option of one 16-bit number.
    pub fn option_u16(&mut self, code: u16, value: u16) -> Result<(), EncodeError> {
        self.option(code, &value.to_be_bytes())
    }

    /// An option of one 32-bit number.
    pub fn option_u32(&mut self, code: u16, value: u32) -> Result<(), EncodeError> {
        self.option(code, &value.to_be_bytes())
    }

    /// An option that is a list of option codes: Option Request, Echo Request.
    pub fn code_list(&mut self, code: u16, codes: &[u16]) -> Result<(), EncodeError> {
        self.begin_option(code)?;
        for listed in codes {
            self.raw(&listed.to_be_bytes())?;
        }
        self.end_option()
    }

    /// An option that is a list of addresses: DNS servers and their like.
    pub fn address_list(&mut self, code: u16, addresses: &[Ipv6Addr]) -> Result<(), EncodeError> {
        self.begin_option(code)?;
        for address in addresses {
            self.raw(&address.octets())?;
        }
        self.end_option()
    }

    /// An option that is a list of names, each already in uncompressed DNS wire form with its root label (SV-114).
    pub fn name_list<N: AsRef<[u8]>>(&mut self, code: u16, names: &[N]) -> Result<(), EncodeError> {
        self.begin_option(code)?;
        for name in names {
            self.raw(name.as_ref())?;
        }
        self.end_option()
    }

    /// A Status Code option; `code` is one of [`super::wire::status`], `text` is for people and may be empty.
    pub fn status_code(&mut self, code: u16, text: &str) -> Result<(), EncodeError> {
        self.begin_option(opt::STATUS_CODE)?;
        self.raw(&code.to_be_bytes())?;
        self.raw(text.as_bytes())?;
        self.end_option()
    }

    /// Begins an IA; leases and status follow, then [`Writer::end_option`].
    pub fn begin_ia(&mut self, kind: IaKind, iaid: u32, timers: Timers) -> Result<(), EncodeError> {
        self.begin_option(kind.option_code())?;
        self.raw(&iaid.to_be_bytes())?;
        self.raw(&timers.t1_secs.to_be_bytes())?;
        self.raw(&timers.t2_secs.to_be_bytes())
    }

    /// Begins an IA Address; options of the lease follow, then [`Writer::end_option`].
    pub fn begin_ia_address(&mut self, address: u128, times: LeaseTimes) -> Result<(), EncodeError> {
        self.begin_option(opt::IA_ADDR)?;
        self.raw(&address.to_be_bytes())?;
        self.raw(&times.preferred_secs.to_be_bytes())?;
        self.raw(&times.valid_secs.to_be_bytes())
    }

    /// Begins an IA Prefix, its host bits cleared (PD-02); options of the lease follow, then [`Writer::end_option`].
    ///
    /// Errors: `len_bits` above 128.
    pub fn begin_ia_prefix(
        &mut self,
        prefix: u128,
        len_bits: u8,
        times: LeaseTimes,
    ) -> Result<(), EncodeError> {
        if len_bits > ADDRESS_LEN_BITS {
            return Err(EncodeError::BadPrefixLength { len_bits });
        }
        self.begin_option(opt::IA_PREFIX)?;
        self.raw(&times.preferred_secs.to_be_bytes())?;
        self.raw(&times.valid_secs.to_be_bytes())?;
        self.raw(&[len_bits])?;
        self.raw(&(prefix & prefix_mask(len_bits)).to_be_bytes())
    }

    /// A whole IA Address without options.
    pub fn ia_address(&mut self, address: u128, times: LeaseTimes) -> Result<(), EncodeError> {
        self.begin_ia_address(address, times)?;
        self.end_option()
    }

    /// A whole IA Prefix without options, its host bits cleared (PD-02). Errors: `len_bits` above 128.
    pub fn ia_prefix(&mut self, prefix: u128, len_bits: u8, times: LeaseTimes) -> Result<(), EncodeError> {
        self.begin_ia_prefix(prefix, len_bits, times)?;
        self.end_option()
    }
}
