//! R7 on this side: asking the store to adopt a lease that its client renews and of which nobody has a record.
//!
//! Owns which adoptions are queued and in flight, and what bounds them: one for each address at a time, so many in all,
//! a token bucket over all clients. An adoption goes up in the session's one sequence. It is no promise: nothing was
//! replied, so a session that ends forgets it, and one in flight has no record here before the store has taken it.
//! Refuses to know messages: whoever waits for an adoption is told by [`News::Adopted`] that it is decided. Nothing is
//! asked while cut off.

use super::api::Margin;
use super::{Given, IaRef, Leases, News, Owner};
use leasehold_proto::lease::{LeaseExtra, LeaseState, LeaseUpdate, UpdateKind};
use leasehold_proto::lifetimes::LifetimeWish;
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::time::{ClusterTime, LocalTime};
use leasehold_proto::words::{BindingKey, LogIndex, Prefix};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Adoptions queued or in flight at most.
const OUTSTANDING_MAX: usize = 256;
/// Adoptions asked for in a second, in the long run, and at once. Why: a crash leaves what was promised within a round
/// trip to the store, hundreds of leases; more claims than that are an attack on the log.
const PER_SECOND: u64 = 200;
const BURST: u64 = 400;
/// Tokens are counted in thousandths, so that each millisecond adds a whole number of them.
const TOKEN: u64 = 1000;

/// The adoptions under way.
pub(super) struct Adoptions {
    queue: VecDeque<LeaseUpdate>,
    /// Queued or in flight, with who claims it.
    outstanding: BTreeMap<Prefix, BindingKey>,
    credit: u64,
    credited_at: LocalTime,
}

impl Default for Adoptions {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            outstanding: BTreeMap::new(),
            credit: BURST * TOKEN,
            credited_at: LocalTime::ZERO,
        }
    }
}

impl Adoptions {
    /// Waiting for the next batch.
    pub(super) fn is_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Queued or in flight.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding.len() as u64
    }

    /// What was queued is not asked any more.
    pub(super) fn forget_queued(&mut self) {
        for update in self.queue.drain(..) {
            self.outstanding.remove(&update.prefix);
        }
    }

    /// The session is over. The bucket stays as full as it is.
    pub(super) fn forget(&mut self) {
        self.queue.clear();
        self.outstanding.clear();
    }

    fn has_room(&mut self, now: LocalTime) -> bool {
        let ms = u64::try_from(now.saturating_since(self.credited_at).as_millis()).unwrap_or(u64::MAX);
        if ms > 0 {
            self.credit = self.credit.saturating_add(ms.saturating_mul(PER_SECOND)).min(BURST * TOKEN);
            self.credited_at = now;
        }
        self.credit >= TOKEN && self.outstanding.len() < OUTSTANDING_MAX
    }

    fn ask(&mut self, update: LeaseUpdate) {
        self.credit = self.credit.saturating_sub(TOKEN);
        self.outstanding.insert(update.prefix, update.binding.clone());
        self.queue.push_back(update);
    }
}

impl Leases {
    /// R7: asks the store to adopt a lease that this IA claims, if it may have been promised by somebody else and never
    /// told: nobody has a record of it, and its range is another session's or closed; or it is this IA's and has ended
    /// without being free yet: expired, which whoever extended it had not read of, or given back by its client, who comes
    /// again. Says whether an answer is to come: asked now, or under way for the same IA. The answer is
    /// [`News::Adopted`].
    pub fn adopt(
        &mut self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
        extra: Option<Arc<LeaseExtra>>,
    ) -> bool {
        if let Some(claimant) = self.adoptions.outstanding.get(&prefix) {
            return IaRef::of(claimant) == ia;
        }
        if !self.adoptions.has_room(now) || is_off(Mechanism::Adoption) {
            return false;
        }
        let Some(update) = self.adoption(now, ia, prefix, lifetimes, extra) else { return false };
        self.adoptions.ask(update);
        true
    }

    /// What [`Leases::adopt`] would have the client promised, if it would ask; asks nothing.
    #[must_use]
    pub fn offer_adoption(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
        extra: Option<Arc<LeaseExtra>>,
    ) -> Option<Given> {
        let update = self.adoption(now, ia, prefix, lifetimes, extra)?;
        Some(Given { prefix, preferred: update.preferred, valid: update.valid })
    }

    fn adoption(
        &self,
        now: LocalTime,
        ia: IaRef<'_>,
        prefix: Prefix,
        lifetimes: LifetimeWish,
        extra: Option<Arc<LeaseExtra>>,
    ) -> Option<LeaseUpdate> {
        if !self.may_ask() || !self.load.loaded || !self.session.is_welcomed() {
            return None;
        }
        let pool = self.names.pool_of(prefix).filter(|p| p.kind == ia.kind && p.link == ia.link)?;
        let may_be_promised = matches!(self.owner_of(prefix), Owner::Closed | Owner::Partner(_))
            && self.records.of(prefix).is_none();
        let may_ask = may_be_promised || self.has_ended(ia, prefix) || is_off(Mechanism::AdoptionConditions);
        if !may_ask || !self.is_autonomous(now, pool.id) {
            return None;
        }
        if self.has_too_many(ia, extra.as_ref(), Margin::default()) {
            return None;
        }
        let promise = self.bounded(now, pool, ClusterTime::ZERO, lifetimes)?;
        Some(LeaseUpdate {
            kind: UpdateKind::Adopt,
            prefix,
            pool: pool.id,
            binding: self.binding_key(ia)?,
            valid_until: promise.valid_until,
            preferred: promise.preferred,
            valid: promise.valid,
            ack_until: promise.ack_until,
            client_last_contact: self.cluster_time_at_most(now)?,
            base_version: LogIndex(0),
            extra,
        })
    }

    /// Whether a lease of this IA has ended, and the store has not freed it.
    fn has_ended(&self, ia: IaRef<'_>, prefix: Prefix) -> bool {
        let at = self.records.find(prefix).filter(|at| self.records.belongs(*at, ia));
        at.and_then(|at| self.records.get(at)).is_some_and(|r| r.state().is_revivable())
    }

    /// What goes into the batch that is made now, at most so many, beside the updates that it has: of one lease a batch
    /// tells one thing, so an adoption waits until the end that it takes back is told. What got a record meanwhile is not
    /// asked any more.
    pub(super) fn next_adoptions(&mut self, room: usize, told: &[LeaseUpdate]) -> Vec<LeaseUpdate> {
        if !self.may_ask() {
            self.adoptions.forget_queued();
        }
        if self.adoptions.queue.is_empty() {
            return Vec::new();
        }
        let told: BTreeSet<Prefix> = told.iter().map(|update| update.prefix).collect();
        let mut updates = Vec::new();
        for _ in 0..self.adoptions.queue.len() {
            let Some(update) = self.adoptions.queue.pop_front() else { break };
            let of_another = self.records.of(update.prefix).is_some()
                && !self.has_ended(IaRef::of(&update.binding), update.prefix);
            let is_untold = self.records.of(update.prefix).is_some_and(|record| record.dirty_at != 0)
                || told.contains(&update.prefix);
            if of_another && !is_off(Mechanism::AdoptionConditions) {
                self.adoptions.outstanding.remove(&update.prefix);
            } else if is_untold || updates.len() == room {
                self.adoptions.queue.push_back(update);
            } else {
                updates.push(update);
            }
        }
        updates
    }

    /// The store has decided; `taken`: as of this index the lease is on record.
    pub(super) fn adoption_settled(
        &mut self,
        update: &LeaseUpdate,
        taken: Option<LogIndex>,
        news: &mut Vec<News>,
    ) {
        self.adoptions.outstanding.remove(&update.prefix);
        if let Some(index) = taken {
            self.counts.adopted += 1;
            self.note_adopted(update, index);
        }
        news.push(News::Adopted { link: update.binding.link, duid: update.binding.duid.clone() });
    }

    /// The record of an adopted lease comes in the stream before the answer. What the answer adds is what is
    /// acknowledged by it, and the record itself should it be missing.
    fn note_adopted(&mut self, update: &LeaseUpdate, index: LogIndex) {
        let known = self.records.find(update.prefix);
        if known.is_some_and(|at| self.records.binding_of(at) != Some(&update.binding)) {
            return;
        }
        let before = self.records.vacancy(update.prefix);
        let is_new = known.is_none();
        let at = known.unwrap_or_else(|| {
            self.records.insert(update.prefix, update.pool, &update.binding, LeaseState::Active)
        });
        let is_revived = self.records.get(at).is_some_and(|r| r.version <= index && r.state().is_revivable());
        if is_revived {
            self.records.set_state(at, LeaseState::Active);
        }
        let mark = self.load.mark;
        let Some(record) = self.records.get_mut(at).filter(|r| r.version <= index) else { return };
        if is_new {
            record.preferred = update.preferred;
            record.contact = update.client_last_contact;
            record.born = LogIndex(0);
        }
        record.version = index;
        record.store_state = LeaseState::Active;
        record.valid = record.valid.max(update.valid);
        record.valid_until = record.valid_until.max(update.valid_until);
        record.acked_until = record.acked_until.max(update.ack_until);
        record.load_mark = mark;
        if is_new {
            self.records.set_extra(at, update.extra.clone());
        }
        self.note_place(update.prefix, before);
    }
}
