//! The one network configuration (FO-113), checked: links, pools, relationships, options.
//!
//! [`Network::from_wire`] is the way in and refuses whatever is inconsistent, naming the item and the field, so that the
//! command line can point at a line of a file and the store can refuse on its own; [`Network::accept`] is stricter, and
//! for what is newly written. [`fill_defaults`] writes
//! defaults out, so that what is stored says everything, and [`check_complete`] refuses what does not. A network as
//! written may leave relationships to the store; [`auto::expand`] makes it concrete. Nothing here knows of files.

pub mod auto;
mod check;
mod clients;
mod defaults;
mod former;
mod limits;
mod options;

pub use check::{Item, NetworkError, stored_pool};
pub use clients::{Class, ClientField, ClientTest, Host, LinkSelector};
pub use defaults::{check_complete, fill_defaults};
pub use former::{from_format_1, pool_from_format_1};
pub use limits::Limits;
pub use options::{OptionValue, Options};

use crate::lifetimes::Timing;
use crate::pool::Pool;
use crate::v1;
use crate::words::{Duid, FrontendId, LinkId, PoolId, Prefix, RelationshipId};

/// A checked configuration. Links, pools and relationships stand in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Grows by one with each that was applied; 0 = never applied.
    pub version: u64,
    /// All links, at least one.
    pub links: Vec<Link>,
    /// All pools.
    pub pools: Vec<Pool>,
    /// All relationships.
    pub relationships: Vec<Relationship>,
    /// Options for every link.
    pub options: Options,
    /// Classes of clients, in the order in which their options and lifetimes count.
    pub classes: Vec<Class>,
    /// Clients named one by one.
    pub hosts: Vec<Host>,
    /// Sources from which Relay-forwards are accepted; empty: all (SEC-04).
    pub relays: Vec<Prefix>,
    /// Codes of options that relays may supply to clients (SV-176), sorted.
    pub relay_supplied: Vec<u16>,
    /// Whether IA_TA and unicast are answered as RFC 8415 has it (SV-135).
    pub legacy: bool,
    /// Longest IPv6 packet into which options are put, in octets; identifiers, status and leases may need more (SV-113).
    pub answer_octets: u16,
    /// R4's allowances.
    pub timing: Timing,
    /// Set in a network as written that leaves relationships to the store: its pools of no relationship have number 0
    /// there. A concrete network, as frontends get it, has none.
    pub auto: Option<Auto>,
    wire: v1::Network,
}

impl Eq for Network {}

/// The frontends among which the store chooses partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auto {
    /// Those that may serve, drained ones included.
    pub frontends: Vec<FrontendId>,
    /// Into how many parts each pool is cut, one logical server each.
    pub shards: u32,
}

/// The network a client sits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// On-link prefixes: they choose the link (SV-152, SV-154) and judge fitness (SV-321).
    pub prefixes: Vec<Prefix>,
    /// Whether Rapid Commit is answered (SV-302).
    pub rapid_commit: bool,
    /// Options of this link; they go before the global ones (OP-05).
    pub options: Options,
    /// What relays say that selects this link, where no link-address does (SV-153).
    pub selectors: Vec<LinkSelector>,
    /// Names of the classes whose members are served here; empty: all clients are.
    pub classes: Vec<String>,
    /// Bounds on what its clients may cost.
    pub limits: Limits,
    /// Whether clients that accept Reconfigure are given a key (SV-307, SV-401).
    pub reconfigure: bool,
    /// Whether a Solicit without Reconfigure Accept is left without an answer (SV-301).
    pub require_reconfigure_accept: bool,
    /// Whether clients may register addresses of their own (RFC 9686).
    pub register_addresses: bool,
}

/// How buckets are spread over partners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketMode {
    /// All to the primary (FO-201).
    HotStandby,
    /// Half to each partner.
    LoadBalancing,
}

/// Who answers a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// The partner that the client's bucket names.
    Buckets,
    /// Whoever gets it: anycast or a load balancer in front.
    Any,
}

/// One logical DHCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// Its number.
    pub id: RelationshipId,
    /// Its name.
    pub name: String,
    /// The one server DUID (FO-908).
    pub server_duid: Duid,
    /// The primary.
    pub primary: FrontendId,
    /// The secondary; none = standalone (FO-204, FO-213).
    pub secondary: Option<FrontendId>,
    /// Its pools.
    pub pools: Vec<PoolId>,
    /// How buckets are spread.
    pub buckets: BucketMode,
    /// Who answers.
    pub answering: Answering,
    /// Elapsed Time from which on a partner answers for the other, in milliseconds.
    pub takeover_after_ms: u32,
    /// Value of the Preference option; 0 is not sent (SV-306).
    pub preference: u8,
}

impl Relationship {
    /// Whether a frontend is one of its partners.
    #[must_use]
    pub fn has_partner(&self, frontend: &FrontendId) -> bool {
        self.primary == *frontend || self.secondary.as_ref() == Some(frontend)
    }

    /// The other partner of a partner, if there is one.
    #[must_use]
    pub fn partner_of(&self, frontend: &FrontendId) -> Option<&FrontendId> {
        if self.primary == *frontend {
            self.secondary.as_ref()
        } else if self.secondary.as_ref() == Some(frontend) {
            Some(&self.primary)
        } else {
            None
        }
    }
}

impl Network {
    /// Checks a configuration as it came from a file, a command or a disk. Items without a number (0) get one by
    /// their place, which serves checking a file that was never applied.
    ///
    /// # Errors
    /// Every inconsistency found, in the order of the items.
    pub fn from_wire(wire: &v1::Network) -> Result<Self, Vec<NetworkError>> {
        check::check(wire)
    }

    /// Checks a configuration that somebody wants to have in force, which has to keep more rules than one that is:
    /// later releases may refuse what earlier ones took, and have to live with it where it was taken.
    ///
    /// # Errors
    /// Every inconsistency found.
    pub fn accept(wire: &v1::Network) -> Result<Self, Vec<NetworkError>> {
        check::check_new(wire)
    }

    /// The form for the wire and the disk.
    #[must_use]
    pub fn to_wire(&self) -> &v1::Network {
        &self.wire
    }

    /// A link by number.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|l| l.id == id)
    }

    /// A pool generation by number.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.iter().find(|p| p.id == id)
    }

    /// A relationship by number.
    #[must_use]
    pub fn relationship(&self, id: RelationshipId) -> Option<&Relationship> {
        self.relationships.iter().find(|r| r.id == id)
    }
}
