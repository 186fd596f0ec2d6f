//! Prefix Exclude: PD-08, PD-09, PD-10.

use super::lab::{checked, network, pool, prefix};
use super::message::Answered;
use super::{Lab, Msg};
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::lease::UpdateKind;
use leasehold_proto::session::{StoreEvent, ToStore};
use leasehold_proto::v1;
use leasehold_proto::words::PoolId;

/// The whole option of RFC 6603 §4.2.
const VECTOR: [u8; 6] = [0x00, 0x43, 0x00, 0x02, 0x40, 0x78];
const DELEGATED: &str = "2001:db8:dead:bee0::/59";

/// One prefix of RFC 6603's example, and a pool that excludes nothing.
fn lab() -> Lab {
    let mut wire = network();
    let mut with =
        pool("p59", "lan", v1::IaKind::Pd, ("2001:db8:dead:bee0::", "2001:db8:dead:bee0::"), 59, 0);
    with.exclude = Some(v1::PrefixExclude { length_bits: 64, subnet: 0xf });
    wire.pools.push(with);
    wire.relationships[0].pools.push("p59".into());
    let mut lab = Lab::with("fe-a", wire);
    lab.grant(PoolId(3), 0);
    lab
}

/// The options inside the first IAPREFIX of the first IA_PD.
fn inside(answer: &Answered) -> Vec<u8> {
    let ia = answer.option(opt::IA_PD).expect("an IA_PD");
    // IAID, T1, T2; code, length; lifetimes, length, prefix.
    let length = usize::from(u16::from_be_bytes([ia[14], ia[15]]));
    ia[16 + 25..16 + length].to_vec()
}

/// A Release of the prefix with these options inside its IAPREFIX.
fn release(options: &[u8]) -> Msg {
    let mut data = vec![0; 12];
    data[3] = 1;
    data.extend(opt::IA_PREFIX.to_be_bytes());
    data.extend(u16::try_from(25 + options.len()).expect("short").to_be_bytes());
    data.extend([0, 0, 0, 77, 0, 0, 0, 88, 59]);
    data.extend(prefix(DELEGATED).ip().octets());
    data.extend(options);
    Msg::to_server(msg::RELEASE).opt(opt::IA_PD, &data)
}

fn is_released(lab: &mut Lab) -> bool {
    lab.drain();
    lab.to_store.iter().any(|message| match message {
        ToStore::Batch(batch) => batch.updates.iter().any(|u| u.kind == UpdateKind::Release),
        _ => false,
    })
}

#[test]
fn pd_08_pd_09_the_excluded_prefix_stands_inside_the_iaprefix_if_asked_for() {
    let mut lab = lab();
    for asked in [Msg::solicit(), Msg::request(), Msg::renew(), Msg::rebind()] {
        let answer = lab.send(asked.oro(&[opt::PD_EXCLUDE]).pd(1, &[DELEGATED])).expect("an answer");
        assert_eq!(answer.pd().one(), prefix(DELEGATED));
        assert_eq!(inside(&answer), VECTOR);
        assert!(answer.option(opt::PD_EXCLUDE).is_none(), "nowhere else");
    }
}

#[test]
fn pd_08_not_without_being_asked_for() {
    let mut lab = lab();
    let answer = lab.send(Msg::request().oro(&[23]).pd(1, &[DELEGATED])).expect("a Reply");
    assert_eq!((answer.pd().one(), inside(&answer)), (prefix(DELEGATED), vec![]));
}

#[test]
fn pd_08_not_where_nothing_is_excluded_nor_in_what_is_withdrawn() {
    let mut lab = lab();
    let answer = lab.send(Msg::request().oro(&[opt::PD_EXCLUDE]).pd(2, &["::/56"])).expect("a Reply");
    assert_eq!((answer.pd().one().len_bits(), inside(&answer)), (56, vec![]));
    // Another client's: withdrawn.
    lab.send(Msg::request().pd(1, &[DELEGATED])).expect("a Reply");
    let other = Msg::bare(msg::RENEW).client(super::message::OTHER_DUID).server(super::lab::SERVER_DUID);
    let answer = lab.send(other.oro(&[opt::PD_EXCLUDE]).pd(1, &[DELEGATED])).expect("a Reply");
    assert_eq!(answer.pd().lifetimes_of(DELEGATED), Some((0, 0)));
    assert!(!answer.option(opt::IA_PD).expect("an IA_PD").windows(6).any(|octets| octets == VECTOR));
}

#[test]
fn pd_10_a_release_that_names_another_excluded_prefix_is_no_binding() {
    for wrong in
        [&[0x00, 0x43, 0x00, 0x02, 0x40, 0x70][..], &[0, 0x43, 0, 2, 0x3f, 0x78], &[0, 0x43, 0, 1, 0x40]]
    {
        let mut lab = lab();
        lab.send(Msg::request().pd(1, &[DELEGATED])).expect("a Reply");
        let reply = lab.send(release(wrong)).expect("a Reply");
        assert_eq!((reply.status, reply.pd().status), (Some(status::SUCCESS), Some(status::NO_BINDING)));
        assert!(!is_released(&mut lab), "{wrong:x?}");
    }
}

#[test]
fn pd_10_a_release_that_names_the_same_or_none_is_followed() {
    for right in [&VECTOR[..], &[]] {
        let mut lab = lab();
        lab.send(Msg::request().pd(1, &[DELEGATED])).expect("a Reply");
        let reply = lab.send(release(right)).expect("a Reply");
        assert_eq!((reply.status, reply.ias.len()), (Some(status::SUCCESS), 0));
        assert!(is_released(&mut lab));
    }
}

#[test]
fn pd_10_pd_14_what_was_excluded_by_a_pool_that_is_configured_no_more_is_not_judged() {
    let mut lab = lab();
    lab.send(Msg::request().oro(&[opt::PD_EXCLUDE]).pd(1, &[DELEGATED])).expect("a Reply");
    lab.commit();
    let mut wire = network();
    wire.version = 2;
    lab.event(StoreEvent::Network(checked(wire)));
    let reply = lab.send(release(&VECTOR)).expect("a Reply");
    assert_eq!((reply.status, reply.ias.len()), (Some(status::SUCCESS), 0));
    assert!(is_released(&mut lab));
}
