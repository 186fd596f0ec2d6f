//! Batched send: the replies of an [`Outbox`], up to [`BATCH_LEN`] in one system call, each with its own packet
//! information.
//!
//! Owns the headers that the call needs. Refuses to choose addresses, and to try a reply twice. In: the outbox and a
//! position in it. Out: how far it got. Invariant: raw pointers into the outbox live no longer than one call.
//! Source: RFC 3542 §6.2 (source address and interface of a datagram).

use std::net::{Ipv6Addr, SocketAddrV6};

use nix::errno::Errno;

use super::outbox::{Outbox, ReplyPath};
use super::receive::{BATCH_LEN, SOCKADDR_LEN};
use super::socket::ServerSocket;
use super::sys;

/// One packet-information control message, header and data, padded to the kernel's alignment.
#[derive(Clone, Copy)]
#[repr(C)]
struct PacketInfoControl {
    header: libc::cmsghdr,
    info: libc::in6_pktinfo,
}

const _: () = assert!(
    std::mem::offset_of!(PacketInfoControl, info) == size_of::<libc::cmsghdr>()
        && align_of::<libc::cmsghdr>() == 8,
    "the data of a control message follows its header at the kernel's alignment"
);

/// Header and data without the padding behind them.
const CONTROL_LEN: usize = size_of::<libc::cmsghdr>() + size_of::<libc::in6_pktinfo>();

/// The headers of one call.
pub(super) struct SendBatch {
    names: Box<[libc::sockaddr_in6]>,
    controls: Box<[PacketInfoControl]>,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl SendBatch {
    pub(super) fn new() -> Self {
        let path = ReplyPath {
            destination: SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0),
            interface_index: 0,
            source: None,
        };
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            names: vec![destination_name(&path); BATCH_LEN].into_boxed_slice(),
            controls: vec![packet_info(&path); BATCH_LEN].into_boxed_slice(),
            iovecs: vec![iovec; BATCH_LEN].into_boxed_slice(),
            headers: vec![sys::zeroed_header(); BATCH_LEN].into_boxed_slice(),
        }
    }

    /// Sends replies from position `start` on, one batch at most, without waiting; says how many left.
    ///
    /// # Errors
    /// What the kernel said about the reply at `start`: none has left then.
    #[expect(unsafe_code, reason = "sendmmsg takes raw pointers to the replies")]
    pub(super) fn send(
        &mut self,
        socket: &ServerSocket,
        outbox: &Outbox,
        start: usize,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        let slots = self.headers.iter_mut().zip(self.iovecs.iter_mut());
        let slots = slots.zip(self.names.iter_mut().zip(self.controls.iter_mut()));
        for ((reply, path), ((header, iovec), (name, control))) in outbox.iter_from(start).zip(slots) {
            *name = destination_name(path);
            // The call only reads through this pointer, although its type says otherwise.
            *iovec = libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = std::ptr::from_mut(name).cast();
            header.msg_namelen = SOCKADDR_LEN;
            header.msg_iov = iovec;
            header.msg_iovlen = 1;
            if path.interface_index == 0 && path.source.is_none() {
                header.msg_control = std::ptr::null_mut();
                header.msg_controllen = 0;
            } else {
                *control = packet_info(path);
                header.msg_control = std::ptr::from_mut(control).cast();
                header.msg_controllen = size_of::<PacketInfoControl>();
            }
            header.msg_flags = 0;
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the first `count` headers were aimed just now at the outbox's replies and at slots of `self`, with
        // their true lengths; both are borrowed until the call returns.
        unsafe { sys::sendmmsg(socket.fd(), &mut self.headers[..count]) }
    }
}

fn destination_name(path: &ReplyPath) -> libc::sockaddr_in6 {
    let address = path.destination.ip();
    // The kernel wants a scope for link-local addresses only, and there it must agree with the packet information.
    let scoped = address.is_unicast_link_local() || is_link_local_multicast(address);
    let scope_id = match (scoped, path.interface_index) {
        (false, _) => 0,
        (true, 0) => path.destination.scope_id(),
        (true, index) => index,
    };
    libc::sockaddr_in6 {
        sin6_family: ADDRESS_FAMILY,
        sin6_port: path.destination.port().to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: address.octets() },
        sin6_scope_id: scope_id,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the constant is 10")]
const ADDRESS_FAMILY: libc::sa_family_t = libc::AF_INET6 as libc::sa_family_t;

fn is_link_local_multicast(address: &Ipv6Addr) -> bool {
    let octets = address.octets();
    octets[0] == 0xff && octets[1] & 0x0f == 0x02
}

fn packet_info(path: &ReplyPath) -> PacketInfoControl {
    PacketInfoControl {
        header: libc::cmsghdr {
            cmsg_len: CONTROL_LEN,
            cmsg_level: libc::IPPROTO_IPV6,
            cmsg_type: libc::IPV6_PKTINFO,
        },
        info: libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: path.source.unwrap_or(Ipv6Addr::UNSPECIFIED).octets() },
            ipi6_ifindex: path.interface_index,
        },
    }
}
