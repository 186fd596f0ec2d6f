//! R7, adoption: a lease that was promised in the last moments of a session and never committed.
//!
//! A client renews an address of which nobody has a record. Its word is taken only where nothing else can be true of an
//! honest client: the address never had a record, and its range was granted and never taken back from a session that
//! did not close cleanly. The Reply waits for the commit of this command, so an adopted lease is on record before its
//! client hears of it. Refuses to know who asks how often: frontends limit the rate.

use super::outcome::{Applied, Audience};
use super::state::Machine;
use leasehold_proto::lease::{Lease, LeaseState, LeaseUpdate};
use leasehold_proto::sabotage::{Mechanism, is_off};
use leasehold_proto::session::UpdateRefusal;
use leasehold_proto::words::{Epoch, LogIndex, RelationshipId};

impl Machine {
    /// R7. An address that is that client's by the record is adopted already.
    pub(super) fn adopt(
        &mut self,
        epoch: Epoch,
        update: &LeaseUpdate,
        record: Option<&Lease>,
        relationship: RelationshipId,
        out: &mut Applied,
    ) -> Result<(), UpdateRefusal> {
        match record {
            _ if is_off(Mechanism::AdoptionConditions) => {}
            // One that is free again may have been given to another since, by whoever owns its range, and not told yet.
            Some(record) if is_same(record, update) && record.state != LeaseState::Free => {
                return self.promise_on_record(epoch, update, record, relationship, out);
            }
            None if self.may_have_been_promised(epoch, update) => {}
            Some(_) | None => return Err(UpdateRefusal::NotAdopted),
        }
        let mut lease = self.fresh_lease(epoch, update);
        // Who promised it first, untold, may have been superseded since, and knows it all the same (R2).
        lease.born = LogIndex(0);
        self.note_two_addresses(epoch, &lease);
        self.end_registrations_in(lease.prefix, out);
        self.put_lease(lease, relationship);
        self.counters.adopted += 1;
        // The adopter reads the record before it reads that its batch was taken.
        self.tell_lease(update, Audience::Relationship(relationship), out);
        Ok(())
    }

    /// Whether an honest client can hold an address without a record: its range was granted, and what was promised
    /// from it is either told or still in force. Its own session has told all.
    fn may_have_been_promised(&self, epoch: Epoch, update: &LeaseUpdate) -> bool {
        self.pools
            .get(&update.pool)
            .filter(|p| p.offers(update.prefix))
            .and_then(|p| p.pool.range_of(update.prefix))
            .and_then(|range| self.ranges.get(&range))
            .is_some_and(|r| !r.unclean && !r.owner.is_none() && r.owner != epoch)
    }
}

fn is_same(record: &Lease, update: &LeaseUpdate) -> bool {
    record.binding == update.binding && record.pool == update.pool
}
