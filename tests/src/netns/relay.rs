//! ISC `dhcrelay -6` in the lab's relay namespace.
//!
//! Owns: its command line. Refuses to know: clients, and which server answers.
//! Traps:
//! - Given an interface alone it sends to ff05::1:3 (All_DHCP_Servers), which a server need not have joined: Kea does
//!   not. [`Upstream::RelayAgentsAndServers`] sends to ff02::1:2 instead.
//! - The first global address of the lower interface becomes the link-address.
//! - It binds to port 547 on all interfaces of its namespace, so there is one relay in a lab.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::Result;

use super::lab::Lab;
use super::node::Node;
use super::process::Proc;
use crate::debian;

/// How long the relay may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the relay sends what clients send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// To the multicast group ff05::1:3 (All_DHCP_Servers), its default.
    Servers,
    /// To the multicast group ff02::1:2 (All_DHCP_Relay_Agents_and_Servers).
    RelayAgentsAndServers,
    /// To each of these addresses.
    Unicast(Vec<Ipv6Addr>),
}

impl Upstream {
    /// The operands of `dhcrelay -u`, by way of `up0`.
    pub(super) fn targets(&self) -> Vec<String> {
        match self {
            Self::Servers => vec!["up0".to_owned()],
            Self::RelayAgentsAndServers => vec!["ff02::1:2%up0".to_owned()],
            Self::Unicast(servers) => servers.iter().map(|server| format!("{server}%up0")).collect(),
        }
    }
}

/// Starts the relay between the clients placed behind it and the frontends; returns once it listens.
///
/// # Errors
/// When the program is not to be had or does not start.
pub fn start(lab: &Lab, upstream: &Upstream) -> Result<Proc> {
    let mut words = debian::program("dhcrelay")?.words();
    words.extend(["-6", "-d", "--no-pid", "-l", "down0"].map(OsString::from));
    for target in upstream.targets() {
        words.extend(["-u".into(), target.into()]);
    }
    let mut relay = lab.spawn(Node::Relay, &words)?;
    relay.wait_output("Sending on   Socket/down0", START_TIMEOUT)?;
    Ok(relay)
}
