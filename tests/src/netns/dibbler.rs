//! `dibbler-client` as a client of the lab.
//!
//! Owns: its configuration and its private folders. Refuses to know: servers.
//! Traps:
//! - `/etc/dibbler/client.conf` and `/var/lib/dibbler` are compiled in; both lie in the client's own folder here.
//! - It loads what it held from `client-AddrMgr.xml` when it starts: an address is confirmed, a prefix is solicited anew.
//! - It asks the kernel once, some seconds after it has set an address, whether that is tentative. The kernel has by then
//!   removed a duplicate with a finite lifetime, which it takes for "inconclusive" and keeps: it declines only addresses
//!   without end, which stay and stay tentative.
//! - It dies of a segmentation fault a moment after it has sent a Decline (version 1.0.1).
//! - SIGTERM makes it release and end after the answer, or without it. Until then it takes a second between two looks.
//! - Without `auth-protocol` it renews whenever anybody sends a Reconfigure. With it, and without `auth-methods`, it dies of
//!   a segmentation fault before it sends anything. It prints the digest that it was sent and the one that it expected, and
//!   passes over a Reconfigure where they differ. Replay values of Reconfigures it does not compare, told to or not.
//! - It uses one transaction id again and again for different messages.

use anyhow::Result;

use super::client::{Ability, Ask, DhcpClient, Verdicts};
use super::daemon::{COVER, Daemon};
use super::lab::Lab;
use super::node::Node;
use crate::debian;

/// Reconfigure Accept, and the check of keys.
const RECONFIGURE: &str =
    "reconfigure-accept 1\nauth-protocol reconfigure-key\nauth-methods digest-hmac-md5\n";

/// A `dibbler-client` in a namespace of the lab.
#[derive(Debug)]
pub struct Dibbler<'lab>(Daemon<'lab>);

impl<'lab> Dibbler<'lab> {
    /// Prepares a client in the namespace of `node`, fetching the program if need be. Nothing is started yet.
    ///
    /// # Errors
    /// When the program is not to be had or files cannot be written.
    pub fn new(lab: &'lab Lab, node: Node, ask: Ask) -> Result<Self> {
        let mut program = debian::program("dibbler-client")?.words();
        program.push("run".into());
        let daemon = Daemon::new(lab, node, "dibbler-client", COVER, program)?;
        let asks = match ask {
            Ask::Address => "ia\n",
            Ask::Prefix => "pd\n",
            Ask::Both => "ia\npd\n",
            Ask::Information => "stateless\n",
        };
        let config = format!(
            "log-level 8\nlog-mode full\nduid-type duid-ll\n{RECONFIGURE}\
             iface eth0 {{\n{asks}option dns-server\noption domain\n}}\n"
        );
        daemon.write("etc/dibbler/client.conf", &config)?;
        std::fs::create_dir_all(daemon.folder().join("lib/dibbler"))?;
        Ok(Self(daemon))
    }
}

impl DhcpClient for Dibbler<'_> {
    fn program(&self) -> &'static str {
        "dibbler-client"
    }

    fn lacks(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::ReconfigureOtherwise => Some("version 1.0.1 sends a Renew, whatever it is asked for"),
            Ability::RefuseReplay => Some("version 1.0.1 compares no replay values"),
            Ability::Confirm | Ability::Decline | Ability::Release | Ability::Reconfigure => None,
        }
    }

    fn verdicts(&self) -> Verdicts {
        let output = self.0.output();
        let digests = |label: &str| -> Vec<String> {
            output.lines().filter_map(|line| Some(line.split_once(label)?.1.trim().to_owned())).collect()
        };
        let (received, proper) = (digests("Auth:received digest:"), digests("Auth:  proper digest:"));
        let genuine = received.iter().zip(&proper).filter(|(received, proper)| received == proper).count();
        Verdicts { genuine, refused: received.len().min(proper.len()) - genuine }
    }

    fn start(&mut self) -> Result<()> {
        self.0.remove("lib/dibbler/client-AddrMgr.xml")?;
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
