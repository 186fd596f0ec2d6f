//! A process started for a test, killed when its guard goes, with its output in a file.
//!
//! Owns: the child's life and its log file.
//! Refuses to know: namespaces, DHCP. In: a `Command`. Out: its process id, output and exit status.
//! Invariants: after the guard is dropped, by return or by panic, the process is dead and reaped; only its own
//! process id is ever signalled; every wait is bounded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_until;

/// A running (or ended) process; dropping it kills it.
#[derive(Debug)]
pub struct Proc {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Proc {
    /// Starts a command with its standard output and error appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let opened = File::options().create(true).append(true).open(log);
        let output = opened.with_context(|| format!("cannot open the log {}", log.display()))?;
        let errors = output.try_clone().context("cannot share the log")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    /// The process id. Wrappers (`ip netns exec`, `env`, `sh … exec`) replace themselves, so it is the program's own.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that the process has printed up to now; bytes that are not UTF-8 are replaced.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.status()? {
            bail!("{} has already ended ({status}), it cannot be sent {signal}", self.name);
        }
        let pid = i32::try_from(self.child.id()).context("the process id does not fit")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Kills the process at once (SIGKILL) and reaps it; does nothing if it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot reap {}", self.name))?;
        Ok(())
    }

    /// The exit status if the process has ended.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask for the status of {}", self.name))
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it still runs after `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_until(&what, timeout, || self.status())
    }

    /// Waits until the output holds `text`.
    ///
    /// # Errors
    /// When the process ends without having printed it, or `timeout` passes; the message holds the output.
    pub fn wait_output(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let what = format!("`{text}` in the output of {}", self.name);
        let waited = wait_until(&what, timeout, || {
            // Status first: what a process printed before its end is then surely in the file.
            let status = self.status()?;
            if self.output().contains(text) {
                return Ok(Some(()));
            }
            match status {
                Some(status) => bail!("{} has ended ({status})", self.name),
                None => Ok(None),
            }
        });
        waited.with_context(|| format!("{} printed:\n{}", self.name, self.output()))
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        // Nothing can be done about an error here; the lab's own teardown kills by namespace once more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
