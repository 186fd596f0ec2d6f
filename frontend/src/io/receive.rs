//! Batched receive: up to [`BATCH_LEN`] datagrams in one system call, each with its packet information.
//!
//! Owns the buffers. Refuses to look into a datagram. In: the socket. Out: [`Received`], borrowed from the buffers.
//! Datagrams longer than [`DATAGRAM_LEN_MAX`] arrive cut short and marked; the loop drops and counts them (SEC-06: up
//! to 65,535 bytes are tolerated, none is needed). Why 4,096: a relayed message through the most relays allowed, with
//! every option they add, stays well below it, and 64 buffers stay within a core's second-level cache.
//! Invariant: raw pointers into the buffers live no longer than one call.

use std::net::{Ipv6Addr, SocketAddrV6};

use nix::errno::Errno;

use super::socket::ServerSocket;
use super::sys;

/// Datagrams received by one call at most. Why 64: the gain per datagram is flat beyond it, and a batch's answers
/// wait for the whole batch.
pub const BATCH_LEN: usize = 64;

/// The longest datagram taken, in bytes.
pub const DATAGRAM_LEN_MAX: usize = 4_096;

/// Room for the packet information (20 bytes) and the kernel's drop counter (4 bytes), each with header and padding.
const CONTROL_LEN: usize = 64;

/// One datagram and what the kernel says about it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The payload; cut at [`DATAGRAM_LEN_MAX`] when `truncated`. May be empty.
    pub bytes: &'a [u8],
    /// Who sent it: address, port, and for a link-local address the scope id.
    pub source: SocketAddrV6,
    /// The address it was sent to: one of ours, or a multicast group.
    pub destination: Ipv6Addr,
    /// The interface it came in by.
    pub interface_index: u32,
    /// Whether the rest of it was lost. The packet loop hands no such datagram to its handler.
    pub truncated: bool,
}

impl Received<'_> {
    /// The source address for an answer: the address that the datagram was sent to, if unicast.
    #[must_use]
    pub fn reply_source(&self) -> Option<Ipv6Addr> {
        (!self.destination.is_multicast()).then_some(self.destination)
    }
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// What is kept of a message header after the call.
#[derive(Clone, Copy)]
struct Envelope {
    len: usize,
    truncated: bool,
    /// Source, destination and interface index; `None` when the kernel did not say.
    addresses: Option<(SocketAddrV6, Ipv6Addr, u32)>,
}

/// Buffers for one batch, and what the last call put there.
pub(super) struct RecvBatch {
    buffers: Box<[u8]>,
    names: Box<[libc::sockaddr_in6]>,
    controls: Box<[Control]>,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    envelopes: Vec<Envelope>,
    /// The kernel's own count of drops, as last told, wrapping.
    kernel_drops: u32,
}

impl RecvBatch {
    pub(super) fn new() -> Self {
        let name = libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        };
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            buffers: vec![0; BATCH_LEN * DATAGRAM_LEN_MAX].into_boxed_slice(),
            names: vec![name; BATCH_LEN].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); BATCH_LEN].into_boxed_slice(),
            iovecs: vec![iovec; BATCH_LEN].into_boxed_slice(),
            headers: vec![sys::zeroed_header(); BATCH_LEN].into_boxed_slice(),
            envelopes: Vec::with_capacity(BATCH_LEN),
            kernel_drops: 0,
        }
    }

    /// Fills the batch with what waits in the socket, and says how many datagrams came: 0 when none waits.
    ///
    /// # Errors
    /// What the kernel said, `EAGAIN` and `EINTR` excepted.
    #[expect(unsafe_code, reason = "recvmmsg takes raw pointers to the buffers")]
    pub(super) fn receive(&mut self, socket: &ServerSocket) -> Result<usize, Errno> {
        self.envelopes.clear();
        self.point_headers();
        // SAFETY: `point_headers` has just aimed every header at its own slot of the buffers, with their true
        // lengths; `self` is borrowed mutably, so nobody else refers to them.
        let received = match unsafe { sys::recvmmsg(socket.fd(), &mut self.headers) } {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(errno) => return Err(errno),
        };
        for (header, name) in self.headers.iter().zip(self.names.iter()).take(received) {
            let control = read_control(&header.msg_hdr);
            if let Some(drops) = control.drops {
                self.kernel_drops = drops;
            }
            let is_inet6 = header.msg_hdr.msg_namelen as usize >= size_of::<libc::sockaddr_in6>()
                && i32::from(name.sin6_family) == libc::AF_INET6;
            self.envelopes.push(Envelope {
                len: (header.msg_len as usize).min(DATAGRAM_LEN_MAX),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                addresses: match (is_inet6, control.packet_info) {
                    (true, Some((destination, index))) => Some((socket_address(name), destination, index)),
                    _ => None,
                },
            });
        }
        Ok(received)
    }

    /// The datagrams of the last call in the order of arrival; `None` for one without packet information.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<Received<'_>>> {
        self.envelopes.iter().zip(self.buffers.chunks_exact(DATAGRAM_LEN_MAX)).map(|(envelope, buffer)| {
            let (source, destination, interface_index) = envelope.addresses?;
            let bytes = &buffer[..envelope.len];
            Some(Received { bytes, source, destination, interface_index, truncated: envelope.truncated })
        })
    }

    /// Datagrams that the kernel had no room for since the socket was made, modulo 2^32.
    pub(super) fn kernel_drops(&self) -> u32 {
        self.kernel_drops
    }

    fn point_headers(&mut self) {
        let buffers = self.buffers.chunks_exact_mut(DATAGRAM_LEN_MAX);
        let slots = self.headers.iter_mut().zip(self.iovecs.iter_mut()).zip(self.names.iter_mut());
        for (((header, iovec), name), (control, buffer)) in slots.zip(self.controls.iter_mut().zip(buffers)) {
            *iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = std::ptr::from_mut(name).cast();
            header.msg_namelen = SOCKADDR_LEN;
            header.msg_iov = iovec;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN;
            header.msg_flags = 0;
        }
    }
}

/// The length of an IPv6 socket address, as the kernel wants it.
#[expect(clippy::cast_possible_truncation, reason = "28 bytes")]
pub(super) const SOCKADDR_LEN: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

fn socket_address(name: &libc::sockaddr_in6) -> SocketAddrV6 {
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    SocketAddrV6::new(address, u16::from_be(name.sin6_port), name.sin6_flowinfo, name.sin6_scope_id)
}

/// What the control messages of one datagram said.
#[derive(Default)]
struct ControlRead {
    packet_info: Option<(Ipv6Addr, u32)>,
    drops: Option<u32>,
}

#[expect(unsafe_code, reason = "control messages are walked by the C library's macros")]
fn read_control(header: &libc::msghdr) -> ControlRead {
    let mut read = ControlRead::default();
    // SAFETY: the header was filled by a successful receive and its control buffer lives, is aligned and holds
    // `msg_controllen` bytes of well-formed control messages; CMSG_FIRSTHDR yields null when there is none.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    // Bounded: a control buffer holds no more messages than it has room for.
    while !control.is_null() {
        // SAFETY: not null, so it points to a whole control header inside the buffer.
        let (level, kind) = unsafe { ((*control).cmsg_level, (*control).cmsg_type) };
        // SAFETY: as above; the data follows the header within the buffer.
        let data = unsafe { libc::CMSG_DATA(control) };
        match (level, kind) {
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel gives this kind a whole in6_pktinfo; read without assuming alignment.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                read.packet_info = Some((Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: the kernel gives this kind four bytes.
                read.drops = Some(unsafe { data.cast::<u32>().read_unaligned() });
            }
            _ => {}
        }
        // SAFETY: `control` is a header inside this buffer; null at the end.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    // A control buffer that was too small may hold half a message: not to be trusted.
    if header.msg_flags & libc::MSG_CTRUNC != 0 { ControlRead::default() } else { read }
}
