//! A whole cluster on this machine's loopback, as real processes: for the demo, the benches and the process tests.
//!
//! Owns the layout (folder, ports, certificates, configuration files) and the child processes, each of which it ends
//! by pid when it is dropped. Refuses to know what the processes do. Everything is the ordinary program with ordinary
//! files: what works here works the same by hand.

mod layout;

pub use layout::{Layout, LayoutError, Options};

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use leasehold_proto::v1;

use crate::admin::connect::{AdminError, StoreAccess};
use crate::config::{AdminProfile, NetworkConfig};

/// Why a cluster does not come up, or a process does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The files could not be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A process could not be started or signalled.
    #[error("{name}: {source}")]
    Process {
        /// Which.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A process ended by itself.
    #[error("{name} ended with {status}; the end of its log {}:\n{tail}", log.display())]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// Something did not come to pass in time.
    #[error("{what} did not happen within {} s: {last}", waited.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What stood in the way at last.
        last: String,
    },
    /// There is no process of that name.
    #[error("there is no `{0}` in this cluster")]
    Unknown(String),
}

/// One process of the cluster.
#[derive(Debug)]
struct Member {
    name: String,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

/// A cluster of processes.
#[derive(Debug)]
pub struct LocalCluster {
    layout: Layout,
    members: Vec<Member>,
    access: StoreAccess,
    runtime: tokio::runtime::Runtime,
    keep_running: bool,
}

/// How often something waited for is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a call to the store may be tried.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

impl LocalCluster {
    /// Lays out folder, certificates and files; starts nothing.
    ///
    /// # Errors
    /// When a file cannot be written or no port is free.
    pub fn lay_out(options: Options) -> Result<Self, LocalError> {
        let layout = Layout::create(options)?;
        let member = |name: &str, kind: &str| Member {
            name: name.to_owned(),
            arguments: vec![kind.to_owned(), "-c".to_owned(), layout.config_file(name).display().to_string()],
            log: layout.log_file(name),
            child: None,
        };
        let stores = layout.stores().iter().map(|(name, _)| member(name, "store"));
        let frontends = layout.frontends().iter().map(|(name, _)| member(name, "frontend"));
        let members = stores.chain(frontends).collect();
        let profile = AdminProfile::load(&layout.profile_file()).map_err(LayoutError::from)?;
        let security = profile.security.open().map_err(LayoutError::from)?;
        let access = StoreAccess::new(profile.store, security);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| LocalError::Process { name: "runtime".to_owned(), source })?;
        Ok(Self { layout, members, access, runtime, keep_running: false })
    }

    /// Where everything lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Leaves the processes running when this value is dropped.
    pub fn keep_running(&mut self) {
        self.keep_running = true;
    }

    /// Starts every process that is not running.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self) -> Result<(), LocalError> {
        let names: Vec<String> = self.members.iter().map(|m| m.name.clone()).collect();
        names.iter().try_for_each(|name| self.start(name))
    }

    /// Starts one process, its log appended to; nothing if it runs.
    ///
    /// # Errors
    /// When there is no such process or it cannot be started.
    pub fn start(&mut self, name: &str) -> Result<(), LocalError> {
        let binary = self.layout.binary().to_owned();
        let member = self.member(name)?;
        if member.child.is_some() {
            return Ok(());
        }
        let failed = |source| LocalError::Process { name: name.to_owned(), source };
        let log = File::options().create(true).append(true).open(&member.log).map_err(failed)?;
        let child = Command::new(binary)
            .args(&member.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        member.child = Some(child);
        Ok(())
    }

    /// The pid of a running process.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.members.iter().find(|m| m.name == name)?.child.as_ref().map(Child::id)
    }

    /// The pids of all running processes, by name.
    #[must_use]
    pub fn pids(&self) -> Vec<(String, u32)> {
        self.members.iter().filter_map(|m| Some((m.name.clone(), m.child.as_ref()?.id()))).collect()
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When there is no such process, or it does not run.
    pub fn kill(&mut self, name: &str) -> Result<(), LocalError> {
        let mut child = self.take_child(name)?;
        let failed = |source| LocalError::Process { name: name.to_owned(), source };
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        Ok(())
    }

    /// SIGTERM, and waits for the clean stop.
    ///
    /// # Errors
    /// When there is no such process, it does not run, or does not stop within `patience` (it is killed then).
    pub fn stop(&mut self, name: &str, patience: Duration) -> Result<ExitStatus, LocalError> {
        self.signal(name, nix::sys::signal::Signal::SIGTERM)?;
        let mut child = self.take_child(name)?;
        let failed = |source| LocalError::Process { name: name.to_owned(), source };
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        Err(LocalError::Late {
            what: format!("the stop of {name}"),
            waited: patience,
            last: "it was killed".to_owned(),
        })
    }

    /// Sends a signal: SIGSTOP and SIGCONT make a process pause.
    ///
    /// # Errors
    /// When there is no such process or it does not run.
    pub fn signal(&mut self, name: &str, signal: nix::sys::signal::Signal) -> Result<(), LocalError> {
        let gone =
            || LocalError::Process { name: name.to_owned(), source: std::io::ErrorKind::NotFound.into() };
        let pid = self.pid(name).ok_or_else(gone)?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).map_err(|_| gone())?);
        nix::sys::signal::kill(pid, signal)
            .map_err(|errno| LocalError::Process { name: name.to_owned(), source: errno.into() })
    }

    /// Checks that every process that was started still runs.
    ///
    /// # Errors
    /// Names the first that ended, with the end of its log.
    pub fn check_alive(&mut self) -> Result<(), LocalError> {
        for member in &mut self.members {
            let Some(child) = &mut member.child else { continue };
            let status = child
                .try_wait()
                .map_err(|source| LocalError::Process { name: member.name.clone(), source })?;
            if let Some(status) = status {
                member.child = None;
                let (name, log) = (member.name.clone(), member.log.clone());
                let tail = tail(&log);
                return Err(LocalError::Ended { name, status, log, tail });
            }
        }
        Ok(())
    }

    /// Asks the store, again and again until it answers or patience is over.
    ///
    /// # Errors
    /// When a process ended, the store refuses, or it does not answer in time.
    pub fn ask<T>(
        &mut self,
        what: &str,
        ask: impl AsyncFn(&StoreAccess) -> Result<T, AdminError>,
    ) -> Result<T, LocalError> {
        self.wait_until(what, STORE_PATIENCE, |cluster| {
            cluster.runtime.block_on(ask(&cluster.access)).map(Some).map_err(|e| e.to_string())
        })
    }

    /// Looks again and again until there is an answer; `Ok(None)` and `Err` both mean "not yet".
    ///
    /// # Errors
    /// When a process ended, or there is no answer in time.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, String>,
    ) -> Result<T, LocalError> {
        let began = Instant::now();
        loop {
            let last = match look(self) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => "not yet".to_owned(),
                Err(message) => message,
            };
            self.check_alive()?;
            if began.elapsed() > patience {
                return Err(LocalError::Late { what: what.to_owned(), waited: patience, last });
            }
            std::thread::sleep(POLL);
        }
    }

    /// The status of the cluster, from a node that knows.
    ///
    /// # Errors
    /// As [`LocalCluster::ask`].
    pub fn status(&mut self) -> Result<v1::StatusAnswer, LocalError> {
        self.ask("an answer to status", async |access| {
            access.call(async |mut store| store.status(v1::StatusRequest { stale: false }).await).await
        })
    }

    /// Every lease that is committed, by a linearizable read.
    ///
    /// # Errors
    /// As [`LocalCluster::ask`].
    pub fn leases(&mut self) -> Result<Vec<v1::LeaseInfo>, LocalError> {
        self.leases_of(&v1::ListLeasesRequest::default())
    }

    /// The committed leases that a request asks for.
    ///
    /// # Errors
    /// As [`LocalCluster::ask`].
    pub fn leases_of(&mut self, request: &v1::ListLeasesRequest) -> Result<Vec<v1::LeaseInfo>, LocalError> {
        self.ask("a list of leases", async |access| access.leases(request).await)
    }

    /// The frontends as the store sees them.
    ///
    /// # Errors
    /// As [`LocalCluster::ask`].
    pub fn frontends(&mut self) -> Result<Vec<v1::FrontendInfo>, LocalError> {
        self.ask("the list of frontends", async |access| {
            let request = v1::ListFrontendsRequest { stale: false };
            access.call(async |mut store| store.list_frontends(request).await).await
        })
        .map(|answer| answer.frontends)
    }

    /// The name of the node that leads.
    ///
    /// # Errors
    /// When none does in time.
    pub fn leader(&mut self) -> Result<String, LocalError> {
        self.wait_until("a leader", STORE_PATIENCE, |cluster| {
            let status = cluster.status().map_err(|e| e.to_string())?;
            Ok((!status.leader.is_empty()).then_some(status.leader))
        })
    }

    /// Applies a network file.
    ///
    /// # Errors
    /// When it has errors, or the store refuses it.
    pub fn apply_network(&mut self, file: &Path) -> Result<u64, LocalError> {
        let config = NetworkConfig::load(file).map_err(LayoutError::from)?;
        let request =
            v1::ApplyNetworkRequest { network: Some(config.to_wire()), expected_version: 0, dry_run: false };
        self.ask("the network configuration", async |access| {
            access.call(async |mut store| store.apply_network(request.clone()).await).await
        })
        .map(|answer| answer.version)
    }

    /// Waits until these frontends have a session, know the configuration and own ranges: until they serve.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_serving(&mut self, names: &[&str]) -> Result<(), LocalError> {
        self.wait_until("service by all frontends", STORE_PATIENCE, |cluster| {
            let known = cluster.frontends().map_err(|e| e.to_string())?;
            let missing: Vec<&str> = names
                .iter()
                .filter(|name| {
                    let serves = |f: &&v1::FrontendInfo| {
                        f.name == **name
                            && f.current
                            && f.live
                            && f.ranges_granted > 0
                            && f.network_version > 0
                    };
                    known.iter().find(serves).is_none()
                })
                .copied()
                .collect();
            if missing.is_empty() {
                Ok(Some(()))
            } else {
                Err(format!("not serving yet: {}", missing.join(", ")))
            }
        })
    }

    fn member(&mut self, name: &str) -> Result<&mut Member, LocalError> {
        self.members.iter_mut().find(|m| m.name == name).ok_or_else(|| LocalError::Unknown(name.to_owned()))
    }

    fn take_child(&mut self, name: &str) -> Result<Child, LocalError> {
        self.member(name)?.child.take().ok_or_else(|| LocalError::Process {
            name: name.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        if self.keep_running {
            return;
        }
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                // It may have ended by itself; there is nothing better to do about an error here.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
