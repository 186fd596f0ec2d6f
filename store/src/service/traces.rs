//! Who reads the frontends' reports: one bounded queue a trace, and the stream at its end.
//!
//! Owns the callers, how long a trace lasts, and that a caller who reads slowly, or not at all, holds nobody up: what has
//! no room is counted, and the count is told with the next that has. Refuses to know what events say. Invariant: a
//! trace ends with its stream, whatever ends that: its time, the caller, the connection, this node's leadership.

use super::replica::{SharedReplica, lock};
use crate::hub::{TraceId, Traced};
use futures::stream::{self, Stream};
use leasehold_proto::v1;
use leasehold_proto::v1::trace_answer::Body;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

/// Answers that wait for one caller. Why 512: some seconds of what the frontends may tell.
pub(super) const QUEUE_LEN: usize = 512;

/// One caller's end here.
#[derive(Debug)]
struct Caller {
    sender: mpsc::Sender<v1::TraceAnswer>,
    /// Events that had no room.
    dropped: u64,
}

impl Caller {
    fn put(&mut self, body: Body) {
        let is_event = matches!(body, Body::Event(_));
        if !self.is_told_of_dropped() || self.sender.try_send(v1::TraceAnswer { body: Some(body) }).is_err() {
            self.dropped += u64::from(is_event);
        }
    }

    fn is_told_of_dropped(&mut self) -> bool {
        if self.dropped > 0 {
            let dropped = Body::Dropped(v1::TraceDropped { by: String::new(), events: self.dropped });
            if self.sender.try_send(v1::TraceAnswer { body: Some(dropped) }).is_err() {
                return false;
            }
            self.dropped = 0;
        }
        true
    }
}

/// All callers, by their traces.
#[derive(Debug, Default)]
pub(super) struct Callers(BTreeMap<TraceId, Caller>);

impl Callers {
    /// A further caller, who is told this first.
    pub(super) fn add(&mut self, id: TraceId, first: v1::TraceStarted) -> mpsc::Receiver<v1::TraceAnswer> {
        let (sender, answers) = mpsc::channel(QUEUE_LEN);
        let mut caller = Caller { sender, dropped: 0 };
        caller.put(Body::Started(first));
        self.0.insert(id, caller);
        answers
    }

    pub(super) fn remove(&mut self, id: TraceId) {
        self.0.remove(&id);
    }

    /// Ends all streams: this node leads no more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Hands on what a frontend reported.
    pub(super) fn deliver(&mut self, traced: Traced) {
        match traced {
            Traced::Listening(id, frontend) => {
                self.put(id, || Body::Listening(v1::TraceListening { frontend: frontend.to_string() }));
            }
            Traced::Dropped(id, frontend, events) => {
                self.put(id, || Body::Dropped(v1::TraceDropped { by: frontend.to_string(), events }));
            }
            Traced::Event(event) => {
                for id in event.traces.clone() {
                    self.put(TraceId(id), || {
                        Body::Event(v1::TraceEvent { traces: vec![id], ..*event.clone() })
                    });
                }
            }
        }
    }

    fn put(&mut self, id: TraceId, body: impl FnOnce() -> Body) {
        if let Some(caller) = self.0.get_mut(&id) {
            caller.put(body());
        }
    }
}

/// A trace under way; it ends when this is dropped.
pub(super) struct Tracing {
    pub(super) replica: SharedReplica,
    pub(super) id: TraceId,
    pub(super) answers: mpsc::Receiver<v1::TraceAnswer>,
    pub(super) until: Instant,
}

impl Drop for Tracing {
    fn drop(&mut self) {
        lock(&self.replica).end_trace(self.id);
    }
}

impl Tracing {
    /// What the caller reads. Ends with the time asked for; with an error when this node leads no more.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<v1::TraceAnswer, Status>> + Send + 'static {
        stream::unfold(Some(self), |tracing| async move {
            let mut tracing = tracing?;
            let answer = tokio::select! {
                biased;
                () = tokio::time::sleep_until(tracing.until) => return None,
                answer = tracing.answers.recv() => answer,
            };
            match answer {
                Some(answer) => Some((Ok(answer), Some(tracing))),
                None => {
                    let status = Status::unavailable("this store node leads no more: ask again");
                    Some((Err(status), None))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_proto::words::FrontendId;

    fn event(number: u64, traces: &[u64]) -> Traced {
        Traced::Event(Box::new(v1::TraceEvent { number, traces: traces.to_vec(), ..Default::default() }))
    }

    fn bodies(answers: &mut mpsc::Receiver<v1::TraceAnswer>) -> Vec<Body> {
        std::iter::from_fn(|| answers.try_recv().ok()).filter_map(|a| a.body).collect()
    }

    #[test]
    fn each_caller_gets_what_its_trace_is_about() {
        let mut callers = Callers::default();
        let mut one = callers.add(TraceId(1), v1::TraceStarted::default());
        let mut two = callers.add(TraceId(2), v1::TraceStarted::default());
        callers.deliver(Traced::Listening(TraceId(2), FrontendId::new("fe-a").unwrap()));
        callers.deliver(event(7, &[1, 2, 3]));
        callers.deliver(event(8, &[1]));
        let numbers = |bodies: &[Body]| {
            let events = bodies.iter().filter_map(|b| if let Body::Event(e) = b { Some(e) } else { None });
            events.map(|e| (e.number, e.traces.clone())).collect::<Vec<_>>()
        };
        let (one, two) = (bodies(&mut one), bodies(&mut two));
        assert!(matches!(one[0], Body::Started(_)));
        assert_eq!(numbers(&one), [(7, vec![1]), (8, vec![1])], "nobody learns whose trace another is");
        assert!(matches!(&two[1], Body::Listening(l) if l.frontend == "fe-a"));
        assert_eq!(numbers(&two), [(7, vec![2])]);
    }

    #[test]
    fn a_caller_who_reads_slowly_holds_nobody_up_and_is_told_how_much_it_missed() {
        let mut callers = Callers::default();
        let mut slow = callers.add(TraceId(1), v1::TraceStarted::default());
        for number in 0..QUEUE_LEN as u64 + 99 {
            callers.deliver(event(number, &[1]));
        }
        assert_eq!(bodies(&mut slow).len(), QUEUE_LEN, "the first, and as many events as have room");
        callers.deliver(event(7, &[1]));
        let after = bodies(&mut slow);
        assert!(matches!(&after[0], Body::Dropped(d) if d.events == 100 && d.by.is_empty()), "{after:?}");
        assert!(matches!(&after[1], Body::Event(e) if e.number == 7));
    }
}
