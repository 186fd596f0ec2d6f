//! What tells clients apart in the configuration: classes, single hosts, and what relays say of a link (SV-153, SV-157).
//!
//! All values are opaque and compared octet for octet. Refuses to know messages: the frontend reads the fields.

use super::Options;
use crate::lifetimes::LifetimeWish;
use crate::words::Duid;

/// Something that a client or a relay says of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientField {
    /// The client's DUID.
    Duid,
    /// Vendor Class: the enterprise number and one item.
    VendorClass,
    /// User Class: one item.
    UserClass,
    /// Client System Architecture Type.
    Architecture,
    /// Client Link-Layer Address, as the relay next to the client tells it (SV-156).
    LinkLayer,
    /// The address by which a relay is heard.
    Relay,
    /// DUID of a relay.
    RelayId,
    /// Interface-Id.
    InterfaceId,
    /// Remote-Id with its enterprise number.
    RemoteId,
    /// Subscriber-Id.
    SubscriberId,
}

/// Holds when the field has one of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTest {
    /// Which field. Of those that a relay says, the level next to the client that has it counts.
    pub field: ClientField,
    /// Any of these.
    pub values: Vec<Vec<u8>>,
}

/// A class of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// All must hold.
    pub tests: Vec<ClientTest>,
    /// Options of members (OP-05).
    pub options: Options,
    /// Lifetimes that members are given, within the bounds of the pool.
    pub lifetimes: LifetimeWish,
    /// Members get no answer (SEC-10).
    pub drop: bool,
}

/// One client, by its DUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its DUID.
    pub duid: Duid,
    /// Its options (OP-05).
    pub options: Options,
}

/// Selects a link by what one relay level says. What is not given matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkSelector {
    /// The address by which the relay is heard.
    pub relay: Option<u128>,
    /// The relay's DUID.
    pub relay_id: Option<Vec<u8>>,
    /// Interface-Id.
    pub interface_id: Option<Vec<u8>>,
    /// Remote-Id with its enterprise number.
    pub remote_id: Option<Vec<u8>>,
    /// Subscriber-Id.
    pub subscriber_id: Option<Vec<u8>>,
}
