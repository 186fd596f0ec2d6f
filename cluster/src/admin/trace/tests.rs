//! Arguments, and what is printed.

use clap::Parser;
use leasehold_proto::v1;
use leasehold_proto::v1::trace_answer::Body;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    trace: TraceArguments,
}

fn parse(line: &[&str]) -> Result<TraceArguments, clap::Error> {
    Arguments::try_parse_from([&["trace"], line].concat()).map(|arguments| arguments.trace)
}

#[test]
fn one_client_is_named_by_one_of_its_marks() {
    let client = |line: &[&str]| parse(line).unwrap().client.client().unwrap();
    assert_eq!(client(&["--duid", "00:01:aa"]), TracedClient::Duid(Duid::new(&[0, 1, 0xaa]).unwrap()));
    assert_eq!(
        client(&["--link-layer", "02-00-5e-10-00-01"]),
        TracedClient::LinkLayer(vec![2, 0, 0x5e, 16, 0, 1])
    );
    assert_eq!(client(&["--peer", "fe80::1", "--for", "2h"]), TracedClient::Peer(0xfe80 << 112 | 1));
    assert_eq!(parse(&["--peer", "::1"]).unwrap().span, Duration::from_secs(600));
    for wrong in [
        &[][..],
        &["--duid", "0001aa", "--peer", "::1"],
        &["--link-layer", "02:0"],
        &["--link-layer", "zz:00"],
        &["--link-layer", "+1:+2"],
        &["--duid", "0001+a"],
        &["--peer", "::1", "--for", "long"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}

fn event() -> v1::TraceEvent {
    let prefix = Some(v1::Prefix { address: vec![0x20; 16], length_bits: 128 });
    let status = |code, text: &str| Some(v1::TraceStatus { code, text: text.to_owned() });
    v1::TraceEvent {
        frontend: "fe-a".into(),
        number: 9,
        follows: 7,
        wall_ms: 86_400_000 * 20_000 + 3_661_042,
        occasion: "judged-anew".into(),
        interface: "eth0".into(),
        source: [0xfe, 0x80].into_iter().chain([0; 13]).chain([1]).collect(),
        relays: vec![v1::TraceRelay { interface_id: b"\x1b[2J".to_vec(), ..Default::default() }],
        message: "request".into(),
        transaction_id: vec![1, 2, 3],
        duid: vec![0, 1, 0xaa],
        requested_options: vec![23, 24],
        asked: vec![v1::TraceIa {
            kind: 1,
            iaid: 7,
            leases: vec![v1::TraceLease { prefix: prefix.clone(), ..Default::default() }],
            ..Default::default()
        }],
        link: "lan".into(),
        link_by: "interface".into(),
        relationship: "pair".into(),
        decision: "answered".into(),
        reason: "partner_down".into(),
        text: "the partner is not live".into(),
        answer: "reply".into(),
        answered: vec![
            v1::TraceIa {
                kind: 1,
                iaid: 7,
                leases: vec![v1::TraceLease {
                    prefix,
                    preferred_secs: 30,
                    valid_secs: u32::MAX,
                    pool: "p\u{9b}31m".into(),
                    what: "new".into(),
                    range: "own".into(),
                }],
                t1_secs: 15,
                t2_secs: 24,
                ..Default::default()
            },
            v1::TraceIa {
                kind: 2,
                iaid: 8,
                status: status(6, "no prefixes available"),
                ..Default::default()
            },
        ],
        options_sent: vec![23],
        options_left_out: vec![24],
        notes: vec!["R5: \u{1b}]0;owned\u{7}".into()],
        ..Default::default()
    }
}

fn line(body: Body) -> Line {
    Line::of(&v1::TraceAnswer { body: Some(body) }).unwrap()
}

#[test]
fn sec_07_a_block_says_what_came_what_was_decided_and_why_and_hostile_text_is_escaped() {
    let text = text::block(&line(Body::Event(event())));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "01:01:01.042 fe-a #9 (after #7) request 010203 from fe80::1 on eth0, judged-anew",
            "    decision  answered with reply: the partner is not live (partner_down)",
            "    client    duid 0001aa",
            "    relay     link -, peer -, interface-id 1b5b324a",
            "    asks      ia_na 7: 2020:2020:2020:2020:2020:2020:2020:2020; options 23 24",
            "    link      lan (by interface), relationship pair",
            "    ia_na 7   2020:2020:2020:2020:2020:2020:2020:2020 new, preferred 30 s, valid for ever, \
             pool p\\u{9b}31m, range own; T1 15 s, T2 24 s",
            "    ia_pd 8   status 6 no prefixes available",
            "    options   23; left out, too long: 24",
            "    note      R5: \\u{1b}]0;owned\\u{7}",
        ]
    );
    assert!(text.is_ascii() && !text.contains('\u{1b}'));
}

#[test]
fn json_is_one_object_a_line_with_stable_names() {
    let json = serde_json::to_string(&line(Body::Event(event()))).unwrap();
    assert!(json.is_ascii() && !json.contains('\n'), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["line"].as_str(), json["duid"].as_str()), (Some("event"), Some("0001aa")));
    assert_eq!(json["answered"][0]["leases"][0]["answer"]["what"], "new");
    assert!(json["asked"][0]["leases"][0]["answer"].is_null(), "of a wish nothing is answered");
    assert_eq!(json["wall_ms"].as_u64(), Some(86_400_000 * 20_000 + 3_661_042));
    let dropped = line(Body::Dropped(v1::TraceDropped { by: String::new(), events: 3 }));
    assert_eq!(serde_json::to_string(&dropped).unwrap(), r#"{"line":"dropped","by":"the store","events":3}"#);
}
