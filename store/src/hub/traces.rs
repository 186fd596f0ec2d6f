//! Traces: whose messages somebody looks at, which frontends follow, and who is to read what they report.
//!
//! Owns the list of traces of this term, bounded by [`TRACES_MAX`], and telling every session of it: at once, when it
//! connects later, and when a trace ends. Refuses to know callers (the shell's) and to read what events say; it sees to
//! it that an event goes to traces that exist, under the name of the frontend whose connection it came by. Nothing
//! here is part of the order or of the log. What was reported is to be taken by [`Hub::drain_traced`] after each call.

use super::{ConnectionId, Hub, HubOutput};
use leasehold_proto::session::FromStore;
use leasehold_proto::trace::{TRACES_MAX, TraceFilter, TraceReport, TracedClient};
use leasehold_proto::v1;
use leasehold_proto::words::FrontendId;
use std::collections::{BTreeMap, BTreeSet};

/// Events of one report that are handed on. Why 256: twice what a frontend has room for.
const REPORT_EVENTS_MAX: usize = 256;

/// Names one trace, for as long as this process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub u64);

/// Why nobody can be traced now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceRefusal {
    /// Frontends are connected to the leader only.
    #[error("this store node does not lead")]
    NotLeading,
    /// As many run as may.
    #[error("{TRACES_MAX} traces run already: end one, or wait until its time is over")]
    TooMany,
}

/// What a frontend said, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// It follows a trace from now on.
    Listening(TraceId, FrontendId),
    /// It looked at a message; `traces` of the event says for whom.
    Event(Box<v1::TraceEvent>),
    /// So many of its events had no room.
    Dropped(TraceId, FrontendId, u64),
}

#[derive(Debug, Default)]
pub(super) struct Traces {
    wanted: BTreeMap<TraceId, Wanted>,
    last: u64,
    out: Vec<Traced>,
}

#[derive(Debug)]
struct Wanted {
    client: TracedClient,
    /// Who follows.
    listening: BTreeSet<FrontendId>,
}

impl Traces {
    /// Nobody looks any more.
    pub(super) fn clear(&mut self) {
        self.wanted.clear();
        self.out.clear();
    }

    /// A frontend's connection is gone: its next one is told anew.
    pub(super) fn lost(&mut self, frontend: &FrontendId) {
        for wanted in self.wanted.values_mut() {
            wanted.listening.remove(frontend);
        }
    }

    fn ids(&self) -> Vec<TraceId> {
        self.wanted.keys().copied().collect()
    }

    fn filters(&self) -> Vec<TraceFilter> {
        let filter =
            |(id, wanted): (&TraceId, &Wanted)| TraceFilter { id: id.0, client: wanted.client.clone() };
        self.wanted.iter().map(filter).collect()
    }
}

impl Hub {
    /// Begins to look at a client.
    ///
    /// # Errors
    /// [`TraceRefusal`].
    pub fn trace(&mut self, client: TracedClient) -> Result<TraceId, TraceRefusal> {
        if !self.leading {
            return Err(TraceRefusal::NotLeading);
        }
        if self.traces.wanted.len() >= TRACES_MAX {
            return Err(TraceRefusal::TooMany);
        }
        self.traces.last += 1;
        let id = TraceId(self.traces.last);
        self.traces.wanted.insert(id, Wanted { client, listening: BTreeSet::new() });
        self.tell_traces();
        Ok(id)
    }

    /// Ends it. Nothing if it has ended already.
    pub fn end_trace(&mut self, id: TraceId) {
        if self.traces.wanted.remove(&id).is_some() {
            self.tell_traces();
        }
    }

    /// The frontends that are connected now, by name, each once.
    #[must_use]
    pub fn connected(&self) -> BTreeSet<FrontendId> {
        self.by_epoch.values().filter_map(|id| self.connections.get(id)).map(|c| c.frontend.clone()).collect()
    }

    /// Takes what frontends reported.
    pub fn drain_traced(&mut self, out: &mut Vec<Traced>) {
        out.append(&mut self.traces.out);
    }

    /// Tells every session what it was not told yet.
    fn tell_traces(&mut self) {
        let ids: Vec<ConnectionId> = self.by_epoch.values().copied().collect();
        for id in ids {
            self.tell_traces_to(id);
        }
    }

    /// Tells one session which traces are wanted, if it does not know.
    pub(super) fn tell_traces_to(&mut self, id: ConnectionId) {
        let wanted = self.traces.ids();
        let stream = self.connections.get_mut(&id).and_then(|c| c.stream.as_mut());
        let Some(stream) = stream.filter(|s| s.told_traces != wanted) else { return };
        stream.told_traces = wanted;
        self.out.push(HubOutput::Send(id, FromStore::Traces(self.traces.filters())));
    }

    /// A frontend's report.
    pub(super) fn traced(&mut self, frontend: &FrontendId, report: TraceReport) {
        let Traces { wanted, out, .. } = &mut self.traces;
        let mut following = Vec::new();
        for id in report.in_force.into_iter().take(TRACES_MAX).map(TraceId) {
            let Some(trace) = wanted.get_mut(&id) else { continue };
            following.push(id);
            if trace.listening.insert(frontend.clone()) {
                out.push(Traced::Listening(id, frontend.clone()));
            }
        }
        let beyond = report.events.len().saturating_sub(REPORT_EVENTS_MAX) as u64;
        for mut event in report.events.into_iter().take(REPORT_EVENTS_MAX) {
            let named: BTreeSet<u64> = event.traces.drain(..).collect();
            event.traces.extend(named.into_iter().filter(|id| wanted.contains_key(&TraceId(*id))));
            if !event.traces.is_empty() {
                frontend.as_str().clone_into(&mut event.frontend);
                out.push(Traced::Event(Box::new(event)));
            }
        }
        let dropped = report.dropped.saturating_add(beyond);
        if dropped > 0 {
            out.extend(following.into_iter().map(|id| Traced::Dropped(id, frontend.clone(), dropped)));
        }
    }
}
