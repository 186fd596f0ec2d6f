//! Replies that wait for the commit of what they promise, for pools with `commit_wait` (FO-903, FO-210).
//!
//! Owns the bounded ring of encoded Replies and when each is due: when its updates are committed, or when it has waited
//! long enough, whichever comes first. Refuses to judge whether a Reply may still leave: [`Leases`] does, for each by
//! itself (R4). Bounds: [`HELD_MAX`] Replies; buffers are used again, so in steady state nothing is allocated.

use super::Cause;
use super::plan::Plan;
use crate::engine::ReplyTo;
use crate::engine::leases::{Leases, Rest};
use crate::engine::trace::TraceMark;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{Epoch, Prefix};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Replies held at most; above that they go out at once. Why 1024: some 1.5 MB, and more commits than a store makes in
/// the time.
pub(super) const HELD_MAX: usize = 1024;

/// One Reply that waits.
#[derive(Debug)]
pub(super) struct HeldReply {
    pub(super) bytes: Vec<u8>,
    pub(super) terms: Terms,
}

/// What is known of a Reply beside its octets.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) to: ReplyTo,
    /// When it was computed (R4).
    pub(super) computed: LocalTime,
    pub(super) rest: Rest,
    pub(super) message_type: u8,
    pub(super) cause: Option<Cause>,
    /// Somebody traces the client.
    pub(super) traced: Option<Box<TraceMark>>,
    client: SmallVec<[u8; 32]>,
    promised: SmallVec<[Prefix; 4]>,
}

impl Terms {
    /// The terms of a Reply to this client, just computed.
    pub(super) fn new(
        now: LocalTime,
        to: ReplyTo,
        rest: Rest,
        plan: &Plan,
        client: &[u8],
        cause: Option<Cause>,
    ) -> Self {
        let promised = plan.ias.iter().flat_map(|ia| &ia.lines).filter(|line| line.extended);
        Self {
            to,
            computed: now,
            rest,
            message_type: plan.message_type,
            cause,
            traced: None,
            client: SmallVec::from_slice(client),
            promised: promised.map(|line| line.prefix).collect(),
        }
    }

    /// Whether all that it promises is still that client's: the store may have refused it.
    pub(super) fn stands(&self, leases: &Leases) -> bool {
        self.promised.iter().all(|prefix| {
            leases.holder_of(*prefix).is_some_and(|(binding, state)| {
                state == LeaseState::Active && binding.duid.as_bytes() == self.client.as_slice()
            })
        })
    }

    fn due(&self) -> LocalTime {
        self.computed + self.rest.wait()
    }
}

/// The Replies that wait, in the order in which they were computed.
#[derive(Debug, Default)]
pub(super) struct Held {
    ring: VecDeque<HeldReply>,
    spare: Vec<Vec<u8>>,
    /// What was committed when they were last gone through to the end.
    looked: (Epoch, u64),
    /// They were not gone through to the end.
    more: bool,
}

impl Held {
    /// Replies that wait.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes a copy of a Reply; false when there is no room.
    pub(super) fn hold(&mut self, reply: &[u8], terms: Terms) -> bool {
        if self.ring.len() >= HELD_MAX {
            return false;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(reply);
        self.ring.push_back(HeldReply { bytes, terms });
        true
    }

    /// Takes the first Reply, from a place on, that is due now; and where to go on.
    pub(super) fn take_due(
        &mut self,
        now: LocalTime,
        leases: &Leases,
        from: usize,
    ) -> Option<(usize, HeldReply)> {
        let at = (from..self.ring.len()).find(|at| {
            self.ring[*at].terms.due() <= now || leases.is_committed(&self.ring[*at].terms.rest)
        })?;
        self.ring.remove(at).map(|reply| (at, reply))
    }

    /// Whether any can be due: time has come, or something was committed.
    pub(super) fn is_to_look(&self, now: LocalTime, leases: &Leases) -> bool {
        !self.ring.is_empty()
            && (self.looked != leases.committed() || self.next_due().is_some_and(|due| due <= now))
    }

    /// They were gone through, to the end or not.
    pub(super) fn looked(&mut self, leases: &Leases, to_the_end: bool) {
        self.more = !to_the_end;
        if to_the_end {
            self.looked = leases.committed();
        }
    }

    /// When to go through them though nothing is committed.
    pub(super) fn next_due(&self) -> Option<LocalTime> {
        let next = self.ring.iter().map(|reply| reply.terms.due()).min();
        if self.more { next.map(|_| LocalTime::ZERO) } else { next }
    }

    /// Gives the buffer of a taken Reply back, to be used again.
    pub(super) fn give_back(&mut self, reply: HeldReply) {
        if self.spare.len() < HELD_MAX {
            self.spare.push(reply.bytes);
        }
    }

    /// Lets go of all; how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.ring.len() as u64;
        while let Some(reply) = self.ring.pop_front() {
            self.give_back(reply);
        }
        count
    }
}
