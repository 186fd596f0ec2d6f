//! What `leasehold admin` prints for people: tables, and spans instead of moments.
//!
//! Owns the layout. Refuses to know the service: it lays out views. Output: text without escape sequences, so that it
//! can be piped.

use comfy_table::{Table, presets};
use leasehold_proto::time::span_words;

use super::view::{
    ActView, AppliedView, ConflictView, EventView, FrontendView, LeaseView, NodeView, PoolView, RangeView,
    ReconfigureView, StatusView,
};

/// An empty table with these columns.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

/// A table as lines, without spaces at their ends.
pub(crate) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

pub(super) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

/// `for 1h 3m`, `for ever`, `over for 5m`.
fn remaining(span_ms: Option<i64>) -> String {
    match span_ms {
        None => "for ever".to_owned(),
        Some(ms) if ms >= 0 => format!("for {}", span_words(ms.unsigned_abs())),
        Some(ms) => format!("over for {}", span_words(ms.unsigned_abs())),
    }
}

fn ago(now: u64, at: u64) -> String {
    format!("{} ago", span_words(now.saturating_sub(at)))
}

pub(super) fn status(view: &StatusView) -> String {
    let mut facts = Table::new();
    facts.load_preset(presets::NOTHING);
    let leader = view.leader.clone().unwrap_or_else(|| "none: no node can write".to_owned());
    let leases: Vec<String> = view.leases.iter().map(|(state, count)| format!("{count} {state}")).collect();
    for (what, value) in [
        ("cluster", view.cluster.clone()),
        ("asked", view.node.clone()),
        ("leader", format!("{leader} (term {})", view.term)),
        ("applied", format!("log index {}", view.applied_index)),
        (
            "age",
            format!("{} of cluster time, incarnation {}", span_words(view.cluster_time_ms), view.incarnation),
        ),
        ("network", format!("version {}", view.network_version)),
        ("leases", if leases.is_empty() { "none".to_owned() } else { leases.join(", ") }),
    ] {
        facts.add_row([what.to_owned(), value]);
    }
    if let Some(until) = view.grants_held_until_ms {
        let held = match until {
            u64::MAX => "until an operator overrides: a pool has unlimited autonomy or lifetimes".to_owned(),
            until => format!("for another {}", span_words(until.saturating_sub(view.cluster_time_ms))),
        };
        facts.add_row(["grants held".to_owned(), format!("{held}; the cluster was founded anew")]);
    }
    let mut out = text(&facts);
    if !view.relationships.is_empty() {
        let header = ["relationship", "state", "primary", "live", "secondary", "live", "since", "reason"];
        let mut relationships = table(header);
        for r in &view.relationships {
            relationships.add_row([
                r.name.clone(),
                r.state.clone(),
                r.primary.clone(),
                yes(r.primary_live),
                or_dash(r.secondary.as_ref()),
                r.secondary_live.map_or_else(|| "-".to_owned(), yes),
                if r.since_ms == 0 { "-".to_owned() } else { ago(view.cluster_time_ms, r.since_ms) },
                or_dash(r.reason.as_ref()),
            ]);
        }
        out.push_str("\n\n");
        out.push_str(&text(&relationships));
    }
    out
}

pub(super) fn leases(views: &[LeaseView]) -> String {
    let mut rows = table(["lease", "state", "valid", "link", "pool", "ia", "iaid", "duid", "frontend"]);
    for view in views {
        rows.add_row([
            view.lease.clone(),
            view.state.clone(),
            remaining(view.valid_for_ms),
            view.link.clone(),
            view.pool.clone(),
            view.ia.to_owned(),
            view.iaid.to_string(),
            view.duid.clone(),
            or_dash(view.frontend.as_ref()),
        ]);
    }
    text(&rows)
}

pub(super) fn lease(view: &LeaseView) -> String {
    let mut facts = Table::new();
    facts.load_preset(presets::NOTHING);
    let now = view.cluster_time_ms;
    let secs = |secs: Option<u32>| {
        secs.map_or_else(|| "infinite".to_owned(), |secs| span_words(u64::from(secs) * 1000))
    };
    let mut rows = vec![
        ("lease", view.lease.clone()),
        ("state", format!("{}, since {}", view.state, ago(now, view.state_since_ms))),
        ("valid", remaining(view.valid_for_ms)),
        ("acknowledged", remaining(view.acked_for_ms)),
        (
            "lifetimes",
            format!(
                "preferred {}, valid {}",
                secs(view.preferred_lifetime_secs),
                secs(view.valid_lifetime_secs)
            ),
        ),
        ("client", format!("duid {}, ia_{} {}", view.duid, view.ia, view.iaid)),
        ("last contact", ago(now, view.client_last_contact_ms)),
        ("link", view.link.clone()),
        ("pool", view.pool.clone()),
        ("changed by", format!("{}, epoch {}", or_dash(view.frontend.as_ref()), view.epoch)),
        ("version", view.version.to_string()),
    ];
    if let Some(peer) = view.relay_peer_address {
        rows.push(("relayed from", peer.to_string()));
    }
    if let Some(fqdn) = &view.fqdn {
        rows.push(("name", fqdn.clone()));
    }
    for (what, value) in rows {
        facts.add_row([what.to_owned(), value]);
    }
    text(&facts)
}

pub(super) fn ranges(views: &[RangeView]) -> String {
    let mut rows = table(["pool", "slice", "first", "last", "state", "frontend", "epoch", "leases"]);
    for view in views {
        let bound = |address: Option<std::net::Ipv6Addr>| match (address, view.length_bits) {
            (None, _) => "-".to_owned(),
            (Some(address), 128) => address.to_string(),
            (Some(address), length) => format!("{address}/{length}"),
        };
        rows.add_row([
            view.pool.clone(),
            view.slice.to_string(),
            bound(view.first),
            bound(view.last),
            view.state.clone(),
            or_dash(view.frontend.as_ref()),
            view.epoch.to_string(),
            view.leases.to_string(),
        ]);
    }
    text(&rows)
}

pub(super) fn frontends(views: &[FrontendView]) -> String {
    let mut rows = table([
        "frontend",
        "epoch",
        "session",
        "live",
        "heard",
        "ranges",
        "closed",
        "dirty",
        "sequence",
        "acked index",
        "network",
        "links down",
    ]);
    for view in views {
        let session = match view {
            FrontendView { closed: true, .. } => "closed",
            FrontendView { declared_down: true, .. } => "declared down",
            FrontendView { proven_gone: true, .. } => "proven gone",
            FrontendView { current: false, .. } => "superseded",
            FrontendView { ended: true, .. } => "ended",
            FrontendView { draining: true, .. } => "draining",
            _ => "current",
        };
        rows.add_row([
            view.name.clone(),
            view.epoch.to_string(),
            session.to_owned(),
            yes(view.live),
            format!("{} ago", span_words(view.extended_ms_ago)),
            view.ranges_granted.to_string(),
            view.ranges_closed.to_string(),
            view.dirty_leases.to_string(),
            view.applied_sequence.to_string(),
            view.acked_index.to_string(),
            view.network_version.to_string(),
            if view.links_down.is_empty() { "-".to_owned() } else { view.links_down.join("; ") },
        ]);
    }
    text(&rows)
}

pub(super) fn nodes(views: &[NodeView]) -> String {
    let mut rows = table(["node", "address", "raft id", "role", "reachable", "matched index"]);
    for view in views {
        rows.add_row([
            view.name.clone(),
            view.address.clone(),
            view.raft_id.to_string(),
            view.role.clone(),
            yes(view.reachable),
            view.matched_index.to_string(),
        ]);
    }
    text(&rows)
}

pub(super) fn applied(view: &AppliedView) -> String {
    if view.dry_run {
        format!("The store accepts it, as version {}. Nothing was changed (--dry-run).", view.version)
    } else {
        format!("Network version {} is in force.", view.version)
    }
}

pub(super) fn conflicts(views: &[ConflictView]) -> String {
    let mut rows =
        table(["number", "found", "kind", "lease", "kept by", "lost by", "other lease", "frontend"]);
    for view in views {
        rows.add_row([
            view.number.to_string(),
            format!("{} ago", span_words(view.ago_ms)),
            view.kind.clone(),
            view.lease.clone(),
            view.kept_duid.clone(),
            or_dash(view.lost_duid.as_ref()),
            or_dash(view.other_lease.as_ref()),
            view.frontend.clone(),
        ]);
    }
    text(&rows)
}

pub(super) fn events(views: &[EventView]) -> String {
    let mut rows = table(["number", "when", "about", "what", "reason"]);
    for view in views {
        rows.add_row([
            view.number.to_string(),
            format!("{} ago", span_words(view.ago_ms)),
            view.subject.clone(),
            view.what.clone(),
            view.reason.clone(),
        ]);
    }
    text(&rows)
}

pub(super) fn reconfigure(view: &ReconfigureView) -> String {
    let ReconfigureView { number, leases, message } = view;
    format!("order {number}: the clients of {leases} leases are asked for {message}")
}

pub(super) fn act(view: &ActView) -> String {
    let sessions: Vec<String> = view.sessions.iter().map(ToString::to_string).collect();
    match sessions[..] {
        [] => format!("{}: {}", view.frontend, view.done),
        _ => format!("{}: {} (sessions {})", view.frontend, view.done, sessions.join(", ")),
    }
}

pub(super) fn pools(views: &[PoolView]) -> String {
    let header =
        ["pool", "relationship", "addresses", "granted", "free", "closed", "closed until", "leases", ""];
    let mut rows = table(header);
    for view in views {
        let span = |ms: Option<i64>| {
            ms.map_or_else(
                || "an operator acts".to_owned(),
                |ms| format!("{} from now", span_words(ms.max(0).unsigned_abs())),
            )
        };
        let until = match view.closed_for_ms {
            None => "-".to_owned(),
            Some((first, last)) if first == last => span(last),
            Some((first, last)) => format!("{} to {}", span(first), span(last)),
        };
        let leases: Vec<String> =
            view.leases.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let notes: Vec<&str> = [(view.retired, "retired"), (view.shrinking, "shrinking")]
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect();
        rows.add_row([
            view.pool.clone(),
            or_dash(view.relationship.as_ref()),
            view.slots.clone(),
            view.granted.clone(),
            view.free.clone(),
            view.closed.clone(),
            until,
            if leases.is_empty() { "none".to_owned() } else { leases.join(", ") },
            notes.join(", "),
        ]);
    }
    text(&rows)
}
