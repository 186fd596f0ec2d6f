//! `systemd-networkd` as a client of the lab, DHCPv6 only, without systemd, D-Bus or udev.
//!
//! Owns: its configuration and its private folders. Refuses to know: servers.
//! Traps:
//! - It waits for udev to call an interface initialized, unless `/sys` is read-only, which it takes for a container.
//! - It drops privileges to a user `systemd-network`: here another name of root, in a private `/etc/passwd`.
//! - Its DUID is made from the machine's id, of which each client has one of its own.
//! - It waits for the bus's socket to appear, and does without until then.
//! - Without `WithoutRA=` it waits for a router's advertisement.
//! - Its timers for T1 and T2 may be ten seconds late, so that an interval between the two that is shorter makes it send
//!   no Renew at all.
//! - As of version 252 it sends neither Release, Decline nor Confirm, and knows nothing of Reconfigure: at SIGTERM it removes what it has set.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::client::{Ability, Ask, DhcpClient};
use super::daemon::Daemon;
use super::lab::Lab;
use super::node::Node;
use crate::debian;

/// Why it cannot do what it cannot do.
const LACKS: &str = "version 252 has no code that sends one";
const LACKS_RECONFIGURE: &str = "version 252 has no code for it";

/// What it finds in `/run` and `/etc`, and a system whose devices nobody but itself names.
const LAUNCH: &str = r#"mount -t tmpfs lab /run
mkdir -p /run/systemd/network /run/systemd/netif
cp "$folder/eth0.network" /run/systemd/network/
mkdir -p "$folder/etc"
for name in group nsswitch.conf ld.so.cache; do
    if [ -e "/etc/$name" ]; then cp "/etc/$name" "$folder/etc/"; fi
done
echo 'root:x:0:0::/:/bin/sh' > "$folder/etc/passwd"
echo 'systemd-network:x:0:0::/:/bin/sh' >> "$folder/etc/passwd"
mount --bind "$folder/etc" /etc
mount -o remount,ro,bind /sys
"#;

/// A `systemd-networkd` in a namespace of the lab.
#[derive(Debug)]
pub struct Networkd<'lab>(Daemon<'lab>);

impl<'lab> Networkd<'lab> {
    /// Prepares a client in the namespace of `node`, fetching the program if need be. Nothing is started yet.
    ///
    /// # Errors
    /// When the program is not to be had or files cannot be written.
    pub fn new(lab: &'lab Lab, node: Node, ask: Ask) -> Result<Self> {
        let mut program: Vec<_> = vec!["env".into()];
        program.extend(["SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console"].map(Into::into));
        program.extend(debian::program("systemd-networkd")?.words());
        let daemon = Daemon::new(lab, node, "systemd-networkd", LAUNCH, program)?;
        let begin = if ask == Ask::Information { "information-request" } else { "solicit" };
        let yes_no = |yes: bool| if yes { "yes" } else { "no" };
        let (address, prefix) = (yes_no(ask.has_address()), yes_no(ask.has_prefix()));
        let config = format!(
            "[Match]\nName=eth0\n[Network]\nDHCP=ipv6\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n\
             [DHCPv6]\nWithoutRA={begin}\nUseAddress={address}\nUseDelegatedPrefix={prefix}\n"
        );
        daemon.write("eth0.network", &config)?;
        let random = fs::read_to_string("/proc/sys/kernel/random/uuid").context("no random UUID")?;
        daemon.write("etc/machine-id", &format!("{}\n", random.trim().replace('-', "")))?;
        Ok(Self(daemon))
    }
}

impl DhcpClient for Networkd<'_> {
    fn program(&self) -> &'static str {
        "systemd-networkd"
    }

    fn lacks(&self, ability: Ability) -> Option<&'static str> {
        Some(match ability {
            Ability::Confirm | Ability::Decline | Ability::Release => LACKS,
            Ability::Reconfigure | Ability::ReconfigureOtherwise | Ability::RefuseReplay => LACKS_RECONFIGURE,
        })
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
        bail!("systemd-networkd does not release")
    }
}
