//! What becomes of clients' namespaces beyond their making: addresses, duplicates, other links; and further links.
//!
//! Owns: the commands for it. Refuses to know: DHCP. Invariants: those of `lab`.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use anyhow::{Context as _, Result};

use super::lab::Lab;
use super::node::{Node, Place};

impl Lab {
    /// Adds a bridge, a link of its own, to which relays and clients can be joined.
    ///
    /// # Errors
    /// When it is there already or the kernel refuses.
    pub fn add_bridge(&self, name: &str) -> Result<()> {
        self.ip(Node::Core, &["link", "add", name, "type", "bridge", "mcast_snooping", "0"])?;
        self.ip(Node::Core, &["link", "set", name, "up"])
    }

    /// The link-local address that the kernel made for a client's `eth0`.
    ///
    /// # Errors
    /// When there is none.
    pub fn link_local_of(&self, client: Node) -> Result<Ipv6Addr> {
        let found = self.addresses_of(client, "link")?;
        found.first().copied().with_context(|| format!("{client} has no link-local address"))
    }

    /// The global addresses of a client's `eth0` that are in use: neither tentative nor found to be duplicates.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn global_addresses(&self, client: Node) -> Result<BTreeSet<Ipv6Addr>> {
        Ok(self.addresses_of(client, "global")?.into_iter().collect())
    }

    fn addresses_of(&self, client: Node, scope: &str) -> Result<Vec<Ipv6Addr>> {
        let words = ["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", scope, "-tentative"];
        let output = self.command(client, words[0]).args(&words[1..]).output().context("cannot run ip")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let address = |line: &str| {
            let (_, rest) = line.split_once("inet6 ")?;
            rest.split('/').next()?.parse().ok()
        };
        Ok(text.lines().filter_map(address).collect())
    }

    /// Removes a client's global addresses, as a restart of its machine does.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget_addresses(&self, client: Node) -> Result<()> {
        self.ip(client, &["-6", "addr", "flush", "dev", "eth0", "scope", "global"])
    }

    /// Gives a client an address by hand, which it defends from then on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn own(&self, client: Node, address: Ipv6Addr) -> Result<()> {
        self.ip(client, &["addr", "add", &format!("{address}/128"), "dev", "eth0", "nodad"])
    }

    /// Turns duplicate address detection on for what a client's `eth0` is given from now on.
    ///
    /// # Errors
    /// When the setting cannot be written.
    pub fn detect_duplicates(&self, client: Node) -> Result<()> {
        let setting = "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_dad";
        self.run(client, &["sh", "-c", setting]).map(drop)
    }

    /// Carries a client over to another link: its cable is pulled out here and put in there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn carry(&self, client: Node, place: Place) -> Result<()> {
        let port = format!("{client}-eth0");
        self.ip(Node::Core, &["link", "set", &port, "master", place.bridge()])
    }
}
