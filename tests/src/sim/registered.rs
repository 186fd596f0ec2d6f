//! What must hold between leases and registered addresses (RFC 9686), at every entry and every answer.
//!
//! Owns the judgements. In the store no registered address is in a lease that is not free, after any entry. A frontend
//! gives nobody an address for the first time that it knows to be registered, from the store or since it answered so
//! itself; and it registers no address that its own promise holds. What it knows is put together from what it read and
//! said, and where that is not sure (an address whose registration it was told to end, which it need not have told the
//! store yet) nothing is judged. A registration is no promise: who registers last has it.

use super::client::Client;
use super::clock::{Nanos, secs};
use super::odd::{Oddity, UNDER_WAY_MAX};
use super::plan::Flavour;
use super::world::World;
use leasehold_frontend::codec::reply::ServerMessage;
use leasehold_frontend::codec::wire::opt;
use leasehold_proto::lease::LeaseState;
use leasehold_proto::registration::Registration;
use leasehold_proto::session::{FromStore, StoreEvent};
use leasehold_proto::words::{LogIndex, Prefix};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

/// What a frontend's process knows of registered addresses.
#[derive(Debug, Default)]
pub(super) struct Registered {
    round: u64,
    /// Since which of its rounds.
    known: BTreeMap<u128, u64>,
    /// It was told that these end, and may know so before the store does.
    ended: BTreeSet<u128>,
}

impl Registered {
    /// What is learned from now on, the answers of this round need not go by.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    fn reads(&mut self, word: &Registration) {
        if word.is_over() {
            self.known.remove(&word.address);
        } else {
            self.known.entry(word.address).or_insert(self.round);
        }
    }

    fn knew(&self, address: u128) -> bool {
        !self.ended.contains(&address) && self.known.get(&address).is_some_and(|since| *since < self.round)
    }
}

impl World {
    /// A frontend has read a message.
    pub(super) fn note_registered(&mut self, slot: usize, message: &FromStore) {
        let registered = &mut self.fronts[slot].registered;
        match message {
            // All that it knew may be out of date: what still stands, the load names.
            FromStore::Welcome(welcome) if !welcome.resumed => registered.known.clear(),
            FromStore::Load(chunk) => chunk.registrations.iter().for_each(|word| registered.reads(word)),
            FromStore::Entry(entry) => {
                for event in &entry.events {
                    if let StoreEvent::Registration(word) = event {
                        registered.reads(word);
                    }
                }
            }
            _ => {}
        }
    }

    /// An Addr-reg-reply as a frontend computed it.
    pub(super) fn judge_registered(&mut self, slot: usize, message: &ServerMessage<'_>) {
        let data = message.options.first(opt::IA_ADDR).unwrap_or_default();
        let (Some(address), Some(valid)) = (data.first_chunk::<16>(), data.last_chunk::<4>()) else {
            self.fail(format!("SV-381: frontend {slot} answers a registration of nothing"));
            return;
        };
        let address = u128::from_be_bytes(*address);
        let registered = &mut self.fronts[slot].registered;
        if *valid == [0; 4] {
            registered.ended.insert(address);
            return;
        }
        registered.ended.remove(&address);
        let round = registered.round;
        registered.known.entry(address).or_insert(round);
        let me = (slot, self.fronts[slot].life);
        let prefix = Prefix::address(address);
        let held = self.oracle.holder_of(self.now, prefix).filter(|(_, by)| *by == me);
        if let Some((client, _)) = held
            && !self.is_overridden(slot)
            && !self.is_unsettled(prefix)
        {
            let address = Ipv6Addr::from_bits(address);
            self.fail(format!(
                "SV-381: frontend {slot} registers {address}, which it leased to client {client}"
            ));
        }
    }

    /// A lease in a Reply as a frontend computed it: what is wrong if its address is registered.
    pub(super) fn judge_given(&self, slot: usize, duid: &[u8], iaid: u32, prefix: Prefix) -> Option<String> {
        // Replies that wait for their commit were computed some rounds ago.
        if !prefix.is_address() || self.plan.flavour == Flavour::CommitWait {
            return None;
        }
        if !self.fronts[slot].registered.knew(prefix.bits()) {
            return None;
        }
        // What a client was told before, it may claim for as long as it believes in it.
        let believes = |c: &Client| c.duid == duid && c.plan.oddity != Oddity::None;
        // Some are told that it is theirs for ever.
        let is_over = |until: Nanos| until < self.now.saturating_sub(UNDER_WAY_MAX + secs(5));
        let is_new = match self.told.get(&(prefix, duid.to_vec(), iaid)) {
            None => true,
            Some(told) => is_over(told.until) && !self.clients.iter().any(believes),
        };
        is_new.then(|| format!("leases {prefix}, which it knows to be registered"))
    }

    /// After an entry: a registration or a lease that it changed does not meet one of the other kind.
    pub(super) fn judge_meeting(&mut self, address: u128, index: LogIndex) {
        let machine = &self.store.reference;
        let registered = machine.registration(address).is_some();
        let leased = machine.lease_covering(address).is_some_and(|l| l.state != LeaseState::Free);
        if registered && leased {
            let address = Ipv6Addr::from_bits(address);
            self.fail(format!("{address} is registered and leased after entry {index}"));
        }
    }

    /// Counts addresses that go from one client's registration to another's.
    pub(super) fn note_registration(&mut self, word: &Registration) {
        let before = if word.is_over() {
            self.registrants.remove(&word.address)
        } else {
            self.registrants.insert(word.address, word.duid.clone())
        };
        let taken_over = !word.is_over() && before.is_some_and(|before| before != word.duid);
        self.counts.registrations_taken_over += u64::from(taken_over);
    }
}
