//! What a trace prints for people: one short block a message.
//!
//! Owns the layout: a line of when, where and what, then one line for each thing there is to say. Refuses to escape:
//! what it lays out is safe already. Times of day are UTC, by the frontend's clock.

use std::fmt::Write;

use super::view::{Event, Ia, Lease, Line, Relay};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Lifetime, T1 or T2 meaning "for ever".
const INFINITY_SECS: u32 = u32::MAX;

/// One line or block, without its last line end.
pub(super) fn block(line: &Line) -> String {
    match line {
        Line::Started { node, frontends } if frontends.is_empty() => {
            format!("-- {node} leads; no frontend is connected")
        }
        Line::Started { node, frontends } => format!("-- {node} leads and has told {}", frontends.join(", ")),
        Line::Listening { frontend } => format!("-- {frontend} follows"),
        Line::Dropped { by, events } => format!("-- {events} more that {by} had no room for"),
        Line::Interrupted { reason } => format!("-- interrupted ({reason}): asking anew"),
        Line::Event(event) => event_block(event),
    }
}

fn event_block(event: &Event) -> String {
    let mut out = head(event);
    let mut fact = |what: &str, said: String| {
        if !said.is_empty() {
            // Writing into a String cannot fail.
            let _ = write!(out, "\n    {what:<9} {said}");
        }
    };
    fact("decision", decision(event));
    fact("client", client(event));
    for relay in &event.relays {
        fact("relay", relay_text(relay));
    }
    fact("asks", asks(event));
    fact("link", link(event));
    for ia in &event.answered {
        fact(&format!("{} {}", ia.kind, ia.iaid), answered(ia));
    }
    fact("options", options(event));
    for note in &event.notes {
        fact("note", note.clone());
    }
    out
}

fn head(event: &Event) -> String {
    let mut out = format!("{} {} #{}", time_of_day(event.wall_ms), event.frontend, event.number);
    if let Some(follows) = event.follows {
        let _ = write!(out, " (after #{follows})");
    }
    let message = event.message.as_deref().unwrap_or("message");
    let _ = write!(out, " {message} {}", event.transaction_id);
    if let Some(source) = event.source {
        let _ = write!(out, " from {source}");
    }
    if let Some(interface) = &event.interface {
        let _ = write!(out, " on {interface}");
    }
    if event.occasion != "arrived" {
        let _ = write!(out, ", {}", event.occasion);
    }
    out
}

fn decision(event: &Event) -> String {
    let mut out = event.decision.clone();
    if let Some(answer) = &event.answer {
        let rapid = if event.rapid_reply { " at once (rapid commit)" } else { "" };
        let _ = write!(out, " with {answer}{rapid}");
    }
    match (event.reason.as_str(), event.text.as_str()) {
        ("", "") => {}
        (reason, "") => {
            let _ = write!(out, ": {reason}");
        }
        (reason, text) => {
            let _ = write!(out, ": {text} ({reason})");
        }
    }
    if let Some(status) = &event.status {
        let _ = write!(out, "; status {} {}", status.code, status.text);
    }
    out
}

fn client(event: &Event) -> String {
    let mut parts = Vec::new();
    parts.extend(event.duid.as_ref().map(|duid| format!("duid {duid}")));
    parts.extend(event.link_layer.as_ref().map(|mac| format!("link-layer {mac}")));
    parts.extend(event.server_duid.as_ref().map(|duid| format!("to server {duid}")));
    if event.elapsed_ms > 0 {
        parts.push(format!("trying for {} ms", event.elapsed_ms));
    }
    parts.join(", ")
}

fn relay_text(relay: &Relay) -> String {
    let address =
        |address: Option<std::net::Ipv6Addr>| address.map_or_else(|| "-".to_owned(), |a| a.to_string());
    let mut parts = vec![
        format!("link {}", address(relay.link_address)),
        format!("peer {}", address(relay.peer_address)),
    ];
    for (what, value) in [
        ("interface-id", &relay.interface_id),
        ("remote-id", &relay.remote_id),
        ("relay-id", &relay.relay_id),
        ("subscriber-id", &relay.subscriber_id),
    ] {
        parts.extend(value.as_ref().map(|value| format!("{what} {value}")));
    }
    parts.join(", ")
}

fn asks(event: &Event) -> String {
    let mut parts: Vec<String> = event
        .asked
        .iter()
        .map(|ia| {
            let leases: Vec<&str> = ia.leases.iter().map(|lease| lease.lease.as_str()).collect();
            format!(
                "{} {}{}{}",
                ia.kind,
                ia.iaid,
                if leases.is_empty() { "" } else { ": " },
                leases.join(" ")
            )
        })
        .collect();
    if event.rapid_commit {
        parts.push("rapid commit".to_owned());
    }
    if !event.requested_options.is_empty() {
        parts.push(format!("options {}", codes(&event.requested_options)));
    }
    parts.join("; ")
}

fn link(event: &Event) -> String {
    let Some(link) = &event.link else { return String::new() };
    let by = event.link_by.as_ref().map(|by| format!(" (by {by})")).unwrap_or_default();
    let server = event.relationship.as_ref().map(|r| format!(", relationship {r}")).unwrap_or_default();
    format!("{link}{by}{server}")
}

fn answered(ia: &Ia) -> String {
    let mut parts: Vec<String> = ia.leases.iter().map(lease).collect();
    if let Some(status) = &ia.status {
        parts.push(format!("status {} {}", status.code, status.text));
    }
    if !ia.leases.is_empty() {
        let timer = |secs: Option<u32>| span(secs.unwrap_or(0));
        parts.push(format!("T1 {}, T2 {}", timer(ia.t1_secs), timer(ia.t2_secs)));
    }
    parts.join("; ")
}

fn lease(lease: &Lease) -> String {
    let Some(answer) = &lease.answer else { return lease.lease.clone() };
    let pool = answer.pool.as_deref().unwrap_or("none");
    format!(
        "{} {}, preferred {}, valid {}, pool {pool}, range {}",
        lease.lease,
        answer.what,
        span(answer.preferred_secs),
        span(answer.valid_secs),
        answer.range
    )
}

fn options(event: &Event) -> String {
    let mut parts = Vec::new();
    if !event.options_sent.is_empty() {
        parts.push(codes(&event.options_sent));
    }
    if !event.options_left_out.is_empty() {
        parts.push(format!("left out, too long: {}", codes(&event.options_left_out)));
    }
    parts.join("; ")
}

fn codes(codes: &[u32]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn span(secs: u32) -> String {
    if secs == INFINITY_SECS { "for ever".to_owned() } else { format!("{secs} s") }
}

fn time_of_day(wall_ms: u64) -> String {
    let ms = wall_ms % DAY_MS;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1000)
}
