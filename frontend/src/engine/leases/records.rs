//! The lease records by prefix, by binding and by client.
//!
//! Owns the records and their links: every record belongs to the binding that holds it or held it last, in one of two
//! lists (held, free); a binding belongs to a client on a link, whose leases are counted, the ended ones apart.
//! Look-ups allocate nothing. It knows no rule but one, R2's: an address is free when it has no record or one read as
//! Free.
//!
//! A record takes 112 octets; with its binding, its client and the tables about 240.

use super::hash::HashKey;
use super::held::Held;
use super::owned::Vacancy;
use super::ports::{PortKinds, Ports};
use super::registered::Registered;
use super::slab::{NONE, Slab};
use super::{IaRef, Known};
use hashbrown::HashTable;
use leasehold_proto::lease::{LeaseExtra, LeaseState};
use leasehold_proto::time::{ClusterTime, Lifetime};
use leasehold_proto::words::{BindingKey, Duid, LinkId, LogIndex, PoolId, Prefix};
use std::sync::Arc;

/// One address or prefix as this frontend knows it.
pub(super) struct Record {
    bits: u128,
    /// Latest end of what the client was promised.
    pub(super) valid_until: ClusterTime,
    /// How far promises of this holding were acknowledged.
    pub(super) acked_until: ClusterTime,
    /// The client was last heard.
    pub(super) contact: ClusterTime,
    /// The store's record as last read; 0 = the store is not known to have one.
    pub(super) version: LogIndex,
    /// As of which log index sessions may know of this holding (R2); 0 = this session began it and the store has not
    /// said that it knows.
    pub(super) born: LogIndex,
    /// Position among the dirty; 0 = nothing to be sent.
    pub(super) dirty_at: u64,
    /// When it came to stand as the store's record says; of a free one, since when it is free.
    pub(super) since: ClusterTime,
    extra: Option<Arc<LeaseExtra>>,
    binding: u32,
    prev: u32,
    next: u32,
    pub(super) pool: PoolId,
    pub(super) preferred: Lifetime,
    pub(super) valid: Lifetime,
    /// The load in which the record was last seen or changed.
    pub(super) load_mark: u16,
    len_bits: u8,
    state: LeaseState,
    /// The state in the store's record as last read; means nothing while `version` is 0.
    pub(super) store_state: LeaseState,
    /// Batches in flight with an update of this record.
    pub(super) in_flight: u8,
    /// ... of those, promises.
    pub(super) promises_in_flight: u8,
}

impl Record {
    pub(super) fn prefix(&self) -> Prefix {
        Prefix::containing(self.bits, u32::from(self.len_bits))
            .expect("taken from a prefix: at most 128 bits")
    }

    pub(super) fn state(&self) -> LeaseState {
        self.state
    }

    /// The rare fields.
    pub(super) fn extra(&self) -> Option<&Arc<LeaseExtra>> {
        self.extra.as_ref()
    }

    pub(super) fn known(&self) -> Known {
        Known {
            prefix: self.prefix(),
            pool: self.pool,
            state: self.state,
            valid_until: self.valid_until,
            preferred: self.preferred,
            valid: self.valid,
            acked_until: self.acked_until,
        }
    }
}

struct Binding {
    key: BindingKey,
    client: u32,
    held: u32,
    free: u32,
}

struct Client {
    link: LinkId,
    duid: Duid,
    bindings: u32,
    leases: Held,
    /// Of those held, declined ones.
    declined: u32,
}

impl Client {
    fn count(&mut self, state: LeaseState) {
        self.leases.count(state);
        self.declined += u32::from(state == LeaseState::Abandoned);
    }

    fn uncount(&mut self, state: LeaseState) {
        self.leases.uncount(state);
        self.declined = self.declined.saturating_sub(u32::from(state == LeaseState::Abandoned));
    }
}

/// All records.
pub(super) struct Records {
    key: HashKey,
    slab: Slab<Record>,
    bindings: Slab<Binding>,
    clients: Slab<Client>,
    by_prefix: HashTable<u32>,
    by_binding: HashTable<u32>,
    by_client: HashTable<u32>,
    /// Addresses that clients chose themselves.
    pub(super) registered: Registered,
    ports: Ports,
}

impl Records {
    pub(super) fn new(key: HashKey) -> Self {
        Self {
            key,
            slab: Slab::new(),
            bindings: Slab::new(),
            clients: Slab::new(),
            by_prefix: HashTable::new(),
            by_binding: HashTable::new(),
            by_client: HashTable::new(),
            registered: Registered::default(),
            ports: Ports::new(key),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// One above the highest number of a record, for going through them all piece by piece.
    pub(super) fn end(&self) -> u32 {
        self.slab.end()
    }

    pub(super) fn find(&self, prefix: Prefix) -> Option<u32> {
        let slab = &self.slab;
        let same = |at: &u32| {
            slab.get(*at).is_some_and(|r| r.bits == prefix.bits() && r.len_bits == prefix.len_bits())
        };
        self.by_prefix.find(self.key.prefix(prefix), same).copied()
    }

    pub(super) fn get(&self, at: u32) -> Option<&Record> {
        self.slab.get(at)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Record> {
        self.slab.get_mut(at)
    }

    /// The record of a prefix.
    pub(super) fn of(&self, prefix: Prefix) -> Option<&Record> {
        self.slab.get(self.find(prefix)?)
    }

    /// R2: whether a client that does not hold it may get it, as far as records tell; nobody gets an address that is
    /// registered.
    pub(super) fn is_free(&self, prefix: Prefix) -> bool {
        self.vacancy(prefix).is_free()
    }

    /// How a prefix stands for those who do not hold it, as far as records tell.
    pub(super) fn vacancy(&self, prefix: Prefix) -> Vacancy {
        match self.of(prefix) {
            _ if prefix.is_address() && self.registered.has(prefix.bits()) => Vacancy::Taken,
            None => Vacancy::Vacant,
            Some(record) if record.state == LeaseState::Free => Vacancy::Left(record.since),
            Some(_) => Vacancy::Taken,
        }
    }

    pub(super) fn binding_of(&self, at: u32) -> Option<&BindingKey> {
        Some(&self.bindings.get(self.slab.get(at)?.binding)?.key)
    }

    /// Whether the record is this IA's.
    pub(super) fn belongs(&self, at: u32, ia: IaRef<'_>) -> bool {
        self.binding_of(at).is_some_and(|key| is(key, ia))
    }

    /// A record that was not there: not dirty, unknown to the store.
    pub(super) fn insert(
        &mut self,
        prefix: Prefix,
        pool: PoolId,
        binding: &BindingKey,
        state: LeaseState,
    ) -> u32 {
        let to = self.binding_for(binding);
        let at = self.slab.insert(Record {
            bits: prefix.bits(),
            valid_until: ClusterTime::ZERO,
            acked_until: ClusterTime::ZERO,
            contact: ClusterTime::ZERO,
            version: LogIndex(0),
            born: LogIndex(0),
            dirty_at: 0,
            since: ClusterTime::ZERO,
            extra: None,
            binding: to,
            prev: NONE,
            next: NONE,
            pool,
            preferred: Lifetime::ZERO,
            valid: Lifetime::ZERO,
            load_mark: 0,
            len_bits: prefix.len_bits(),
            state,
            store_state: LeaseState::Free,
            in_flight: 0,
            promises_in_flight: 0,
        });
        let (slab, key) = (&self.slab, self.key);
        self.by_prefix.insert_unique(key.prefix(prefix), at, |other| {
            slab.get(*other).map_or(0, |r| key.prefix(r.prefix()))
        });
        self.link(at);
        at
    }

    pub(super) fn remove(&mut self, at: u32) {
        let Some(record) = self.slab.get(at) else { return };
        let (prefix, binding) = (record.prefix(), record.binding);
        self.unlink(at);
        if let Ok(entry) = self.by_prefix.find_entry(self.key.prefix(prefix), |other| *other == at) {
            entry.remove();
        }
        self.slab.remove(at);
        self.drop_binding_if_empty(binding);
    }

    /// Gives a record to a binding, in a state.
    pub(super) fn assign(&mut self, at: u32, binding: &BindingKey, state: LeaseState) {
        let Some(record) = self.slab.get(at) else { return };
        let old = record.binding;
        self.unlink(at);
        let new = self.binding_for(binding);
        if let Some(record) = self.slab.get_mut(at) {
            record.binding = new;
            record.state = state;
        }
        self.link(at);
        self.drop_binding_if_empty(old);
    }

    pub(super) fn set_state(&mut self, at: u32, state: LeaseState) {
        let Some(record) = self.slab.get(at) else { return };
        if (record.state == LeaseState::Free) == (state == LeaseState::Free) {
            self.uncount(at);
            if let Some(record) = self.slab.get_mut(at) {
                record.state = state;
            }
            self.count(at);
            return;
        }
        self.unlink(at);
        if let Some(record) = self.slab.get_mut(at) {
            record.state = state;
        }
        self.link(at);
    }

    /// Gives a record these rare fields, most often those that it has: then no port is counted anew.
    pub(super) fn set_extra(&mut self, at: u32, extra: Option<Arc<LeaseExtra>>) {
        if self.slab.get(at).is_some_and(|record| record.extra == extra) {
            return;
        }
        self.count_at_port(at, Held::uncount);
        if let Some(record) = self.slab.get_mut(at) {
            record.extra = extra;
        }
        self.count_at_port(at, Held::count);
    }

    /// Records of an IA that are not Free. At most `bound` are given.
    pub(super) fn held(&self, ia: IaRef<'_>, bound: usize) -> impl Iterator<Item = &Record> {
        let head = self.find_binding(ia).and_then(|b| self.bindings.get(b)).map_or(NONE, |b| b.held);
        self.chain(head).take(bound)
    }

    /// Records that are Free and that this IA had last. At most `bound` are given.
    pub(super) fn free(&self, ia: IaRef<'_>, bound: usize) -> impl Iterator<Item = &Record> {
        let head = self.find_binding(ia).and_then(|b| self.bindings.get(b)).map_or(NONE, |b| b.free);
        self.chain(head).take(bound)
    }

    /// Leases that the client of an IA has on its link and that are not Free; nothing when there is no record of it.
    pub(super) fn client_held(&self, ia: IaRef<'_>) -> Option<Held> {
        let client = self.find_client(ia.link, ia.duid, self.client_hash(ia))?;
        self.clients.get(client).map(|c| c.leases)
    }

    /// Whether there is any record of a client on a link.
    pub(super) fn has_client(&self, link: LinkId, duid: &[u8]) -> bool {
        self.find_client(link, duid, self.key.client(link, duid)).is_some()
    }

    /// Addresses in quarantine that a client declined on a link.
    pub(super) fn client_declined(&self, link: LinkId, duid: &[u8]) -> u32 {
        let client = self.find_client(link, duid, self.key.client(link, duid));
        client.and_then(|c| self.clients.get(c)).map_or(0, |c| c.declined)
    }

    /// What is counted of the ports behind which clients sit (SEC-02).
    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// By what ports are told apart from now on. What is known is counted piece by piece.
    pub(super) fn count_ports(&mut self, kinds: PortKinds) {
        self.ports.begin(kinds, self.slab.end());
    }

    /// Whether records are still to be counted at their ports.
    pub(super) fn is_counting_ports(&self) -> bool {
        self.ports.is_counting()
    }

    /// Counts up to `budget` more records at their ports.
    pub(super) fn count_more_ports(&mut self, budget: u32) {
        let Some(from) = self.ports.counted_to() else { return };
        let end = self.slab.end();
        let to = from.saturating_add(budget).min(end);
        self.ports.counted(to, end);
        for at in from..to {
            self.count_at_port(at, Held::count);
        }
    }

    /// Counts a record's lease, or counts it no more, at the ports that its client sits behind. Costs nothing where no
    /// port is bounded, or where no relay is known.
    fn count_at_port(&mut self, at: u32, change: fn(&mut Held, LeaseState)) {
        if !self.ports.counts(at) {
            return;
        }
        let Some(record) = self.slab.get(at).filter(|r| r.state != LeaseState::Free) else { return };
        let relay = record.extra.as_ref().and_then(|extra| extra.relay.as_ref());
        if let (Some(relay), Some(binding)) = (relay, self.bindings.get(record.binding)) {
            let state = record.state;
            self.ports.change(binding.key.link, relay, |held| change(held, state));
        }
    }

    fn count(&mut self, at: u32) {
        let Some((binding, state)) = self.slab.get(at).map(|r| (r.binding, r.state)) else { return };
        if let Some(client) = self.client_at(binding) {
            client.count(state);
        }
        self.count_at_port(at, Held::count);
    }

    fn uncount(&mut self, at: u32) {
        let Some((binding, state)) = self.slab.get(at).map(|r| (r.binding, r.state)) else { return };
        if let Some(client) = self.client_at(binding) {
            client.uncount(state);
        }
        self.count_at_port(at, Held::uncount);
    }

    /// The DUID of an IA's client as it is already in memory.
    pub(super) fn shared_duid(&self, ia: IaRef<'_>) -> Option<Duid> {
        let client = self.find_client(ia.link, ia.duid, self.client_hash(ia))?;
        self.clients.get(client).map(|c| c.duid.clone())
    }

    /// Lets go of up to `count` records of a table that is not used any more. True when nothing is left.
    pub(super) fn crumble(&mut self, count: usize) -> bool {
        self.by_prefix = HashTable::new();
        self.by_binding = HashTable::new();
        self.by_client = HashTable::new();
        self.ports = Ports::new(self.key);
        let records = self.slab.crumble(count);
        let bindings = self.bindings.crumble(count);
        self.clients.crumble(count) && records && bindings
    }

    fn chain(&self, head: u32) -> impl Iterator<Item = &Record> {
        std::iter::successors(self.slab.get(head), |r| self.slab.get(r.next))
    }

    /// The hash of a client, unless it is known.
    fn client_hash(&self, ia: IaRef<'_>) -> u64 {
        ia.client_hash.unwrap_or_else(|| self.key.client(ia.link, ia.duid))
    }

    fn find_binding(&self, ia: IaRef<'_>) -> Option<u32> {
        let hash = HashKey::binding(self.client_hash(ia), ia.kind, ia.iaid);
        self.by_binding.find(hash, |b| self.bindings.get(*b).is_some_and(|b| is(&b.key, ia))).copied()
    }

    fn find_client(&self, link: LinkId, duid: &[u8], hash: u64) -> Option<u32> {
        let same =
            |c: &u32| self.clients.get(*c).is_some_and(|c| c.link == link && c.duid.as_bytes() == duid);
        self.by_client.find(hash, same).copied()
    }

    fn binding_for(&mut self, wanted: &BindingKey) -> u32 {
        let client_hash = self.key.client(wanted.link, wanted.duid.as_bytes());
        let ia = IaRef { client_hash: Some(client_hash), ..IaRef::of(wanted) };
        if let Some(at) = self.find_binding(ia) {
            return at;
        }
        let client = self.client_for(wanted, client_hash);
        if let Some(c) = self.clients.get_mut(client) {
            c.bindings += 1;
        }
        let at = self.bindings.insert(Binding { key: wanted.clone(), client, held: NONE, free: NONE });
        let (bindings, key) = (&self.bindings, self.key);
        let hash = |k: &BindingKey| HashKey::binding(key.client(k.link, k.duid.as_bytes()), k.kind, k.iaid);
        let wanted = HashKey::binding(client_hash, wanted.kind, wanted.iaid);
        self.by_binding.insert_unique(wanted, at, |b| bindings.get(*b).map_or(0, |b| hash(&b.key)));
        at
    }

    fn client_for(&mut self, wanted: &BindingKey, hash: u64) -> u32 {
        if let Some(at) = self.find_client(wanted.link, wanted.duid.as_bytes(), hash) {
            return at;
        }
        let new = Client {
            link: wanted.link,
            duid: wanted.duid.clone(),
            bindings: 0,
            leases: Held::default(),
            declined: 0,
        };
        let at = self.clients.insert(new);
        let (clients, key) = (&self.clients, self.key);
        self.by_client.insert_unique(hash, at, |c| {
            clients.get(*c).map_or(0, |c| key.client(c.link, c.duid.as_bytes()))
        });
        at
    }

    fn client_at(&mut self, binding: u32) -> Option<&mut Client> {
        self.clients.get_mut(self.bindings.get(binding)?.client)
    }

    fn drop_binding_if_empty(&mut self, at: u32) {
        let Some(binding) = self.bindings.get(at).filter(|b| b.held == NONE && b.free == NONE) else {
            return;
        };
        let (client, k) = (binding.client, &binding.key);
        let client_hash = self.key.client(k.link, k.duid.as_bytes());
        let hash = HashKey::binding(client_hash, k.kind, k.iaid);
        if let Ok(entry) = self.by_binding.find_entry(hash, |b| *b == at) {
            entry.remove();
        }
        self.bindings.remove(at);
        let Some(c) = self.clients.get_mut(client) else { return };
        c.bindings -= 1;
        if c.bindings > 0 {
            return;
        }
        if let Ok(entry) = self.by_client.find_entry(client_hash, |c| *c == client) {
            entry.remove();
        }
        self.clients.remove(client);
    }

    /// Puts a record at the head of its binding's list.
    fn link(&mut self, at: u32) {
        let Some(record) = self.slab.get(at) else { return };
        let (to, state) = (record.binding, record.state);
        let Some(binding) = self.bindings.get_mut(to) else { return };
        let head = if state == LeaseState::Free { &mut binding.free } else { &mut binding.held };
        let next = std::mem::replace(head, at);
        if let Some(after) = self.slab.get_mut(next) {
            after.prev = at;
        }
        if let Some(record) = self.slab.get_mut(at) {
            record.prev = NONE;
            record.next = next;
        }
        self.count(at);
    }

    /// Takes a record out of its binding's list. The binding stays, even when empty.
    fn unlink(&mut self, at: u32) {
        let Some(record) = self.slab.get(at) else { return };
        let (from, state, prev, next) = (record.binding, record.state, record.prev, record.next);
        if let Some(after) = self.slab.get_mut(next) {
            after.prev = prev;
        }
        if let Some(before) = self.slab.get_mut(prev) {
            before.next = next;
        }
        let Some(binding) = self.bindings.get_mut(from) else { return };
        let head = if state == LeaseState::Free { &mut binding.free } else { &mut binding.held };
        if *head == at {
            *head = next;
        }
        self.uncount(at);
    }
}

impl<'a> IaRef<'a> {
    /// The name of a binding, borrowed.
    #[must_use]
    pub fn of(key: &'a BindingKey) -> Self {
        Self { link: key.link, duid: key.duid.as_bytes(), kind: key.kind, iaid: key.iaid, client_hash: None }
    }
}

fn is(key: &BindingKey, ia: IaRef<'_>) -> bool {
    key.iaid == ia.iaid && key.link == ia.link && key.kind == ia.kind && key.duid.as_bytes() == ia.duid
}
