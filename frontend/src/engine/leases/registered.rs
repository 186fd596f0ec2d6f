//! Addresses that clients chose themselves and registered (RFC 9686), as this frontend knows them.
//!
//! Owns the table of registrations and which of them the store is still to be told. Nobody is given a registered address
//! ([`Records::is_free`](super::records::Records::is_free)). A registration is no promise: what the store says of an
//! address stands, unless this frontend has heard of its client since and not told yet. Told lazily, like leases, in the
//! session's batches; what was on its way when a session ended is told by the next one.

use super::owned::Vacancy;
use super::{Leases, NoRegistration};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::network::Link;
use leasehold_proto::registration::{LIFETIME_MAX, Registration, RegistrationUpdate};
use leasehold_proto::time::{ClusterTime, Lifetime, LocalTime};
use leasehold_proto::words::{Duid, IaKind, LinkId, LogIndex, Prefix, RangeId};
use std::collections::{BTreeMap, VecDeque};

/// So many times its bound on leases a client may have registrations on a link. Why four: beside a stable address, a host
/// has a temporary one for each of seven days (RFC 8981 §3.8), of each of some prefixes.
const TIMES_LEASES: u32 = 4;
/// Registrations known at a time. Why 2^17: two addresses of each of 65,536 hosts, at some 200 octets each; hosts that make
/// up client identifiers and addresses must not use up the memory of frontends and store.
const REGISTRATIONS_MAX: usize = 1 << 17;

#[derive(Debug)]
struct Entry {
    link: LinkId,
    duid: Duid,
    /// Zero: it is over, and the store is to be told so.
    valid_until: ClusterTime,
    /// The store's word as last read.
    version: LogIndex,
    is_dirty: bool,
    /// Seen or changed since the load began.
    is_confirmed: bool,
}

/// All registrations that are known here.
#[derive(Debug, Default)]
pub(super) struct Registered {
    by_address: BTreeMap<u128, Entry>,
    of_client: BTreeMap<(LinkId, Duid), u32>,
    dirty: VecDeque<u128>,
}

impl Registered {
    /// Whether somebody has registered an address.
    pub(super) fn has(&self, address: u128) -> bool {
        self.by_address.get(&address).is_some_and(|entry| entry.valid_until > ClusterTime::ZERO)
    }

    /// Those that somebody has registered from one address to another, both included.
    fn between(&self, first: u128, last: u128) -> impl Iterator<Item = u128> {
        let told = self.by_address.range(first..=last);
        told.filter(|(_, entry)| entry.valid_until > ClusterTime::ZERO).map(|(address, _)| *address)
    }

    /// Whether the store is to be told anything.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What is told in the batch that is made now, at most so many.
    pub(super) fn next_updates(&mut self, room: usize) -> Vec<RegistrationUpdate> {
        let mut updates = Vec::with_capacity(self.dirty.len().min(room));
        while updates.len() < room
            && let Some(address) = self.dirty.pop_front()
        {
            let Some(entry) = self.by_address.get_mut(&address) else { continue };
            (entry.is_dirty, entry.is_confirmed) = (false, true);
            updates.push(RegistrationUpdate {
                address,
                link: entry.link,
                duid: entry.duid.clone(),
                valid_until: entry.valid_until,
            });
            if entry.valid_until == ClusterTime::ZERO {
                self.remove(address);
            }
        }
        updates
    }

    /// What was told may be lost: it is told again, unless there is something newer to tell.
    pub(super) fn tell_again(&mut self, update: &RegistrationUpdate) {
        if !self.by_address.get(&update.address).is_some_and(|entry| entry.is_dirty) {
            self.put(update);
        }
    }

    /// Records what a client told, to be told to the store.
    fn put(&mut self, update: &RegistrationUpdate) {
        let before = self.remove(update.address);
        if !before.as_ref().is_some_and(|entry| entry.is_dirty) {
            self.dirty.push_back(update.address);
        }
        let version = before.map_or(LogIndex(0), |entry| entry.version);
        self.insert(
            update.address,
            Entry {
                link: update.link,
                duid: update.duid.clone(),
                valid_until: update.valid_until,
                version,
                is_dirty: true,
                is_confirmed: true,
            },
        );
    }

    /// Takes the store's word on an address.
    fn take(&mut self, word: &Registration) {
        if let Some(entry) = self.by_address.get_mut(&word.address)
            && (entry.is_dirty || entry.version > word.version)
        {
            entry.is_confirmed = true;
            return;
        }
        self.remove(word.address);
        if !word.is_over() {
            let Registration { link, valid_until, version, .. } = *word;
            let duid = word.duid.clone();
            let entry = Entry { link, duid, valid_until, version, is_dirty: false, is_confirmed: true };
            self.insert(word.address, entry);
        }
    }

    /// The load that begins names all that the store has.
    pub(super) fn begin_load(&mut self) {
        self.by_address.values_mut().for_each(|entry| entry.is_confirmed = entry.is_dirty);
    }

    /// Those that the load did not name.
    fn unconfirmed(&self) -> Vec<u128> {
        self.by_address.iter().filter(|(_, entry)| !entry.is_confirmed).map(|(address, _)| *address).collect()
    }

    fn insert(&mut self, address: u128, entry: Entry) {
        *self.of_client.entry((entry.link, entry.duid.clone())).or_default() += 1;
        self.by_address.insert(address, entry);
    }

    fn remove(&mut self, address: u128) -> Option<Entry> {
        let entry = self.by_address.remove(&address)?;
        let client = (entry.link, entry.duid.clone());
        if let Some(count) = self.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&client);
            }
        }
        Some(entry)
    }
}

impl Leases {
    /// A client tells of an address that it chose itself, and for how long it may use it. Zero ends its registration.
    /// The address is of the link, as far as the configuration tells.
    ///
    /// # Errors
    /// Why it is not recorded.
    pub fn register(
        &mut self,
        now: LocalTime,
        link: &Link,
        duid: &[u8],
        address: u128,
        valid: Lifetime,
    ) -> Result<(), NoRegistration> {
        // A clean stop waits until all is told: what comes in meanwhile may not put it off.
        if !self.load.loaded || self.session.stopping || self.session.has_closed() {
            return Err(NoRegistration::NotNow);
        }
        let now = self.cluster_time_at_most(now).ok_or(NoRegistration::NotNow)?;
        if self.is_leased(address) {
            return Err(NoRegistration::Leased);
        }
        let duid = Duid::new(duid).map_err(|_| NoRegistration::NotNow)?;
        let known = self.records.registered.by_address.get(&address);
        let is_theirs = known.is_some_and(|entry| entry.duid == duid && entry.link == link.id);
        let valid_until =
            if valid == Lifetime::ZERO { ClusterTime::ZERO } else { now + valid.span().min(LIFETIME_MAX) };
        if valid == Lifetime::ZERO && !is_theirs {
            // There is nothing to end: to the client that is the same.
            return Ok(());
        }
        if !is_theirs && self.has_too_many_registrations(link, &duid) {
            return Err(NoRegistration::TooMany);
        }
        let update = RegistrationUpdate { address, link: link.id, duid, valid_until };
        self.change_registration(address, |registered| registered.put(&update));
        Ok(())
    }

    pub(super) fn take_registration(&mut self, word: &Registration) {
        self.change_registration(word.address, |registered| registered.take(word));
    }

    /// The load is over: what it did not name is registered no more.
    pub(super) fn drop_unconfirmed_registrations(&mut self) {
        for address in self.records.registered.unconfirmed() {
            self.change_registration(address, |registered| {
                registered.remove(address);
            });
        }
    }

    /// A range was granted: what is registered in it is no free slot, though nothing in it was ever leased.
    pub(super) fn take_registered_places(&mut self, range: RangeId) {
        let Some(pool) = self.names.pool(range.pool).filter(|pool| pool.kind == IaKind::Na) else { return };
        let Some((first, last)) = pool.geometry.slots_of(range.slice) else { return };
        let (first, last) = (pool.geometry.prefix_at(first).bits(), pool.geometry.prefix_at(last).bits());
        for address in self.records.registered.between(first, last) {
            self.ranges.set(range.pool, Prefix::address(address), Vacancy::Vacant, Vacancy::Taken);
        }
    }

    /// Whether an address is leased, or lies in a delegated prefix that is.
    fn is_leased(&self, address: u128) -> bool {
        let of_lease = |prefix| self.records.of(prefix).is_some_and(|r| r.state() != LeaseState::Free);
        let mut delegated = self
            .names
            .pools()
            .filter(|pool| pool.kind == IaKind::Pd)
            .filter_map(|pool| Prefix::containing(address, u32::from(pool.geometry.length_bits())).ok());
        of_lease(Prefix::address(address)) || delegated.any(of_lease)
    }

    fn has_too_many_registrations(&self, link: &Link, duid: &Duid) -> bool {
        let registered = &self.records.registered;
        let of_client = registered.of_client.get(&(link.id, duid.clone())).copied().unwrap_or(0);
        of_client >= link.limits.leases_per_client.saturating_mul(TIMES_LEASES)
            || registered.by_address.len() >= REGISTRATIONS_MAX
    }

    /// Changes the table, and tells the range of the address if it became free or taken.
    fn change_registration(&mut self, address: u128, change: impl FnOnce(&mut Registered)) {
        let prefix = Prefix::address(address);
        let before = self.records.vacancy(prefix);
        change(&mut self.records.registered);
        self.note_place(prefix, before);
    }
}
