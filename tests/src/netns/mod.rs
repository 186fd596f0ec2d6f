//! Real DHCPv6 clients and relays against a server under test, in network namespaces.
//!
//! Owns: a private network ([`Lab`]) with its faults and a [`Capture`] of its traffic, processes in it ([`Proc`]),
//! drivers for the clients `dhclient -6` ([`Dhclient`]), `dhcpcd` ([`Dhcpcd`]), `dibbler-client` ([`Dibbler`]), WIDE's
//! `dhcp6c` ([`Wide`]) and `systemd-networkd` ([`Networkd`]), for the relay `dhcrelay -6` ([`relay`]) and for all
//! relays in arrangements ([`relays`]), and the [`scenario`]s that any [`scenario::ServerUnderTest`] can be put
//! through. Refuses to know: the Leasehold crates. Needs root, or what [`in_lab`] then reports as skipped. Invariants:
//! nothing of the host is touched, neither interfaces, addresses, firewall, `/etc`, `/run` nor `/var/lib`; everything
//! is torn down when the [`Lab`] goes, after a panic too, and the remains of killed test runs are swept by the next;
//! every wait is for a condition and bounded.
//!
//! Time of events is seconds since boot as `/proc/uptime` shows it, the one clock that shell hooks read cheaply.

mod capture;
mod client;
mod daemon;
mod dhclient;
mod dhcpcd;
mod dibbler;
mod event;
mod faults;
mod hosts;
mod inside;
mod lab;
mod networkd;
mod node;
mod process;
pub mod relay;
pub mod relays;
pub mod scenario;
mod wide;

pub use capture::{Capture, Datagram};
pub use client::{Ability, Ask, DhcpClient, Message, Outcome, ScriptedClient, Verdicts};
pub use dhclient::Dhclient;
pub use dhcpcd::Dhcpcd;
pub use dibbler::Dibbler;
pub use event::{ClientEvent, Prefix, Reason};
pub use lab::Lab;
pub use networkd::Networkd;
pub use node::{Node, Place, Side};
pub use process::Proc;
pub use wide::Wide;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often a condition is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(20);

/// Runs a test body in a fresh [`Lab`]; where namespaces are not to be had, names the test as skipped instead.
///
/// The line `skipped: <test> needs root` goes to standard error past the test harness's capture, so that a summary
/// can count it.
///
/// # Errors
/// Those of the body, with the ends of all logs of the lab added.
pub fn in_lab(test: &str, body: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    if let Some(reason) = why_not_here() {
        // A test that cannot even say so has nothing better to do than to go on.
        let _ = writeln!(std::io::stderr(), "skipped: {test} {reason}");
        return Ok(());
    }
    let lab = Lab::build()?;
    body(&lab).with_context(|| format!("{test} failed; the logs end with:\n{}", lab.log_tails(60)))
}

/// Why network namespaces cannot be used here, or `None`.
fn why_not_here() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    // A container's root may lack the capability.
    let mut trial = Command::new("unshare");
    trial.args(["--net", "--mount", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    match trial.status() {
        Ok(status) if status.success() => None,
        _ => Some("needs root with CAP_SYS_ADMIN (unshare --net --mount fails here)"),
    }
}

/// Waits until `condition` yields a value, looking every 20 ms.
///
/// # Errors
/// Those of the condition; and when it has yielded nothing within `timeout`, naming `what` was awaited.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        // Judged before looking, so that a look is always taken after the last sleep.
        let late = start.elapsed() >= timeout;
        if let Some(value) = condition().with_context(|| format!("while waiting for {what}"))? {
            return Ok(value);
        }
        if late {
            bail!("waited {timeout:?} in vain for {what}");
        }
        thread::sleep(POLL);
    }
}

/// Time since boot, as `/proc/uptime` shows it, in steps of 10 ms.
///
/// # Errors
/// When `/proc` is not there.
pub fn uptime() -> Result<Duration> {
    let text = fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
    let seconds = text.split(' ').next().unwrap_or_default();
    event::parse_uptime(seconds).with_context(|| format!("/proc/uptime holds {text:?}"))
}
