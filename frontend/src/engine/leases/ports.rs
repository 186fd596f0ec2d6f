//! How many leases stand behind each port, by what relays say of a client (SEC-02): its link-layer address, the
//! Interface-Id of its relay, its Remote-Id.
//!
//! Owns the counts, by a keyed hash of 64 bits each: names are long, hostile, and not needed. They follow from the
//! records and the relay data stored with them, so that they are the same after a restart and at the partner. Only what
//! some link bounds is counted; when that changes, records are counted anew piece by piece, and until all are a count may
//! be too low. Refuses to know records: it is told of each change. At most one entry for each record and kind.

use super::api::Margin;
use super::hash::HashKey;
use super::held::Held;
use crate::codec::{RelayChain, RelayLevel};
use hashbrown::HashTable;
use leasehold_proto::lease::RelayData;
use leasehold_proto::network::Limits;
use leasehold_proto::words::LinkId;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// By what ports are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PortKinds {
    link_layer: bool,
    interface_id: bool,
    remote_id: bool,
}

impl PortKinds {
    /// What is bounded by any of these.
    pub(super) fn of<'l>(limits: impl Iterator<Item = &'l Limits>) -> Self {
        limits.fold(Self::default(), |kinds, limits| Self {
            link_layer: kinds.link_layer || limits.leases_per_link_layer < u32::MAX,
            interface_id: kinds.interface_id || limits.leases_per_interface_id < u32::MAX,
            remote_id: kinds.remote_id || limits.leases_per_remote_id < u32::MAX,
        })
    }

    fn any(self) -> bool {
        self.link_layer || self.interface_id || self.remote_id
    }
}

/// The three names of a port, hashed; nothing for what no relay said, or what is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Names {
    link_layer: Option<u64>,
    interface_id: Option<u64>,
    remote_id: Option<u64>,
}

struct Port {
    name: u64,
    leases: Held,
}

/// The counts.
pub(super) struct Ports {
    key: HashKey,
    kinds: PortKinds,
    /// Records below this number are counted; nothing: all are.
    counted_to: Option<u32>,
    table: HashTable<Port>,
}

impl Ports {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, kinds: PortKinds::default(), counted_to: None, table: HashTable::new() }
    }

    pub(super) fn kinds(&self) -> PortKinds {
        self.kinds
    }

    /// From now on these kinds are counted, beginning with record 0 of those below `end`.
    pub(super) fn begin(&mut self, kinds: PortKinds, end: u32) {
        if kinds != self.kinds {
            self.kinds = kinds;
            self.table = HashTable::new();
            self.counted_to = (kinds.any() && end > 0).then_some(0);
        }
    }

    /// Whether a record is counted.
    pub(super) fn counts(&self, record: u32) -> bool {
        self.kinds.any() && self.counted_to.is_none_or(|to| record < to)
    }

    pub(super) fn is_counting(&self) -> bool {
        self.counted_to.is_some()
    }

    /// Where to go on counting.
    pub(super) fn counted_to(&self) -> Option<u32> {
        self.counted_to
    }

    /// Records below `to` are counted; there are none from `end` on.
    pub(super) fn counted(&mut self, to: u32, end: u32) {
        self.counted_to = (to < end).then_some(to);
    }

    /// Changes the counts of a client's ports.
    pub(super) fn change(&mut self, link: LinkId, relay: &RelayData, change: impl Fn(&mut Held)) {
        let names = self.names(link, relay);
        for name in [names.link_layer, names.interface_id, names.remote_id].into_iter().flatten() {
            let entry = self.table.entry(name, |port| port.name == name, |port| port.name);
            let mut entry = entry.or_insert_with(|| Port { name, leases: Held::default() });
            change(&mut entry.get_mut().leases);
            if entry.get().leases == Held::default() {
                entry.remove();
            }
        }
    }

    /// Whether any port of a client has as many leases as it may.
    pub(super) fn is_full(&self, link: LinkId, limits: &Limits, relay: &RelayData, margin: Margin) -> bool {
        if !self.kinds.any() {
            return false;
        }
        let names = self.names(link, relay);
        let reaches =
            |name: Option<u64>, max: u32| name.is_some_and(|name| self.leases(name).reaches(margin.of(max)));
        reaches(names.link_layer, limits.leases_per_link_layer)
            || reaches(names.interface_id, limits.leases_per_interface_id)
            || reaches(names.remote_id, limits.leases_per_remote_id)
    }

    fn leases(&self, name: u64) -> Held {
        self.table.find(name, |port| port.name == name).map(|port| port.leases).unwrap_or_default()
    }

    fn names(&self, link: LinkId, relay: &RelayData) -> Names {
        // What another release stored may be of another form: it names no port.
        let Ok(chain) = RelayChain::decode_stored(&relay.relay_chain) else { return Names::default() };
        let levels = chain.levels();
        let name = |kind: u8, write: &dyn Fn(&mut SipHasher13)| {
            let mut hash = self.key.port(kind, link);
            write(&mut hash);
            hash.finish()
        };
        let link_layer = || chain.client_link_layer().map(|said| name(1, &|hash| octets(hash, said)));
        let interface_id = || {
            let at = levels.iter().rposition(|level| level.interface_id.is_some())?;
            Some(name(2, &|hash| path(hash, &levels[..=at])))
        };
        let remote_id =
            || levels.iter().rev().find_map(|l| l.remote_id).map(|said| name(3, &|hash| octets(hash, said)));
        Names {
            link_layer: self.kinds.link_layer.then(link_layer).flatten(),
            interface_id: self.kinds.interface_id.then(interface_id).flatten(),
            remote_id: self.kinds.remote_id.then(remote_id).flatten(),
        }
    }
}

/// An Interface-Id means something at its relay only, and many a relay is known only by where the next one hears it
/// (RFC 6221): all that the levels from there outward say names the port.
fn path(hash: &mut SipHasher13, levels: &[RelayLevel<'_>]) {
    for level in levels {
        hash.write(&level.header.link_address.octets());
        octets(hash, level.relay_id.unwrap_or_default());
        octets(hash, level.interface_id.unwrap_or_default());
    }
}

fn octets(hash: &mut SipHasher13, said: &[u8]) {
    hash.write(&(said.len() as u64).to_be_bytes());
    hash.write(said);
}
