//! Whatever comes: the bounds hold, every datagram is accounted for, and below the bounds none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::{BUFFER_KEPT_LEN, Class};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Offer { tag: Tag, filling_len: u16 },
    Take,
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = prop::sample::select(vec![msg::SOLICIT, msg::REQUEST, msg::RENEW, msg::REBIND, 0, 99]);
    let offer = ((0u16..6, kinds, 0u32..40), prop_oneof![9 => 0u16..100, 1 => 0u16..3_000])
        .prop_map(|(tag, filling_len)| Step::Offer { tag, filling_len });
    let step =
        prop_oneof![6 => offer, 3 => Just(Step::Take), 1 => (0u64..4_000).prop_map(|ms| Step::Wait { ms })];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn sec_06_no_bound_is_ever_exceeded_and_every_datagram_is_accounted_for(
        steps in steps(),
        messages_max in 0u32..40,
        bytes_max in 0usize..6_000,
    ) {
        let mut queue = Admission::new(KEY, Bounds { messages_max, bytes_max });
        let (mut now, mut offered, mut taken, mut slots_max) = (NOW, 0u64, 0u64, 0);
        for step in steps {
            match step {
                Step::Offer { tag, filling_len } => {
                    offer(&mut queue, now, tag, filling_len);
                    offered += 1;
                }
                Step::Take => taken += u64::from(take(&mut queue, now).is_some()),
                Step::Wait { ms } => now = now + Duration::from_millis(ms),
            }
            prop_assert!(queue.len() <= messages_max && queue.bytes() <= bytes_max);
            prop_assert_eq!(Class::ALL.iter().map(|class| queue.waiting(*class)).sum::<u32>(), queue.len());
            let shed = queue.shed();
            prop_assert_eq!(offered, taken + shed.full + shed.stale + shed.superseded + u64::from(queue.len()));
            slots_max = slots_max.max(queue.len() as usize);
            let kept = (slots_max + 1) * BUFFER_KEPT_LEN;
            // Buffers grow by doubling, so one in use may have twice the room that it needs; one was released last.
            prop_assert!(queue.slots.buffer_bytes() <= kept + 2 * bytes_max + 2 * 4_096);
        }
        let mut left = u64::from(queue.len());
        let stale_before = queue.shed().stale;
        left -= take_all(&mut queue, now).len() as u64;
        prop_assert_eq!(left, queue.shed().stale - stale_before);
        prop_assert_eq!((queue.len(), queue.bytes(), queue.exchanges.len()), (0, 0, 0));
    }

    #[test]
    fn below_the_bounds_nothing_is_lost_or_doubled_and_each_source_keeps_its_order(steps in steps()) {
        let mut queue = Admission::new(KEY, ROOMY);
        let mut waiting = BTreeSet::new();
        let mut order: BTreeMap<(u16, Class), Vec<(Tag, u16)>> = BTreeMap::new();
        let come = |tag: Tag, len: usize, order: &mut BTreeMap<(u16, Class), Vec<(Tag, u16)>>| {
            let class = super::super::class_of(&message(tag.1, tag.2, 0));
            let expected = order.get_mut(&(tag.0, class)).map(|line| line.remove(0));
            let filling_len = u16::try_from(len - relayed(0, &message(0, 0, 0)).len()).unwrap();
            assert_eq!(expected, Some((tag, filling_len)));
        };
        for step in steps {
            match step {
                Step::Offer { tag, filling_len } => {
                    offer(&mut queue, NOW, tag, filling_len);
                    if waiting.insert((tag, filling_len)) {
                        let class = super::super::class_of(&message(tag.1, tag.2, 0));
                        order.entry((tag.0, class)).or_default().push((tag, filling_len));
                    }
                }
                Step::Take => {
                    if let Some((bytes, tag)) = queue.take(NOW) {
                        let len = bytes.len();
                        come(*tag, len, &mut order);
                        let filling_len = u16::try_from(len - relayed(0, &message(0, 0, 0)).len()).unwrap();
                        assert!(waiting.remove(&(*tag, filling_len)));
                    }
                }
                Step::Wait { .. } => {}
            }
            prop_assert_eq!(queue.len() as usize, waiting.len());
        }
        while let Some((bytes, tag)) = queue.take(NOW) {
            let len = bytes.len();
            come(*tag, len, &mut order);
        }
        prop_assert!(order.values().all(Vec::is_empty), "{:?} never came", order);
        prop_assert_eq!((queue.shed().full, queue.shed().stale), (0, 0));
    }
}

#[test]
fn a_place_is_used_again_with_its_buffer() {
    let mut queue = Admission::new(KEY, ROOMY);
    for round in 0..50 {
        for client in 0..64 {
            offer(&mut queue, NOW, (1, msg::SOLICIT, round * 64 + client), 100);
        }
        assert_eq!(take_all(&mut queue, NOW).len(), 64);
        assert_eq!(queue.slots.buffer_bytes(), 65 * BUFFER_KEPT_LEN);
    }
}
