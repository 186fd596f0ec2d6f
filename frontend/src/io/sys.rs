//! The system calls that have no safe wrapper among the crate's dependencies: `eventfd`, `ppoll`, `recvmmsg`,
//! `sendmmsg`.
//!
//! Why not `nix` for the last two: its `sendmmsg` gives every message of a batch the same control messages, whereas
//! each reply has its own source address and interface; its `recvmmsg` keeps `msg_controllen` as the kernel last
//! shrank it and borrows the buffers for as long as the headers live. (`poll` and `eventfd` are behind features of
//! `nix` that the workspace does not turn on.)
//! Knows nothing of packets. Errors are the bare `Errno`: the callers say what was being done.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

/// Makes a non-blocking, close-on-exec event counter that starts at zero.
#[expect(unsafe_code, reason = "nix has eventfd only behind a feature that the workspace does not enable")]
pub(super) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: eventfd takes no pointers.
    let fd = Errno::result(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
    // SAFETY: `fd` was returned by a successful call just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// One descriptor to wait for, and what for.
#[derive(Clone, Copy)]
pub(super) struct PollFor<'fd> {
    pub(super) fd: BorrowedFd<'fd>,
    /// `libc::POLLIN` or `libc::POLLOUT`.
    pub(super) events: libc::c_short,
}

/// Waits until one of the descriptors is ready (or in error), or the timeout is over.
///
/// Says for each descriptor whether anything, errors included, was reported. An interrupting signal counts as the
/// end of the wait.
#[expect(unsafe_code, reason = "nix has ppoll only behind a feature that the workspace does not enable")]
pub(super) fn poll<const N: usize>(wanted: [PollFor<'_>; N], timeout: Duration) -> Result<[bool; N], Errno> {
    let mut fds = wanted.map(|w| libc::pollfd { fd: w.fd.as_raw_fd(), events: w.events, revents: 0 });
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
    };
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `fds` is an array of `count` initialised entries, `timeout` a valid timespec (nanoseconds below 10^9
    // by `Duration`), both alive during the call; a null signal mask leaves the mask alone.
    let result = unsafe { libc::ppoll(fds.as_mut_ptr(), count, &raw const timeout, std::ptr::null()) };
    match Errno::result(result) {
        Ok(_) => Ok(fds.map(|fd| fd.revents != 0)),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(errno),
    }
}

/// A message header with every field zero and every pointer null.
#[expect(unsafe_code, reason = "msghdr has private padding on some C libraries, so no literal can build it")]
pub(super) fn zeroed_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr holds integers and raw pointers only, for which all zero bits are valid.
    unsafe { std::mem::zeroed() }
}

/// Receives without waiting, one datagram for each header; says how many were filled.
///
/// # Safety
/// In each header `msg_name`, `msg_iov` (with its buffers) and `msg_control` must point to memory that is writable
/// for the lengths stated beside them, or be null with length zero, and not be referenced elsewhere meanwhile.
#[expect(unsafe_code, reason = "see the header of this file")]
pub(super) unsafe fn recvmmsg(fd: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> Result<usize, Errno> {
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the caller vouches for what the headers point to; `headers` has `count` entries; a null timeout is
    // allowed.
    let received = unsafe {
        libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, std::ptr::null_mut())
    };
    Errno::result(received).map(|n| usize::try_from(n).unwrap_or(0))
}

/// Sends without waiting, one datagram for each header; says how many of the first ones left. An error is about the
/// first header.
///
/// # Safety
/// In each header `msg_name`, `msg_iov` (with its buffers) and `msg_control` must point to memory that is readable
/// for the lengths stated beside them, or be null with length zero.
#[expect(unsafe_code, reason = "see the header of this file")]
pub(super) unsafe fn sendmmsg(fd: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> Result<usize, Errno> {
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the caller vouches for what the headers point to; `headers` has `count` entries, and the kernel
    // writes nothing but their `msg_len`.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    Errno::result(sent).map(|n| usize::try_from(n).unwrap_or(0))
}
