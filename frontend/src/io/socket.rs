//! The server's UDP socket: opening it, and its multicast memberships.
//!
//! Owns the socket and its options. Refuses to read or write datagrams (`receive`, `send` do) and to watch interfaces
//! (`interfaces` does). In: [`SocketConfig`]. Out: a socket, or an error that says what to do.
//! Invariants: non-blocking; IPv6 only; packet information with every datagram; only groups that this socket joined
//! arrive (IPV6_MULTICAST_ALL off). By which interface they come Linux does not check: a group that we joined on one
//! and another process on another arrives from both. The packet loop drops what came by the wrong one.
//! SO_REUSEADDR stays off: with it a second DHCPv6 server on the host would start, and take the first one's unicast
//! packets away in silence. Frontends that share a host bind one address each, or live in network namespaces.
//! Source: RFC 9915 §7.1, §7.2; SV-101.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use thiserror::Error;

/// The port of servers and relays. Source: RFC 9915 §7.2.
pub const SERVER_PORT: u16 = 547;

/// All_DHCP_Relay_Agents_and_Servers: where clients send. Source: RFC 9915 §7.1.
pub const ALL_RELAYS_AND_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// All_DHCP_Servers, site scope: where relays may send. Source: RFC 9915 §7.1.
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

/// Bytes of receive buffer asked for by default: half a second of 100,000 datagrams a second, as the kernel counts
/// them (about 1.3 KiB for a small datagram, against double of what is asked for). Why so long: a thread that has to
/// wait for a processor loses what overflows meanwhile, Renews and all. A bound, not a reservation.
pub const RECEIVE_BUFFER_LEN: usize = 32 << 20;

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// The address and port to serve. `[::]:547` for real service. A certain address receives what is sent to it
    /// only, so no multicast: right for serving relays alone, and for tests. Port 0 takes any free one.
    pub local: SocketAddrV6,
    /// Bytes of receive buffer to ask for; the kernel may give less ([`ServerSocket::receive_buffer_len`]).
    pub receive_buffer_len: usize,
}

impl Default for SocketConfig {
    fn default() -> Self {
        let local = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0);
        Self { local, receive_buffer_len: RECEIVE_BUFFER_LEN }
    }
}

/// Why the socket, or something beside it, could not be set up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SocketError {
    /// The port is a privileged one.
    #[error(
        "not allowed to bind UDP {local}: ports below 1024 need the capability CAP_NET_BIND_SERVICE; grant it (systemd: \
         AmbientCapabilities=CAP_NET_BIND_SERVICE; by hand: setcap cap_net_bind_service=+ep on the program) or run as root"
    )]
    NotPermitted {
        /// What was to be bound.
        local: SocketAddrV6,
    },
    /// Somebody else serves there.
    #[error(
        "UDP {local} is in use: another DHCPv6 server or relay runs on this host (`ss -ulpn` shows which); stop it, or \
         give this frontend an address or a network namespace of its own"
    )]
    InUse {
        /// What was to be bound.
        local: SocketAddrV6,
    },
    /// No interface has the address.
    #[error(
        "no interface of this host has the address {local}, or it is still being checked for duplicates: configure it \
         first (`ip -6 address` lists what there is), or listen on [::]"
    )]
    NoSuchAddress {
        /// What was to be bound.
        local: SocketAddrV6,
    },
    /// The kernel has no IPv6.
    #[error(
        "this kernel has no IPv6: enable it (module ipv6, no ipv6.disable=1 on the kernel's command line)"
    )]
    NoIpv6,
    /// Groups were to be joined on a socket that cannot receive them.
    #[error(
        "interface {interface} is to hear clients or site multicast, but the socket is bound to {local}, which hears \
         unicast to that address only: listen on [::], or unmark the interface"
    )]
    MulticastNeedsAnyAddress {
        /// The interface.
        interface: String,
        /// What is bound.
        local: SocketAddrV6,
    },
    /// The name cannot be one of an interface.
    #[error("{name:?} cannot be an interface: names have 1 to 15 bytes, without '/' and white space")]
    BadInterfaceName {
        /// The name.
        name: String,
    },
    /// The interface was listed twice.
    #[error("interface {name} is listed twice: merge the two entries")]
    InterfaceTwice {
        /// The name.
        name: String,
    },
    /// A group could not be joined.
    #[error("cannot join {group} on interface {interface}: {errno}; {}", join_remedy(*errno))]
    Join {
        /// The interface.
        interface: String,
        /// The group.
        group: Ipv6Addr,
        /// What the kernel said.
        errno: Errno,
    },
    /// Anything else that the kernel refused.
    #[error("{doing}: {errno}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

fn join_remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOMEM | Errno::ENOBUFS => "raise the sysctl net.core.optmem_max",
        Errno::ENODEV | Errno::EINVAL | Errno::EADDRNOTAVAIL => {
            "is IPv6 enabled on it (sysctl net.ipv6.conf.*.disable_ipv6, an MTU of at least 1280)?"
        }
        _ => "it will be tried again",
    }
}

/// The open socket. Shared between the packet thread, which reads and writes, and the watch, which joins groups.
#[derive(Debug)]
pub struct ServerSocket {
    socket: Socket,
    local: SocketAddrV6,
}

impl ServerSocket {
    /// Opens and binds the socket; joins nothing yet ([`super::interfaces::InterfaceWatch`] does).
    ///
    /// # Errors
    /// See [`SocketError`]; each says what to do.
    pub fn open(config: &SocketConfig) -> Result<Self, SocketError> {
        let socket =
            Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).map_err(|e| match errno(&e) {
                Errno::EAFNOSUPPORT => SocketError::NoIpv6,
                errno => SocketError::System { doing: "opening a UDP socket", errno },
            })?;
        set("making the socket non-blocking", socket.set_nonblocking(true))?;
        set("setting IPV6_V6ONLY", socket.set_only_v6(true))?;
        set("clearing IPV6_MULTICAST_ALL", socket.set_multicast_all_v6(false))?;
        // A server multicasts nothing; should that ever slip, it stays on the link.
        set("setting IPV6_MULTICAST_HOPS", socket.set_multicast_hops_v6(1))?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
            .map_err(|errno| SocketError::System { doing: "setting IPV6_RECVPKTINFO", errno })?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)
            .map_err(|errno| SocketError::System { doing: "setting SO_RXQ_OVFL", errno })?;
        // Beyond net.core.rmem_max only CAP_NET_ADMIN may go; without it the limit is the limit, and no error.
        if setsockopt(&socket, sockopt::RcvBufForce, &config.receive_buffer_len).is_err() {
            set("setting SO_RCVBUF", socket.set_recv_buffer_size(config.receive_buffer_len))?;
        }
        let local = config.local;
        socket.bind(&SockAddr::from(local)).map_err(|e| match errno(&e) {
            Errno::EACCES | Errno::EPERM => SocketError::NotPermitted { local },
            Errno::EADDRINUSE => SocketError::InUse { local },
            Errno::EADDRNOTAVAIL | Errno::ENODEV | Errno::EINVAL => SocketError::NoSuchAddress { local },
            errno => SocketError::System { doing: "binding the UDP socket", errno },
        })?;
        let bound = set("reading the socket's address", socket.local_addr())?;
        // The address family was given above, so the kernel answers in it.
        let local = bound.as_socket_ipv6().unwrap_or(local);
        Ok(Self { socket, local })
    }

    /// What is bound, with the port that was chosen if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddrV6 {
        self.local
    }

    /// Bytes of receive buffer, as the kernel counts them (it doubles what was asked for).
    ///
    /// # Errors
    /// What the kernel said.
    pub fn receive_buffer_len(&self) -> Result<usize, SocketError> {
        set("reading SO_RCVBUF", self.socket.recv_buffer_size())
    }

    /// Joins a group on an interface; having joined already is no error.
    pub(super) fn join(&self, group: &Ipv6Addr, interface_index: u32) -> Result<(), Errno> {
        match self.socket.join_multicast_v6(group, interface_index) {
            Ok(()) => Ok(()),
            Err(e) if errno(&e) == Errno::EADDRINUSE => Ok(()),
            Err(e) => Err(errno(&e)),
        }
    }

    /// Leaves a group on an interface, which may be gone. Not having joined is no error.
    pub(super) fn leave(&self, group: &Ipv6Addr, interface_index: u32) {
        // The only failure is not being a member, which is what was wanted.
        let _ = self.socket.leave_multicast_v6(group, interface_index);
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set<T>(doing: &'static str, result: std::io::Result<T>) -> Result<T, SocketError> {
    result.map_err(|e| SocketError::System { doing, errno: errno(&e) })
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}
