//! Prefix Exclude: the part of a delegated prefix that stays with the delegating side (PD-08 to PD-10).
//!
//! Owns the option's form: the excluded prefix's length, then its bits after the delegated length, left-aligned. Sent only
//! to clients that ask for it. Refuses to decide what is excluded: the pool's configuration does. Source: RFC 6603 §4.2,
//! §6.2.

use super::context::Context;
use crate::codec::wire::opt;
use crate::codec::{EncodeError, IaLease, Writer};
use leasehold_proto::words::Prefix;
use smallvec::SmallVec;

/// Writes the option of a delegated prefix, if its pool excludes something and the client asks for the option (PD-08).
pub(super) fn write(
    cx: &Context<'_, '_>,
    delegated: Prefix,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    if !cx.message.oro.contains(opt::PD_EXCLUDE) {
        return Ok(());
    }
    match excluded_of(cx, delegated) {
        Some(excluded) => out.option(opt::PD_EXCLUDE, &encode(delegated, excluded)),
        None => Ok(()),
    }
}

/// PD-10: whether a client names another excluded prefix than the one that goes with a delegated prefix. Naming none is
/// naming no other; and what a pool excluded that is configured no more is not known (PD-14).
pub(super) fn names_another(cx: &Context<'_, '_>, lease: &IaLease<'_>, delegated: Prefix) -> bool {
    let Some(named) = lease.options.first(opt::PD_EXCLUDE) else { return false };
    if cx.topology.pool_of(delegated).is_none() {
        return false;
    }
    let excluded = excluded_of(cx, delegated);
    excluded.is_none() || decode(delegated, named) != excluded
}

/// The part of a delegated prefix that stays with the delegating side, by its pool.
fn excluded_of(cx: &Context<'_, '_>, delegated: Prefix) -> Option<Prefix> {
    cx.topology.pool_of(delegated)?.exclude?.of(delegated)
}

/// PD-09.
fn encode(delegated: Prefix, excluded: Prefix) -> SmallVec<[u8; 17]> {
    let subnet_bits = excluded.len_bits().saturating_sub(delegated.len_bits());
    let subnet = excluded.bits().checked_shl(u32::from(delegated.len_bits())).unwrap_or(0).to_be_bytes();
    let mut data = SmallVec::new();
    data.push(excluded.len_bits());
    data.extend_from_slice(&subnet[..usize::from(subnet_bits.div_ceil(8))]);
    data
}

/// The excluded prefix that an option names; nothing if its form is wrong. Bits past the length are not looked at.
fn decode(delegated: Prefix, data: &[u8]) -> Option<Prefix> {
    let (len_bits, subnet) = data.split_first()?;
    let subnet_bits = len_bits.checked_sub(delegated.len_bits()).filter(|bits| *bits > 0)?;
    if *len_bits > 128 || subnet.len() != usize::from(subnet_bits.div_ceil(8)) {
        return None;
    }
    let mut octets = [0; 16];
    octets[..subnet.len()].copy_from_slice(subnet);
    let subnet = u128::from_be_bytes(octets).checked_shr(u32::from(delegated.len_bits())).unwrap_or(0);
    Prefix::containing(delegated.bits() | subnet, u32::from(*len_bits)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    #[test]
    fn pd_09_the_vector_of_rfc_6603() {
        let (delegated, excluded) = (prefix("2001:db8:dead:bee0::/59"), prefix("2001:db8:dead:beef::/64"));
        assert_eq!(encode(delegated, excluded).as_slice(), [0x40, 0x78]);
        assert_eq!(decode(delegated, &[0x40, 0x78]), Some(excluded));
        assert_eq!(decode(delegated, &[0x40, 0x7f]), Some(excluded), "unused bits are ignored");
        assert_eq!(decode(delegated, &[0x40, 0x70]), Some(prefix("2001:db8:dead:beee::/64")));
    }

    #[test]
    fn pd_09_lengths_at_the_edges_of_octets() {
        let delegated = prefix("2001:db8:8000::/48");
        for (excluded, data) in [
            ("2001:db8:8000:8000::/49", &[49, 0x80][..]),
            ("2001:db8:8000:ff00::/56", &[56, 0xff]),
            ("2001:db8:8000:ff80::/57", &[57, 0xff, 0x80]),
            ("2001:db8:8000:ffff::/64", &[64, 0xff, 0xff]),
        ] {
            assert_eq!(encode(delegated, prefix(excluded)).as_slice(), data);
            assert_eq!(decode(delegated, data), Some(prefix(excluded)));
        }
    }

    #[test]
    fn pd_09_a_wrong_form_names_nothing() {
        let delegated = prefix("2001:db8:8000::/48");
        for data in
            [&[][..], &[64], &[64, 1], &[64, 1, 2, 3], &[48], &[40, 1], &[129, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1]]
        {
            assert_eq!(decode(delegated, data), None, "{data:?}");
        }
    }
}
