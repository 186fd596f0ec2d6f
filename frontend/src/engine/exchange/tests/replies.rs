//! What all answers share: SV-102, SV-113, SV-201 to SV-206.

use super::lab::{SERVER_DUID, ip, network};
use super::message::DUID;
use super::{Lab, Msg, relayed};
use crate::codec::wire::{CLIENT_PORT, opt, status};
use crate::codec::{Discard, IaKind};
use leasehold_proto::session::ToStore;

#[test]
fn sv_102_a_direct_answer_goes_back_to_the_source_on_port_546_by_the_same_interface() {
    let mut lab = Lab::new();
    let answer = lab
        .send_on(1, "fe80::77", 40_000, "ff02::1:2", Msg::solicit().na(1, &[]).as_ref())
        .expect("an answer");
    assert_eq!((answer.to.address, answer.to.port), (ip("fe80::77"), CLIENT_PORT));
    assert_eq!((answer.to.interface_index, answer.to.source), (1, None));
}

#[test]
fn sv_201_identifiers_and_transaction_id_are_copied() {
    let mut lab = Lab::new();
    let answer = lab.send(Msg::solicit().xid([7, 8, 9]).na(0xdead_beef, &[])).expect("an answer");
    assert_eq!(answer.transaction_id.0, [7, 8, 9]);
    assert_eq!(answer.client_id.as_deref(), Some(DUID));
    assert_eq!(answer.server_id.as_deref(), Some(SERVER_DUID));
    assert_eq!(answer.na().iaid, 0xdead_beef, "SV-211");
}

#[test]
fn sv_202_options_with_a_value_are_sent_when_asked_for() {
    let mut lab = Lab::new();
    let answer = lab
        .send(Msg::solicit().na(1, &[]).oro(&[opt::DNS_SERVERS, opt::DOMAIN_LIST, opt::NTP_SERVER]))
        .expect("an answer");
    let servers = [ip("2001:db8::53").octets(), ip("2001:db8::54").octets()].concat();
    assert_eq!(answer.option(opt::DNS_SERVERS), Some(servers.as_slice()));
    assert_eq!(answer.option(opt::DOMAIN_LIST), Some(b"\x07example\x03com\x00".as_slice()));
    assert!(answer.option(opt::NTP_SERVER).is_none());
    let unasked = lab.send(Msg::solicit().na(1, &[])).expect("an answer");
    assert!(unasked.option(opt::DNS_SERVERS).is_none() && unasked.option(opt::DOMAIN_LIST).is_none());
}

#[test]
fn sv_203_codes_that_a_client_may_not_ask_for_are_ignored() {
    let mut lab = Lab::new();
    let codes: Vec<u16> = (1..=20).chain([25, 26, 37, 79, 135]).collect();
    let answer = lab.send(Msg::solicit().na(1, &[]).oro(&codes)).expect("an answer");
    let sent: Vec<u16> = answer.options.iter().map(|(code, _)| *code).collect();
    assert_eq!(sent, [opt::CLIENT_ID, opt::SERVER_ID, opt::IA_NA]);
}

#[test]
fn sv_206_no_needless_success_inside_ias() {
    let mut lab = Lab::new();
    let reply = lab.send(Msg::request().na(1, &[]).pd(1, &[])).expect("a Reply");
    assert!(reply.status.is_none() && reply.ias.iter().all(|ia| ia.status.is_none()));
}

#[test]
fn sv_113_the_search_list_goes_first_when_an_answer_would_become_too_long() {
    let mut wire = network();
    let names: Vec<u8> = (0..35)
        .flat_map(|n| {
            leasehold_proto::options::encode_name(&format!("a-rather-long-name-{n}.example.com")).unwrap()
        })
        .collect();
    assert!(names.len() > 1200);
    let options = wire.options.as_mut().expect("the script has some");
    options.options[1].data = names;
    wire.answer_octets = 1500;
    let mut lab = Lab::with("fe-a", wire);
    let message = Msg::solicit().na(1, &[]).oro(&[opt::DNS_SERVERS, opt::DOMAIN_LIST]);
    let direct = lab.send(message.clone()).expect("an answer");
    assert!(direct.option(opt::DOMAIN_LIST).is_some() && direct.len <= 1452);
    let long_id = [7u8; 300];
    let answer = lab
        .send_relayed(&relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, &long_id)], message))
        .expect("an answer");
    assert!(answer.option(opt::DOMAIN_LIST).is_none());
    assert!(answer.option(opt::DNS_SERVERS).is_some() && answer.len <= 1452);
    answer.na().one();
}

#[test]
fn sv_113_an_answer_that_cannot_fit_is_not_sent() {
    let mut lab = Lab::new();
    let long_id = [7u8; 1450];
    let message = relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, &long_id)], Msg::solicit().na(1, &[]));
    assert!(lab.send_relayed(&message).is_none());
    assert_eq!(lab.discarded(Discard::ReplyTooLong), 1);
}

#[test]
fn sv_113_a_request_whose_answer_cannot_fit_leaves_no_leases() {
    let mut lab = Lab::new();
    lab.commit();
    let ask = |ias: u32, id_len: usize| {
        let request = (1..=ias).fold(Msg::request(), |message, iaid| message.na(iaid, &[]));
        relayed("2001:db8:1::1", &[(opt::INTERFACE_ID, &vec![7; id_len])], request)
    };
    assert!(lab.send_relayed(&ask(8, 1200)).is_none());
    assert_eq!(lab.discarded(Discard::ReplyTooLong), 1);
    lab.drain();
    let has_updates =
        |message: &ToStore| matches!(message, ToStore::Batch(batch) if !batch.updates.is_empty());
    assert!(!lab.to_store.iter().any(has_updates), "nothing is recorded");
    assert_eq!(lab.send_relayed(&ask(8, 800)).expect("a Reply").ias.len(), 8);
    assert_eq!(lab.send_relayed(&ask(3, 1200)).expect("a Reply").ias.len(), 3);
}

#[test]
fn sv_113_sv_332_of_more_withdrawn_leases_than_fit_as_many_are_told() {
    let mut lab = Lab::new();
    let addresses: Vec<String> = (1..=60).map(|n| format!("2001:db8:77::{n:x}")).collect();
    let names: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let reply = lab.send(Msg::renew().na(1, &names)).expect("a Reply");
    let told = reply.na().leases.iter().filter(|(_, _, valid)| *valid == 0).count();
    assert!((25..50).contains(&told) && reply.len <= 1500 - 48, "{told} of 60 in {}", reply.len);
    let ias = (1..=16).fold(Msg::renew(), |message, iaid| message.na(iaid, &names[..2]));
    let reply = lab.send(ias.xid([4, 4, 4])).expect("a Reply");
    assert!(reply.ias.iter().all(|ia| !ia.leases.is_empty() || ia.status.is_some()), "no IA stands empty");
}

#[test]
fn sv_132_a_misplaced_option_is_passed_over_and_the_rest_is_used() {
    let mut lab = Lab::new();
    // An address at top level, a prefix in an IA_NA, a Status Code and a Preference of a client.
    let mut ia = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    ia.extend([0, 26, 0, 25]);
    ia.extend([0; 25]);
    let message =
        Msg::solicit().opt(opt::IA_ADDR, &[0; 24]).opt(opt::IA_NA, &ia).opt(13, &[0, 5]).opt(7, &[9]);
    let answer = lab.send(message).expect("an Advertise");
    answer.na().one();
}

#[test]
fn sv_155_no_link_no_lease_and_no_word_of_links() {
    let mut lab = Lab::new();
    let held = ["2001:db8:1::1042"];
    for message in [Msg::solicit().na(1, &[]), Msg::request().na(1, &held), Msg::rebind().na(1, &held)] {
        let relayed = relayed("2001:db8:77::1", &[], message);
        assert!(lab.send_relayed(&relayed).is_none());
    }
    assert_eq!(lab.discarded(Discard::NoLink), 3);
    let confirm = Msg::of(crate::codec::wire::msg::CONFIRM).na(1, &held);
    assert!(lab.send_relayed(&relayed("2001:db8:77::1", &[], confirm)).is_none());
    assert_eq!(lab.discarded(Discard::UnknownLinkConfirm), 1);
}

#[test]
fn sv_211_sv_215_every_ia_is_accounted_for_and_one_with_a_status_alone_has_no_timers() {
    let mut wire = network();
    wire.pools.truncate(1);
    wire.relationships[0].pools.truncate(1);
    let mut lab = Lab::with("fe-a", wire);
    let reply = lab.send(Msg::request().na(7, &[]).pd(7, &[]).na(8, &["2001:db8:77::1"])).expect("a Reply");
    let told: Vec<_> = reply.ias.iter().map(|ia| (ia.kind, ia.iaid, ia.leases.len(), ia.status)).collect();
    assert_eq!(told[0], (IaKind::Na, 7, 1, None));
    assert_eq!(told[1], (IaKind::Pd, 7, 0, Some(status::NO_PREFIX_AVAIL)), "SV-312");
    assert_eq!(told[2], (IaKind::Na, 8, 0, Some(status::NOT_ON_LINK)));
    assert!(reply.ias[1..].iter().all(|ia| (ia.t1, ia.t2) == (0, 0)));
}

#[test]
fn sv_312_nothing_assignable_is_said_inside_each_ia() {
    let mut lab = Lab::loading("fe-a", network());
    lab.load_done();
    lab.pool_dry(super::lab::ADDRESSES);
    lab.pool_dry(super::lab::PREFIXES);
    let reply = lab.send(Msg::request().na(1, &[]).pd(2, &[])).expect("a Reply");
    assert_eq!(reply.na().status, Some(status::NO_ADDRS_AVAIL));
    assert_eq!(reply.pd().status, Some(status::NO_PREFIX_AVAIL));
    assert_eq!(reply.status, None);
}
