//! Identity associations and their leases, as a message carries them: IA_NA with addresses, IA_PD with prefixes.
//!
//! Owns the layout of options 3, 5, 25 and 26 and the depth to which options nest: IA, lease, options of the lease,
//! and no further. An IA inside an IA is passed over as any misplaced option (OP-01), so depth is three whatever the
//! packet says and nothing here recurses; dhcproto 0.15 recurses and overflows its stack on a datagram of nested IAs.
//! Refuses to know links, pools and bindings. Source: RFC 9915 §21.4, §21.6, §21.21, §21.22.

use super::discard::Discard;
use super::options::{OptionBudget, Options, OptionsIter, TlvError, take_option};
use super::wire::opt;

/// Octets of IAID, T1 and T2 that open an IA_NA or IA_PD option.
pub(super) const IA_HEADER_LEN: usize = 12;
/// Octets of address, preferred and valid lifetime that open an IA Address option.
const IA_ADDR_HEADER_LEN: usize = 24;
/// Octets of preferred and valid lifetime, prefix length and prefix that open an IA Prefix option.
const IA_PREFIX_HEADER_LEN: usize = 25;
/// Bits of an IPv6 address, and so the length of an address seen as a prefix.
pub const ADDRESS_LEN_BITS: u8 = 128;

/// The two kinds of identity association served. Their IAID spaces are separate (SV-107).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IaKind {
    /// IA_NA: addresses.
    Na,
    /// IA_PD: delegated prefixes.
    Pd,
}

impl IaKind {
    /// Code of the IA option.
    pub const fn option_code(self) -> u16 {
        match self {
            IaKind::Na => opt::IA_NA,
            IaKind::Pd => opt::IA_PD,
        }
    }

    /// Code of the option that carries a lease inside such an IA.
    pub const fn lease_option_code(self) -> u16 {
        match self {
            IaKind::Na => opt::IA_ADDR,
            IaKind::Pd => opt::IA_PREFIX,
        }
    }

    const fn lease_header_len(self) -> usize {
        match self {
            IaKind::Na => IA_ADDR_HEADER_LEN,
            IaKind::Pd => IA_PREFIX_HEADER_LEN,
        }
    }
}

/// T1 and T2 of an IA as they stand on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    /// Seconds until the client renews; 0 leaves it to the client, [`super::wire::INFINITY_SECS`] is never.
    pub t1_secs: u32,
    /// Seconds until the client rebinds; same special values.
    pub t2_secs: u32,
}

/// Lifetimes of one lease as they stand on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Preferred lifetime in seconds from the message; [`super::wire::INFINITY_SECS`] is for ever.
    pub preferred_secs: u32,
    /// Valid lifetime in seconds from the message; same special value.
    pub valid_secs: u32,
}

/// One IA of a client's message. Its T1 and T2 are not kept: a client's wishes are ignored (SV-136).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ia<'a> {
    /// Addresses or prefixes.
    pub kind: IaKind,
    /// The client's number for this IA.
    pub iaid: u32,
    /// All options inside the IA, misplaced ones included.
    pub options: Options<'a>,
}

impl<'a> Ia<'a> {
    /// The leases named in the IA, in wire order, prefixes with their host bits cleared. May repeat.
    pub fn leases(&self) -> Leases<'a> {
        Leases { kind: self.kind, options: self.options.iter(), clear_host_bits: true }
    }
}

/// One address or prefix named in an IA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IaLease<'a> {
    /// The address, or the prefix left-aligned. From a client its host bits are cleared, from a server as sent.
    pub bits: u128,
    /// 128 for an address; 0..=128 for a prefix, where `::/0` is no hint and `::/n` a hint of length only (PD-04).
    pub len_bits: u8,
    /// Preferred lifetime in seconds; a client's is ignored (SV-136).
    pub preferred_secs: u32,
    /// Valid lifetime in seconds; a client's is ignored (SV-136).
    pub valid_secs: u32,
    /// Options inside the lease: Status Code, Prefix Exclude.
    pub options: Options<'a>,
}

/// Iterator over the leases of an IA.
#[derive(Clone, Debug)]
pub struct Leases<'a> {
    kind: IaKind,
    options: OptionsIter<'a>,
    clear_host_bits: bool,
}

impl<'a> Leases<'a> {
    /// The leases exactly as a server sent them, for those who judge it.
    pub(super) const fn as_sent(kind: IaKind, options: Options<'a>) -> Self {
        Self { kind, options: options.iter(), clear_host_bits: false }
    }
}

impl<'a> Iterator for Leases<'a> {
    type Item = IaLease<'a>;

    fn next(&mut self) -> Option<IaLease<'a>> {
        let kind = self.kind;
        let option = self.options.find(|option| option.code == kind.lease_option_code())?;
        let mut lease = read_lease(kind, option.data)?;
        if self.clear_host_bits {
            lease.bits &= prefix_mask(lease.len_bits);
        }
        Some(lease)
    }
}

/// The mask that keeps the first `len_bits` bits; all of them from 128 on.
pub(super) fn prefix_mask(len_bits: u8) -> u128 {
    let host_bits = u32::from(ADDRESS_LEN_BITS.saturating_sub(len_bits));
    u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

/// Reads a lease option whose nested options have been walked; `None` if it is too short.
fn read_lease(kind: IaKind, data: &[u8]) -> Option<IaLease<'_>> {
    match kind {
        IaKind::Na => {
            let (address, rest) = data.split_first_chunk::<16>()?;
            let (preferred, rest) = rest.split_first_chunk::<4>()?;
            let (valid, rest) = rest.split_first_chunk::<4>()?;
            Some(IaLease {
                bits: u128::from_be_bytes(*address),
                len_bits: ADDRESS_LEN_BITS,
                preferred_secs: u32::from_be_bytes(*preferred),
                valid_secs: u32::from_be_bytes(*valid),
                options: Options::walked(rest),
            })
        }
        IaKind::Pd => {
            let (preferred, rest) = data.split_first_chunk::<4>()?;
            let (valid, rest) = rest.split_first_chunk::<4>()?;
            let (&len_bits, rest) = rest.split_first()?;
            let (prefix, rest) = rest.split_first_chunk::<16>()?;
            Some(IaLease {
                bits: u128::from_be_bytes(*prefix),
                len_bits,
                preferred_secs: u32::from_be_bytes(*preferred),
                valid_secs: u32::from_be_bytes(*valid),
                options: Options::walked(rest),
            })
        }
    }
}

/// What can be wrong with an IA, whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IaError {
    /// A TLV inside does not fit, or there are too many.
    Tlv(TlvError),
    /// The IA or a lease in it is shorter than its fixed part.
    Length,
    /// A prefix length above 128.
    PrefixLength,
}

impl From<TlvError> for IaError {
    fn from(error: TlvError) -> Self {
        IaError::Tlv(error)
    }
}

impl From<IaError> for Discard {
    fn from(error: IaError) -> Self {
        match error {
            IaError::Tlv(error) => error.into(),
            IaError::Length => Discard::BadOptionLength,
            IaError::PrefixLength => Discard::BadPrefixLength,
        }
    }
}

/// The parts of an IA option, its inside checked down to the options of its leases.
pub(super) struct IaParts<'a> {
    pub(super) iaid: u32,
    pub(super) timers: Timers,
    pub(super) options: Options<'a>,
}

/// Reads and checks one IA option. Lease options of the other kind are misplaced and passed over (OP-01).
pub(super) fn read_ia<'a>(
    kind: IaKind,
    data: &'a [u8],
    budget: &mut OptionBudget,
) -> Result<IaParts<'a>, IaError> {
    let (header, body) = data.split_first_chunk::<IA_HEADER_LEN>().ok_or(IaError::Length)?;
    let [i0, i1, i2, i3, a0, a1, a2, a3, b0, b1, b2, b3] = *header;
    let options = check_leases(kind, body, budget)?;
    Ok(IaParts {
        iaid: u32::from_be_bytes([i0, i1, i2, i3]),
        timers: Timers {
            t1_secs: u32::from_be_bytes([a0, a1, a2, a3]),
            t2_secs: u32::from_be_bytes([b0, b1, b2, b3]),
        },
        options,
    })
}

/// Walks the options inside an IA and checks its leases.
pub(super) fn check_leases<'a>(
    kind: IaKind,
    body: &'a [u8],
    budget: &mut OptionBudget,
) -> Result<Options<'a>, IaError> {
    let mut rest = body;
    while let Some(option) = take_option(&mut rest, budget)? {
        if option.code == kind.lease_option_code() {
            check_lease(kind, option.data, budget)?;
        } else if option.code == opt::STATUS_CODE && option.data.len() < 2 {
            return Err(IaError::Length);
        }
    }
    Ok(Options::walked(body))
}

fn check_lease(kind: IaKind, data: &[u8], budget: &mut OptionBudget) -> Result<(), IaError> {
    let nested = data.get(kind.lease_header_len()..).ok_or(IaError::Length)?;
    Options::parse(nested, budget)?;
    let len_bits = read_lease(kind, data).ok_or(IaError::Length)?.len_bits;
    if len_bits > ADDRESS_LEN_BITS { Err(IaError::PrefixLength) } else { Ok(()) }
}

/// Checks an IA Address option wherever it stands.
pub(super) fn check_address(data: &[u8], budget: &mut OptionBudget) -> Result<(), IaError> {
    check_lease(IaKind::Na, data, budget)
}

/// Reads an IA Address option that was checked.
pub(super) fn read_address(data: &[u8]) -> Option<IaLease<'_>> {
    read_lease(IaKind::Na, data)
}
