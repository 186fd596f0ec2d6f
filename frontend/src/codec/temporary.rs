//! IA_TA, which RFC 9915 has made obsolete: read only for a server that is to obey RFC 8415 (SV-135).
//!
//! Owns the layout of option 4: IAID and options, the addresses in the same IA Address options as in an IA_NA. Nothing of
//! it is read while a message is decoded. Bounded as the decoder is, in options and IAs. Source: RFC 8415 §21.5.

use smallvec::SmallVec;

use super::discard::Discard;
use super::ia::{IaKind, Leases, check_leases};
use super::message::ClientMessage;
use super::options::{OptionBudget, Options};
use super::wire::{IAS_MAX, opt};

/// One IA_TA of a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporaryIa<'a> {
    /// The client's number for this IA.
    pub iaid: u32,
    /// All options inside the IA.
    pub options: Options<'a>,
}

impl<'a> TemporaryIa<'a> {
    /// The addresses named in it, in wire order. May repeat.
    pub fn addresses(&self) -> impl Iterator<Item = u128> + use<'a> {
        Leases::as_sent(IaKind::Na, self.options).map(|lease| lease.bits)
    }

    fn read(data: &'a [u8], budget: &mut OptionBudget) -> Result<Self, Discard> {
        let (iaid, body) = data.split_first_chunk::<4>().ok_or(Discard::BadOptionLength)?;
        let options = check_leases(IaKind::Na, body, budget)?;
        Ok(Self { iaid: u32::from_be_bytes(*iaid), options })
    }
}

impl<'a> ClientMessage<'a> {
    /// The IA_TAs, each IAID once, in wire order. Nothing is allocated for up to two.
    ///
    /// Errors: one is malformed, or with them there are more than [`IAS_MAX`] IAs.
    pub fn temporary_ias(&self) -> Result<SmallVec<[TemporaryIa<'a>; 2]>, Discard> {
        let mut budget = OptionBudget::new();
        let mut ias: SmallVec<[TemporaryIa<'a>; 2]> = SmallVec::new();
        for data in self.options.all(opt::IA_TA) {
            let ia = TemporaryIa::read(data, &mut budget)?;
            if ias.iter().any(|known| known.iaid == ia.iaid) {
                continue;
            }
            if self.ias.len() + ias.len() == IAS_MAX {
                return Err(Discard::TooManyIas);
            }
            ias.push(ia);
        }
        Ok(ias)
    }
}
