//! WIDE's `dhcp6c` as a client of the lab.
//!
//! Owns: its configuration and its private folders. Refuses to know: servers.
//! Traps:
//! - Its DUID lies in `/var/lib/dhcpv6`, which is compiled in. Nothing else is kept: when it starts it solicits.
//! - It sends a message for each IA, never two IAs in one. Each is released in a message of its own at SIGTERM.
//! - It takes no T1 below three tenths and no T2 below half of the valid lifetime: those that are it moves up.
//! - It sets addresses without a lifetime, does no duplicate address detection, and has no code that sends a Decline or
//!   a Confirm.

use anyhow::Result;

use super::client::{Ability, Ask, DhcpClient};
use super::daemon::{COVER, Daemon};
use super::lab::Lab;
use super::node::Node;
use crate::debian;

/// A `dhcp6c` in a namespace of the lab.
#[derive(Debug)]
pub struct Wide<'lab>(Daemon<'lab>);

impl<'lab> Wide<'lab> {
    /// Prepares a client in the namespace of `node`, fetching the program if need be. Nothing is started yet.
    ///
    /// # Errors
    /// When the program is not to be had or files cannot be written.
    pub fn new(lab: &'lab Lab, node: Node, ask: Ask) -> Result<Self> {
        let mut program = debian::program("dhcp6c")?.words();
        program
            .extend(["-D", "-f", "-c", "/etc/dhcp6c.conf", "-p", "/run/dhcp6c.pid", "eth0"].map(Into::into));
        let daemon = Daemon::new(lab, node, "dhcp6c", COVER, program)?;
        let (sends, associations) = match ask {
            Ask::Address => ("send ia-na 1;\n", "id-assoc na 1 { };\n"),
            Ask::Prefix => ("send ia-pd 2;\n", "id-assoc pd 2 { };\n"),
            Ask::Both => ("send ia-na 1;\nsend ia-pd 2;\n", "id-assoc na 1 { };\nid-assoc pd 2 { };\n"),
            Ask::Information => ("information-only;\n", ""),
        };
        let requests = "request domain-name-servers;\nrequest domain-name;\n";
        daemon
            .write("etc/dhcp6c.conf", &format!("interface eth0 {{\n{sends}{requests}}};\n{associations}"))?;
        std::fs::create_dir_all(daemon.folder().join("lib/dhcpv6"))?;
        Ok(Self(daemon))
    }
}

impl DhcpClient for Wide<'_> {
    fn program(&self) -> &'static str {
        "WIDE dhcp6c"
    }

    fn lacks(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::Confirm => Some("it keeps no leases on disk and never sends a Confirm"),
            Ability::Decline => Some("it detects no duplicates and never sends a Decline"),
            Ability::Reconfigure | Ability::ReconfigureOtherwise | Ability::RefuseReplay => {
                Some("its code calls this not supported yet")
            }
            Ability::Release => None,
        }
    }

    fn start(&mut self) -> Result<()> {
        self.0.start()
    }

    fn crash(&mut self) -> Result<()> {
        self.0.crash()
    }

    fn has_ended(&mut self) -> Result<bool> {
        self.0.has_ended()
    }

    fn restart(&mut self) -> Result<()> {
        self.0.start()
    }

    fn release(&mut self) -> Result<()> {
        self.0.end()
    }
}
