//! ISC `dhclient -6` as a client of the lab.
//!
//! Owns: its command line, files and script. Refuses to know: servers.
//! Traps:
//! - It binds to a link-local address and gives up when that is missing or tentative (the lab turns detection off).
//! - With `-N -P` it asks for an address and a prefix in one exchange. Its script runs once for each.
//! - It leaves duplicate address detection to its script: one that exits with 3 on BOUND6, REBIND6 or REBOOT6 makes it
//!   decline. Debian's script never does; ours waits for the kernel's verdict. Where detection is on, the kernel removes
//!   a duplicate that has a finite lifetime, and marks one that has not.
//! - Its DUID lies among its leases; `-D LL` makes it the same after they are lost.
//! - It cannot be told to rebind while it runs. Killed (SIGKILL, so that nothing is sent) and started anew with a
//!   lease file that holds a prefix it sends a Rebind (RFC 9915 §18.2.12: a delegated prefix is verified by Rebind);
//!   with addresses only it would send a Confirm.
//! - Release is a second run with `-r` and the same files, once the first is gone. It sends one Release and ends
//!   without awaiting an answer, contrary to RFC 9915 §18.2.7, so a lost one is not repeated.
//! - Paths given to it must be absolute, and the lease file must exist.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::{Ability, Ask, DhcpClient, Message, ScriptedClient};
use super::event::{ClientEvent, RECORD, parse_events};
use super::lab::Lab;
use super::node::Node;
use super::process::Proc;
use crate::debian::{self, Program};

/// How long the program may take to end after its release.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(20);

/// Applies what the client was given, so that the address is really there; a test reads the record.
const APPLY: &str = r#"case "$reason" in
PREINIT6) ip link set "$interface" up ;;
BOUND6 | RENEW6 | REBIND6 | REBOOT6)
    if [ -n "$new_ip6_address" ]; then
        ip -6 addr replace "$new_ip6_address/128" dev "$interface" \
            valid_lft "$new_max_life" preferred_lft "$new_preferred_life"
        state() { ip -6 -o addr show dev "$interface" to "$new_ip6_address/128"; }
        while state | grep tentative | grep -q -v dadfailed; do sleep 0.05; done
        if ! state | grep -q -v dadfailed; then
            ip -6 addr del "$new_ip6_address/128" dev "$interface"
            exit 3
        fi
    fi ;;
EXPIRE6 | RELEASE6 | STOP6)
    if [ -n "$old_ip6_address" ]; then ip -6 addr del "$old_ip6_address/128" dev "$interface"; fi ;;
esac
exit 0
"#;

/// A `dhclient -6` in a namespace of the lab.
#[derive(Debug)]
pub struct Dhclient<'lab> {
    lab: &'lab Lab,
    node: Node,
    program: Program,
    ask: Ask,
    folder: PathBuf,
    running: Option<Proc>,
    past_output: String,
}

impl<'lab> Dhclient<'lab> {
    /// Prepares a client in the namespace of `node`, fetching the program if need be. Nothing is started yet.
    ///
    /// # Errors
    /// When the program is not to be had or files cannot be written.
    pub fn new(lab: &'lab Lab, node: Node, ask: Ask) -> Result<Self> {
        let program = debian::program("dhclient")?;
        let folder = lab.folder().join(format!("dhclient-{node}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let client = Self { lab, node, program, ask, folder, running: None, past_output: String::new() };
        client.write("config", "also request dhcp6.name-servers, dhcp6.domain-search;\n")?;
        let events = client.folder.join("events");
        client.write("script", &format!("#!/bin/sh\nevents={}\n{RECORD}{APPLY}", events.display()))?;
        let script = client.folder.join("script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .context("cannot make a script executable")?;
        Ok(client)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn spawn(&self, first: &[&str]) -> Result<Proc> {
        let mut words = self.program.words();
        words.extend(["-6", "-d", "-v", "-D", "LL"].map(OsString::from));
        let asks: &[&str] = match self.ask {
            Ask::Address => &["-N"],
            Ask::Prefix => &["-P"],
            Ask::Both => &["-N", "-P"],
            Ask::Information => &["-S"],
        };
        words.extend(asks.iter().map(OsString::from));
        words.extend(first.iter().map(OsString::from));
        for (option, name) in [("-cf", "config"), ("-lf", "leases"), ("-pf", "pid"), ("-sf", "script")] {
            words.extend([option.into(), self.folder.join(name).into_os_string()]);
        }
        words.push("eth0".into());
        self.lab.spawn(self.node, &words)
    }
}

impl DhcpClient for Dhclient<'_> {
    fn program(&self) -> &'static str {
        "dhclient -6"
    }

    fn lacks(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::Confirm | Ability::Decline | Ability::Release => None,
            Ability::Reconfigure | Ability::ReconfigureOtherwise | Ability::RefuseReplay => {
                Some("version 4.4.3 has no code that takes one")
            }
        }
    }

    fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "dhclient is running already");
        for name in ["leases", "events"] {
            self.write(name, "")?;
        }
        self.past_output.clear();
        self.running = Some(self.spawn(&[])?);
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        let mut process = self.running.take().context("dhclient is not running")?;
        if let Some(status) = process.status()? {
            anyhow::bail!("dhclient has ended by itself ({status}): {}", process.output());
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
        ensure!(self.running.is_none(), "dhclient is running already");
        self.running = Some(self.spawn(&[])?);
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.crash()?;
        // Left behind by the kill; -r would signal whoever has that process id by now.
        let pid_file = self.folder.join("pid");
        if pid_file.exists() {
            fs::remove_file(&pid_file).with_context(|| format!("cannot remove {}", pid_file.display()))?;
        }
        let mut process = self.spawn(&["-r"])?;
        let status = process.wait_exit(RELEASE_TIMEOUT)?;
        self.past_output += &process.output();
        ensure!(status.success(), "dhclient -r failed ({status}): {}", process.output());
        Ok(())
    }
}

impl ScriptedClient for Dhclient<'_> {
    fn rebind_now(&mut self) -> Result<()> {
        self.crash()?;
        self.restart()
    }

    fn sent(&self, message: Message) -> usize {
        let line = match message {
            Message::Solicit => "XMT: Solicit on",
            Message::Renew => "XMT: Renew on",
            Message::Rebind => "XMT: Rebind on",
            Message::Release => "XMT: Release on",
        };
        let current = self.running.as_ref().map(Proc::output).unwrap_or_default();
        self.past_output.matches(line).count() + current.matches(line).count()
    }

    fn events(&self) -> Result<Vec<ClientEvent>> {
        let path = self.folder.join("events");
        parse_events(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)
    }
}
