//! What the desk's decisions look like to somebody who traces a client.
//!
//! Owns the way from links, waits and plans to a [`TraceLog`]'s event, and from what was known before an answer and
//! after it to words: new, extended, withdrawn, by which rule. Refuses to decide anything. Does nothing unless the
//! message in hand is traced.

use super::Exchange;
use super::classes::Classes;
use super::context::{Context, word};
use super::desk::Occasion;
use super::giving::known_leases;
use super::link::LinkBy;
use super::parked::Waiting;
use super::plan::{IaAnswer, Line, Plan, Status};
use crate::codec::reply::{ServerMessage, unwrap_relay_reply};
use crate::codec::wire::{msg, opt};
use crate::codec::{IaKind, MessageKind};
use crate::engine::Packet;
use crate::engine::leases::{Leases, NoLease, Owner};
use crate::engine::trace::{ARRIVED, Look, TraceLog};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::{Link, Network, Relationship};
use leasehold_proto::time::{Lifetime, LocalTime};
use leasehold_proto::v1;
use leasehold_proto::words::Prefix;

/// Options of the answer itself, of which an event says more than that they are there.
const STRUCTURE: [u16; 6] =
    [opt::CLIENT_ID, opt::SERVER_ID, opt::IA_NA, opt::IA_PD, opt::STATUS_CODE, opt::RAPID_COMMIT];

/// A message is looked at.
pub(super) fn begin(
    trace: &mut TraceLog,
    now: LocalTime,
    packet: &Packet<'_>,
    exchange: &Exchange,
    leases: &Leases,
    occasion: &'static str,
) {
    if trace.is_on() {
        let cluster_at_most = leases.cluster_time_at_most(now);
        trace.begin(Look { now, packet, interfaces: &exchange.interfaces, cluster_at_most, occasion });
    }
}

/// Why a message is looked at, in a word.
pub(super) const fn occasion_word(occasion: &Occasion<'_>) -> &'static str {
    match occasion {
        Occasion::Arrived => ARRIVED,
        Occasion::JudgedAnew(_) => "judged-anew",
        Occasion::Unhandled(_) => "partner-had-its-time",
        Occasion::LookedUp => "looked-up",
        Occasion::Adopted => "adoption-decided",
    }
}

/// Where the client is.
pub(super) fn link(trace: &mut TraceLog, link: &Link, by: LinkBy) {
    if let Some(event) = trace.event() {
        event.link.clone_from(&link.name);
        by.name().clone_into(&mut event.link_by);
    }
}

/// Which classes it is of.
pub(super) fn classes(trace: &mut TraceLog, network: &Network, classes: &Classes) {
    for at in classes {
        trace.note(|| format!("class {}", network.classes[*at].name));
    }
}

/// Which logical server it speaks to.
pub(super) fn server(trace: &mut TraceLog, relationship: &Relationship) {
    if let Some(event) = trace.event() {
        event.relationship.clone_from(&relationship.name);
    }
}

/// It is to be kept for this.
pub(super) fn waits(trace: &mut TraceLog, waiting: &Waiting) {
    match waiting {
        Waiting::Partner { partner, .. } => {
            trace.waits("partner", || format!("left to {partner}; a copy is kept for two seconds"));
        }
        Waiting::LookUp(_) => trace
            .waits("look-up", || "the load runs: the store is asked what it knows of this client".to_owned()),
        Waiting::Adoption(_) => {
            trace.waits("adoption", || "R7: the store is asked to adopt the lease".to_owned());
        }
    }
}

/// What was known of a client before it is answered.
#[derive(Debug)]
pub(super) struct Before(Vec<(Prefix, LeaseState)>);

/// To be asked before the plan is made; nothing unless the message is traced.
pub(super) fn before(trace: &mut TraceLog, cx: &Context<'_, '_>, leases: &Leases) -> Option<Before> {
    trace.event()?;
    let known = cx.message.ias.iter().flat_map(|ia| known_leases(leases, cx.ia_ref(ia)));
    Some(Before(known.map(|known| (known.prefix, known.state)).collect()))
}

/// The answer that was planned and written.
pub(super) fn answer(
    trace: &mut TraceLog,
    before: Option<Before>,
    plan: &Plan,
    cx: &Context<'_, '_>,
    leases: &Leases,
    written: (&[u8], &[u16]),
) {
    let (Some(before), Some(event)) = (before, trace.event()) else { return };
    let (reply, left_out) = written;
    event.status = plan.status.map(status);
    event.rapid_reply = plan.rapid_commit;
    event.answered = plan.ias.iter().map(|ia| ia_told(ia, plan, cx, leases, &before)).collect();
    event.options_left_out = left_out.iter().map(|code| u32::from(*code)).collect();
    event.options_sent = options_of(reply, cx.relay.is_some());
    for ia in &plan.ias {
        if let Some(refusal) = ia.refusal {
            trace.note(|| format!("IAID {}: {}", ia.iaid, why_none(refusal)));
        }
    }
    for (prefix, state) in &before.0 {
        let Some((_, now)) = leases.holder_of(*prefix).filter(|(_, now)| now != state) else { continue };
        let rule = match cx.message.kind {
            MessageKind::Renew | MessageKind::Rebind | MessageKind::Request
                if *state == LeaseState::Active && now == LeaseState::Released =>
            {
                "R9: the client does not use it: "
            }
            _ => "",
        };
        trace.note(|| format!("{rule}{prefix} was {}, is {}", state.name(), now.name()));
    }
    for line in plan.ias.iter().flat_map(|ia| &ia.lines).filter(|line| line.extended) {
        if plan.message_type == msg::REPLY
            && let Owner::Partner(owner) = leases.owner_of(line.prefix)
        {
            trace.note(|| format!("R5: {} is of a range of {owner}, and is extended for it", line.prefix));
        }
    }
}

const fn why_none(refusal: NoLease) -> &'static str {
    match refusal {
        NoLease::Dry => "the store has no range left of the pools that are open to it",
        NoLease::NoPool => "no pool of this kind is open to it here",
        NoLease::TooMany => {
            "SEC-02: it, or who it sits behind, has as many leases as the limits of the link allow"
        }
        NoLease::NotNow => "no range here has room now; the store may have more",
    }
}

fn ia_told(
    ia: &IaAnswer,
    plan: &Plan,
    cx: &Context<'_, '_>,
    leases: &Leases,
    before: &Before,
) -> v1::TraceIa {
    let timers = if ia.lines.is_empty() { Default::default() } else { plan.timers() };
    let lease = |line: &Line| {
        let pool = cx.topology.pool_of(line.prefix).filter(|pool| pool.kind == word(ia.kind));
        v1::TraceLease {
            prefix: Some(line.prefix.into()),
            preferred_secs: line.preferred.to_wire(),
            valid_secs: line.valid.to_wire(),
            pool: pool.map(|pool| pool.name.clone()).unwrap_or_default(),
            what: what(line, plan, before).to_owned(),
            range: match leases.owner_of(line.prefix) {
                Owner::Me => "own".to_owned(),
                Owner::Partner(partner) => partner.to_string(),
                Owner::Closed => "closed".to_owned(),
                Owner::Nobody => "nobody".to_owned(),
            },
        }
    };
    v1::TraceIa {
        kind: kind_number(ia.kind),
        iaid: ia.iaid,
        leases: ia.lines.iter().map(lease).collect(),
        status: ia.status.map(status),
        t1_secs: timers.t1_secs,
        t2_secs: timers.t2_secs,
    }
}

fn what(line: &Line, plan: &Plan, before: &Before) -> &'static str {
    let was = before.0.iter().find(|(prefix, _)| *prefix == line.prefix).map(|(_, state)| *state);
    match (line.valid > Lifetime::ZERO, line.extended, was) {
        (false, ..) => "withdrawn",
        (true, false, _) => "left",
        (true, true, _) if plan.message_type == msg::ADVERTISE => "offered",
        (true, true, Some(LeaseState::Active)) => "extended",
        (true, true, Some(_)) => "given again",
        (true, true, None) => "new",
    }
}

fn status(status: Status) -> v1::TraceStatus {
    v1::TraceStatus { code: u32::from(status.code), text: status.text.to_owned() }
}

/// Codes of the options that an answer carries beside its structure: codes alone, since values may be secret (SEC-07).
fn options_of(reply: &[u8], is_relayed: bool) -> Vec<u32> {
    let payload = match is_relayed {
        true => unwrap_relay_reply(reply).map(|levels| levels.payload).unwrap_or_default(),
        false => reply,
    };
    let Ok(message) = ServerMessage::decode(payload) else { return Vec::new() };
    let codes = message.options.iter().map(|option| option.code);
    codes.filter(|code| !STRUCTURE.contains(code)).map(u32::from).collect()
}

/// The kind of an IA in Protobuf.
pub(in crate::engine) fn kind_number(kind: IaKind) -> i32 {
    v1::IaKind::from(word(kind)).into()
}
