//! What was kept: messages left to the partner or waiting for the store, and Replies that wait for a commit.
//!
//! Owns when each is looked at again and what becomes of it: judged as if it had just arrived when the store's word on the
//! partners changes, answered when its client's look-up or adoption is decided or takes too long, dropped in silence when
//! the partner had its two seconds, but for a Release or Decline on which it did not act; sent when what it promises is
//! committed or it has waited long enough. Refuses to judge messages: `desk` does. Input: news and the passing of time.

use super::desk::{Desk, Handled, Occasion, client_key};
use super::held::HeldReply;
use super::parked::{RELEASED_PER_TURN_MAX, Releasing, Taken, Waiting};
use crate::codec::Discard;
use crate::engine::ReplySink;
use leasehold_proto::words::{FrontendId, LinkId};

impl<S: ReplySink> Desk<'_, S> {
    /// The store's word on a frontend changed such that messages may be this one's to answer that were left to a
    /// partner; `link`: on this link only. They are judged anew.
    pub(in crate::engine) fn judged_anew(&mut self, frontend: &FrontendId, link: Option<LinkId>) {
        let partner = (frontend != self.leases.frontend()).then(|| frontend.clone());
        self.release(Releasing::LeftTo { partner, link });
    }

    /// Answers what waited for a look-up of this client.
    pub(in crate::engine) fn looked_up(&mut self, link: LinkId, duid: &[u8]) {
        let client = client_key(self.exchange.message_hash, link, duid);
        self.answer_waiting(&Waiting::LookUp(client), Occasion::LookedUp);
    }

    /// Answers what waited for an adoption that this client asked for (R7).
    pub(in crate::engine) fn adopted(&mut self, link: LinkId, duid: &[u8]) {
        let client = client_key(self.exchange.message_hash, link, duid);
        self.answer_waiting(&Waiting::Adoption(client), Occasion::Adopted);
    }

    /// The configuration changed, and with it maybe whose turn it is: what was left to partners is judged anew.
    pub(in crate::engine) fn reconfigured(&mut self) {
        self.release(Releasing::LeftTo { partner: None, link: None });
    }

    fn answer_waiting(&mut self, what: &Waiting, occasion: Occasion<'_>) {
        for serial in self.exchange.parked.serials() {
            if let Some(taken) = self.exchange.parked.take_if(serial, |waiting| waiting == what) {
                self.answer_taken(taken, occasion);
            }
        }
    }

    /// Answers all that waited for a look-up: everything is known now.
    pub(in crate::engine) fn loaded(&mut self) {
        self.release(Releasing::LookUps);
    }

    /// Goes on answering what was released, answers messages whose look-up takes too long, and drops those that the
    /// partner was left with.
    pub(in crate::engine) fn turn(&mut self) {
        self.release_held();
        // After the Replies that give clients their keys (SV-401).
        self.reconfigure();
        self.answer_released();
        while let Some(taken) = self.exchange.parked.take_due(self.now) {
            match taken.waiting {
                // Without the stream it cannot be known what the partner did.
                Waiting::Partner { ending: Some(standing), .. } if self.leases.is_connected() => {
                    self.answer_taken(taken, Occasion::Unhandled(standing));
                }
                Waiting::Partner { .. } => {
                    self.trace_begin(&taken.packet(), "partner-had-two-seconds");
                    self.trace.discarded(Discard::NotOurs);
                    self.counters.discard(Discard::NotOurs);
                    self.exchange.parked.give_back(taken);
                }
                Waiting::LookUp(_) => self.answer_taken(taken, Occasion::LookedUp),
                Waiting::Adoption(_) => self.answer_taken(taken, Occasion::Adopted),
            }
        }
    }

    /// Sends Replies whose promises are committed, and those that have waited long enough (FO-903). No more at once than
    /// one batch of replies has room for.
    fn release_held(&mut self) {
        if !self.exchange.held.is_to_look(self.now, self.leases) {
            return;
        }
        let mut at = 0;
        for _ in 0..RELEASED_PER_TURN_MAX {
            let Some((next, reply)) = self.exchange.held.take_due(self.now, self.leases, at) else {
                return self.exchange.held.looked(self.leases, true);
            };
            at = next;
            self.send_held(&reply);
            self.exchange.held.give_back(reply);
        }
        self.exchange.held.looked(self.leases, false);
    }

    /// R4 is judged for each Reply by itself; one whose promise the store did not take is not sent.
    fn send_held(&mut self, reply: &HeldReply) {
        let terms = &reply.terms;
        let is_committed = self.leases.is_committed(&terms.rest);
        if !self.leases.may_release(self.now, terms.computed, &terms.rest) {
            self.trace.fate(self.now, terms.traced.as_deref(), Err(Discard::SentTooLate));
            return self.counters.discard(Discard::SentTooLate);
        }
        if !terms.stands(self.leases) {
            self.trace.fate(self.now, terms.traced.as_deref(), Err(Discard::PromiseRefused));
            return self.counters.discard(Discard::PromiseRefused);
        }
        let out = self.replies.begin();
        out.extend_from_slice(&reply.bytes);
        self.replies.commit(terms.to);
        self.counters.answer(terms.message_type, terms.cause);
        let why = if is_committed {
            self.counters.held_committed += 1;
            ("committed", "the store has committed what it promises")
        } else {
            self.counters.held_waited_out += 1;
            ("waited-out", "the commit took too long to be waited for")
        };
        self.trace.fate(self.now, terms.traced.as_deref(), Ok(why));
    }

    /// Kept messages are to be answered, those kept until now: answering may keep messages anew.
    fn release(&mut self, what: Releasing) {
        let serials = self.exchange.parked.serials();
        self.exchange.releasing.push_back((what, serials));
        self.answer_released();
    }

    /// Answers released messages, the latest first: the earlier ones have most likely been answered by the partner
    /// while it lived. No more at once than [`RELEASED_PER_TURN_MAX`]: thousands may have been kept, and what one batch
    /// of replies has no room for would be lost, which costs a client its retransmission time (10 s for a Renew).
    fn answer_released(&mut self) {
        let mut answered = 0;
        while let Some((what, mut serials)) = self.exchange.releasing.pop_front() {
            while let Some(serial) = serials.next_back() {
                if let Some(taken) = self.exchange.parked.take_if(serial, |waiting| what.fits(waiting)) {
                    let left_to = match &taken.waiting {
                        Waiting::Partner { partner, .. } => Some(partner.clone()),
                        Waiting::LookUp(_) | Waiting::Adoption(_) => None,
                    };
                    let occasion = left_to.as_ref().map_or(Occasion::LookedUp, Occasion::JudgedAnew);
                    self.answer_taken(taken, occasion);
                    answered += 1;
                }
                if answered == RELEASED_PER_TURN_MAX {
                    self.exchange.releasing.push_front((what, serials));
                    return;
                }
            }
        }
    }

    fn answer_taken(&mut self, taken: Taken, occasion: Occasion<'_>) {
        match self.look_at(&taken.packet(), occasion) {
            Some(Handled::Answered { .. } | Handled::Held) => self.counters.parked_answered += 1,
            Some(Handled::Kept) => return self.exchange.parked.put_back(taken),
            None => {}
        }
        self.exchange.parked.give_back(taken);
    }
}
