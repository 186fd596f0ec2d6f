//! Option values as they are sent, and where they stand: network, link, pool, class, host (OP-05).
//!
//! Knows octets only: what they mean is written in the catalogue of [`crate::options`].

/// One instance of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValue {
    /// Option code.
    pub code: u16,
    /// Its data, without code and length.
    pub data: Vec<u8>,
    /// Sent though nobody asks for it (SV-202).
    pub forced: bool,
}

impl OptionValue {
    /// What a value of higher precedence replaces: a code, and of Vendor Class and Vendor Opts the enterprise (OP-02).
    #[must_use]
    pub fn key(&self) -> (u16, u32) {
        (self.code, crate::options::enterprise_of(self.code, &self.data).unwrap_or(0))
    }
}

/// The options of one place, in the order of the file.
pub type Options = Vec<OptionValue>;
