//! Addresses that clients chose themselves and registered (RFC 9686): who uses which, and until when.
//!
//! Owns the table of registrations: taking what sessions tell, ending them in time and when a lease takes their place, and
//! who hears of it. R1 to R9 do not apply: nothing is promised by a registration, the client chose its address itself,
//! and that no other host uses it is for duplicate address detection. So what was heard last stands, whichever session
//! tells it, late or not. Where leases and registrations meet, a lease goes first: an address that is leased, or ended and
//! not free yet, is not registered, and a lease that a frontend gave before it was told of a registration ends that.
//! Invariant: no registered address is in a lease that is not free.

use super::due::Due;
use super::outcome::{Applied, Audience};
use super::rows::RowKey;
use super::state::Machine;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::registration::{LIFETIME_MAX, Registration, RegistrationUpdate};
use leasehold_proto::session::StoreEvent;
use leasehold_proto::time::ClusterTime;
use leasehold_proto::words::{Epoch, FrontendId, LinkId, Prefix, RelationshipId};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

impl Machine {
    /// Takes what a session tells. Of what is not taken the session hears what stands.
    pub(super) fn take_registrations(
        &mut self,
        epoch: Epoch,
        updates: &[RegistrationUpdate],
        out: &mut Applied,
    ) {
        for update in updates {
            if self.may_register(epoch, update) {
                self.counters.registrations += 1;
                self.register(epoch, update, out);
            } else {
                self.counters.registrations_refused += 1;
                let standing = match self.registrations.get(&update.address) {
                    Some(standing) => Arc::clone(standing),
                    None => Arc::new(self.nobody(update)),
                };
                out.tell(Audience::Session(epoch), StoreEvent::Registration(standing));
            }
        }
    }

    /// An address of a link that registers them, told by a frontend of that link, and leased to nobody. Only the client
    /// that registered an address ends that.
    fn may_register(&self, epoch: Epoch, update: &RegistrationUpdate) -> bool {
        let of_link = self.sessions.get(&epoch).is_some_and(|s| self.link_concerns(update.link, &s.frontend));
        if !of_link {
            return false;
        }
        let standing = self.registrations.get(&update.address);
        if update.valid_until == ClusterTime::ZERO {
            return standing.is_some_and(|r| r.duid == update.duid && r.link == update.link);
        }
        let address = Prefix::address(update.address);
        let link = self.network.as_ref().and_then(|n| n.link(update.link));
        link.is_some_and(|l| l.register_addresses && l.prefixes.iter().any(|p| p.contains(address)))
            && self.lease_covering(update.address).is_none_or(|lease| lease.state == LeaseState::Free)
    }

    fn register(&mut self, epoch: Epoch, update: &RegistrationUpdate, out: &mut Applied) {
        if update.valid_until == ClusterTime::ZERO {
            return self.end_registration(update.address, epoch, out);
        }
        self.forget_reminder(update.address);
        let standing = self.registrations.get(&update.address).filter(|r| r.duid == update.duid);
        let mut valid_until = update.valid_until.min(self.time + LIFETIME_MAX);
        let mut since = self.time;
        if let Some(standing) = standing {
            // Two frontends may tell what they heard in another order than they heard it.
            valid_until = valid_until.max(standing.valid_until);
            since = standing.since;
        }
        let registration = Arc::new(Registration {
            address: update.address,
            link: update.link,
            duid: update.duid.clone(),
            valid_until,
            since,
            epoch,
            version: self.applied,
        });
        self.remind(valid_until, Due::Registration(update.address));
        self.tell_registration(&registration, out);
        self.registrations.insert(update.address, registration);
        self.touch(RowKey::Registration(update.address));
    }

    fn end_registration(&mut self, address: u128, epoch: Epoch, out: &mut Applied) {
        self.forget_reminder(address);
        let Some(ended) = self.registrations.remove(&address) else { return };
        self.touch(RowKey::Registration(address));
        let ended = Registration {
            valid_until: ClusterTime::ZERO,
            epoch,
            version: self.applied,
            ..ended.as_ref().clone()
        };
        self.tell_registration(&Arc::new(ended), out);
    }

    /// A lease was made: nobody has registered what it covers any more.
    pub(super) fn end_registrations_in(&mut self, prefix: Prefix, out: &mut Applied) {
        let covered =
            self.registrations.range(prefix.bits()..=prefix.last_bits()).map(|(address, _)| *address);
        for address in covered.collect::<Vec<_>>() {
            self.end_registration(address, Epoch::NONE, out);
        }
    }

    /// Clients change the end of a registration as often as they like, and each has one reminder all the same.
    fn forget_reminder(&mut self, address: u128) {
        if let Some(standing) = self.registrations.get(&address) {
            self.due.remove(&(standing.valid_until, Due::Registration(address)));
        }
    }

    /// When a registration ends by itself.
    pub(super) fn registration_moment(&self, address: u128) -> ClusterTime {
        self.registrations.get(&address).map_or(ClusterTime::NEVER, |r| r.valid_until)
    }

    /// A registration's time is over. True when something changed.
    pub(super) fn registration_due(&mut self, address: u128, out: &mut Applied) -> bool {
        let is_over = self.registrations.contains_key(&address);
        self.end_registration(address, Epoch::NONE, out);
        is_over
    }

    /// Makes the reminders anew from the records.
    pub(super) fn remind_of_registrations(&mut self) {
        let moments: Vec<_> = self.registrations.iter().map(|(a, r)| (r.valid_until, *a)).collect();
        for (moment, address) in moments {
            self.remind(moment, Due::Registration(address));
        }
    }

    fn nobody(&self, update: &RegistrationUpdate) -> Registration {
        Registration {
            address: update.address,
            link: update.link,
            duid: update.duid.clone(),
            valid_until: ClusterTime::ZERO,
            since: ClusterTime::ZERO,
            epoch: Epoch::NONE,
            version: self.applied,
        }
    }

    /// The session that told it hears of it too: what comes in the stream last is what stands.
    fn tell_registration(&self, registration: &Arc<Registration>, out: &mut Applied) {
        let on_link = self.pools.values().filter(|p| p.pool.link == registration.link);
        let relationships: BTreeSet<RelationshipId> = on_link.map(|p| p.pool.relationship).collect();
        for relationship in relationships {
            let event = StoreEvent::Registration(Arc::clone(registration));
            out.tell(Audience::Relationship(relationship), event);
        }
    }

    /// Whether a frontend is a partner of a relationship that has a pool on a link, or lately was.
    #[must_use]
    pub fn link_concerns(&self, link: LinkId, frontend: &FrontendId) -> bool {
        self.pools_of(frontend).any(|p| p.pool.link == link)
    }

    /// The registration of an address.
    #[must_use]
    pub fn registration(&self, address: u128) -> Option<&Arc<Registration>> {
        self.registrations.get(&address)
    }

    /// Registrations above an address, in the order of addresses: to be read in pieces, as the caller holds a lock.
    pub fn registrations_above(&self, after: Option<u128>) -> impl Iterator<Item = &Arc<Registration>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.registrations.range((from, Bound::Unbounded)).map(|(_, r)| r)
    }
}
