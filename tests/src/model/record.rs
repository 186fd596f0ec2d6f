//! What a process knows of one address while promises of its own are dirty or in flight.
//!
//! Follows the real engine (`engine/leases/outcome` and `merge`): an answer moves what is acknowledged; a refusal leaves
//! the store's record standing.

use super::state::{Dirty, Kind, Lease, Record, Refusal, Standing, Update};

impl Record {
    pub(super) fn of(lease: &Lease) -> Self {
        Self {
            client: lease.client,
            state: lease.state,
            store_state: Some(lease.state),
            valid_until: lease.valid_until,
            acked_until: lease.acked_until,
            version: lease.version,
            in_flight: 0,
            promises_in_flight: 0,
            dirty: None,
        }
    }

    pub(super) fn has_own_promise(&self) -> bool {
        self.promises_in_flight > 0 || self.dirty.is_some_and(|d| d.kind == Kind::Promise)
    }

    pub(super) fn has_own_end(&self) -> bool {
        self.in_flight > self.promises_in_flight || self.dirty.is_some_and(|d| d.kind == Kind::Release)
    }

    pub(super) fn next_update(&mut self) -> Option<Update> {
        let dirty = self.dirty?;
        self.in_flight += 1;
        self.promises_in_flight += u8::from(dirty.kind == Kind::Promise);
        self.dirty = dirty.then_release.then_some(Dirty {
            kind: Kind::Release,
            then_release: false,
            ack_until: 0,
            base: dirty.base,
        });
        Some(Update {
            kind: dirty.kind,
            client: self.client,
            valid_until: self.valid_until,
            ack_until: dirty.ack_until,
            base: dirty.base,
        })
    }

    pub(super) fn taken(&mut self, update: &Update, index: u8) {
        if self.version > index {
            self.stand_back();
            return;
        }
        self.version = index;
        if update.kind == Kind::Promise {
            self.store_state = Some(Standing::Active);
            if self.state != Standing::Free {
                self.acked_until = self.acked_until.max(update.ack_until);
            }
        } else {
            self.store_state = Some(Standing::Released);
        }
    }

    /// True when the record is to be forgotten.
    pub(super) fn refused(&mut self, kind: Kind, reason: Refusal) -> bool {
        if kind == Kind::Promise {
            self.dirty = None;
        }
        if self.promises_in_flight > 0 {
            return false;
        }
        if self.version > 0 {
            self.stand_back();
            return false;
        }
        if reason == Refusal::OtherClient {
            // Nobody may have it until the record that stands is read.
            self.state = Standing::Expired;
            return false;
        }
        self.in_flight == 0 && self.dirty.is_none()
    }

    pub(super) fn stand_back(&mut self) {
        if self.dirty.is_none()
            && self.promises_in_flight == 0
            && let Some(state) = self.store_state
        {
            self.state = state;
        }
    }
}
