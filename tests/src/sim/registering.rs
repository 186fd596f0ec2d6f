//! Clients that make addresses of their own and register them (RFC 9686): outside the pools and inside, alone and two of
//! them the same, anew, again, for the last time, or until it lapses.
//!
//! Owns what each such client does and when, and what was said last of each address: that is what must stand in the end,
//! once everything has settled, unless a lease took the address. Refuses to judge frontends: `registered` does.
//! Source: RFC 9686 §4.2, §4.6.

use super::clock::{Nanos, ms, secs};
use super::world::{Event, World, note};
use leasehold_frontend::codec::reply::ServerMessage;
use leasehold_frontend::codec::wire::{msg, opt};
use leasehold_frontend::codec::{EncodeError, TransactionId, Writer};
use leasehold_proto::lease::LeaseState;
use leasehold_proto::words::LogIndex;
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::ops::Range;
use std::time::Duration;

/// Between two things that a client does.
const PERIOD: Range<Nanos> = secs(10)..secs(120);
/// Until it sends again.
const AGAIN: Range<Nanos> = ms(900)..ms(2000);
/// Transmissions of one message. Source: RFC 9686 §4.6.3, scaled.
const SENT_MAX: u32 = 3;
/// Lifetimes that clients tell.
const VALID_SECS: Range<u32> = 30..400;
/// What is said so soon after something else of the same address, or before the end, is not judged.
const SETTLES_WITHIN: Nanos = secs(10);
/// First address of a pool, by its host part, and how many of its first ones clients make up.
const POOLED_FROM: u16 = 0x1000;
const POOLED: u16 = 12;

/// A message that is not answered yet.
#[derive(Debug)]
struct Pending {
    xid: [u8; 3],
    address: u128,
    valid_secs: u32,
    message: Vec<u8>,
    sent: u32,
}

/// One client's own addresses.
#[derive(Debug, Default)]
struct Maker {
    /// Registered and not given up, and until when.
    registered: BTreeMap<u128, Nanos>,
    pending: Option<Pending>,
    next_at: Nanos,
}

/// What was said last of an address.
#[derive(Debug)]
struct Said {
    client: usize,
    valid_secs: u32,
    at: Nanos,
    /// When something else was said last before.
    before: Option<Nanos>,
    /// How far the log was when it was answered; nothing while it is not.
    answered: Option<LogIndex>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct OwnAddresses {
    makers: BTreeMap<usize, Maker>,
    said: BTreeMap<u128, Said>,
    /// Who ever made up an address.
    users: BTreeMap<u128, BTreeSet<usize>>,
}

impl OwnAddresses {
    /// Who hears what is sent to an address.
    pub(super) fn users(&self, address: u128) -> Vec<usize> {
        self.users.get(&address).map_or(Vec::new(), |users| users.iter().copied().collect())
    }

    fn say(&mut self, now: Nanos, client: usize, address: u128, valid_secs: u32) {
        let before = self.said.get(&address).map(|said| said.at);
        self.said.insert(address, Said { client, valid_secs, at: now, before, answered: None });
        self.users.entry(address).or_default().insert(client);
    }
}

impl World {
    /// Clients that make addresses begin some time after their first leases.
    pub(super) fn schedule_registering(&mut self) {
        for client in 0..self.clients.len() {
            if self.plan.is_registering(client) {
                let delay = self.rng_services.random_range(secs(20)..secs(80));
                self.after(delay, Event::OwnWake { client });
            }
        }
    }

    /// A client does the next thing about its own addresses.
    pub(super) fn own_wake(&mut self, client: usize) {
        let (now, again) = (self.now, self.rng_services.random_range(AGAIN));
        let maker = self.own.makers.entry(client).or_default();
        match &mut maker.pending {
            Some(pending) if pending.sent < SENT_MAX => pending.sent += 1,
            Some(_) => {
                maker.pending = None;
                self.counts.registrations_unanswered += 1;
            }
            None if now >= maker.next_at => {
                let (address, valid_secs) = self.draw_registration(client);
                self.begin_registration(client, address, valid_secs);
            }
            None => {}
        }
        self.own_transmits(client);
        let maker = self.own.makers.entry(client).or_default();
        let wait = if maker.pending.is_some() { again } else { maker.next_at.saturating_sub(now).max(ms(1)) };
        self.after(wait, Event::OwnWake { client });
    }

    /// An address, and for how long: zero ends it.
    fn draw_registration(&mut self, client: usize) -> (u128, u32) {
        let now = self.now;
        let valid_secs = self.rng_services.random_range(VALID_SECS);
        let maker = self.own.makers.entry(client).or_default();
        maker.next_at = now + self.rng_services.random_range(PERIOD);
        maker.registered.retain(|_, until| *until > now);
        let mine: Vec<u128> = maker.registered.keys().copied().collect();
        if !mine.is_empty() && self.rng_services.random_bool(0.6) {
            let address = mine[self.rng_services.random_range(0..mine.len())];
            let ends = self.rng_services.random_bool(0.3);
            return (address, if ends { 0 } else { valid_secs });
        }
        let low = u16::try_from(client).expect("a run has fewer than 65,536 clients");
        let (group, host) = match self.rng_services.random_range(0..4) {
            0 => (0xa, low * 4 + self.rng_services.random_range(0..3)),
            1 => (0xb, self.rng_services.random_range(0..3)),
            _ => (0, POOLED_FROM + self.rng_services.random_range(0..POOLED)),
        };
        let subnet = if self.clients[client].plan.attachment.link() == "direct" { 1 } else { 2 };
        (Ipv6Addr::new(0x2001, 0xdb8, subnet, 0, 0, group, 0, host).to_bits(), valid_secs)
    }

    fn begin_registration(&mut self, client: usize, address: u128, valid_secs: u32) {
        let xid = self.rng_services.random();
        let message = inform(&self.clients[client].duid, xid, address, valid_secs)
            .expect("a registration is far below the limit");
        self.own.say(self.now, client, address, valid_secs);
        note!(self, "client {client} registers {} for {valid_secs} s", Ipv6Addr::from_bits(address));
        let pending = Pending { xid, address, valid_secs, message, sent: 1 };
        self.own.makers.entry(client).or_default().pending = Some(pending);
    }

    fn own_transmits(&mut self, client: usize) {
        let pending = self.own.makers.get(&client).and_then(|maker| maker.pending.as_ref());
        if let Some((message, address)) = pending.map(|p| (p.message.clone(), p.address)) {
            self.client_datagram(client, message, Ipv6Addr::from_bits(address));
        }
    }

    /// An Addr-reg-reply reaches a client.
    pub(super) fn client_is_registered(&mut self, number: usize, slot: usize, bytes: &[u8]) {
        let Ok(message) = ServerMessage::decode(bytes) else {
            self.fail(format!("client {number} cannot read what frontend {slot} sent"));
            return;
        };
        let (now, index) = (self.now, self.store.reference.applied());
        let Some(maker) = self.own.makers.get_mut(&number) else { return };
        let fits = |p: &mut Pending| {
            message.transaction_id.0 == p.xid && message.client_id == Some(&self.clients[number].duid[..])
        };
        let Some(done) = maker.pending.take_if(fits) else { return };
        if message.options.first(opt::IA_ADDR) != Some(&told(done.address, done.valid_secs)[..]) {
            self.fail(format!("SV-381: client {number} hears of another address than it registered"));
            return;
        }
        let known = maker.registered.remove(&done.address).is_some();
        if done.valid_secs > 0 {
            maker.registered.insert(done.address, now + secs(u64::from(done.valid_secs)));
        }
        match (known, done.valid_secs) {
            (_, 0) => self.counts.registrations_ended += 1,
            (true, _) => self.counts.registrations_refreshed += 1,
            (false, _) => self.counts.registrations_made += 1,
        }
        if let Some(said) = self.own.said.get_mut(&done.address).filter(|said| said.client == number) {
            said.answered = Some(index);
        }
    }

    /// What clients were answered after everything had settled, and does not stand in the store.
    pub(super) fn unregistered(&self) -> Option<String> {
        let machine = &self.store.reference;
        let lapsed = machine
            .registrations_above(None)
            .find(|r| r.valid_until + Duration::from_nanos(SETTLES_WITHIN) < machine.time());
        if let Some(lapsed) = lapsed {
            return Some(format!("a registration is over and stands: {lapsed:?}"));
        }
        self.own.said.iter().find_map(|(address, said)| {
            let settled = self.healed_at.is_some_and(|at| said.at > at + self.plan.settling_for);
            let alone = said.before.is_none_or(|before| before + SETTLES_WITHIN < said.at);
            let is_judged = settled && alone && said.at + SETTLES_WITHIN < self.now;
            let index = said.answered.filter(|_| is_judged && !self.is_shared(said.client))?;
            let lasts = said.at + secs(u64::from(said.valid_secs)) > self.now + SETTLES_WITHIN;
            let duid = &self.clients[said.client].duid;
            let stands = machine.registration(*address).is_some_and(|r| r.duid.as_bytes() == duid);
            // A lease goes first: it may be over again.
            let leased = machine
                .lease_covering(*address)
                .is_some_and(|l| l.state != LeaseState::Free || l.version > index);
            let lost = lasts && !stands && !leased;
            let kept = said.valid_secs == 0 && stands;
            let address = Ipv6Addr::from_bits(*address);
            (lost || kept).then(|| format!("{address}: {said:?}, and stands: {stands}"))
        })
    }
}

/// The data of the IA Address option.
fn told(address: u128, valid_secs: u32) -> Vec<u8> {
    let half = (valid_secs / 2).to_be_bytes();
    [&address.to_be_bytes()[..], &half, &valid_secs.to_be_bytes()].concat()
}

fn inform(duid: &[u8], xid: [u8; 3], address: u128, valid_secs: u32) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out, 512);
    w.message(msg::ADDR_REG_INFORM, TransactionId(xid))?;
    w.option(opt::CLIENT_ID, duid)?;
    w.option(opt::IA_ADDR, &told(address, valid_secs))?;
    w.finish()?;
    Ok(out)
}
