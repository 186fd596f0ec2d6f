//! Reads every UDP datagram that passes one of the lab's bridges: the checker's eyes, which no process can deceive.
//!
//! Owns: a packet socket in the namespace of the bridges, the thread that reads it, and IPv6 and UDP headers.
//! Refuses to know: what the datagrams say. In: the name of a bridge. Out: a call for each [`Datagram`], in order.
//! Invariants: what the kernel had to drop because the reader was late is counted ([`Capture::stop`]), so that "nothing
//! was seen" never means "nothing was read"; the thread ends with the value.
//! A time is that at which the kernel saw the frame, of one clock for all namespaces. Source: packet(7).

use std::io::IoSliceMut;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike as _};

use super::lab::Lab;
use super::node::Node;

/// Room for frames while the reader does not get the processor, octets.
const BUFFER_LEN: usize = 16 << 20;
/// How long the reader may sit in one call: the time that its end may take.
const READ_TIMEOUT_MS: i64 = 100;
/// The longest IPv6 packet that is not a jumbogram, octets.
const PACKET_LEN_MAX: usize = 65_575;

const IPV6_HEADER_LEN: usize = 40;
const UDP_HEADER_LEN: usize = 8;
const NEXT_HEADER_UDP: u8 = 17;

/// One UDP datagram, as it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When the kernel saw it: time since the epoch of the lab's machine, for spans only.
    pub at: Duration,
    /// Where it came from.
    pub source: (Ipv6Addr, u16),
    /// Where it goes.
    pub destination: (Ipv6Addr, u16),
    /// What it holds.
    pub payload: &'a [u8],
}

/// A capture under way; it ends when this value goes.
#[derive(Debug)]
pub struct Capture {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u32>>>,
}

impl Lab {
    /// Captures what passes a bridge (`near`, `far` or `store`), from now on. Fragments are not put together: DHCPv6
    /// messages of this lab fit into one frame.
    ///
    /// # Errors
    /// When there is no such bridge or the kernel refuses.
    pub fn capture(
        &self,
        bridge: &str,
        mut see: impl FnMut(&Datagram<'_>) + Send + 'static,
    ) -> Result<Capture> {
        // A bridge hands up what it forwards only while it is promiscuous.
        self.ip(Node::Core, &["link", "set", bridge, "promisc", "on"])?;
        let socket = self.inside(Node::Core, || open(bridge))?;
        let socket = socket.with_context(|| format!("cannot capture on the bridge {bridge}"))?;
        let ending = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ending);
        let thread = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || read(&socket, &end, &mut see))
            .context("no thread for the capture")?;
        Ok(Capture { ending, thread: Some(thread) })
    }
}

impl Capture {
    /// Ends the capture and returns how many frames the kernel dropped unread.
    ///
    /// # Errors
    /// Those of the socket while it was read.
    pub fn stop(mut self) -> Result<u32> {
        self.ending.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("a capture is stopped once")?;
        thread.join().map_err(|_| anyhow!("the capture's thread panicked"))?
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its own error does not matter to whoever leaves it unread.
            let _ = thread.join();
        }
    }
}

/// A packet socket of one interface of this thread's namespace; it hands up packets from their IPv6 header on.
#[expect(unsafe_code, reason = "neither std nor nix can open and bind a packet socket")]
fn open(interface: &str) -> Result<OwnedFd> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    let ethertype = u16::try_from(libc::ETH_P_IPV6)?.to_be();
    // Protocol 0 hears nothing until it is bound to the interface, so no frame of another one slips in.
    // SAFETY: no pointer is passed; what is returned is a new descriptor that nobody else owns.
    let socket = unsafe {
        let number = Errno::result(libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        OwnedFd::from_raw_fd(number)
    };
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_LEN)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(READ_TIMEOUT_MS))?;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET)?,
        sll_protocol: ethertype,
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the pointer is to a live sockaddr_ll and the length is its own.
    Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// How many frames the kernel has dropped at a packet socket since this was asked last.
#[expect(unsafe_code, reason = "nix does not know PACKET_STATISTICS")]
fn dropped(socket: &OwnedFd) -> Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>())?;
    // SAFETY: both pointers are to live values, and the length is that of the first.
    Errno::result(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    })?;
    Ok(statistics.tp_drops)
}

/// Reads until the end is called for and nothing is left, and returns how many frames were dropped unread.
fn read(socket: &OwnedFd, ending: &AtomicBool, see: &mut dyn FnMut(&Datagram<'_>)) -> Result<u32> {
    let mut buffer = vec![0; PACKET_LEN_MAX];
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        // Asked before reading, so that what passed before the end was called for is read.
        let last = ending.load(Ordering::Relaxed);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = if last { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
        let (length, at) = match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
            Ok(message) => (message.bytes, stamp(message.cmsgs()?)),
            Err(Errno::EAGAIN) if last => return dropped(socket),
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(errno) => return Err(errno).context("cannot read the capture's socket"),
        };
        ensure!(at.is_some(), "the kernel gave a frame no time");
        if let (Some(at), Some(packet)) = (at, buffer.get(..length))
            && let Some(datagram) = datagram(at, packet)
        {
            see(&datagram);
        }
    }
}

fn stamp(mut controls: impl Iterator<Item = ControlMessageOwned>) -> Option<Duration> {
    controls.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })
}

/// The UDP datagram in an IPv6 packet without extension headers.
fn datagram(at: Duration, packet: &[u8]) -> Option<Datagram<'_>> {
    let (header, rest) = packet.split_at_checked(IPV6_HEADER_LEN)?;
    if header[0] >> 4 != 6 || header[6] != NEXT_HEADER_UDP {
        return None;
    }
    let address = |at: usize| {
        let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets))
    };
    let (udp, body) = rest.split_at_checked(UDP_HEADER_LEN)?;
    let number = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    // Frames are padded: the length in the header counts.
    let payload = body.get(..usize::from(number(4)).checked_sub(UDP_HEADER_LEN)?)?;
    Some(Datagram { at, source: (address(8)?, number(0)), destination: (address(24)?, number(2)), payload })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::mpsc;

    use super::*;
    use crate::netns::{Place, in_lab};

    #[test]
    fn what_passes_between_two_others_is_seen_once() {
        in_lab("what_passes_between_two_others_is_seen_once", |lab| {
            let client = lab.add_client(Place::Direct)?;
            let (sender, seen) = mpsc::channel();
            let capture = lab.capture("near", move |datagram| {
                if datagram.destination.1 == 5007 {
                    // The test may be over already.
                    let _ = sender.send(datagram.payload.to_vec());
                }
            })?;
            let index = lab.inside(client, || nix::net::if_::if_nametoindex("eth0"))??;
            let socket = lab.inside(client, || UdpSocket::bind("[::]:0"))??;
            for word in ["one", "two"] {
                let target = std::net::SocketAddrV6::new("ff02::1:2".parse()?, 5007, 0, index);
                socket.send_to(word.as_bytes(), target)?;
            }
            assert_eq!(seen.recv_timeout(Duration::from_secs(5))?, b"one");
            assert_eq!(seen.recv_timeout(Duration::from_secs(5))?, b"two");
            assert_eq!(capture.stop()?, 0);
            assert!(seen.try_recv().is_err(), "a datagram was seen twice");
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn what_is_no_udp_datagram_is_passed_over() {
        let mut packet = vec![0; IPV6_HEADER_LEN + UDP_HEADER_LEN + 3];
        packet[0] = 0x60;
        packet[6] = NEXT_HEADER_UDP;
        packet[IPV6_HEADER_LEN + 3] = 99;
        packet[IPV6_HEADER_LEN + 5] = 10;
        let seen = datagram(Duration::ZERO, &packet).unwrap();
        assert_eq!((seen.destination.1, seen.payload.len()), (99, 2), "padding is no payload");
        for (at, octet) in [(0, 0x40), (6, 58), (IPV6_HEADER_LEN + 5, 7), (IPV6_HEADER_LEN + 5, 12)] {
            let mut other = packet.clone();
            other[at] = octet;
            assert_eq!(datagram(Duration::ZERO, &other), None);
        }
        assert_eq!(datagram(Duration::ZERO, &packet[..45]), None);
    }
}
