//! Kea's DHCPv6 server in a lab, in the first frontend's namespace.
//!
//! Owns its configuration file and its private paths. Refuses to know scripts. In: a [`Lab`]. Out: a process.
//! Traps: its paths for process id and lock file are compiled in, and only the environment changes them; leases are
//! in memory only, so that nothing is written elsewhere.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::site;
use crate::debian;
use crate::netns::{Lab, Node, Proc, Side};

/// The release that the verdicts are about; another answers otherwise.
const RELEASE: &str = "2.2.";

/// Starts it; whoever needs it must wait until it answers.
///
/// # Errors
/// When the program is not to be had, is of another release, or cannot be started.
pub(super) fn start(lab: &Lab) -> Result<Proc> {
    let program = debian::program("kea-dhcp6")?;
    let version = program.command().arg("-v").output().context("cannot run kea-dhcp6")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    ensure!(version.starts_with(RELEASE), "the verdicts are about Kea {RELEASE}x, and this is {version:?}");
    let folder = lab.folder();
    let file = folder.join("kea.json");
    let text = serde_json::to_string_pretty(&site::kea(&lab.near_address(Side::A).to_string()))?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let setting = |name: &str| -> OsString { format!("{name}={}", folder.display()).into() };
    let mut words = vec!["env".into(), setting("KEA_PIDFILE_DIR"), setting("KEA_LOCKFILE_DIR")];
    words.extend(program.words());
    words.extend(["-c".into(), file.into()]);
    lab.spawn(Node::Frontend(Side::A), &words)
}
