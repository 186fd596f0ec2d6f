//! What an Addr-reg-inform says: one IA Address option at top level.
//!
//! Owns the reading of that option, which stands inside IAs everywhere else. Refuses to judge whether the address may be
//! registered. Borrows from the datagram; its octets are kept as they came, since the answer repeats them.
//! Source: RFC 9686 §4.2.

use super::discard::Discard;
use super::ia::read_address;
use super::options::OptionBudget;

/// The address that a client tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationOption<'a> {
    /// The option's data as received.
    pub data: &'a [u8],
}

impl<'a> RegistrationOption<'a> {
    /// Reads and checks the option, the options inside included.
    pub(super) fn read(data: &'a [u8], budget: &mut OptionBudget) -> Result<Self, Discard> {
        super::ia::check_address(data, budget)?;
        Ok(Self { data })
    }

    /// The address.
    pub fn address(&self) -> u128 {
        read_address(self.data).map_or(0, |lease| lease.bits)
    }

    /// For how many seconds the client may use it; [`super::wire::INFINITY_SECS`] is for ever, 0: no more.
    pub fn valid_secs(&self) -> u32 {
        read_address(self.data).map_or(0, |lease| lease.valid_secs)
    }
}
