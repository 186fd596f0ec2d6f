//! Clients that do not behave: rolled back to an old state, cloned, without Elapsed Time, releasing again late.
//!
//! Owns what makes them odd, and what follows for the judge: a message under way that speaks against a lease of the same
//! client may end it, which DHCPv6 cannot tell from its wish (design section 5, the last line on duplicates). Such a
//! lease is not judged while the message may still arrive.

use super::client::{Association, Doing};
use super::clock::{Nanos, secs};
use super::network::client_address;
use super::oracle::{Holder, Speaks};
use super::world::{Event, World, note};
use leasehold_frontend::codec::wire::msg;
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::Prefix;
use rand::Rng;
use std::sync::Arc;
use std::time::Duration;

/// For so long a message may be under way: flight, and a partner's keeping, with room.
pub(super) const UNDER_WAY_MAX: Nanos = secs(15);
/// For so long a client that was rolled back believes in what it remembers.
const BELIEVES: Duration = Duration::from_secs(60);

/// How a client is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Not at all.
    None,
    /// It is rolled back now and then, as a virtual machine is, and asks to renew what it held long ago.
    RollsBack,
    /// Its Elapsed Time is always 0.
    NoElapsedTime,
    /// Its Release arrives once more, when it may have a lease again.
    ReleasesLate,
    /// It has the DUID and IAIDs of another client and is judged as that one.
    CloneOf(usize),
}

impl Oddity {
    pub(super) fn is_clone(self) -> bool {
        matches!(self, Self::CloneOf(_))
    }
}

impl World {
    /// Who a client is for the judge: clones are one.
    pub(super) fn identity(&self, number: usize) -> usize {
        match self.clients[number].plan.oddity {
            Oddity::CloneOf(of) => of,
            _ => number,
        }
    }

    /// Whether a client shares its DUID with another.
    pub(super) fn is_shared(&self, number: usize) -> bool {
        let identity = self.identity(number);
        identity != number || self.clients.iter().any(|c| c.plan.oddity == Oddity::CloneOf(number))
    }

    /// What a clone says that it uses speaks against what the other uses.
    pub(super) fn clone_speaks(&mut self, number: usize) {
        if !self.is_shared(number) {
            return;
        }
        let client = self.identity(number);
        let Some(exchange) = &self.clients[number].exchange else { return };
        if matches!(exchange.message, msg::RENEW | msg::REBIND) {
            for (kind, iaid, used) in exchange.ias.clone() {
                let until = self.now + UNDER_WAY_MAX;
                self.oracle.disowns(until, Holder { client, kind, iaid }, Speaks::OnlyFor(used));
            }
        }
    }

    /// What an odd client does at T1 in the place of a renewal; false: nothing odd.
    pub(super) fn client_is_odd(&mut self, number: usize, now: LocalTime) -> bool {
        let client = &mut self.clients[number];
        if client.plan.oddity != Oddity::RollsBack {
            return false;
        }
        let remembered = std::mem::replace(&mut client.remembered, client.associations.clone());
        self.client_rolls_back(number, now, remembered)
    }

    /// A client's machine is as it was: it believes in the leases of then. False: it had none.
    pub(super) fn client_rolls_back(&mut self, number: usize, now: LocalTime, to: Vec<Association>) -> bool {
        if to.iter().all(|a| a.leases.is_empty()) {
            return false;
        }
        let client = &mut self.clients[number];
        client.associations = to;
        let leases = client.associations.iter_mut().flat_map(|a: &mut Association| &mut a.leases);
        leases.for_each(|lease| lease.1 = now + BELIEVES);
        client.t2 = now + BELIEVES / 2;
        self.counts.rollbacks += 1;
        note!(self, "client {number} is rolled back");
        let message = if self.rng.random_bool(0.5) { msg::RENEW } else { msg::REBIND };
        self.client_begins(number, now, message);
        true
    }

    /// A Release or Decline may wait in the socket of a process that is stopped, and end what its client has been given
    /// again meanwhile.
    pub(super) fn waits_where_paused(&mut self, holder: Holder, ended: &[Prefix]) {
        let paused = self.fronts.iter().filter(|f| f.is_paused()).map(|f| f.paused_until).max();
        if let Some(until) = paused {
            let speaks = Speaks::Against(ended.to_vec());
            self.oracle.disowns(until.saturating_add(UNDER_WAY_MAX), holder, speaks);
        }
    }

    /// A Release was sent: of some clients it comes once more, much later.
    pub(super) fn maybe_release_again(&mut self, number: usize, message: &[u8]) {
        if self.clients[number].plan.oddity == Oddity::ReleasesLate
            && self.clients[number].doing == Doing::Releasing
            && self.healed_at.is_none()
        {
            let delay = self.rng.random_range(secs(20)..secs(200));
            self.after(delay, Event::ReleaseAgain { client: number, bytes: Arc::from(message) });
        }
    }

    /// The network delivers an old Release once more.
    pub(super) fn release_again(&mut self, number: usize, bytes: &[u8]) {
        if self.healed_at.is_some() {
            return;
        }
        self.counts.late_releases += 1;
        note!(self, "client {number}: an old Release arrives again");
        let client = self.identity(number);
        for association in self.clients[number].associations.clone() {
            let held: Vec<Prefix> = association.leases.iter().map(|l| l.0).collect();
            let holder = Holder { client, kind: association.kind, iaid: association.iaid };
            self.oracle.disowns(self.now + UNDER_WAY_MAX, holder, Speaks::Against(held));
        }
        self.client_datagram(number, bytes.to_vec(), client_address(number));
    }
}
