//! Has anybody acted on a Release or Decline? (RFC 7031 §4.7: a partner may be deaf while the store believes in it)
//!
//! Owns how the leases stand that such a message ends, as one number to be compared later: while it stays the same, no
//! partner has told the store anything about them. Refuses to end anything. The number is keyed by a secret and means
//! nothing outside this process.

use super::context::{all_named, word};
use crate::codec::{ClientMessage, IaKind, MessageKind};
use crate::engine::leases::{IaRef, Leases};
use leasehold_proto::words::{Iaid, LinkId};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// How the Active leases stand that a message ends; nothing for messages of other kinds, or if there are none.
pub(super) fn standing(
    mut hash: SipHasher13,
    leases: &Leases,
    link: LinkId,
    message: &ClientMessage<'_>,
) -> Option<u64> {
    let ends = |kind: IaKind| match message.kind {
        MessageKind::Release => true,
        MessageKind::Decline => kind == IaKind::Na,
        _ => false,
    };
    let duid = message.client_id?;
    let mut any = false;
    for ia in message.ias.iter().filter(|ia| ends(ia.kind)) {
        let name = IaRef { link, duid, kind: word(ia.kind), iaid: Iaid(ia.iaid), client_hash: None };
        for prefix in all_named(ia) {
            let Some((version, valid_until)) = leases.standing_of(name, prefix) else { continue };
            any = true;
            hash.write(&prefix.bits().to_be_bytes());
            hash.write(&[prefix.len_bits()]);
            hash.write(&version.0.to_be_bytes());
            hash.write(&valid_until.as_millis().to_be_bytes());
        }
    }
    any.then(|| hash.finish())
}
