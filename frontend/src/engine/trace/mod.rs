//! What is said of one client's messages while somebody looks (`admin trace`): each message, what was decided, and why.
//!
//! Owns which clients are looked at, the event in the making, and the bounded buffer that the shell takes after each
//! round. Refuses to decide anything, and to keep anything that nobody asked for: while nobody looks, a message costs a
//! branch that is not taken. `desk` fills an event in as it goes, by [`TraceLog::note`] and by what
//! `exchange/traced` makes of plans; nobody reads it here. Bounds: [`EVENTS_MAX`] events a round, [`EVENTS_PER_SEC`] a
//! second, the rest is counted. No secret has a place in an event (SEC-07).

mod seen;

use super::exchange::Cause;
use super::{Interface, Packet};
use crate::codec::Discard;
use crate::codec::wire::msg;
use leasehold_proto::session::ToStore;
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::trace::{TRACES_MAX, TraceFilter, TraceReport};
use leasehold_proto::v1;
use std::collections::VecDeque;
use std::time::Duration;

/// Events that wait for the shell. Why 128: a round takes a millisecond or two.
const EVENTS_MAX: usize = 128;
/// Events in one second. Why 100: a client sends a few messages a minute; whoever sends more is as well understood by
/// the first hundred.
const EVENTS_PER_SEC: u32 = 100;
/// Notes of one event.
const NOTES_MAX: usize = 32;
/// Kept messages that are known again when they are looked at later.
const KEPT_MAX: usize = 32;

/// Where an event about the later fate of a message belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct TraceMark {
    number: u64,
    traces: Vec<u64>,
    duid: Vec<u8>,
    transaction_id: Vec<u8>,
}

/// A message that was kept: by kind, transaction and sender.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    message: String,
    transaction_id: Vec<u8>,
    source: Vec<u8>,
    duid: Vec<u8>,
}

impl Kept {
    fn of(event: &v1::TraceEvent) -> Self {
        Self {
            message: event.message.clone(),
            transaction_id: event.transaction_id.clone(),
            source: event.source.clone(),
            duid: event.duid.clone(),
        }
    }
}

/// The traces of one frontend.
#[derive(Debug, Default)]
pub(in crate::engine) struct TraceLog {
    filters: Vec<TraceFilter>,
    /// Which traces are in force is to be said.
    is_news: bool,
    /// The message that is being looked at, if it is a traced client's.
    current: Option<Box<v1::TraceEvent>>,
    events: Vec<v1::TraceEvent>,
    dropped: u64,
    /// Events so far.
    number: u64,
    kept: VecDeque<(Kept, u64)>,
    /// Since when the second runs in which so many events were taken.
    second: (LocalTime, u32),
}

impl TraceLog {
    /// Whom to look at from now on; those beyond [`TRACES_MAX`] are left out.
    pub(in crate::engine) fn set(&mut self, mut filters: Vec<TraceFilter>) {
        filters.truncate(TRACES_MAX);
        self.filters = filters;
        self.is_news = true;
        if self.filters.is_empty() {
            self.clear();
        }
    }

    /// Nobody looks any more: the connection is gone by which they asked.
    pub(in crate::engine) fn clear(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    /// Whether anybody looks at any client.
    #[inline]
    pub(in crate::engine) fn is_on(&self) -> bool {
        !self.filters.is_empty()
    }

    /// A message is looked at. Nothing comes of it unless it is a traced client's.
    pub(in crate::engine) fn begin(&mut self, look: Look<'_, '_>) {
        self.current = None;
        let Some(mut event) = seen::event(&self.filters, look.packet) else { return };
        let Some(number) = self.next_number(look.now) else { return };
        let interface = look.interfaces.iter().find(|i| i.index == look.packet.interface_index);
        event.number = number;
        event.interface = interface.map(|i| i.name.clone()).unwrap_or_default();
        event.cluster_ms_at_most = look.cluster_at_most.map_or(0, ClusterTime::as_millis);
        event.occasion = look.occasion.to_owned();
        if look.occasion != ARRIVED {
            let known = Kept::of(&event);
            let earlier = self.kept.iter().rev().find(|(kept, _)| *kept == known);
            event.follows = earlier.map_or(0, |(_, number)| *number);
        }
        self.current = Some(Box::new(event));
    }

    /// The number of a further event; none when there is no room for it.
    fn next_number(&mut self, now: LocalTime) -> Option<u64> {
        if now.saturating_since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.events.len() >= EVENTS_MAX || self.second.1 >= EVENTS_PER_SEC {
            self.dropped += 1;
            return None;
        }
        self.second.1 += 1;
        self.number += 1;
        Some(self.number)
    }

    /// The event about the message that is being looked at; none unless it is traced.
    #[inline]
    pub(in crate::engine) fn event(&mut self) -> Option<&mut v1::TraceEvent> {
        self.current.as_deref_mut()
    }

    /// Says what decided something about the message in hand: a rule, a class, a limit. The words are made only if
    /// somebody looks at it.
    #[inline]
    pub(in crate::engine) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(event) = self.event()
            && event.notes.len() < NOTES_MAX
        {
            event.notes.push(words());
        }
    }

    /// The message is answered now.
    pub(in crate::engine) fn answered(&mut self, message_type: u8, cause: Option<Cause>) {
        let Some(event) = self.event() else { return };
        "answered".clone_into(&mut event.decision);
        answer_name(message_type).clone_into(&mut event.answer);
        if let Some(cause) = cause {
            cause.name().clone_into(&mut event.reason);
            cause_words(cause).clone_into(&mut event.text);
        }
        self.end();
    }

    /// Nothing is said, ever.
    pub(in crate::engine) fn discarded(&mut self, reason: Discard) {
        let Some(event) = self.event() else { return };
        "discarded".clone_into(&mut event.decision);
        reason.name().clone_into(&mut event.reason);
        event.text = reason.to_string();
        event.notes.extend(rule_of(reason).map(str::to_owned));
        self.end();
    }

    /// What the message waits for, if it is kept in the end.
    pub(in crate::engine) fn waits(&mut self, reason: &str, words: impl FnOnce() -> String) {
        if let Some(event) = self.event() {
            reason.clone_into(&mut event.reason);
            event.text = words();
        }
    }

    /// The message, or its answer, is kept.
    pub(in crate::engine) fn kept(&mut self) {
        let Some(event) = self.current.as_deref_mut() else { return };
        "kept".clone_into(&mut event.decision);
        if event.reason.is_empty() {
            "partner".clone_into(&mut event.reason);
            "still the partner's turn; a copy is kept".clone_into(&mut event.text);
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((Kept::of(event), event.number));
        self.end();
    }

    fn end(&mut self) {
        self.events.extend(self.current.take().map(|event| *event));
    }

    /// Under what the later fate of the message in hand is to be told.
    pub(in crate::engine) fn mark(&self) -> Option<Box<TraceMark>> {
        self.current.as_ref().map(|event| {
            Box::new(TraceMark {
                number: event.number,
                traces: event.traces.clone(),
                duid: event.duid.clone(),
                transaction_id: event.transaction_id.clone(),
            })
        })
    }

    /// What became of an answer that was held.
    pub(in crate::engine) fn fate(
        &mut self,
        now: LocalTime,
        mark: Option<&TraceMark>,
        fate: Result<(&str, &str), Discard>,
    ) {
        let Some(mark) = mark.filter(|_| !self.filters.is_empty()) else { return };
        let Some(number) = self.next_number(now) else { return };
        let (decision, reason, text) = match fate {
            Ok((reason, text)) => ("sent", reason, text.to_owned()),
            Err(reason) => ("not-sent", reason.name(), reason.to_string()),
        };
        self.events.push(v1::TraceEvent {
            traces: mark.traces.clone(),
            number,
            follows: mark.number,
            occasion: "held-answer".to_owned(),
            duid: mark.duid.clone(),
            transaction_id: mark.transaction_id.clone(),
            decision: decision.to_owned(),
            reason: reason.to_owned(),
            text,
            notes: fate.err().and_then(rule_of).map(str::to_owned).into_iter().collect(),
            ..v1::TraceEvent::default()
        });
    }

    /// Takes what there is to say.
    pub(in crate::engine) fn drain(&mut self, out: &mut Vec<ToStore>) {
        if !self.is_news && self.events.is_empty() && self.dropped == 0 {
            return;
        }
        self.is_news = false;
        out.push(ToStore::Trace(TraceReport {
            in_force: self.filters.iter().map(|filter| filter.id).collect(),
            dropped: std::mem::take(&mut self.dropped),
            events: std::mem::take(&mut self.events),
        }));
    }
}

/// A message that is looked at for the first time.
pub(in crate::engine) const ARRIVED: &str = "arrived";

/// One look at one message.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Look<'p, 'b> {
    pub(in crate::engine) now: LocalTime,
    pub(in crate::engine) packet: &'p Packet<'b>,
    pub(in crate::engine) interfaces: &'p [Interface],
    pub(in crate::engine) cluster_at_most: Option<ClusterTime>,
    /// Why: [`ARRIVED`], or what happened to it since.
    pub(in crate::engine) occasion: &'static str,
}

fn answer_name(message_type: u8) -> &'static str {
    if message_type == msg::ADVERTISE { "advertise" } else { "reply" }
}

/// Which of the rules of the design keeps silent, where one does.
fn rule_of(reason: Discard) -> Option<&'static str> {
    match reason {
        Discard::AutonomyEnded | Discard::SentTooLate => {
            Some("R4: nothing is promised past the session's autonomy")
        }
        Discard::RangesDry => Some("R1: new leases come out of own ranges only"),
        Discard::UnrecordedLease | Discard::AdoptionPending => {
            Some("R7: somebody who is not heard may have promised it")
        }
        Discard::PromiseRefused => Some("R1, R8: the store did not take what it promises"),
        _ => None,
    }
}

fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Bucket => "the client's bucket is this frontend's",
        Cause::RangeOwner => "the address asked for is of this frontend's range",
        Cause::Any => "whoever gets a message answers it",
        Cause::Standalone => "the relationship has no partner",
        Cause::PartnerDown => "the partner is not live",
        Cause::PartnerLinkDown => "the partner does not serve this link",
        Cause::RelayUnheard => "the partner does not hear this relay",
        Cause::Elapsed => "the client has waited longer than takeover_after",
        Cause::SeenAgain => "it was left to the partner before, and came again",
        Cause::Unhandled => "it was left to the partner, and nothing came of it",
    }
}
