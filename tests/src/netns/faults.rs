//! Faults of the lab's network: links down, traffic cut or lost.
//!
//! Owns: nftables rules inside the lab's namespaces (table `inet lab`) and the state of its links.
//! Refuses to know: what the traffic is. Invariants: only namespaces of the lab are changed; rules apply to what the
//! node itself receives and sends (hooks input and output); they add up until [`Lab::heal`] removes them all.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::lab::Lab;
use super::node::Node;
use crate::debian;

/// The table and chains, made anew harmlessly if they are there; early, before connection tracking.
const CHAINS: &str = "add table inet lab\n\
    add chain inet lab in { type filter hook input priority -300; policy accept; }\n\
    add chain inet lab out { type filter hook output priority -300; policy accept; }\n";

impl Lab {
    /// Takes a network interface of a node down: carrier and addresses are lost, as when a cable is pulled.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link_down(&self, node: Node, device: &str) -> Result<()> {
        self.ip(node, &["link", "set", device, "down"])
    }

    /// Brings an interface up again, with its fixed addresses.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link_up(&self, node: Node, device: &str) -> Result<()> {
        self.bring_up(node, device)
    }

    /// Pulls a node's cable out at the far end, or puts it in again: the interface loses its carrier and keeps its
    /// addresses.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn carrier(&self, node: Node, device: &str, is_there: bool) -> Result<()> {
        let state = if is_there { "up" } else { "down" };
        self.ip(Node::Core, &["link", "set", &format!("{node}-{device}"), state])
    }

    /// Drops all that a node receives and sends on an interface, silently: carrier stays.
    ///
    /// # Errors
    /// When nft fails.
    pub fn cut(&self, node: Node, device: &str) -> Result<()> {
        let both = format!(
            "add rule inet lab in iifname \"{device}\" drop\nadd rule inet lab out oifname \"{device}\" drop\n"
        );
        self.firewall(node, &both)
    }

    /// Drops `percent` of the packets that a node receives on an interface, and as many of those that it sends.
    ///
    /// # Errors
    /// When `percent` is above 100 or nft fails.
    pub fn lose(&self, node: Node, device: &str, percent: u8) -> Result<()> {
        ensure!(percent <= 100, "{percent} % is more than all");
        let chance = format!("numgen random mod 100 < {percent} drop");
        let both = format!(
            "add rule inet lab in iifname \"{device}\" {chance}\n\
             add rule inet lab out oifname \"{device}\" {chance}\n"
        );
        self.firewall(node, &both)
    }

    /// Adds rules, lines of nft's language for the chains `in` and `out` of the table `inet lab`, to a node:
    /// for cuts between two particular nodes, `add rule inet lab in ip6 saddr fd00:5::2 drop`.
    ///
    /// # Errors
    /// When nft fails; the message holds what it said.
    pub fn firewall(&self, node: Node, rules: &str) -> Result<()> {
        self.nft(node, &format!("{CHAINS}{rules}"))
    }

    /// Removes all rules of a node.
    ///
    /// # Errors
    /// When nft fails.
    pub fn heal(&self, node: Node) -> Result<()> {
        self.nft(node, "add table inet lab\ndelete table inet lab\n")
    }

    fn nft(&self, node: Node, script: &str) -> Result<()> {
        let path = self.folder().join(format!("{node}.nft"));
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        let mut words = debian::tool("nft")?.words();
        words.extend(["-f".into(), path.into_os_string()]);
        self.run(node, &words).map(drop)
    }
}
