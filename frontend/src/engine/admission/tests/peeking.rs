//! The glance at a datagram: right for whatever the decoder accepts, harmless for the rest.

use proptest::prelude::*;

use super::super::{Class, class_of};
use super::*;
use crate::codec::wire::RELAY_LEVELS_MAX;
use crate::codec::{MessageKind, decode};

fn class_of_type(kind: u8) -> Class {
    match kind {
        msg::RENEW | msg::REBIND | msg::CONFIRM | msg::RELEASE | msg::DECLINE => Class::Extending,
        msg::REQUEST => Class::Requesting,
        _ => Class::Soliciting,
    }
}

#[test]
fn every_message_type_is_classified_through_0_to_40_relay_levels() {
    for kind in (0..=u8::MAX).filter(|kind| *kind != msg::RELAY_FORWARD) {
        let mut bytes = message(kind, 7, 3);
        for levels in 0..=40 {
            let followed = levels <= RELAY_LEVELS_MAX;
            let expected = if followed { class_of_type(kind) } else { Class::Soliciting };
            assert_eq!(class_of(&bytes), expected, "type {kind} through {levels} relays");
            bytes = relayed(7, &bytes);
        }
    }
}

#[test]
fn what_leads_to_no_client_message_is_of_the_lowest_class() {
    let whole = relayed(1, &message(msg::RENEW, 1, 0));
    // The last eight octets are the inner message, of which the header alone is needed; its length is stated before.
    for len in 0..whole.len() {
        assert_eq!(class_of(&whole[..len]), Class::Soliciting, "cut to {len} octets");
    }
    assert_eq!(class_of(&whole), Class::Extending);
    assert_eq!(class_of(&[msg::RENEW, 1, 2]), Class::Soliciting, "a header cut short");
    let mut many = vec![msg::RELAY_FORWARD; 34];
    many.extend([0; 4 * 300]);
    many.extend(&whole[34..]);
    assert_eq!(class_of(&many), Class::Soliciting, "behind more options than the decoder reads");
}

proptest! {
    #[test]
    fn sec_06_no_datagram_is_too_strange_to_be_classified(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = class_of(&bytes);
        let relayed = [&[msg::RELAY_FORWARD][..], &bytes].concat();
        let _ = class_of(&relayed);
    }

    #[test]
    fn the_glance_agrees_with_the_decoder(
        kind in 1u8..=11,
        levels in 0usize..=RELAY_LEVELS_MAX,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = message(kind, 5, 6);
        for _ in 0..levels {
            bytes = relayed(5, &bytes);
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(decoded) = decode(&bytes) {
            let expected = match decoded.message().kind {
                MessageKind::Renew
                | MessageKind::Rebind
                | MessageKind::Confirm
                | MessageKind::Release
                | MessageKind::Decline => Class::Extending,
                MessageKind::Request => Class::Requesting,
                _ => Class::Soliciting,
            };
            prop_assert_eq!(class_of(&bytes), expected);
        }
    }
}
