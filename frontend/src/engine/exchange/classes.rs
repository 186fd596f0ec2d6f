//! Which classes a client is of: what it and its relays say, compared octet for octet with the configuration (SV-157).
//!
//! Owns the reading of each field. Refuses to know what follows from a class. Of what relays say, the level next to the
//! client that says it counts; a relay's address counts at every level. The work is bounded by the configuration and by
//! the codec's bounds; without classes there is none, and nothing is allocated for up to four that fit.
//! Source: RFC 9915 §21.15, §21.16, RFC 5970 §3.3, RFC 4649, RFC 4580, RFC 6939.

use crate::codec::wire::opt;
use crate::codec::{ClientMessage, Options, RelayChain, RelayLevel};
use crate::engine::Packet;
use leasehold_proto::lifetimes::LifetimeWish;
use leasehold_proto::network::{ClientField, ClientTest, Network};
use smallvec::SmallVec;

/// Positions of the classes that a client is of, in the order of the configuration.
pub(super) type Classes = SmallVec<[usize; 4]>;

/// What is known of the sender of a message.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a, 'm> {
    pub(super) message: &'a ClientMessage<'m>,
    pub(super) relay: Option<&'a RelayChain<'m>>,
    pub(super) packet: &'a Packet<'a>,
}

/// The classes of a configuration, as the packet path asks them.
#[derive(Debug)]
pub(in crate::engine) struct ClassIndex {
    /// By position of the class: all that must hold, the values of each sorted.
    tests: Vec<Vec<ClientTest>>,
}

impl ClassIndex {
    /// Sorts the values of all tests: there may be as many as clients.
    pub(super) fn new(network: &Network) -> Self {
        let sorted = |test: &ClientTest| {
            let mut test = test.clone();
            test.values.sort_unstable();
            test
        };
        Self { tests: network.classes.iter().map(|class| class.tests.iter().map(sorted).collect()).collect() }
    }

    /// The classes of a client. One that does not say who it is has none: it is told only what all are told (SV-351).
    pub(super) fn of(&self, sender: Sender<'_, '_>) -> Classes {
        if self.tests.is_empty() || sender.message.client_id.is_none() {
            return Classes::new();
        }
        let is_member = |tests: &[ClientTest]| tests.iter().all(|test| passes(test, sender));
        let members = self.tests.iter().enumerate().filter(|(_, tests)| is_member(tests));
        members.map(|(at, _)| at).collect()
    }
}

/// Whom something is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Audience {
    /// All clients.
    All,
    /// Members of one of the classes at these positions.
    Classes(Box<[usize]>),
}

impl Audience {
    /// Of these names of classes; an empty list names all clients.
    pub(super) fn new(network: &Network, names: &[String]) -> Self {
        if names.is_empty() {
            return Self::All;
        }
        let at = |name: &String| network.classes.iter().position(|class| class.name == *name);
        Self::Classes(names.iter().filter_map(at).collect())
    }

    /// Whether a client of these classes is meant.
    pub(super) fn includes(&self, classes: &[usize]) -> bool {
        match self {
            Self::All => true,
            Self::Classes(wanted) => classes.iter().any(|at| wanted.contains(at)),
        }
    }
}

/// The lifetimes that these classes ask for, each by the first class that says it.
pub(super) fn lifetimes_of(network: &Network, classes: &Classes) -> LifetimeWish {
    let mut wish = LifetimeWish::default();
    for class in classes.iter().map(|at| &network.classes[*at].lifetimes) {
        wish.preferred = wish.preferred.or(class.preferred);
        wish.valid = wish.valid.or(class.valid);
    }
    wish
}

fn passes(test: &ClientTest, Sender { message, relay, packet }: Sender<'_, '_>) -> bool {
    let is = |said: &[u8]| test.values.binary_search_by(|value| value.as_slice().cmp(said)).is_ok();
    let levels = relay.map(RelayChain::levels).unwrap_or_default();
    let innermost = |said: for<'l> fn(&RelayLevel<'l>) -> Option<&'l [u8]>| {
        levels.iter().rev().find_map(said).is_some_and(is)
    };
    match test.field {
        ClientField::Duid => message.client_id.is_some_and(is),
        ClientField::VendorClass => vendor_class(&message.options, test),
        ClientField::UserClass => {
            message.options.first(opt::USER_CLASS).is_some_and(|data| items(data).any(is))
        }
        ClientField::Architecture => message
            .options
            .first(opt::CLIENT_ARCH_TYPE)
            .is_some_and(|data| data.as_chunks::<2>().0.iter().any(|kind| is(kind))),
        ClientField::LinkLayer => relay.and_then(RelayChain::client_link_layer).is_some_and(is),
        ClientField::Relay => {
            let inner = levels.split_last().map(|(_, outer)| outer).unwrap_or_default();
            relay.is_some() && is(&packet.source.octets())
                || inner.iter().any(|outer| is(&outer.header.peer_address.octets()))
        }
        ClientField::RelayId => innermost(|level| level.relay_id),
        ClientField::InterfaceId => innermost(|level| level.interface_id),
        ClientField::RemoteId => innermost(|level| level.remote_id),
        ClientField::SubscriberId => innermost(|level| level.subscriber_id),
    }
}

/// Whether a value is an enterprise number followed by one item of that enterprise's Vendor Class.
fn vendor_class(options: &Options<'_>, test: &ClientTest) -> bool {
    options.all(opt::VENDOR_CLASS).filter_map(|data| data.split_first_chunk::<4>()).any(
        |(enterprise, data)| {
            let is = |item: &[u8]| {
                let said = || enterprise.iter().chain(item);
                test.values.binary_search_by(|value| value.iter().cmp(said())).is_ok()
            };
            items(data).any(is)
        },
    )
}

/// The (length, data) items of an option whose lengths the codec has checked.
fn items(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let (item, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        rest = tail;
        Some(item)
    })
}
