//! Roy Marples' `dhcpcd` as a client of the lab, DHCPv6 only.
//!
//! Owns: its command line, configuration, script and private folders. Refuses to know: servers.
//! Traps:
//! - Its folders are compiled in: `/var/lib/dhcpcd` (DUID, leases) and `/run/dhcpcd` (pid, sockets). In the private
//!   mount namespace that `ip netns exec` makes anyway, memory file systems cover `/var/lib` and `/run`, and a folder
//!   of the lab is `/var/lib/dhcpcd`. The program is copied first, lest its own folder be covered.
//! - It drops privileges to a user `dhcpcd` and into a chroot where that user exists; a copy of `/etc/passwd` without
//!   it, bound over the real one likewise, makes all machines behave alike: it says `no such user` and goes on.
//! - Without `noipv6rs` it waits for a router's advertisement before it solicits. `nodev` keeps udev out.
//! - SIGHUP makes it start over from its lease, which for a lease with a prefix is a Rebind (script reason
//!   RECONFIGURE, then REBIND6). SIGALRM makes it release and end; it sends one Release and awaits no answer.
//!   SIGTERM removes addresses and sends nothing.
//! - It leaves duplicate address detection to the kernel, and takes no notice of what that finds (seen with 9.4.1): of a
//!   duplicate that stays tentative it waits for the end, one that the kernel removed it sets anew when it renews.
//! - It says Reconfigure Accept only where it is told to ask for that option, and then asks for those options only that it was
//!   told by their names in DHCPv6. Of a Reconfigure it checks the digest, and that the replay value is not the last one
//!   (9.4.1 means to refuse all that are not higher, and compares without a sign).
//! - It delays its first Solicit by up to a second (RFC 9915 §18.2.1, SOL_MAX_DELAY).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::client::{Ability, Ask, DhcpClient, Message, ScriptedClient, Verdicts};
use super::event::{ClientEvent, RECORD, parse_events};
use super::lab::Lab;
use super::node::Node;
use super::process::Proc;
use crate::debian;

/// How long the program may take to end after its release.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(20);

/// No other protocol, nothing outside the lab touched; what is asked for follows.
const CONFIG: &str = "duid\nipv6only\nnoipv6rs\nnodev\nnohook resolv.conf, hostname, timesyncd\n\
    option dhcp6_name_servers, dhcp6_domain_search, dhcp6_reconfigure_accept\ninterface eth0\nipv6\n";

/// Covers the compiled-in folders and becomes the program; `$1` is the client's folder.
const LAUNCH: &str = r#"#!/bin/sh
set -e
folder=$1
shift
mount -t tmpfs lab /var/lib
mkdir /var/lib/dhcpcd
mount --bind "$folder/lib" /var/lib/dhcpcd
mount -t tmpfs lab /run
mkdir /run/dhcpcd
grep -v -E '^_?dhcpcd:' /etc/passwd > "$folder/passwd"
mount --bind "$folder/passwd" /etc/passwd
exec "$@"
"#;

/// A `dhcpcd` in a namespace of the lab.
#[derive(Debug)]
pub struct Dhcpcd<'lab> {
    lab: &'lab Lab,
    node: Node,
    words: Vec<OsString>,
    folder: PathBuf,
    running: Option<Proc>,
    past_output: String,
}

impl<'lab> Dhcpcd<'lab> {
    /// Prepares a client in the namespace of `node`, fetching the program if need be. Nothing is started yet.
    ///
    /// # Errors
    /// When the program is not to be had or files cannot be written.
    pub fn new(lab: &'lab Lab, node: Node, ask: Ask) -> Result<Self> {
        let program = debian::program("dhcpcd")?;
        let folder = lab.folder().join(format!("dhcpcd-{node}"));
        fs::create_dir_all(folder.join("lib"))
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let copy = folder.join("dhcpcd");
        fs::copy(program.path(), &copy)
            .with_context(|| format!("cannot copy {}", program.path().display()))?;
        let events = folder.join("events");
        let script = format!("#!/bin/sh\nevents={}\n{RECORD}exit 0\n", events.display());
        let asks = match ask {
            Ask::Address => "ia_na 1\n",
            Ask::Prefix => "ia_pd 2\n",
            Ask::Both => "ia_na 1\nia_pd 2\n",
            Ask::Information => "inform6\n",
        };
        let config = format!("{CONFIG}{asks}");
        for (name, text) in [("config", config.as_str()), ("launch", LAUNCH), ("script", &script)] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {} executable", path.display()))?;
        }
        let mut words: Vec<OsString> = vec![folder.join("launch").into(), folder.clone().into()];
        words.push(copy.into());
        words.extend(["-6", "-B", "-d", "-f"].map(OsString::from));
        words.extend([
            folder.join("config").into(),
            "-c".into(),
            folder.join("script").into(),
            "eth0".into(),
        ]);
        Ok(Self { lab, node, words, folder, running: None, past_output: String::new() })
    }
}

impl Dhcpcd<'_> {
    /// All that it has printed since [`DhcpClient::start`].
    fn output(&self) -> String {
        self.past_output.clone() + &self.running.as_ref().map(Proc::output).unwrap_or_default()
    }
}

impl DhcpClient for Dhcpcd<'_> {
    fn program(&self) -> &'static str {
        "dhcpcd"
    }

    fn lacks(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::Decline => {
                Some("version 9.4.1 hears the kernel's verdict on a duplicate and does nothing about it")
            }
            Ability::ReconfigureOtherwise => {
                Some("version 9.4.1 takes none for a Rebind, nor with a lease one for an Information-request")
            }
            Ability::Confirm | Ability::Release | Ability::Reconfigure | Ability::RefuseReplay => None,
        }
    }

    fn verdicts(&self) -> Verdicts {
        let output = self.output();
        Verdicts {
            genuine: output.matches("validated using").count(),
            refused: output.matches("authentication failed from").count(),
        }
    }

    fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "dhcpcd is running already");
        let lease = self.folder.join("lib/eth0.lease6");
        if lease.exists() {
            fs::remove_file(&lease).with_context(|| format!("cannot remove {}", lease.display()))?;
        }
        fs::write(self.folder.join("events"), "").context("cannot write the event file")?;
        self.past_output.clear();
        self.running = Some(self.lab.spawn(self.node, &self.words)?);
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        let mut process = self.running.take().context("dhcpcd is not running")?;
        if let Some(status) = process.status()? {
            anyhow::bail!("dhcpcd has ended by itself ({status}): {}", process.output());
        }
        process.kill()?;
        self.past_output += &process.output();
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool> {
        let Some(process) = &mut self.running else { return Ok(false) };
        let ended = process.status()?.is_some();
        if ended {
            self.past_output += &process.output();
            self.running = None;
        }
        Ok(ended)
    }

    fn restart(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "dhcpcd is running already");
        self.running = Some(self.lab.spawn(self.node, &self.words)?);
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        let mut process = self.running.take().context("dhcpcd is not running")?;
        process.signal(Signal::SIGALRM)?;
        process.wait_exit(RELEASE_TIMEOUT)?;
        self.past_output += &process.output();
        ensure!(self.sent(Message::Release) > 0, "dhcpcd sent no Release:\n{}", process.output());
        Ok(())
    }
}

impl ScriptedClient for Dhcpcd<'_> {
    fn rebind_now(&mut self) -> Result<()> {
        self.running.as_mut().context("dhcpcd is not running")?.signal(Signal::SIGHUP)
    }

    fn sent(&self, message: Message) -> usize {
        let words = match message {
            Message::Solicit => "casting SOLICIT6 (",
            Message::Renew => "casting RENEW6 (",
            Message::Rebind => "casting REBIND6 (",
            Message::Release => "casting RELEASE6 (",
        };
        self.output().matches(words).count()
    }

    fn events(&self) -> Result<Vec<ClientEvent>> {
        let path = self.folder.join("events");
        parse_events(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)
    }
}
