//! A client or relay program that runs in the foreground behind a launcher, as several drivers hold it.
//!
//! Owns: its process, its folder, and the launcher: a shell script that covers folders which are compiled into the
//! program and becomes the program. Refuses to know: which program it is, DHCP. In: a lab, a node, the launcher's
//! commands, the program's words. Out: a process that starts, crashes and ends. Invariants: a launcher runs in the
//! private mount namespace that `ip netns exec` makes, so that nothing of the host is touched; the folder, and so what
//! the program keeps there, outlives the process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::lab::Lab;
use super::node::Node;
use super::process::Proc;

/// How long a program may take to end once it was told to.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// Commands of a launcher that cover `/run`, `/var/lib` and `/etc` by what the client's folder `$folder` holds. Of the
/// system's `/etc` stays what libraries want to know. The libraries' own cache is not needed for their usual folders.
pub(super) const COVER: &str = r#"mkdir -p "$folder/etc" "$folder/lib"
for name in passwd group nsswitch.conf ld.so.cache; do
    if [ -e "/etc/$name" ]; then cp "/etc/$name" "$folder/etc/"; fi
done
mount -t tmpfs lab /run
mount --bind "$folder/etc" /etc
mount --bind "$folder/lib" /var/lib
"#;

/// A program in a namespace, running or not.
#[derive(Debug)]
pub(super) struct Daemon<'lab> {
    lab: &'lab Lab,
    node: Node,
    name: &'static str,
    folder: PathBuf,
    words: Vec<OsString>,
    running: Option<Proc>,
}

impl<'lab> Daemon<'lab> {
    /// Prepares a program with a folder of its own; `cover` are the launcher's commands before it becomes the program,
    /// to which `$folder` is known.
    pub(super) fn new(
        lab: &'lab Lab,
        node: Node,
        name: &'static str,
        cover: &str,
        program: Vec<OsString>,
    ) -> Result<Self> {
        let folder = lab.folder().join(format!("{name}-{node}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let launcher = folder.join("launch");
        let script = format!("#!/bin/sh\nset -e\nfolder=$1\nshift\n{cover}exec \"$@\"\n");
        fs::write(&launcher, script).with_context(|| format!("cannot write {}", launcher.display()))?;
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755))
            .context("cannot make a script executable")?;
        let mut words: Vec<OsString> = vec![launcher.into(), folder.clone().into()];
        words.extend(program);
        Ok(Self { lab, node, name, folder, words, running: None })
    }

    /// Writes a file into the program's folder, and the folders above it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file of the program's folder if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "{} is running already", self.name);
        self.running = Some(self.lab.spawn(self.node, &self.words)?);
        Ok(())
    }

    /// Waits until the output holds `text`.
    pub(super) fn wait_output(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let process = self.running.as_mut().with_context(|| format!("{} is not running", self.name))?;
        process.wait_output(text, timeout)
    }

    /// All that the running program has printed; nothing when it does not run.
    pub(super) fn output(&self) -> String {
        self.running.as_ref().map(Proc::output).unwrap_or_default()
    }

    /// Kills the program, which must not have ended by itself.
    pub(super) fn crash(&mut self) -> Result<()> {
        self.taken()?.kill()
    }

    /// Whether the program, started before, has ended by itself; it may be started again then.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        let Some(process) = &mut self.running else { return Ok(false) };
        let ended = process.status()?.is_some();
        if ended {
            self.running = None;
        }
        Ok(ended)
    }

    /// Tells the program to end (SIGTERM) and waits until it has.
    pub(super) fn end(&mut self) -> Result<()> {
        let mut process = self.taken()?;
        process.signal(Signal::SIGTERM)?;
        process.wait_exit(END_TIMEOUT).map(drop)
    }

    fn taken(&mut self) -> Result<Proc> {
        let mut process = self.running.take().with_context(|| format!("{} is not running", self.name))?;
        if let Some(status) = process.status()? {
            bail!("{} has ended by itself ({status}): {}", self.name, process.output());
        }
        Ok(process)
    }
}
