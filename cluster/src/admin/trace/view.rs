//! What a trace prints, as data: the JSON form, whose field names are stable.
//!
//! Owns the way from the service's answers to what programs read. Client-chosen octets are hexadecimal digits, all text
//! is escaped; there is no field for a key (SEC-07).

use std::net::Ipv6Addr;

use leasehold_proto::v1;
use leasehold_proto::v1::trace_answer::Body;
use serde::Serialize;

use super::super::hex;
use super::super::view::{address, prefix_text};

/// One line of JSON, one block of text.
#[derive(Debug, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "lives for one line")]
pub(super) enum Line {
    /// The store has told these frontends.
    Started { node: String, frontends: Vec<String> },
    /// A frontend follows from now on.
    Listening { frontend: String },
    /// So many events had no room: at a frontend, or in the store.
    Dropped { by: String, events: u64 },
    /// The store is asked anew.
    Interrupted { reason: String },
    /// A look at a message, or what became of one.
    Event(Event),
}

impl Line {
    pub(super) fn of(answer: &v1::TraceAnswer) -> Option<Self> {
        Some(match answer.body.as_ref()? {
            Body::Started(started) => Self::Started {
                node: safe(&started.node),
                frontends: started.frontends.iter().map(|f| safe(f)).collect(),
            },
            Body::Listening(listening) => Self::Listening { frontend: safe(&listening.frontend) },
            Body::Dropped(dropped) => {
                let by = if dropped.by.is_empty() { "the store".to_owned() } else { safe(&dropped.by) };
                Self::Dropped { by, events: dropped.events }
            }
            Body::Event(event) => Self::Event(Event::of(event)),
        })
    }
}

/// One look at one message.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) frontend: String,
    pub(super) number: u64,
    /// The event about the same message that this one continues.
    pub(super) follows: Option<u64>,
    pub(super) wall_ms: u64,
    pub(super) cluster_ms_at_most: Option<u64>,
    pub(super) occasion: String,
    pub(super) interface: Option<String>,
    pub(super) source: Option<Ipv6Addr>,
    pub(super) relays: Vec<Relay>,
    pub(super) link_layer: Option<String>,
    pub(super) message: Option<String>,
    pub(super) transaction_id: String,
    pub(super) duid: Option<String>,
    pub(super) server_duid: Option<String>,
    pub(super) elapsed_ms: u32,
    pub(super) rapid_commit: bool,
    pub(super) requested_options: Vec<u32>,
    pub(super) asked: Vec<Ia>,
    pub(super) link: Option<String>,
    pub(super) link_by: Option<String>,
    pub(super) relationship: Option<String>,
    pub(super) decision: String,
    pub(super) reason: String,
    pub(super) text: String,
    pub(super) answer: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) rapid_reply: bool,
    pub(super) answered: Vec<Ia>,
    pub(super) options_sent: Vec<u32>,
    pub(super) options_left_out: Vec<u32>,
    pub(super) notes: Vec<String>,
}

/// A relay that forwarded the message, outermost first.
#[derive(Debug, Serialize)]
pub(super) struct Relay {
    pub(super) link_address: Option<Ipv6Addr>,
    pub(super) peer_address: Option<Ipv6Addr>,
    pub(super) interface_id: Option<String>,
    pub(super) remote_id: Option<String>,
    pub(super) relay_id: Option<String>,
    pub(super) subscriber_id: Option<String>,
    pub(super) hop_count: u32,
}

/// A status code with its words.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) text: String,
}

/// An IA, asked for or answered.
#[derive(Debug, Serialize)]
pub(super) struct Ia {
    pub(super) kind: &'static str,
    pub(super) iaid: u32,
    pub(super) leases: Vec<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) t1_secs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) t2_secs: Option<u32>,
}

/// A lease, named by the client or listed in the answer.
#[derive(Debug, Serialize)]
pub(super) struct Lease {
    pub(super) lease: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<LeaseAnswer>,
}

/// What is said of a lease. Lifetimes are as on the wire: 4294967295 is for ever.
#[derive(Debug, Serialize)]
pub(super) struct LeaseAnswer {
    pub(super) what: String,
    pub(super) preferred_secs: u32,
    pub(super) valid_secs: u32,
    pub(super) pool: Option<String>,
    pub(super) range: String,
}

impl Event {
    fn of(event: &v1::TraceEvent) -> Self {
        Self {
            frontend: safe(&event.frontend),
            number: event.number,
            follows: (event.follows != 0).then_some(event.follows),
            wall_ms: event.wall_ms,
            cluster_ms_at_most: (event.cluster_ms_at_most != 0).then_some(event.cluster_ms_at_most),
            occasion: safe(&event.occasion),
            interface: some(&event.interface),
            source: address(&event.source),
            relays: event.relays.iter().map(relay).collect(),
            link_layer: octets(&event.link_layer),
            message: some(&event.message),
            transaction_id: hex(&event.transaction_id),
            duid: octets(&event.duid),
            server_duid: octets(&event.server_duid),
            elapsed_ms: event.elapsed_ms,
            rapid_commit: event.rapid_commit,
            requested_options: event.requested_options.clone(),
            asked: event.asked.iter().map(|asked| ia(asked, false)).collect(),
            link: some(&event.link),
            link_by: some(&event.link_by),
            relationship: some(&event.relationship),
            decision: safe(&event.decision),
            reason: safe(&event.reason),
            text: safe(&event.text),
            answer: some(&event.answer),
            status: event.status.as_ref().map(status),
            rapid_reply: event.rapid_reply,
            answered: event.answered.iter().map(|answered| ia(answered, true)).collect(),
            options_sent: event.options_sent.clone(),
            options_left_out: event.options_left_out.clone(),
            notes: event.notes.iter().map(|note| safe(note)).collect(),
        }
    }
}

fn relay(raw: &v1::TraceRelay) -> Relay {
    Relay {
        link_address: address(&raw.link_address),
        peer_address: address(&raw.peer_address),
        interface_id: octets(&raw.interface_id),
        remote_id: octets(&raw.remote_id),
        relay_id: octets(&raw.relay_id),
        subscriber_id: octets(&raw.subscriber_id),
        hop_count: raw.hop_count,
    }
}

fn ia(raw: &v1::TraceIa, is_answer: bool) -> Ia {
    let lease = |lease: &v1::TraceLease| Lease {
        lease: lease.prefix.as_ref().map(prefix_text).unwrap_or_default(),
        answer: is_answer.then(|| LeaseAnswer {
            what: safe(&lease.what),
            preferred_secs: lease.preferred_secs,
            valid_secs: lease.valid_secs,
            pool: some(&lease.pool),
            range: safe(&lease.range),
        }),
    };
    Ia {
        kind: match v1::IaKind::try_from(raw.kind) {
            Ok(v1::IaKind::Na) => "ia_na",
            Ok(v1::IaKind::Pd) => "ia_pd",
            _ => "ia",
        },
        iaid: raw.iaid,
        leases: raw.leases.iter().map(lease).collect(),
        status: raw.status.as_ref().map(status),
        t1_secs: is_answer.then_some(raw.t1_secs),
        t2_secs: is_answer.then_some(raw.t2_secs),
    }
}

fn status(raw: &v1::TraceStatus) -> Status {
    Status { code: raw.code, text: safe(&raw.text) }
}

/// Text that cannot move the reader's cursor, whoever chose it.
fn safe(text: &str) -> String {
    text.chars()
        .map(
            |c| if c == ' ' || c.is_ascii_graphic() { c.to_string() } else { c.escape_unicode().to_string() },
        )
        .collect()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| safe(text))
}

fn octets(octets: &[u8]) -> Option<String> {
    (!octets.is_empty()).then(|| hex(octets))
}
