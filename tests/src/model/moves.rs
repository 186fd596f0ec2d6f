//! All that can happen next.
//!
//! Whatever is not listed here cannot happen in the model; whatever is listed may also never happen, which is how
//! silence, loss and delay come about.

use super::check::Leases;
use super::config::Sabotage;
use super::state::{Batch, CLIENTS, Standing, World};
use super::store::number;

/// One thing that happens. Numbers are of sessions, addresses and clients, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A tick of true time, and of cluster time unless it stands still.
    Tick {
        /// Cluster time stands still: no leader.
        stalled: bool,
    },
    /// A frontend opens a new session; with a same-host proof or without.
    Open {
        /// Which frontend.
        frontend: u8,
        /// Whether it can prove its predecessor gone.
        proved: bool,
    },
    /// A process stops for good.
    Crash(usize),
    /// A process stops cleanly: it makes its closing batch.
    Close(usize),
    /// A process makes a batch, perhaps with a request for the range of an address.
    Send(usize, Option<u8>),
    /// Sabotage: a batch with acknowledgements and no updates.
    SendAcks(usize),
    /// The store commits a session's next batch.
    Take(usize),
    /// The same, and the network keeps a copy.
    TakeAndKeepCopy(usize),
    /// The copy comes.
    TakeCopy,
    /// Sabotage: a session's second batch overtakes its first.
    TakeSecond(usize),
    /// A process reads the next entry of its stream.
    Read(usize),
    /// A client asks for a new lease.
    Ask(usize, usize, u8),
    /// A client asks for an extension.
    Renew(usize, usize, u8),
    /// A client gives its lease back.
    Release(usize, usize, u8),
    /// A client comes with an address unknown to a process, by a message perhaps long delayed.
    Claim(usize, usize, u8),
}

impl Leases {
    pub(super) fn all_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for s in 0..world.sessions.len() {
            self.store_actions(world, s, actions);
            self.process_actions(world, s, actions);
            self.client_actions(world, s, actions);
        }
        if world.copy.as_ref().is_some_and(|(_, batch)| batch.has_update()) {
            actions.push(Action::TakeCopy);
        }
        if world.sessions.len() < self.config.sessions {
            for frontend in 0..self.config.restarting {
                let mut older = world.sessions.iter().filter(|s| s.frontend == frontend);
                let is_gone = older.all(|s| s.process.is_none());
                if is_gone || self.config.zombies {
                    actions.push(Action::Open { frontend, proved: false });
                }
                if self.config.proofs && (is_gone || self.config.has(Sabotage::FalseProof)) {
                    actions.push(Action::Open { frontend, proved: true });
                }
            }
        }
        if world.now < self.config.ticks {
            actions.push(Action::Tick { stalled: false });
            if world.now - world.time < self.config.stalls {
                actions.push(Action::Tick { stalled: true });
            }
        }
    }

    fn store_actions(&self, world: &World, s: usize, actions: &mut Vec<Action>) {
        let session = &world.sessions[s];
        let mut waiting = session.sent.iter().filter(|b| !b.taken);
        if waiting.next().is_some() {
            actions.push(Action::Take(s));
            if self.config.duplicates && world.copy.is_none() && session.sent[0].has_update() {
                actions.push(Action::TakeAndKeepCopy(s));
            }
            if waiting.next().is_some() && self.config.has(Sabotage::BatchesReordered) {
                actions.push(Action::TakeSecond(s));
            }
        }
    }

    fn process_actions(&self, world: &World, s: usize, actions: &mut Vec<Action>) {
        let session = &world.sessions[s];
        let Some(process) = &session.process else { return };
        if world.has_unread(s) {
            actions.push(Action::Read(s));
        }
        if self.config.crashes {
            actions.push(Action::Crash(s));
        }
        if process.closing || session.sent.len() >= self.config.window {
            return;
        }
        let speaks = World::has_to_say(&self.config, process, world.now);
        if speaks {
            actions.push(Action::Send(s, None));
        }
        if self.config.has(Sabotage::AckOvertakesUpdates) && process.owes {
            actions.push(Action::SendAcks(s));
        }
        let asked = session.sent.iter().any(|b| b.wants.is_some());
        let serves = !process.over && (!process.superseded || self.config.has(Sabotage::SupersededServed));
        for address in 0..self.config.addresses {
            // Asking for what is known to have an owner changes nothing.
            if serves && !asked && world.ranges[address].owner.is_none() {
                actions.push(Action::Send(s, Some(number(address))));
            }
        }
        let is_told = !process.records.iter().flatten().any(|r| r.dirty.is_some()) && session.sent.is_empty();
        if self.config.stops && is_told && session.took_part {
            actions.push(Action::Close(s));
        }
    }

    fn client_actions(&self, world: &World, s: usize, actions: &mut Vec<Action>) {
        let Some(process) = &world.sessions[s].process else { return };
        let may_promise = world.promises < self.config.promises && process.skew.is_some();
        for address in 0..self.config.addresses {
            for client in 0..number(CLIENTS) {
                let at = usize::from(client);
                if may_promise && process.may_create(&self.config, address, client) {
                    actions.push(Action::Ask(s, address, client));
                }
                if may_promise && process.may_extend(address, client) {
                    actions.push(Action::Renew(s, address, client));
                }
                let is_held_here = process.records[address]
                    .as_ref()
                    .is_some_and(|r| r.client == client && r.state == Standing::Active);
                if self.config.releases
                    && is_held_here
                    && world.held_until[at][address] > world.now
                    && !process.closing
                {
                    actions.push(Action::Release(s, address, client));
                }
                let is_unknown = process.records[address].as_ref().is_none_or(|r| r.state == Standing::Free);
                if self.config.adoption
                    && is_unknown
                    && process.skew.is_some()
                    && !process.owns[address]
                    && !process.closing
                    && process.claims[address].is_none()
                    && world.ever_held[at][address]
                {
                    actions.push(Action::Claim(s, address, client));
                }
            }
        }
    }
}

impl Batch {
    pub(super) fn has_update(&self) -> bool {
        self.updates.iter().any(Option::is_some)
    }
}
