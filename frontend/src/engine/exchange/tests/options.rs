//! Which options an answer carries: SV-202 to SV-205, SV-306, SV-351, SV-352, OP-02 to OP-06.

use super::lab::{ADDRESSES, checked, ip, network, options};
use super::message::{Answered, DUID};
use super::{Lab, Msg};
use crate::codec::wire::{msg, opt, status};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::v1;

fn forced(code: u32, data: &[u8]) -> v1::DhcpOption {
    v1::DhcpOption { code, data: data.to_vec(), forced: true }
}

fn class(name: &str, field: v1::ClientField, value: &[u8]) -> v1::Class {
    v1::Class {
        name: name.into(),
        tests: vec![v1::ClientTest { field: field.into(), values: vec![value.to_vec()] }],
        ..v1::Class::default()
    }
}

fn all(answer: &Answered, code: u16) -> Vec<Vec<u8>> {
    answer.options.iter().filter(|(c, _)| *c == code).map(|(_, data)| data.clone()).collect()
}

fn request_all(codes: &[u16]) -> Msg {
    Msg::request().na(1, &[]).oro(codes)
}

#[test]
fn sv_202_unrequested_options_only_where_they_are_forced() {
    let mut wire = network();
    wire.options.as_mut().expect("the script has some").options.push(forced(82, &[0, 0, 14, 16]));
    let mut lab = Lab::with("fe-a", wire);
    let answer = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert_eq!(answer.option(opt::SOL_MAX_RT), Some([0, 0, 14, 16].as_slice()));
    assert!(answer.option(opt::DNS_SERVERS).is_none());
}

#[test]
fn op_05_reservation_before_class_before_pool_before_link_before_global() {
    let name = |text: &str| leasehold_proto::options::encode_name(text).expect("a name");
    let places =
        ["global.example", "link.example", "pool.example", "class.example", "host.example"].map(name);
    // Each step takes the place of highest precedence away.
    for (taken, wanted) in places.iter().rev().enumerate() {
        let at =
            |place: usize| (place < places.len() - taken).then(|| options(&[(24, &places[place])])).flatten();
        let mut wire = network();
        wire.options = at(0);
        wire.links[0].options = at(1);
        wire.pools[0].options = at(2);
        wire.classes = vec![v1::Class { options: at(3), ..class("all", v1::ClientField::Duid, DUID) }];
        wire.hosts = vec![v1::Host { name: "one".into(), duid: DUID.to_vec(), options: at(4) }];
        let answer = Lab::with("fe-a", wire).send(request_all(&[opt::DOMAIN_LIST])).expect("a Reply");
        assert_eq!(all(&answer, opt::DOMAIN_LIST), std::slice::from_ref(wanted), "{taken} places taken away");
    }
}

#[test]
fn op_05_of_two_classes_the_one_that_is_written_first_counts() {
    let mut wire = network();
    let first = v1::Class {
        options: options(&[(31, &ip("2001:db8::1").octets())]),
        ..class("a", v1::ClientField::Duid, DUID)
    };
    let second = v1::Class {
        options: options(&[(31, &ip("2001:db8::2").octets()), (23, &ip("2001:db8::3").octets())]),
        ..class("b", v1::ClientField::Duid, DUID)
    };
    wire.classes = vec![first, second];
    let answer = Lab::with("fe-a", wire).send(request_all(&[31, 23])).expect("a Reply");
    assert_eq!(all(&answer, 31), [ip("2001:db8::1").octets().to_vec()]);
    assert_eq!(all(&answer, 23), [ip("2001:db8::3").octets().to_vec()]);
}

#[test]
fn op_02_sv_204_vendor_options_when_asked_for_one_instance_an_enterprise_with_all_inside() {
    let mut wire = network();
    let cable = [&[0, 0, 0x11, 0x8b][..], &[0, 32, 0, 1, 7, 0, 33, 0, 2, 1, 2]].concat();
    let other = [&[0, 0, 0, 9][..], &[0, 1, 0, 1, 1]].concat();
    let mine = [&[0, 0, 0, 9][..], &[0, 1, 0, 1, 2]].concat();
    wire.options = options(&[(17, &cable), (17, &other)]);
    wire.links[0].options = options(&[(17, &mine)]);
    let mut lab = Lab::with("fe-a", wire);
    let mut sent = all(&lab.send(request_all(&[opt::VENDOR_OPTS])).expect("a Reply"), opt::VENDOR_OPTS);
    sent.sort();
    assert_eq!(sent, [mine, cable]);
    assert!(all(&lab.send(request_all(&[23])).expect("a Reply"), opt::VENDOR_OPTS).is_empty());
}

#[test]
fn op_03_a_user_class_is_not_sent_back() {
    let answer = Lab::new().send(request_all(&[15]).opt(15, &[0, 2, 1, 2])).expect("a Reply");
    assert!(answer.option(opt::USER_CLASS).is_none());
}

#[test]
fn op_04_architectures_that_the_client_named_in_the_servers_order_and_boot_options_with_leases_only() {
    let mut wire = network();
    let url = b"http://[2001:db8::1]/boot";
    wire.options = options(&[(59, url)]);
    let order = [0, 16, 0, 7, 0, 9];
    wire.options.as_mut().expect("just made").options.push(forced(61, &order));
    let mut lab = Lab::with("fe-a", wire);
    let named = |lab: &mut Lab, kinds: &[u8]| {
        let reply = lab.send(request_all(&[59]).opt(61, kinds)).expect("a Reply");
        assert_eq!(reply.option(59), Some(url.as_slice()));
        reply.option(61).map(<[u8]>::to_vec)
    };
    assert_eq!(named(&mut lab, &[0, 7, 0, 16]), Some(vec![0, 16, 0, 7]));
    assert_eq!(named(&mut lab, &[0, 1]), None);
    let held = lab.send(request_all(&[])).expect("a Reply").na().one().to_string();
    let released = lab.send(Msg::to_server(msg::RELEASE).na(1, &[&held]).oro(&[59])).expect("a Reply");
    assert!(released.option(59).is_none() && released.option(61).is_none());
}

#[test]
fn op_06_what_left_the_configuration_is_absent_from_the_next_reply() {
    let mut lab = Lab::new();
    let held = lab.send(request_all(&[23, 24])).expect("a Reply");
    assert!(held.option(opt::DOMAIN_LIST).is_some());
    let mut wire = network();
    wire.version = 2;
    wire.options.as_mut().expect("the script has some").options.remove(1);
    lab.event(StoreEvent::Network(checked(wire)));
    let renew = Msg::renew().na(1, &[&held.na().one().to_string()]).oro(&[23, 24]);
    let renewed = lab.send(renew).expect("a Reply");
    assert!(renewed.option(opt::DOMAIN_LIST).is_none() && renewed.option(opt::DNS_SERVERS).is_some());
}

#[test]
fn sv_203_an_option_that_may_not_be_asked_for_must_be_forced_or_is_no_configuration() {
    let mut wire = network();
    wire.options = options(&[(61, &[0, 7])]);
    leasehold_proto::network::fill_defaults(&mut wire);
    let errors = leasehold_proto::network::Network::from_wire(&wire).expect_err("nobody could get it");
    assert!(errors.iter().any(|error| error.message.contains("force")), "{errors:?}");
}

#[test]
fn sv_205_the_largest_retransmission_times_are_told_in_failures_too() {
    let mut wire = network();
    wire.options = options(&[(82, &[0, 0, 0, 60]), (83, &[0, 1, 0x51, 0x80])]);
    let mut lab = Lab::loading("fe-a", wire);
    lab.load_done();
    lab.pool_dry(ADDRESSES);
    let answer = lab.send(Msg::solicit().na(1, &[]).oro(&[82, 83])).expect("an Advertise");
    assert_eq!(answer.na().status, Some(status::NO_ADDRS_AVAIL));
    assert_eq!(answer.option(opt::SOL_MAX_RT), Some([0, 0, 0, 60].as_slice()));
    assert_eq!(answer.option(opt::INF_MAX_RT), Some([0, 1, 0x51, 0x80].as_slice()));
}

#[test]
fn sv_306_the_preference_is_the_operators_and_stands_in_an_advertise_alone() {
    for (preference, wanted) in [(0, None), (1, Some(1)), (255, Some(255))] {
        let mut wire = network();
        wire.relationships[0].preference = preference;
        let mut lab = Lab::with("fe-a", wire);
        let answer = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
        assert_eq!(answer.option(opt::PREFERENCE).map(|data| data[0]), wanted);
        assert!(lab.send(request_all(&[7])).expect("a Reply").option(opt::PREFERENCE).is_none());
    }
}

#[test]
fn sv_352_the_refresh_time_only_in_replies_to_information_requests() {
    let mut wire = network();
    wire.options = options(&[(32, &[0, 0, 2, 0x58]), (83, &[0, 0, 0, 60])]);
    let mut lab = Lab::with("fe-a", wire);
    let told = lab.send(Msg::bare(msg::INFORMATION_REQUEST).oro(&[32, 83])).expect("a Reply");
    assert_eq!(told.option(opt::INFO_REFRESH_TIME), Some([0, 0, 2, 0x58].as_slice()));
    assert!(told.option(opt::INF_MAX_RT).is_some());
    assert!(lab.send(request_all(&[32])).expect("a Reply").option(opt::INFO_REFRESH_TIME).is_none());
    assert!(
        lab.send(Msg::bare(msg::INFORMATION_REQUEST))
            .expect("a Reply")
            .option(opt::INFO_REFRESH_TIME)
            .is_none()
    );
}

#[test]
fn sv_351_without_a_client_id_only_what_all_are_told() {
    let mut wire = network();
    let own = v1::Class {
        options: options(&[(23, &ip("2001:db8::aa").octets())]),
        ..class("phones", v1::ClientField::UserClass, b"phone")
    };
    wire.classes = vec![own];
    let mut lab = Lab::with("fe-a", wire);
    let ask = |message: Msg| message.oro(&[23]).opt(15, b"\0\x05phone");
    let known = lab.send(ask(Msg::of(msg::INFORMATION_REQUEST))).expect("a Reply");
    assert_eq!(all(&known, 23), [ip("2001:db8::aa").octets().to_vec()]);
    let unknown = lab.send(ask(Msg::bare(msg::INFORMATION_REQUEST))).expect("a Reply");
    assert_ne!(all(&unknown, 23), all(&known, 23));
}

#[test]
fn sv_113_options_are_left_out_before_an_answer_outgrows_a_link_and_are_counted() {
    let mut wire = network();
    let long = [7u8; 700];
    wire.options = options(&[(250, &long), (251, &long), (23, &ip("2001:db8::53").octets())]);
    let mut lab = Lab::with("fe-a", wire);
    let answer = lab.send(request_all(&[250, 251, 23])).expect("a Reply");
    assert!(answer.len <= 1280 - 48, "{}", answer.len);
    assert!(answer.option(23).is_some() && answer.option(250).is_some() && answer.option(251).is_none());
    assert_eq!(lab.engine.counters().options_left_out, 1);
}

#[test]
fn sv_113_op_05_precedence_is_no_importance_of_a_long_class_option_and_name_servers_the_latter_go_first() {
    let long = [&[0, 0, 0, 9, 0, 1, 0x04, 0x60][..], &[7; 0x460]].concat();
    let mut wire = network();
    wire.classes =
        vec![v1::Class { options: options(&[(17, &long)]), ..class("all", v1::ClientField::Duid, DUID) }];
    let mut lab = Lab::with("fe-a", wire);
    assert_eq!(all(&lab.send(request_all(&[17])).expect("a Reply"), opt::VENDOR_OPTS).len(), 1);
    let answer = lab.send(request_all(&[17, 23])).expect("a Reply");
    assert_eq!((all(&answer, opt::DNS_SERVERS).len(), all(&answer, opt::VENDOR_OPTS).len()), (1, 0));
    assert_eq!(lab.engine.counters().options_left_out, 1);
}
