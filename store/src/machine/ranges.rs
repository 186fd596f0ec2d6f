//! Granting ranges (R1): who gets how many, and what happens when there is none.
//!
//! A session that asks is granted slices of its pool. When there are none, its partner is asked to give back what it
//! does not need, and until the answer is due nobody is told anything; then the pool is called dry. So neither partner
//! sits on what the other needs, and a client hears NoAddrsAvail only from a pool that is used up. Refuses to know
//! which slices may be granted (`slices`) and what the partner can spare (it decides itself).
//! Invariants: a partner is asked at most once in [`ASK_PAUSE`] for a pool; what it gives back is for whom it was
//! asked; nothing is decided twice within one apply, so the partners cannot play ping-pong in it.

use super::outcome::{Applied, Audience};
use super::rows::RowKey;
use super::slices::Pick;
use super::state::{Machine, PoolState};
use leasehold_proto::session::{RangeRequest, StoreEvent};
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId, PoolId, RangeId};
use std::time::Duration;

/// Ranges granted for one request at most.
const GRANT_MAX: u32 = 256;
/// Slices and records looked at for the requests of one batch at most.
const LOOK_MAX: usize = 4096;
/// Between two requests to give back, of one pool. As long, what comes back is kept for whom it was asked.
const ASK_PAUSE: Duration = Duration::from_secs(5);
/// For the partner to give something back, before the pool is called dry.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

impl Machine {
    pub(super) fn grant_requested(&mut self, epoch: Epoch, requests: &[RangeRequest], out: &mut Applied) {
        let mut budget = LOOK_MAX;
        for request in requests {
            self.grant(epoch, *request, &mut budget, out);
        }
    }

    fn grant(&mut self, epoch: Epoch, request: RangeRequest, budget: &mut usize, out: &mut Applied) {
        let Some(session) = self.sessions.get(&epoch) else { return };
        let frontend = session.frontend.clone();
        // R6: a session that is never extended again is granted nothing more.
        let serves = self.may_extend(session);
        let Some(pool) = self.pools.get(&request.pool) else { return };
        let refused = pool.retired.is_some() || self.draining.contains(&frontend);
        if self.grants_are_held()
            || !serves
            || refused
            || !self.is_partner(pool, &frontend)
            || request.ranges == 0
        {
            return;
        }
        if self.is_kept_for_another(pool, epoch) {
            // With nothing there to keep, all the same as without.
            if !pool.has_some() {
                self.ask_partner(epoch, &frontend, request, out);
            }
            return;
        }
        let most =
            u64::from(request.ranges.min(GRANT_MAX)).min(self.share_left(request.pool, epoch, &frontend));
        let mut granted = 0;
        while granted < most {
            match self.pick_slice(request.pool, budget) {
                Pick::Slice(slice, fresh) => {
                    self.give(RangeId { pool: request.pool, slice }, epoch, &frontend, fresh, out);
                    granted += 1;
                }
                Pick::Nothing if granted == 0 => {
                    return self.ask_partner(epoch, &frontend, request, out);
                }
                Pick::Nothing | Pick::Later => break,
            }
        }
        if granted > 0 && self.pools.get(&request.pool).is_some_and(|p| p.asked_for == epoch) {
            self.note_asked(request.pool, Epoch::NONE, None);
        }
    }

    fn is_partner(&self, pool: &PoolState, frontend: &FrontendId) -> bool {
        self.relationships
            .get(&pool.pool.relationship)
            .is_some_and(|m| m.frontends.get(frontend) == Some(&None))
    }

    /// Design section 9, a frontend that crash-loops: while ranges of its earlier sessions are closed it gets no more
    /// than leaves its partner half of the pool; it is not told that the pool is dry, for its partner serves new clients
    /// meanwhile. Without a partner there is nobody to leave it to.
    fn share_left(&self, pool: PoolId, epoch: Epoch, frontend: &FrontendId) -> u64 {
        let Some(state) = self.pools.get(&pool) else { return 0 };
        let closed = self.closed_by(pool, frontend);
        if closed == 0 || self.partner_of(state, frontend).is_none() {
            return u64::MAX;
        }
        let half = state.offered_last_slice().div_ceil(2);
        let left = half.saturating_sub(closed);
        left.saturating_sub(self.open_of(pool, epoch, left))
    }

    fn closed_by(&self, pool: PoolId, frontend: &FrontendId) -> u64 {
        let Some(tally) = self.tallies.get(&pool) else { return 0 };
        let of_frontend = |epoch: &Epoch| self.sessions.get(epoch).is_some_and(|s| s.frontend == *frontend);
        tally.closed.iter().filter(|(epoch, _)| of_frontend(epoch)).map(|(_, count)| count).sum()
    }

    /// Ranges that a session may issue from, counted up to a bound.
    fn open_of(&self, pool: PoolId, epoch: Epoch, up_to: u64) -> u64 {
        let last = self.pools.get(&pool).map_or(0, PoolState::offered_last_slice);
        let open = self
            .owned_from(epoch, Some(RangeId { pool, slice: 0 }))
            .take_while(|range| range.slice <= last)
            .filter(|range| self.ranges.get(range).is_some_and(|r| !r.closed))
            .take(usize::try_from(up_to).unwrap_or(usize::MAX));
        u64::try_from(open.count()).unwrap_or(u64::MAX)
    }

    fn partner_of(&self, pool: &PoolState, frontend: &FrontendId) -> Option<&FrontendId> {
        self.network.as_ref()?.relationship(pool.pool.relationship)?.partner_of(frontend)
    }

    /// Another session asked first and waits for what comes back: whoever gave it back does not get it again.
    fn is_kept_for_another(&self, pool: &PoolState, epoch: Epoch) -> bool {
        pool.asked_for != epoch
            && self.time.saturating_since(pool.asked_back_at) < ASK_PAUSE
            && self.sessions.get(&pool.asked_for).is_some_and(|s| self.may_extend(s))
    }

    /// Nothing is left: the partner is asked to give back, or the pool is dry.
    fn ask_partner(&mut self, epoch: Epoch, frontend: &FrontendId, request: RangeRequest, out: &mut Applied) {
        let dry = StoreEvent::PoolDry { pool: request.pool, dry: true };
        let Some((partner, its_ranges)) = self.partner_to_ask(request.pool, frontend) else {
            return out.tell(Audience::Session(epoch), dry);
        };
        let Some(pool) = self.pools.get(&request.pool) else { return };
        let asked_ago = self.time.saturating_since(pool.asked_back_at);
        let was_asked = pool.asked_back_at != ClusterTime::ZERO;
        if was_asked && asked_ago < ANSWER_WAIT {
            return;
        }
        if was_asked && asked_ago < ASK_PAUSE {
            return out.tell(Audience::Session(epoch), dry);
        }
        let own = self.open_of(request.pool, epoch, its_ranges);
        let even = (its_ranges - own).div_ceil(2).max(1);
        let ranges = request.ranges.min(u32::try_from(even).unwrap_or(u32::MAX));
        out.tell(Audience::Session(partner), StoreEvent::GiveBack { pool: request.pool, ranges });
        self.note_asked(request.pool, epoch, Some(self.time));
    }

    /// The partner's session, if it can be asked and has something, and how many ranges (as far as they matter here).
    fn partner_to_ask(&self, id: PoolId, frontend: &FrontendId) -> Option<(Epoch, u64)> {
        let partner = self.partner_of(self.pools.get(&id)?, frontend)?;
        let epoch = *self.current.get(partner)?;
        self.sessions.get(&epoch).filter(|s| self.may_extend(s))?;
        let ranges = self.open_of(id, epoch, 2 * u64::from(GRANT_MAX));
        (ranges > 0).then_some((epoch, ranges))
    }

    fn note_asked(&mut self, pool: PoolId, on_behalf_of: Epoch, at: Option<ClusterTime>) {
        if let Some(state) = self.pools.get_mut(&pool) {
            state.asked_for = on_behalf_of;
            state.asked_back_at = at.unwrap_or(state.asked_back_at);
        }
        self.touch(RowKey::Pool(pool));
    }
}
