//! Options as they lie in a datagram: type, length, value, one after the other.
//!
//! Owns the walk over TLVs, the budget of options per datagram, and lists of option codes. Knows nothing of what an
//! option means. Input: octets from the network; output: borrowed views, nothing copied. Invariant: an [`Options`]
//! exists only for octets that were walked to their end once; iterating it cannot fail and no length is trusted
//! unchecked. dhcproto 0.15 ends such a walk silently with `Ok` at the first bad length and sorts what it read; here
//! a bad length is an error and order is kept. Source: RFC 9915 §21.1.

use super::wire::{CODES_MAX, OPTIONS_MAX};

/// What can be wrong with a run of TLVs, whatever they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The last option's header or data runs past the container.
    #[error("an option runs past the end of its container")]
    Truncated,
    /// The datagram holds more than [`OPTIONS_MAX`] options.
    #[error("the datagram holds more than {OPTIONS_MAX} options")]
    TooMany,
}

/// How many more options may be read from one datagram; shared by all nested runs of it (SEC-06).
#[derive(Debug)]
pub struct OptionBudget {
    left: u16,
}

impl OptionBudget {
    /// A full budget of [`OPTIONS_MAX`], for one datagram.
    pub const fn new() -> Self {
        Self { left: OPTIONS_MAX }
    }

    /// Takes one option from the budget.
    pub(super) fn spend(&mut self) -> Result<(), TlvError> {
        self.left = self.left.checked_sub(1).ok_or(TlvError::TooMany)?;
        Ok(())
    }
}

impl Default for OptionBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// One option: its code and its data, at most 65,535 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a> {
    /// Option code.
    pub code: u16,
    /// Option data without the four octets of code and length.
    pub data: &'a [u8],
}

/// Splits the first option off `bytes`; `None` if it does not fit.
fn split_option(bytes: &[u8]) -> Option<(RawOption<'_>, &[u8])> {
    let (&[code_hi, code_lo, len_hi, len_lo], rest) = bytes.split_first_chunk::<4>()?;
    let code = u16::from_be_bytes([code_hi, code_lo]);
    let len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    let (data, rest) = rest.split_at_checked(len)?;
    Some((RawOption { code, data }, rest))
}

/// Takes the next option from `rest`, or `None` at its exact end. This is the one place where lengths are judged.
pub(super) fn take_option<'a>(
    rest: &mut &'a [u8],
    budget: &mut OptionBudget,
) -> Result<Option<RawOption<'a>>, TlvError> {
    if rest.is_empty() {
        return Ok(None);
    }
    budget.spend()?;
    let (option, tail) = split_option(rest).ok_or(TlvError::Truncated)?;
    *rest = tail;
    Ok(Some(option))
}

/// A run of options that is known to be well formed, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
}

impl<'a> Options<'a> {
    /// Walks `bytes` once and keeps them if every option fits exactly.
    ///
    /// Errors: a length past the end, or the budget used up.
    pub fn parse(bytes: &'a [u8], budget: &mut OptionBudget) -> Result<Self, TlvError> {
        let mut rest = bytes;
        while take_option(&mut rest, budget)?.is_some() {}
        Ok(Self { bytes })
    }

    /// For octets that the caller has walked to their end with [`take_option`].
    pub(super) const fn walked(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All options in wire order, unknown ones included.
    pub const fn iter(&self) -> OptionsIter<'a> {
        OptionsIter { rest: self.bytes }
    }

    /// Data of the first option with this code: the one that counts if a singleton is repeated (SV-109).
    pub fn first(&self, code: u16) -> Option<&'a [u8]> {
        self.all(code).next()
    }

    /// Data of every option with this code, in wire order.
    pub fn all(&self, code: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter().filter(move |option| option.code == code).map(|option| option.data)
    }

    /// The octets as received.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is no option at all.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a> IntoIterator for Options<'a> {
    type Item = RawOption<'a>;
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> OptionsIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Options`].
#[derive(Clone, Debug)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = RawOption<'a>;

    fn next(&mut self) -> Option<RawOption<'a>> {
        let (option, rest) = split_option(self.rest)?;
        self.rest = rest;
        Some(option)
    }
}

/// A list of option codes: the Option Request option of a client, or the Echo Request option of a relay.
///
/// At most [`CODES_MAX`] codes, unsorted, repeats possible. An absent option reads as an empty list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oro<'a> {
    codes: &'a [[u8; 2]],
}

impl<'a> Oro<'a> {
    /// Reads option data; `None` if its length is odd.
    pub(crate) fn from_data(data: &'a [u8]) -> Option<Self> {
        let (codes, rest) = data.as_chunks::<2>();
        rest.is_empty().then_some(Self { codes })
    }

    /// Whether the list is longer than [`CODES_MAX`].
    pub(super) const fn is_too_long(&self) -> bool {
        self.codes.len() > CODES_MAX
    }

    /// Whether `code` is asked for.
    pub fn contains(&self, code: u16) -> bool {
        self.codes.contains(&code.to_be_bytes())
    }

    /// The codes in wire order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.codes.iter().map(|code| u16::from_be_bytes(*code))
    }

    /// Number of codes listed, repeats included.
    pub const fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether nothing is asked for.
    pub const fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}
