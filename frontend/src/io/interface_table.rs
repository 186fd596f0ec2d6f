//! What is known of the configured interfaces: written by the watch, read by the packet thread and the heartbeats.
//!
//! Owns one slot for each configured interface, fixed at start; an interface that does not exist yet has a slot too.
//! Refuses to find things out (`interfaces` does). Invariants: reading an index or counting a datagram takes no lock;
//! the generation grows after every change of index, state or membership, so that a reader need look no further
//! while it stands still.

use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::socket::{ALL_RELAYS_AND_SERVERS, ALL_SERVERS, SocketError};

/// One interface of the node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its name, as in `ip link`; it need not exist yet.
    pub name: String,
    /// Clients are on its link: join ff02::1:2 there (SV-101).
    pub clients: bool,
    /// Relays may multicast to all servers of the site by it: join ff05::1:3 there (SV-101).
    pub site: bool,
}

impl InterfaceConfig {
    /// Whether multicast to this group is wanted from this interface.
    #[must_use]
    pub fn hears(&self, group: &Ipv6Addr) -> bool {
        (self.clients && *group == ALL_RELAYS_AND_SERVERS) || (self.site && *group == ALL_SERVERS)
    }
}

/// Whether an interface can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum InterfaceState {
    /// There is none of this name.
    Absent = 0,
    /// It is administratively down.
    Down = 1,
    /// It is up without an operational link: no carrier, or the layer below is down.
    NoCarrier = 2,
    /// It is up and running, and clients are on it, but it has no usable link-local address: none at all, one still
    /// being checked for duplicates, or a duplicate. No answer can leave by it.
    NoLinkLocal = 3,
    /// It is up and running.
    Up = 4,
}

/// What a heartbeat says about an interface. Counters start at zero with the process (datagrams) or the interface
/// (errors).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceHealth {
    /// The interface as configured.
    pub config: InterfaceConfig,
    /// Its index now, if it exists.
    pub index: Option<NonZeroU32>,
    /// Whether it can serve.
    pub state: InterfaceState,
    /// Whether all groups that its configuration asks for are joined.
    pub joined: bool,
    /// What is wrong with it, in words, if something is.
    pub problem: Option<String>,
    /// DHCPv6 datagrams that came by it.
    pub datagrams_received: u64,
    /// Frames that were lost or damaged on the way in.
    pub errors_received: u64,
    /// Frames that were lost or damaged on the way out.
    pub errors_sent: u64,
}

impl InterfaceHealth {
    /// Whether clients on it can be served: up, running, groups joined.
    #[must_use]
    pub fn can_serve(&self) -> bool {
        self.state == InterfaceState::Up && self.joined
    }
}

/// The shared table.
#[derive(Debug)]
pub struct InterfaceTable {
    slots: Box<[Slot]>,
    generation: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) config: InterfaceConfig,
    /// 0 while absent.
    index: AtomicU32,
    state: AtomicU8,
    joined: AtomicBool,
    problem: Mutex<Option<String>>,
    pub(super) datagrams_received: AtomicU64,
    errors_received: AtomicU64,
    errors_sent: AtomicU64,
}

/// What a scan found out about one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) index: Option<NonZeroU32>,
    pub(super) state: InterfaceState,
    pub(super) joined: bool,
    pub(super) problem: Option<String>,
    pub(super) errors_received: u64,
    pub(super) errors_sent: u64,
}

impl InterfaceTable {
    /// A table of absent interfaces.
    ///
    /// # Errors
    /// A name that cannot be one, or stands twice.
    pub fn new(interfaces: Vec<InterfaceConfig>) -> Result<Self, SocketError> {
        for (position, interface) in interfaces.iter().enumerate() {
            let name = &interface.name;
            let shaped =
                (1..=15).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_whitespace());
            if !shaped || name == "." || name == ".." {
                return Err(SocketError::BadInterfaceName { name: name.clone() });
            }
            if interfaces[..position].iter().any(|earlier| earlier.name == *name) {
                return Err(SocketError::InterfaceTwice { name: name.clone() });
            }
        }
        let slots = interfaces.into_iter().map(Slot::new).collect();
        Ok(Self { slots, generation: AtomicU64::new(0) })
    }

    /// Grows whenever an index, a state or a membership has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The interfaces that exist, with their index; in the order of configuration.
    pub fn present(&self) -> impl Iterator<Item = (NonZeroU32, &InterfaceConfig)> {
        self.slots.iter().filter_map(|slot| Some((slot.index()?, &slot.config)))
    }

    /// The health of all interfaces, in the order of configuration. Takes locks: not for the packet path.
    #[must_use]
    pub fn health(&self) -> Vec<InterfaceHealth> {
        self.slots.iter().map(Slot::health).collect()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Records a finding; says whether index, state, membership or problem differ from the last one.
    pub(super) fn record(&self, slot: &Slot, finding: Finding) -> bool {
        let index = finding.index.map_or(0, NonZeroU32::get);
        let moved = [
            slot.index.swap(index, Ordering::AcqRel) != index,
            slot.state.swap(finding.state as u8, Ordering::AcqRel) != finding.state as u8,
            slot.joined.swap(finding.joined, Ordering::AcqRel) != finding.joined,
        ];
        slot.errors_received.store(finding.errors_received, Ordering::Relaxed);
        slot.errors_sent.store(finding.errors_sent, Ordering::Relaxed);
        let mut problem = slot.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *problem != finding.problem;
        *problem = finding.problem;
        drop(problem);
        if moved.contains(&true) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        news || moved.contains(&true)
    }
}

impl Slot {
    fn new(config: InterfaceConfig) -> Self {
        Self {
            config,
            index: AtomicU32::new(0),
            state: AtomicU8::new(InterfaceState::Absent as u8),
            joined: AtomicBool::new(false),
            problem: Mutex::new(None),
            datagrams_received: AtomicU64::new(0),
            errors_received: AtomicU64::new(0),
            errors_sent: AtomicU64::new(0),
        }
    }

    pub(super) fn index(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.index.load(Ordering::Acquire))
    }

    fn health(&self) -> InterfaceHealth {
        InterfaceHealth {
            config: self.config.clone(),
            index: self.index(),
            state: match self.state.load(Ordering::Acquire) {
                1 => InterfaceState::Down,
                2 => InterfaceState::NoCarrier,
                3 => InterfaceState::NoLinkLocal,
                4 => InterfaceState::Up,
                _ => InterfaceState::Absent,
            },
            joined: self.joined.load(Ordering::Acquire),
            problem: self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            datagrams_received: self.datagrams_received.load(Ordering::Relaxed),
            errors_received: self.errors_received.load(Ordering::Relaxed),
            errors_sent: self.errors_sent.load(Ordering::Relaxed),
        }
    }
}

/// The packet thread's own copy of the indexes: finds the slot of a datagram without touching shared memory.
pub(super) struct SlotFinder {
    generation: Option<u64>,
    /// Sorted by index.
    slots: Vec<(u32, usize)>,
}

impl SlotFinder {
    pub(super) fn new() -> Self {
        Self { generation: None, slots: Vec::new() }
    }

    /// Copies the indexes again if the table has changed.
    pub(super) fn refresh(&mut self, table: &InterfaceTable) {
        let generation = table.generation();
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        self.slots.clear();
        let slots = table.slots().iter().enumerate();
        self.slots.extend(slots.filter_map(|(position, slot)| Some((slot.index()?.get(), position))));
        self.slots.sort_unstable();
    }

    /// The slot of an interface, if it is a configured one.
    pub(super) fn find<'t>(&self, table: &'t InterfaceTable, interface_index: u32) -> Option<&'t Slot> {
        let found = self.slots.binary_search_by_key(&interface_index, |(index, _)| *index).ok()?;
        table.slots().get(self.slots[found].1)
    }
}
