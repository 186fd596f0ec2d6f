//! The private network: namespaces, bridges, addresses, and running commands in them.
//!
//! ```text
//!  frontend A, B  eth0 fe80::a, ::b, 2001:db8:1::a, ::b ─┐
//!  relay          up0  fe80::9, 2001:db8:1::9           ─┼─ bridge `near` ─ eth0 of clients placed Direct
//!  relay          down0 fe80::1, 2001:db8:2::1          ─── bridge `far`  ─ eth0 of clients placed Relayed
//!  frontend A, B  eth1 fd00:5::a, ::b                   ─┐
//!  store 1, 2, 3  eth1 fd00:5::1, ::2, ::3              ─┴─ bridge `store`, fd00:5::c for administrators
//! ```
//! Further links and relays between them are added at need ([`Lab::add_bridge`], [`Lab::add_hop`]).
//! All bridges live in a namespace of their own (`core`), so that the host's namespace sees none of this.
//! Refuses to know: what runs in the namespaces. Faults are in `faults`.
//! Invariants: names are unique by process id and a counter; teardown kills what runs in these namespaces only.
//! Duplicate address detection is off (`accept_dad=0` before any interface exists): DHCP clients and servers bind
//! to a link-local address at once, and fail on a tentative one. Multicast snooping is off: no querier is there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::node::{Node, Place, Side};
use super::process::Proc;
use crate::debian::{self, Program};

/// How the lab's temporary folders are named; the process id follows.
const FOLDER_PREFIX: &str = "leasehold-lab-";

/// How long a helper command such as `ip` or `nft` may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A private network, torn down when dropped.
#[derive(Debug)]
pub struct Lab {
    tag: String,
    ip: Program,
    folder: TempDir,
    nodes: RefCell<BTreeSet<Node>>,
    logs: Cell<u32>,
}

impl Lab {
    /// Builds the network, after sweeping what test runs that were killed have left.
    ///
    /// # Errors
    /// Without root, without the `ip` tool, or when the kernel refuses.
    pub fn build() -> Result<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let ip = debian::tool("ip")?;
        sweep(&ip)?;
        let tag = format!("lh{}x{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder =
            tempfile::Builder::new().prefix("leasehold-lab-").tempdir().context("no temporary folder")?;
        let lab = Self { tag, ip, folder, nodes: RefCell::default(), logs: Cell::new(0) };

        lab.add_node(Node::Core)?;
        for bridge in ["near", "far", "store"] {
            lab.add_bridge(bridge)?;
        }
        for side in [Side::A, Side::B] {
            let node = Node::Frontend(side);
            lab.add_node(node)?;
            lab.plug(node, "eth0", "near")?;
            lab.plug(node, "eth1", "store")?;
        }
        for number in 1..=3 {
            let node = Node::Store(number);
            lab.add_node(node)?;
            lab.plug(node, "eth1", "store")?;
        }
        // Cutting off a node, any one, leaves administrators where they are.
        lab.ip(Node::Core, &["addr", "add", "fd00:5::c/64", "dev", "store", "nodad"])?;
        lab.add_node(Node::Relay)?;
        lab.plug(Node::Relay, "up0", "near")?;
        lab.plug(Node::Relay, "down0", "far")?;
        Ok(lab)
    }

    /// Adds a client's namespace; its `eth0` has a link-local address made from its hardware address.
    ///
    /// # Errors
    /// When 255 clients are there already or the kernel refuses.
    pub fn add_client(&self, place: Place) -> Result<Node> {
        self.add_client_on(place.bridge())
    }

    /// The same on a bridge made by [`Lab::add_bridge`].
    ///
    /// # Errors
    /// As [`Lab::add_client`], and when there is no such bridge.
    pub fn add_client_on(&self, bridge: &str) -> Result<Node> {
        let present = self.nodes.borrow().iter().filter(|node| matches!(node, Node::Client(_))).count();
        let node = Node::Client(u8::try_from(present + 1).context("too many clients in one lab")?);
        self.add_node(node)?;
        self.plug(node, "eth0", bridge)?;
        Ok(node)
    }

    /// Adds a namespace for a further relay between two bridges, with an address of its own on each.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_hop(&self, up: (&str, Ipv6Addr), down: (&str, Ipv6Addr)) -> Result<Node> {
        let present = self.nodes.borrow().iter().filter(|node| matches!(node, Node::Hop(_))).count();
        let node = Node::Hop(u8::try_from(present + 1).context("too many relays in one lab")?);
        self.add_node(node)?;
        for (device, (bridge, address)) in [("up0", up), ("down0", down)] {
            self.plug(node, device, bridge)?;
            self.ip(node, &["addr", "add", &format!("{address}/64"), "dev", device, "nodad"])?;
        }
        Ok(node)
    }

    /// A folder for configuration and state files, removed with the lab.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The link-local address of a frontend's `eth0`.
    pub fn link_local(&self, side: Side) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, side.host_part())
    }

    /// The global address of a frontend's `eth0`, to which a relay may unicast.
    pub fn near_address(&self, side: Side) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, side.host_part())
    }

    /// The relay's address on its clients' link: the link-address of what it relays.
    pub fn relay_link_address(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1)
    }

    /// The address of a frontend or store node on the store's network.
    ///
    /// # Errors
    /// For other nodes, which have none.
    pub fn store_address(&self, node: Node) -> Result<Ipv6Addr> {
        let host = match node {
            Node::Frontend(side) => side.host_part(),
            Node::Store(number) => u16::from(number),
            Node::Core | Node::Relay | Node::Hop(_) | Node::Client(_) => {
                bail!("{node} is not on the store's network")
            }
        };
        Ok(Ipv6Addr::new(0xfd00, 5, 0, 0, 0, 0, 0, host))
    }

    /// A command that runs `program` in the namespace of `node`, with a private mount namespace.
    pub fn command(&self, node: Node, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.ip.command();
        command.args(["netns", "exec"]).arg(self.namespace(node)).arg(program);
        command
    }

    /// Starts words, the first being the program, in the namespace of `node`; output goes to a log of the lab.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn<W: AsRef<OsStr>>(&self, node: Node, words: &[W]) -> Result<Proc> {
        let Some((program, rest)) = words.split_first() else { bail!("nothing to run") };
        let mut command = self.command(node, program);
        command.args(rest);
        let path = Path::new(program);
        let short = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.logs.set(self.logs.get() + 1);
        let log = self.folder().join(format!("{:03}-{node}-{short}.log", self.logs.get()));
        Proc::start(&format!("{short} in {node}"), &mut command, &log)
    }

    /// Runs words in the namespace of `node` to their end and returns what they printed.
    ///
    /// # Errors
    /// When the program fails or takes longer than 30 s; the message holds the output.
    pub fn run<W: AsRef<OsStr> + fmt::Debug>(&self, node: Node, words: &[W]) -> Result<String> {
        let mut process = self.spawn(node, words)?;
        let status = process.wait_exit(COMMAND_TIMEOUT)?;
        let output = process.output();
        ensure!(status.success(), "{words:?} in {node} failed ({status}): {output}");
        Ok(output)
    }

    /// The last `lines` lines of every log that is not empty, oldest first.
    pub fn log_tails(&self, lines: usize) -> String {
        let Ok(entries) = fs::read_dir(self.folder()) else { return String::new() };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension() == Some(OsStr::new("log")));
        paths.sort();
        let mut text = String::new();
        for path in paths {
            let bytes = fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = log.lines().collect();
            if let Some(name) = path.file_name().filter(|_| !all.is_empty()) {
                let tail = &all[all.len().saturating_sub(lines)..];
                text += &format!("--- {}\n{}\n", name.to_string_lossy(), tail.join("\n"));
            }
        }
        text
    }

    /// Runs `ip ARGS` in the namespace of `node`.
    pub(super) fn ip(&self, node: Node, args: &[&str]) -> Result<()> {
        let namespace = self.namespace(node);
        ip(&self.ip, &[&["-n", &namespace], args].concat()).map(drop)
    }

    pub(super) fn namespace(&self, node: Node) -> String {
        format!("{}-{node}", self.tag)
    }

    fn add_node(&self, node: Node) -> Result<()> {
        ip(&self.ip, &["netns", "add", &self.namespace(node)])?;
        self.nodes.borrow_mut().insert(node);
        let settings = "for which in all default; do for key in accept_dad accept_ra; do \
                        echo 0 > /proc/sys/net/ipv6/conf/$which/$key; done; done";
        let mut shell = self.command(node, "sh");
        let output = shell.args(["-c", settings]).output().context("cannot run sh")?;
        ensure!(
            output.status.success(),
            "cannot set {node}'s sysctls: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.ip(node, &["link", "set", "lo", "up"])
    }

    /// Joins `node` to a bridge by a pair of interfaces, `device` being the node's end.
    fn plug(&self, node: Node, device: &str, bridge: &str) -> Result<()> {
        let port = format!("{node}-{device}");
        let namespace = self.namespace(node);
        let ends = ["link", "add", &port, "type", "veth", "peer", "name", device, "netns", &namespace];
        self.ip(Node::Core, &ends)?;
        self.ip(Node::Core, &["link", "set", &port, "master", bridge, "up"])?;
        if !self.addresses(node, device).is_empty() {
            self.ip(node, &["link", "set", device, "addrgenmode", "none"])?;
        }
        self.bring_up(node, device)
    }

    /// Brings an interface up with its addresses, all of which the kernel drops when it goes down.
    pub(super) fn bring_up(&self, node: Node, device: &str) -> Result<()> {
        self.ip(node, &["link", "set", device, "up"])?;
        for address in self.addresses(node, device) {
            self.ip(node, &["addr", "replace", &format!("{address}/64"), "dev", device, "nodad"])?;
        }
        Ok(())
    }

    /// The fixed addresses of an interface; clients have none, the kernel makes their link-local ones.
    fn addresses(&self, node: Node, device: &str) -> Vec<Ipv6Addr> {
        match (node, device) {
            (Node::Frontend(side), "eth0") => vec![self.link_local(side), self.near_address(side)],
            (Node::Relay, "up0") => {
                vec![
                    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9),
                    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9),
                ]
            }
            (Node::Relay, "down0") => {
                vec![Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), self.relay_link_address()]
            }
            _ => self.store_address(node).into_iter().collect(),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in self.nodes.borrow().iter() {
            // Nothing can be done about an error here; the next lab sweeps what is left.
            let _ = remove_namespace(&self.ip, &self.namespace(*node));
        }
        if std::thread::panicking() {
            eprintln!("the lab's logs end with:\n{}", self.log_tails(60));
        }
    }
}

/// Runs the `ip` tool to its end and returns what it printed.
fn ip(tool: &Program, args: &[&str]) -> Result<String> {
    let output = tool.command().args(args).output();
    let output = output.with_context(|| format!("cannot run {}", tool.path().display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {}` failed: {}", args.join(" "), complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Kills what runs in a namespace of a lab, and deletes it.
fn remove_namespace(tool: &Program, namespace: &str) -> Result<()> {
    for pid in ip(tool, &["netns", "pids", namespace])?.split_whitespace() {
        if let Ok(pid) = pid.parse() {
            // It may have ended in between.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    ip(tool, &["netns", "del", namespace]).map(drop)
}

/// Removes the namespaces and folders of labs whose test process is no more.
fn sweep(tool: &Program) -> Result<()> {
    // Another test process may be sweeping too, so failures to remove mean nothing.
    for line in ip(tool, &["netns", "list"])?.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let owner = name.strip_prefix("lh").and_then(|rest| rest.split_once('x'));
        if owner.is_some_and(|(pid, _)| is_gone(pid)) {
            let _ = remove_namespace(tool, name);
        }
    }
    let folder = std::env::temp_dir();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?.flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(FOLDER_PREFIX).and_then(|rest| rest.split_once('-'));
        if owner.is_some_and(|(pid, _)| is_gone(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Whether `pid` is a process id, and that of no living process.
fn is_gone(pid: &str) -> bool {
    pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_lab;

    #[test]
    fn a_lab_has_usable_addresses_at_once_and_leaves_nothing() {
        let mut traces = None;
        in_lab("a_lab_has_usable_addresses_at_once_and_leaves_nothing", |lab| {
            let client = lab.add_client(Place::Direct)?;
            for node in [Node::Frontend(Side::A), Node::Frontend(Side::B), Node::Relay, client] {
                let addresses = lab.run(node, &["ip", "-6", "-o", "addr", "show", "scope", "link"])?;
                ensure!(
                    addresses.contains("fe80::") && !addresses.contains("tentative"),
                    "{node}: {addresses}"
                );
            }
            traces = Some((lab.tag.clone(), lab.folder().to_path_buf()));
            Ok(())
        })
        .unwrap();
        if let Some((tag, folder)) = traces {
            let tool = debian::tool("ip").unwrap();
            assert!(!ip(&tool, &["netns", "list"]).unwrap().contains(&tag));
            assert!(!folder.exists());
        }
    }
}
