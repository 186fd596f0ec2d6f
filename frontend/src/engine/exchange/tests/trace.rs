//! What somebody is told who traces a client: each message, what was decided and why; and nothing of anybody else's.

use super::lab::{ADDRESSES, CLIENT, MULTICAST, network};
use super::message::{DUID, OTHER_DUID};
use super::{Lab, Msg, relayed};
use crate::codec::wire::{msg, opt};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::session::{FromStore, ToStore};
use leasehold_proto::trace::{TraceFilter, TraceReport, TracedClient};
use leasehold_proto::v1;
use leasehold_proto::words::Duid;

fn filter(id: u64, client: TracedClient) -> TraceFilter {
    TraceFilter { id, client }
}

fn duid(octets: &[u8]) -> TracedClient {
    TracedClient::Duid(Duid::new(octets).expect("a DUID"))
}

fn peer(text: &str) -> TracedClient {
    TracedClient::Peer(super::lab::ip(text).to_bits())
}

/// Somebody begins to look.
fn traced(mut lab: Lab, filters: Vec<TraceFilter>) -> Lab {
    lab.apply(FromStore::Traces(filters));
    reports(&mut lab);
    lab
}

/// What was reported since this was asked last.
fn reports(lab: &mut Lab) -> Vec<TraceReport> {
    lab.drain();
    let (reports, others) = std::mem::take(&mut lab.to_store)
        .into_iter()
        .partition::<Vec<_>, _>(|message| matches!(message, ToStore::Trace(_)));
    lab.to_store = others;
    reports
        .into_iter()
        .filter_map(|m| if let ToStore::Trace(report) = m { Some(report) } else { None })
        .collect()
}

fn events(lab: &mut Lab) -> Vec<v1::TraceEvent> {
    reports(lab).into_iter().flat_map(|report| report.events).collect()
}

fn one(lab: &mut Lab) -> v1::TraceEvent {
    let mut events = events(lab);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn decided(event: &v1::TraceEvent) -> (&str, &str) {
    (&event.decision, &event.reason)
}

#[test]
fn an_answered_message_is_told_with_its_link_its_cause_its_leases_and_its_options() {
    let mut lab = traced(Lab::new(), vec![filter(3, duid(DUID))]);
    lab.send(Msg::solicit().na(1, &[]).pd(2, &[]).oro(&[23, 24, 31])).expect("an Advertise");
    let event = one(&mut lab);
    assert_eq!((event.traces.as_slice(), event.number, event.occasion.as_str()), (&[3][..], 1, "arrived"));
    assert_eq!((event.interface.as_str(), event.source.len()), ("eth0", 16));
    assert_eq!((event.message.as_str(), event.duid.as_slice()), ("solicit", DUID));
    assert_eq!(event.requested_options, [23, 24, 31]);
    assert_eq!((event.link.as_str(), event.link_by.as_str()), ("lan", "interface"));
    assert_eq!((event.relationship.as_str(), decided(&event)), ("r1", ("answered", "bucket")));
    assert_eq!((event.answer.as_str(), event.text.is_empty()), ("advertise", false));
    assert!(event.cluster_ms_at_most > 0);
    let asked: Vec<_> = event.asked.iter().map(|ia| (ia.kind, ia.iaid)).collect();
    assert_eq!(asked, [(1, 1), (2, 2)]);
    let leases: Vec<_> = event.answered.iter().flat_map(|ia| &ia.leases).collect();
    let told: Vec<_> = leases.iter().map(|l| (l.pool.as_str(), l.what.as_str(), l.range.as_str())).collect();
    assert_eq!(told, [("a1", "offered", "own"), ("p1", "offered", "own")]);
    assert_eq!((leases[0].preferred_secs, leases[0].valid_secs), (3000, 4000));
    assert_eq!((event.answered[0].t1_secs, event.answered[0].t2_secs), (1500, 2400));
    assert_eq!((event.options_sent.as_slice(), event.options_left_out.len()), (&[23, 24][..], 0));
}

#[test]
fn a_lease_is_told_as_new_then_as_extended_then_as_withdrawn_and_what_is_released_with_its_states() {
    let mut lab = traced(Lab::new(), vec![filter(1, duid(DUID))]);
    let given = lab.send(Msg::request().na(1, &[])).expect("a Reply").na().one().to_string();
    let what = |event: &v1::TraceEvent| event.answered[0].leases[0].what.clone();
    assert_eq!(what(&one(&mut lab)), "new");
    lab.commit();
    reports(&mut lab);
    lab.send(Msg::renew().na(1, &[&given])).expect("a Reply");
    let event = one(&mut lab);
    assert_eq!((what(&event).as_str(), event.answer.as_str()), ("extended", "reply"));
    lab.send(Msg::renew().xid([7, 7, 7]).na(2, &["2001:db8:2::9"])).expect("a Reply");
    let told = one(&mut lab);
    let withdrawn = told.answered[0].leases.iter().find(|l| l.what == "withdrawn").expect("off link");
    assert_eq!((withdrawn.valid_secs, withdrawn.pool.as_str()), (0, ""));
    lab.send(Msg::to_server(msg::RELEASE).na(1, &[&given])).expect("a Reply");
    let notes = one(&mut lab).notes;
    assert!(notes.iter().any(|note| note.contains("was ACTIVE, is RELEASED")), "{notes:?}");
}

#[test]
fn r5_a_lease_of_the_partners_range_is_told_as_extended_for_it() {
    let mut lab = traced(Lab::new(), vec![filter(1, duid(DUID))]);
    lab.lease("2001:db8:1::1810", DUID, 1, LeaseState::Active);
    lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).expect("a Reply");
    let event = one(&mut lab);
    assert_eq!(event.answered[0].leases[0].range, "fe-b");
    assert!(event.notes.iter().any(|note| note.starts_with("R5: 2001:db8:1::1810")), "{:?}", event.notes);
}

#[test]
fn a_kept_message_is_told_with_what_it_waits_for_and_again_with_its_fate() {
    let mut lab = traced(Lab::with("fe-b", network()), vec![filter(1, duid(DUID))]);
    assert!(lab.send(Msg::solicit().na(1, &[])).is_none());
    let kept = one(&mut lab);
    assert_eq!(decided(&kept), ("kept", "partner"));
    assert!(kept.text.contains("fe-a") && kept.notes[0].starts_with("bucket "), "{kept:?}");
    assert_eq!(lab.liveness("fe-a", false).len(), 1);
    let answered = one(&mut lab);
    assert_eq!((answered.follows, answered.occasion.as_str()), (kept.number, "judged-anew"));
    assert_eq!(decided(&answered), ("answered", "partner_down"));
    // And one that the partner answers.
    lab.liveness("fe-a", true);
    assert!(lab.send(Msg::solicit().xid([8, 8, 8]).na(1, &[])).is_none());
    let kept = one(&mut lab);
    assert!(lab.wait(2000).is_empty());
    let dropped = one(&mut lab);
    assert_eq!((dropped.follows, decided(&dropped)), (kept.number, ("discarded", "not_ours")));
    assert_eq!(dropped.occasion, "partner-had-two-seconds");
}

#[test]
fn a_reply_held_for_the_commit_is_told_when_it_is_held_and_when_it_is_sent() {
    let mut wire = network();
    wire.pools[0].commit_wait_ms = 200;
    let mut lab = Lab::with("fe-a", wire);
    lab.commit();
    let mut lab = traced(lab, vec![filter(1, duid(DUID))]);
    assert!(lab.send(Msg::request().na(1, &[])).is_none());
    let held = one(&mut lab);
    assert_eq!((decided(&held), held.answered[0].leases.len()), (("kept", "commit"), 1));
    assert_eq!(lab.wait(200).len(), 1);
    let sent = one(&mut lab);
    assert_eq!((sent.follows, decided(&sent)), (held.number, ("sent", "waited-out")));
    assert_eq!((sent.traces, sent.duid.as_slice()), (vec![1], DUID));
}

#[test]
fn a_client_that_is_looked_up_and_a_lease_that_is_adopted_are_told_as_waiting() {
    let mut lab = Lab::loading("fe-a", network());
    lab.commit();
    lab.grant(ADDRESSES, 0);
    let mut lab = traced(lab, vec![filter(1, duid(DUID))]);
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1810"])).is_none());
    assert_eq!(decided(&one(&mut lab)), ("kept", "look-up"));
    let mut lab = Lab::new();
    lab.liveness("fe-b", false);
    let mut lab = traced(lab, vec![filter(1, duid(DUID))]);
    assert!(lab.send(Msg::renew().na(1, &["2001:db8:1::1c10"])).is_none());
    let event = one(&mut lab);
    assert_eq!(decided(&event), ("kept", "adoption"));
    assert!(event.text.starts_with("R7"), "{event:?}");
}

#[test]
fn a_discarded_message_is_told_with_its_reason_and_a_malformed_one_by_its_sender() {
    let mut lab = traced(Lab::new(), vec![filter(1, duid(DUID)), filter(2, peer(CLIENT))]);
    assert!(lab.send(Msg::bare(msg::RENEW).client(DUID).na(1, &[])).is_none());
    let event = one(&mut lab);
    assert_eq!((decided(&event), event.traces.as_slice()), (("discarded", "no_server_id"), &[1, 2][..]));
    assert_eq!(event.text, "a Server Identifier is required and absent");
    let mut cut = Msg::solicit().na(1, &[]).as_ref().to_vec();
    cut.pop();
    assert!(lab.send(&cut).is_none());
    let event = one(&mut lab);
    assert_eq!((decided(&event), event.traces.as_slice()), (("discarded", "truncated_option"), &[2][..]));
    assert_eq!((event.message.as_str(), event.duid.len()), ("solicit", 0));
    assert!(lab.send([200, 1, 2, 3]).is_none());
    assert_eq!(one(&mut lab).message, "type 200");
    // Behind a relay, by its innermost peer-address: that of the test's relays.
    let whole = relayed("2001:db8:1::1", &[], Msg::solicit().na(1, &[]));
    lab.send_relayed(&whole).expect("a Relay-reply");
    let client = events(&mut lab)[0].relays[0].peer_address.clone();
    let client = TracedClient::Peer(u128::from_be_bytes(client.try_into().expect("16 octets")));
    let mut lab = traced(lab, vec![filter(4, client)]);
    assert!(lab.send_relayed(&relayed("2001:db8:1::1", &[], &cut)).is_none());
    assert_eq!(one(&mut lab).traces, [4]);
}

#[test]
fn sv_152_sv_156_a_relayed_message_is_told_with_its_relays_and_matched_by_the_link_layer_address() {
    let mac = [2, 0, 0x5e, 0x10, 0, 1];
    let mut lab = traced(Lab::new(), vec![filter(1, TracedClient::LinkLayer(mac.to_vec()))]);
    let option = [&[0, 1][..], &mac].concat();
    let relay = [(opt::INTERFACE_ID, &b"\x1b[2J"[..]), (opt::CLIENT_LINKLAYER_ADDR, &option)];
    lab.send_relayed(&relayed("2001:db8:1::1", &relay, Msg::solicit().na(1, &[]))).expect("a Relay-reply");
    let event = one(&mut lab);
    assert_eq!((event.link_layer.as_slice(), event.link_by.as_str()), (&mac[..], "link-address"));
    assert_eq!((event.relays.len(), event.relays[0].interface_id.as_slice()), (1, &b"\x1b[2J"[..]));
    assert_eq!(event.options_sent.len(), 0, "codes of the client's message, not of the relay's");
    let selected = relayed("::", &[(opt::INTERFACE_ID, b"port-7"), relay[1]], Msg::solicit().na(1, &[]));
    lab.send_relayed(&selected);
    let event = one(&mut lab);
    assert_eq!((event.link.as_str(), event.link_by.as_str()), ("wan", "selector"));
    lab.send(Msg::solicit().xid([5, 5, 5]).na(1, &[])).expect("an Advertise");
    assert!(events(&mut lab).is_empty(), "without a relay the link-layer address is not known");
}

#[test]
fn nothing_is_told_of_others_nor_when_nobody_looks_nor_after_the_connection_is_gone() {
    let mut lab = Lab::new();
    lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert!(reports(&mut lab).is_empty(), "nobody looks");
    lab.apply(FromStore::Traces(vec![filter(1, duid(OTHER_DUID))]));
    let followed = reports(&mut lab);
    assert_eq!(followed, [TraceReport { in_force: vec![1], ..TraceReport::default() }], "it says so once");
    lab.send(Msg::solicit().xid([2, 2, 2]).na(1, &[])).expect("an Advertise");
    assert!(reports(&mut lab).is_empty(), "another client");
    lab.apply(FromStore::Traces(vec![filter(1, duid(DUID))]));
    lab.apply(FromStore::Traces(vec![]));
    lab.to_store.clear();
    lab.send(Msg::solicit().xid([3, 3, 3]).na(1, &[])).expect("an Advertise");
    assert!(reports(&mut lab).is_empty(), "withdrawn");
    lab.apply(FromStore::Traces(vec![filter(1, duid(DUID))]));
    lab.to_store.clear();
    lab.engine.disconnected(lab.now);
    lab.send(Msg::solicit().xid([4, 4, 4]).na(1, &[])).expect("an Advertise");
    assert!(reports(&mut lab).is_empty(), "who asked is out of reach");
}

#[test]
fn sec_06_events_are_bounded_and_what_had_no_room_is_counted() {
    let mut lab = traced(Lab::new(), vec![filter(1, duid(DUID))]);
    let flood = |lab: &mut Lab, count: u16| {
        for n in 0..count {
            let [hi, lo] = n.to_be_bytes();
            lab.send(Msg::solicit().xid([1, hi, lo]).na(1, &[]));
        }
        let reports = reports(lab);
        (
            reports.iter().map(|r| r.events.len()).sum::<usize>(),
            reports.iter().map(|r| r.dropped).sum::<u64>(),
        )
    };
    assert_eq!(flood(&mut lab, 150), (100, 50));
    lab.wait(999);
    assert_eq!(flood(&mut lab, 1), (0, 1));
    lab.wait(1);
    assert_eq!(flood(&mut lab, 3), (3, 0), "the next second has room again");
    let filters = (1..=20).map(|id| filter(id, duid(DUID))).collect();
    let mut lab = traced(Lab::new(), filters);
    lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert_eq!(one(&mut lab).traces.len(), 8);
    // Long values of a relay are cut.
    let long = vec![7; 1000];
    let mut lab = traced(lab, vec![filter(1, peer("fe80::c"))]);
    let bytes = relayed("::", &[(opt::INTERFACE_ID, &long)], Msg::solicit().na(1, &[]));
    lab.send_on(1, CLIENT, 546, MULTICAST, &bytes);
    assert_eq!(one(&mut lab).relays[0].interface_id.len(), 256);
}

#[test]
fn sv_157_sec_01_the_classes_of_a_client_are_told_and_that_it_sends_too_much() {
    let mut wire = network();
    wire.classes = vec![v1::Class {
        name: "phones".into(),
        tests: vec![v1::ClientTest { field: v1::ClientField::Duid.into(), values: vec![DUID.to_vec()] }],
        ..v1::Class::default()
    }];
    let mut lab = traced(Lab::with("fe-a", wire), vec![filter(1, duid(DUID))]);
    lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert_eq!(one(&mut lab).notes, ["class phones"]);
    let answers = |n: u8| lab.send(Msg::solicit().xid([9, 9, n]).na(1, &[]));
    assert!((0..90).map(answers).any(|answer| answer.is_none()), "its rate is bounded");
    let last = events(&mut lab).pop().expect("the last of them");
    assert_eq!(decided(&last), ("discarded", "rate_limited"));
}

#[test]
fn sv_305_sec_02_why_an_ia_gets_nothing_is_told() {
    let told = |change: &dyn Fn(&mut v1::Network), message: Msg| {
        let mut wire = network();
        change(&mut wire);
        let mut lab = traced(Lab::with("fe-a", wire), vec![filter(1, duid(DUID))]);
        lab.send(message).expect("an answer");
        events(&mut lab).pop().expect("told").notes.join("; ")
    };
    let bound = |wire: &mut v1::Network| {
        wire.links[0].limits = Some(v1::Limits { leases_per_client: Some(1), ..v1::Limits::default() });
    };
    let notes = told(&bound, Msg::request().na(1, &[]).na(2, &[]));
    assert!(notes.contains("IAID 2: SEC-02"), "{notes}");
    let no_prefixes = |wire: &mut v1::Network| {
        wire.pools.retain(|pool| pool.name != "p1");
        wire.relationships[0].pools.retain(|name| name != "p1");
    };
    let notes = told(&no_prefixes, Msg::request().na(1, &[]).pd(2, &[]));
    assert!(notes.contains("IAID 2: no pool of this kind"), "{notes}");
}

#[test]
fn sec_07_options_are_told_by_code_alone() {
    let mut wire = network();
    wire.options.as_mut().expect("options").options.push(v1::DhcpOption {
        code: 17,
        data: [&[0, 0, 0, 9, 0, 1, 0, 9][..], b"swordfish"].concat(),
        forced: true,
    });
    let mut lab = traced(Lab::with("fe-a", wire), vec![filter(1, duid(DUID))]);
    let answer = lab.send(Msg::solicit().na(1, &[])).expect("an Advertise");
    assert!(answer.option(17).is_some());
    let event = one(&mut lab);
    assert_eq!(event.options_sent, [17]);
    let written = format!("{event:?}");
    assert!(!written.contains("swordfish") && !written.contains("115, 119, 111"), "{written}");
}
