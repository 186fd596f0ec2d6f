//! Options (OP-*): which there are, how their values are written, and how they lie on the wire.
//!
//! [`catalogue`] is the table of all that may be configured, [`grammar`] the types of their data; a [`Dictionary`] adds
//! what the operator defined, and turns what is written ([`Value`]) into octets and back. Knows no files, no places where
//! options stand, and no messages. `docs/options.md` says the same for people.

pub mod catalogue;
mod decode;
mod dictionary;
mod encode;
mod error;
pub mod grammar;
mod rules;
mod value;

#[cfg(test)]
mod tests;

pub use catalogue::is_requestable;
pub use decode::decode;
pub use dictionary::{DATA_LEN_MAX, DefinitionError, Dictionary, Instance, Written};
pub use encode::{encode, encode_name};
pub use error::{Step, ValueError};
pub use value::{Value, octets_of, octets_text};

/// A value that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option {code}: {message}")]
pub struct OptionError {
    /// Option code.
    pub code: u32,
    /// What is wrong and what to do.
    pub message: String,
}

/// Vendor Class.
const VENDOR_CLASS: u16 = 16;
/// Vendor-specific Information.
const VENDOR_OPTS: u16 = 17;

/// The enterprise number that opens the data of Vendor Class and Vendor Opts.
#[must_use]
pub fn enterprise_of(code: u16, data: &[u8]) -> Option<u32> {
    let octets = data.first_chunk::<4>().filter(|_| matches!(code, VENDOR_CLASS | VENDOR_OPTS))?;
    Some(u32::from_be_bytes(*octets))
}
