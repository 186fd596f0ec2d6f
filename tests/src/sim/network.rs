//! The datagram network between clients, relays and frontends: it loses, repeats, delays and so reorders.
//!
//! Owns the fate of each datagram and the addresses that stand for clients and relays. A Reply is never in flight
//! longer than R4's flight allowance: that is what the allowance means. Client messages are held to the same bound.

use super::clock::{Nanos, ms};
use super::world::{Event, World};
use leasehold_frontend::codec::reply::unwrap_relay_reply;
use leasehold_frontend::codec::wire::msg;
use leasehold_frontend::engine::ReplyTo;
use rand::Rng;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// ff02::1:2.
pub(super) const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// Longest time in flight: below the 5 s of R4's guard by more than any clock is off.
const FLIGHT_MAX: Nanos = ms(4900);
/// Interface of every frontend on the link of direct clients.
pub(super) const LINK_INTERFACE: u32 = 2;
/// Interface of every frontend towards relays.
pub(super) const RELAY_INTERFACE: u32 = 3;

/// Ways to clients: the link of direct clients.
pub(super) const DIRECT: usize = 0;
/// Ways to clients: relays.
pub(super) const RELAYED: usize = 1;

/// How bad the datagram network is just now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Probability that a datagram is lost.
    pub(super) loss: f64,
    /// Probability that it arrives twice.
    pub(super) repeat: f64,
    /// Probability that it takes up to seconds instead of milliseconds.
    pub(super) slow: f64,
}

impl Weather {
    /// As it is when nobody disturbs it.
    pub(super) const FAIR: Self = Self { loss: 0.0, repeat: 0.0, slow: 0.0 };
}

/// The link-local address of a client.
pub(super) fn client_address(client: usize) -> Ipv6Addr {
    let low = u16::try_from(client).expect("a run has fewer than 65,536 clients");
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xc, low)
}

fn client_at(address: Ipv6Addr) -> Option<usize> {
    match address.segments() {
        [0xfe80, 0, 0, 0, 0, 0, 0xc, low] => Some(usize::from(low)),
        _ => None,
    }
}

/// The address by which a frontend's process is spoken to by relays.
pub(super) fn frontend_address(slot: usize) -> Ipv6Addr {
    let low = u16::try_from(slot).expect("a run has a handful of frontends");
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0xf, low)
}

/// One datagram on its way to a frontend.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) bytes: Arc<[u8]>,
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    pub(super) interface_index: u32,
}

impl World {
    /// Sends one datagram of a client or relay towards every frontend.
    pub(super) fn send_to_frontends(&mut self, bytes: Vec<u8>, source: Ipv6Addr, direct: bool) {
        let bytes: Arc<[u8]> = bytes.into();
        for slot in 0..self.fronts.len() {
            for delay in self.fates() {
                let (destination, interface_index) = if direct {
                    (ALL_SERVERS, LINK_INTERFACE)
                } else {
                    (frontend_address(slot), RELAY_INTERFACE)
                };
                let datagram = Datagram { bytes: Arc::clone(&bytes), source, destination, interface_index };
                self.after(delay, Event::Datagram { slot, datagram });
            }
        }
    }

    /// Sends one reply of a frontend towards its client, through relays if it came so.
    pub(super) fn send_to_client(&mut self, slot: usize, to: ReplyTo, bytes: &[u8]) {
        let relayed = bytes.first() == Some(&msg::RELAY_REPLY);
        let front = &self.fronts[slot];
        if front.mute[usize::from(relayed)] > 0 || (!relayed && front.link_down > 0) {
            self.counts.datagrams_lost += 1;
            return;
        }
        let (clients, payload) = if relayed {
            let Ok(reply) = unwrap_relay_reply(bytes) else {
                self.fail("a frontend sent a Relay-reply that cannot be read".to_owned());
                return;
            };
            let innermost = reply.levels.last().expect("a Relay-reply has at least one level");
            (self.clients_at(innermost.header.peer_address), reply.payload)
        } else {
            (self.clients_at(to.address), bytes)
        };
        if clients.is_empty() {
            self.fail(format!("frontend {slot} sent a reply to {}, where no client is", to.address));
            return;
        }
        let payload: Arc<[u8]> = payload.into();
        for delay in self.fates() {
            for client in clients.iter().copied() {
                self.after(delay, Event::ToClient { client, slot, bytes: Arc::clone(&payload) });
            }
        }
    }

    /// Who hears what is sent to an address: one client by its own, and all that have made up the same.
    fn clients_at(&self, address: Ipv6Addr) -> Vec<usize> {
        match client_at(address) {
            Some(client) => Some(client).into_iter().filter(|c| *c < self.clients.len()).collect(),
            None => self.own.users(address.to_bits()),
        }
    }

    /// When one datagram arrives: never, once, or more than once.
    fn fates(&mut self) -> Vec<Nanos> {
        let weather = self.weather;
        self.counts.datagrams += 1;
        if self.rng.random_bool(weather.loss) {
            self.counts.datagrams_lost += 1;
            return Vec::new();
        }
        let copies = if self.rng.random_bool(weather.repeat) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                if self.rng.random_bool(weather.slow) {
                    self.rng.random_range(0..FLIGHT_MAX)
                } else {
                    self.rng.random_range(ms(1) / 10..ms(20))
                }
            })
            .collect()
    }
}
