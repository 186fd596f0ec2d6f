//! The watch over interfaces: finds those that appear, vanish or come back, and keeps their groups joined.
//!
//! Owns the memberships of the server's socket and the writing of [`InterfaceTable`]. Refuses to decide what an
//! interface without carrier means for service. In: the kernel's view, asked about five times a second. Out: the table, a
//! wake-up for the packet thread when it changed, a log line for each change.
//! The kernel is asked by socket calls and `/proc/thread-self/net`, which follow the network namespace, and not by
//! `/sys/class/net`, which follows whoever mounted it.
//! Invariant: a membership counts as joined only if this socket asked for it on the present index and the kernel
//! lists it: an interface that loses IPv6 and gets it back keeps its index and loses its groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::net::if_::{InterfaceFlags, if_nametoindex};

use super::interface_table::{Finding, InterfaceConfig, InterfaceState, InterfaceTable};
use super::socket::{ALL_RELAYS_AND_SERVERS, ALL_SERVERS, ServerSocket, SocketError};
use super::waker::Waker;

/// How often to look. Why: a carrier lost shall move the clients to the partner as soon as a frontend lost does (FO-206),
/// and a look costs well under a millisecond.
pub const SCAN_PERIOD: Duration = Duration::from_millis(200);

/// The watch, to be driven by [`InterfaceWatch::scan`] or by a thread of its own.
#[derive(Debug)]
pub struct InterfaceWatch {
    socket: Arc<ServerSocket>,
    table: Arc<InterfaceTable>,
    waker: Waker,
    /// The index on which each slot's groups were last joined, in the order of the table.
    joined_on: Vec<Option<NonZeroU32>>,
}

impl InterfaceWatch {
    /// Takes up the watch and looks once, so that what exists is joined on return. An interface that does not exist
    /// or cannot be joined is no error: the table says so, and it is tried again.
    ///
    /// # Errors
    /// Bad or repeated names; groups wanted on a socket that is bound to one address.
    pub fn start(
        socket: Arc<ServerSocket>,
        interfaces: Vec<InterfaceConfig>,
        waker: Waker,
    ) -> Result<Self, SocketError> {
        let local = socket.local_addr();
        if let Some(deaf) = interfaces.iter().find(|i| (i.clients || i.site) && !local.ip().is_unspecified())
        {
            return Err(SocketError::MulticastNeedsAnyAddress { interface: deaf.name.clone(), local });
        }
        let joined_on = vec![None; interfaces.len()];
        let table = Arc::new(InterfaceTable::new(interfaces)?);
        let mut watch = Self { socket, table, waker, joined_on };
        watch.scan();
        Ok(watch)
    }

    /// The table that the watch writes.
    #[must_use]
    pub fn table(&self) -> Arc<InterfaceTable> {
        Arc::clone(&self.table)
    }

    /// Looks at all interfaces, joins what is to be joined, and says whether anything changed. Some system calls;
    /// never blocks on the network.
    pub fn scan(&mut self) -> bool {
        let view = KernelView::read();
        let mut changed = false;
        for (slot, joined_on) in self.table.slots().iter().zip(&mut self.joined_on) {
            let config = &slot.config;
            let index = if_nametoindex(config.name.as_str()).ok().and_then(NonZeroU32::new);
            if *joined_on != index
                && let Some(old) = joined_on.take()
            {
                // The kernel keeps the memberships of a vanished interface in the socket, and counts them.
                groups(config).for_each(|group| self.socket.leave(&group, old.get()));
            }
            let membership = match index {
                None => Ok(()),
                Some(index) => join_all(&self.socket, config, index, joined_on, view.memberships.as_ref()),
            };
            let state = view.state(config, index);
            let (errors_received, errors_sent) = view.errors.get(&config.name).copied().unwrap_or_default();
            let problem = match (&membership, state) {
                (Err(error), _) => Some(error.to_string()),
                (Ok(()), InterfaceState::Absent) => Some("there is no such interface (yet)".to_owned()),
                (Ok(()), InterfaceState::Down) => Some("it is down (`ip link set dev NAME up`)".to_owned()),
                (Ok(()), InterfaceState::NoCarrier) => Some("it has no carrier".to_owned()),
                (Ok(()), InterfaceState::NoLinkLocal) => Some(
                    "it has no usable link-local address: none, a duplicate, or still being checked"
                        .to_owned(),
                ),
                (Ok(()), InterfaceState::Up) => None,
            };
            let joined = index.is_some() && membership.is_ok();
            if self.table.record(
                slot,
                Finding { index, state, joined, problem: problem.clone(), errors_received, errors_sent },
            ) {
                changed = true;
                match problem {
                    Some(problem) => {
                        tracing::warn!(interface = %config.name, ?state, joined, %problem, "interface")
                    }
                    None => tracing::info!(interface = %config.name, ?state, joined, ?index, "interface"),
                }
            }
        }
        if changed {
            self.waker.wake();
        }
        changed
    }

    /// Goes on in a thread of its own, looking once per `period`, until the handle is dropped.
    ///
    /// # Errors
    /// [`SocketError::System`] when no thread can be started.
    pub fn spawn(mut self, period: Duration) -> Result<InterfaceWatchThread, SocketError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("interfaces".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(period) {
                self.scan();
            }
        });
        let thread = thread.map_err(|e| SocketError::System {
            doing: "starting the thread that watches interfaces",
            errno: nix::errno::Errno::from_raw(e.raw_os_error().unwrap_or(0)),
        })?;
        Ok(InterfaceWatchThread { stop: Some(stop), thread: Some(thread) })
    }
}

/// The watch in its thread; dropping it ends the thread, after a scan that may be under way.
#[derive(Debug)]
pub struct InterfaceWatchThread {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for InterfaceWatchThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was reported by the panic hook; there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

fn groups(config: &InterfaceConfig) -> impl Iterator<Item = Ipv6Addr> + use<> {
    let wanted = [ALL_RELAYS_AND_SERVERS, ALL_SERVERS].map(|group| config.hears(&group).then_some(group));
    wanted.into_iter().flatten()
}

fn join_all(
    socket: &ServerSocket,
    config: &InterfaceConfig,
    index: NonZeroU32,
    joined_on: &mut Option<NonZeroU32>,
    listed: Option<&BTreeSet<(u32, Ipv6Addr)>>,
) -> Result<(), SocketError> {
    for group in groups(config) {
        let in_force = listed.is_none_or(|listed| listed.contains(&(index.get(), group)));
        if *joined_on == Some(index) && in_force {
            continue;
        }
        // A membership that the kernel no longer honours must be dropped first, or joining is "already a member".
        socket.leave(&group, index.get());
        if let Err(errno) = socket.join(&group, index.get()) {
            *joined_on = None;
            return Err(SocketError::Join { interface: config.name.clone(), group, errno });
        }
    }
    *joined_on = Some(index);
    Ok(())
}

/// What the kernel says at one moment; a part that cannot be read is empty.
struct KernelView {
    flags: BTreeMap<String, InterfaceFlags>,
    /// Errors and drops, received and sent, by interface.
    errors: BTreeMap<String, (u64, u64)>,
    /// Interfaces with a link-local address that packets can leave from.
    link_local: BTreeSet<u32>,
    /// Groups in force, by interface index; `None` when the list cannot be read.
    memberships: Option<BTreeSet<(u32, Ipv6Addr)>>,
}

impl KernelView {
    fn read() -> Self {
        let addresses = nix::ifaddrs::getifaddrs().into_iter().flatten();
        let errors = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        let memberships = std::fs::read_to_string("/proc/thread-self/net/igmp6").ok();
        let link_local = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
        Self {
            link_local: link_local.lines().filter_map(parse_link_local_line).collect(),
            flags: addresses.map(|address| (address.interface_name, address.flags)).collect(),
            errors: errors.lines().filter_map(parse_device_line).collect(),
            memberships: memberships.map(|text| text.lines().filter_map(parse_membership_line).collect()),
        }
    }

    fn state(&self, config: &InterfaceConfig, index: Option<NonZeroU32>) -> InterfaceState {
        let Some(index) = index else { return InterfaceState::Absent };
        match self.flags.get(&config.name) {
            // It appeared between the two questions; the next scan knows more.
            None => InterfaceState::Down,
            Some(flags) if !flags.contains(InterfaceFlags::IFF_UP) => InterfaceState::Down,
            Some(flags) if !flags.contains(InterfaceFlags::IFF_RUNNING) => InterfaceState::NoCarrier,
            Some(_) if config.clients && !self.link_local.contains(&index.get()) => {
                InterfaceState::NoLinkLocal
            }
            Some(_) => InterfaceState::Up,
        }
    }
}

/// A line of `net/if_inet6`, all hexadecimal but the name: `address index prefix-length scope flags name`. Yields the
/// index if the address is link-local and neither tentative nor a duplicate.
pub(super) fn parse_link_local_line(line: &str) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace();
    let address = Ipv6Addr::from_bits(u128::from_str_radix(fields.next()?, 16).ok()?);
    let index = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
    let usable = flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) == 0;
    (usable && address.is_unicast_link_local()).then_some(index)
}

/// A line of `net/dev`: `name: bytes packets errs drop fifo frame compressed multicast` and the same for sending.
pub(super) fn parse_device_line(line: &str) -> Option<(String, (u64, u64))> {
    let (name, numbers) = line.rsplit_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let sum = |errs: usize| Some(numbers.get(errs)?.saturating_add(*numbers.get(errs + 1)?));
    Some((name.trim().to_owned(), (sum(2)?, sum(10)?)))
}

/// A line of `net/igmp6`: `index name group users flags timer`, the group as 32 hexadecimal digits.
pub(super) fn parse_membership_line(line: &str) -> Option<(u32, Ipv6Addr)> {
    let mut fields = line.split_ascii_whitespace();
    let index = fields.next()?.parse().ok()?;
    let group = u128::from_str_radix(fields.nth(1)?, 16).ok()?;
    Some((index, Ipv6Addr::from_bits(group)))
}
