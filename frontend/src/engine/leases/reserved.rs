//! Interface ids that no allocated address may use (SV-213). Source: RFC 5453 §3 and the IANA registry it founded.

use leasehold_proto::words::{IaKind, Prefix};

/// Subnet-router anycast; reserved subnet anycast; the block under IANA's Ethernet OUI.
const RESERVED: [(u64, u64); 3] =
    [(0, 0), (0xfdff_ffff_ffff_ff80, 0xfdff_ffff_ffff_ffff), (0x0200_5eff_fe00_0000, 0x0200_5eff_feff_ffff)];

/// Whether this may not be leased. Delegated prefixes have no interface id.
pub(super) fn is_reserved(kind: IaKind, prefix: Prefix) -> bool {
    const IID: u128 = u64::MAX as u128;
    if kind == IaKind::Pd {
        return false;
    }
    // The mask leaves 64 bits.
    let iid = u64::try_from(prefix.bits() & IID).unwrap_or(0);
    RESERVED.iter().any(|(first, last)| (*first..=*last).contains(&iid))
}
