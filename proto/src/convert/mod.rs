//! Between Protobuf messages and checked types: one checked conversion a message. Whatever comes from a wire or a
//! disk passes here before anybody uses it.

mod lease;
mod reconfigure;
mod registration;
mod session;
mod trace;

pub use reconfigure::reconfigure_message;

use crate::v1;
use crate::words::{
    BindingKey, Duid, DuidError, IaKind, Iaid, InvalidName, LinkId, PoolId, Prefix, PrefixError, RangeId,
};

/// A message that does not say what its type promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A part that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// An enumeration value this version does not know.
    #[error("{1} is not a known value of `{0}`")]
    Unknown(&'static str, i64),
    /// An address that is not 16 octets.
    #[error("`{0}` must be 16 octets, not {1}")]
    AddressLength(&'static str, usize),
    /// A secret that is not as long as it must be. Its octets are not told.
    #[error("`{0}` must be 32 octets, not {1}")]
    SecretLength(&'static str, usize),
    /// A link-layer address of an impossible length.
    #[error("a link-layer address is 1 to {max} octets long, not {0}", max = crate::trace::LINK_LAYER_LEN_MAX)]
    LinkLayerLength(usize),
    /// A DUID of an impossible length.
    #[error(transparent)]
    Duid(#[from] DuidError),
    /// A prefix that cannot be.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A configuration that is not consistent.
    #[error("network configuration: {0}")]
    Network(String),
}

pub(crate) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, ConvertError> {
    field.ok_or(ConvertError::Missing(name))
}

/// Sixteen octets as a big-endian number.
///
/// # Errors
/// When there are not sixteen.
pub fn address(octets: &[u8], name: &'static str) -> Result<u128, ConvertError> {
    let octets: [u8; 16] = octets.try_into().map_err(|_| ConvertError::AddressLength(name, octets.len()))?;
    Ok(u128::from_be_bytes(octets))
}

/// The kind of an identity association.
///
/// # Errors
/// When it is neither IA_NA nor IA_PD.
pub fn ia_kind(raw: i32) -> Result<IaKind, ConvertError> {
    match v1::IaKind::try_from(raw) {
        Ok(v1::IaKind::Na) => Ok(IaKind::Na),
        Ok(v1::IaKind::Pd) => Ok(IaKind::Pd),
        _ => Err(ConvertError::Unknown("IaKind", i64::from(raw))),
    }
}

/// An address or prefix.
///
/// # Errors
/// When the address is not 16 octets, the length over 128 or host bits are set.
pub fn prefix(raw: &v1::Prefix) -> Result<Prefix, ConvertError> {
    Ok(Prefix::new(address(&raw.address, "address")?, raw.length_bits)?)
}

impl From<IaKind> for v1::IaKind {
    fn from(kind: IaKind) -> Self {
        match kind {
            IaKind::Na => Self::Na,
            IaKind::Pd => Self::Pd,
        }
    }
}

impl From<Prefix> for v1::Prefix {
    fn from(prefix: Prefix) -> Self {
        Self { address: prefix.bits().to_be_bytes().to_vec(), length_bits: u32::from(prefix.len_bits()) }
    }
}

impl From<RangeId> for v1::RangeId {
    fn from(range: RangeId) -> Self {
        Self { pool: range.pool.0, slice: range.slice }
    }
}

impl From<&v1::RangeId> for RangeId {
    fn from(raw: &v1::RangeId) -> Self {
        Self { pool: PoolId(raw.pool), slice: raw.slice }
    }
}

impl From<&BindingKey> for v1::BindingKey {
    fn from(key: &BindingKey) -> Self {
        Self {
            link: key.link.0,
            duid: key.duid.as_bytes().to_vec(),
            kind: v1::IaKind::from(key.kind).into(),
            iaid: key.iaid.0,
        }
    }
}

impl TryFrom<&v1::BindingKey> for BindingKey {
    type Error = ConvertError;

    fn try_from(raw: &v1::BindingKey) -> Result<Self, ConvertError> {
        Ok(Self {
            link: LinkId(raw.link),
            duid: Duid::new(&raw.duid)?,
            kind: ia_kind(raw.kind)?,
            iaid: Iaid(raw.iaid),
        })
    }
}
