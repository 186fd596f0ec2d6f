//! Keyed hashes: of tables that clients could otherwise make collide, and of the places where leases are looked for.
//!
//! The key comes from outside (there is no entropy here). Octets are fed in a fixed order and byte order, so that a
//! simulation from a seed runs the same everywhere.

use leasehold_proto::words::{IaKind, Iaid, LinkId, Prefix};
use siphasher::sip::{SipHasher13, SipHasher24};
use std::hash::Hasher;

/// Spreads what differs in low bits only over all bits: 2^64 over the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The secret of this process.
#[derive(Clone, Copy)]
pub(super) struct HashKey([u8; 16]);

impl HashKey {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// For the table of records.
    pub(super) fn prefix(&self, prefix: Prefix) -> u64 {
        let mut h = SipHasher13::new_with_key(&self.0);
        h.write(&prefix.bits().to_be_bytes());
        h.write(&[prefix.len_bits()]);
        h.finish()
    }

    /// For the table of bindings: from the hash of its client, which is secret, so that nobody can make bindings of
    /// different clients collide; of one client there are few.
    pub(super) fn binding(client: u64, kind: IaKind, iaid: Iaid) -> u64 {
        let which = u64::from(iaid.0) << 8 | u64::from(kind_octet(kind));
        (client ^ which).wrapping_mul(ODD).rotate_left(32)
    }

    /// For the table of clients.
    pub(super) fn client(&self, link: LinkId, duid: &[u8]) -> u64 {
        let mut h = SipHasher13::new_with_key(&self.0);
        h.write(&link.0.to_be_bytes());
        h.write(duid);
        h.finish()
    }

    /// For the counts at ports, of one kind and link; what names the port is to be written into it.
    pub(super) fn port(&self, kind: u8, link: LinkId) -> SipHasher13 {
        let mut h = SipHasher13::new_with_key(&self.0);
        h.write(&[kind]);
        h.write(&link.0.to_be_bytes());
        h
    }

    /// Which ranges come first for prefixes that are delegated through a relay.
    pub(super) fn relay(&self, relay: u128) -> u64 {
        let mut h = SipHasher24::new_with_key(&self.0);
        h.write(&relay.to_be_bytes());
        h.finish()
    }

    /// Where to begin looking for a lease (SV-214): the same for the same IA, not to be guessed from outside. All
    /// prefixes of one client begin at one place, and so come to lie side by side.
    pub(super) fn place(&self, duid: &[u8], kind: IaKind, iaid: Iaid) -> u64 {
        let mut h = SipHasher24::new_with_key(&self.0);
        let iaid = if kind == IaKind::Pd { 0 } else { iaid.0 };
        h.write(&iaid.to_be_bytes());
        h.write(&[kind_octet(kind)]);
        h.write(duid);
        h.finish()
    }
}

fn kind_octet(kind: IaKind) -> u8 {
    match kind {
        IaKind::Na => 1,
        IaKind::Pd => 2,
    }
}
