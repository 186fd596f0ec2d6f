//! What one update of a session does to the store's record: R1, R2, R3, R5, R7, and the fence of R4.
//!
//! Follows the real machine (`machine/leases`).

use super::config::Sabotage;
use super::sight::Sight;
use super::state::{Kind, Lease, Range, Refusal, Standing, Update, World};
use super::store::{Rules, number};

impl World {
    pub(super) fn take_update(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        address: usize,
        update: &Update,
    ) -> Result<(), Refusal> {
        if self.is_fenced(rules, s, address, update) && !rules.has(Sabotage::DeadNotFenced) {
            return Err(Refusal::Fenced);
        }
        let record = self.leases[address];
        match (update.kind, record) {
            (Kind::Promise, None) => self.create(s, address, update),
            (Kind::Promise, Some(record)) if record.state == Standing::Free => {
                if record.client != update.client {
                    rules.sights.note(Sight::Reused);
                }
                self.create(s, address, update)
            }
            (Kind::Promise, Some(record)) => self.extend(rules, s, address, update, record),
            (Kind::Release, None) => Err(Refusal::UnknownLease),
            (Kind::Release, Some(record)) => self.release(rules, s, address, update, record),
            (Kind::Adopt, record) => self.adopt(rules, s, address, update, record.is_some()),
        }
    }

    /// R4: whether a session is dead for certain as far as an update goes. What was acknowledged of another holding is
    /// no promise of this session's.
    pub(super) fn is_fenced(&self, rules: Rules<'_>, s: usize, address: usize, update: &Update) -> bool {
        let same_holding = self.leases[address].filter(|r| r.client == update.client);
        rules.is_dead(self.time, &self.sessions[s], same_holding.map_or(0, |r| r.acked_until))
    }

    /// R1: a new holding only from a range of that session, closed ones included.
    fn create(&mut self, s: usize, address: usize, update: &Update) -> Result<(), Refusal> {
        if self.ranges[address].owner != Some(number(s)) {
            return Err(Refusal::NotGranted);
        }
        self.leases[address] = Some(self.fresh(s, update));
        self.tell_lease(address, self.readers() & !(1 << s));
        Ok(())
    }

    fn fresh(&self, s: usize, update: &Update) -> Lease {
        Lease {
            client: update.client,
            state: Standing::Active,
            valid_until: update.valid_until,
            acked_until: update.ack_until,
            by: Some(number(s)),
            version: self.index,
            others_version: 0,
        }
    }

    /// R5, R3 and R2: a promise about an address that is held.
    fn extend(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        address: usize,
        update: &Update,
        record: Lease,
    ) -> Result<(), Refusal> {
        if record.client != update.client {
            return Err(Refusal::OtherClient);
        }
        let mut lease = record;
        lease.valid_until = if rules.has(Sabotage::ExpiryLowered) {
            update.valid_until
        } else {
            lease.valid_until.max(update.valid_until)
        };
        lease.acked_until = if rules.has(Sabotage::AckLowered) {
            update.ack_until
        } else {
            lease.acked_until.max(update.ack_until)
        };
        self.stamp(&mut lease, Some(number(s)));
        let revived = record.state != Standing::Active && !rules.has(Sabotage::NotRevived);
        let mut readers = self.readers();
        if revived {
            lease.state = Standing::Active;
            rules.sights.note(Sight::Revived);
        } else {
            readers &= !(1 << s);
        }
        if self.ranges[address].owner != Some(number(s)) {
            rules.sights.note(Sight::PartnerExtended);
        }
        self.leases[address] = Some(lease);
        self.tell_lease(address, readers);
        Ok(())
    }

    /// R2: a Release is refused when another session changed the record since the version it was based on.
    fn release(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        address: usize,
        update: &Update,
        record: Lease,
    ) -> Result<(), Refusal> {
        let by_others = if record.by == Some(number(s)) { record.others_version } else { record.version };
        let is_stale = by_others > update.base && !rules.has(Sabotage::StaleReleaseTaken);
        if record.client != update.client || is_stale {
            self.tell_lease(address, self.readers() & (1 << s));
            return Err(if is_stale { Refusal::ChangedSince } else { Refusal::OtherClient });
        }
        match record.state {
            Standing::Free => return Err(Refusal::UnknownLease),
            Standing::Active => {
                let mut lease = Lease { state: Standing::Released, ..record };
                self.stamp(&mut lease, Some(number(s)));
                self.leases[address] = Some(lease);
            }
            Standing::Expired | Standing::Released => {}
        }
        self.tell_lease(address, self.readers());
        Ok(())
    }

    /// R7: only an address that never had a record, in a range never taken back uncleanly, owned by another session.
    fn adopt(
        &mut self,
        rules: Rules<'_>,
        s: usize,
        address: usize,
        update: &Update,
        has_record: bool,
    ) -> Result<(), Refusal> {
        let Range { owner, closed, unclean } = self.ranges[address];
        let is_others = owner.is_some_and(|o| o != number(s) || closed);
        let was_held = has_record && !rules.has(Sabotage::AdoptedAfterRecord);
        let is_held = self.leases[address].is_some_and(|l| l.state != Standing::Free);
        let is_unclean = unclean && !rules.has(Sabotage::AdoptedUnclean);
        if !is_others || was_held || is_held || is_unclean {
            return Err(Refusal::NotAdopted);
        }
        rules.sights.note(Sight::Adopted);
        self.leases[address] = Some(self.fresh(s, update));
        self.tell_lease(address, self.readers());
        Ok(())
    }
}
