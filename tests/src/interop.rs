//! Leasehold itself in the lab: three store nodes and two partner frontends in namespaces of their own.
//!
//! Owns: their processes, and asking the store what it knows, all by the ordinary `leasehold` program. Refuses to
//! know: clients (`netns`), and what is shown with them (the tests).
//! In: a [`Lab`] and a [`Setup`]. Out: a [`Deployment`] that serves, a [`ServerUnderTest`] to scenarios; reports of
//! `leasehold load`.
//! Invariants: port 547 and multicast as in real service, mutual TLS between all; every wait is bounded.

mod layout;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::binary;
use crate::netns::scenario::{Facts, ServerUnderTest};
use crate::netns::{Lab, Node, Prefix, Proc, Side, wait_until};
use layout::{Layout, SIDES, STORES, folder_of, name_of};

/// How long processes may take to come up and to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one `leasehold admin` may take, as the `timeout` command reads it.
const ADMIN_TIMEOUT: &str = "20";

/// As a lifetime in a [`Setup`]: without end.
pub const ENDLESS: u64 = u64::MAX;

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Preferred lifetime of every lease, seconds, or [`ENDLESS`]: T1 is half of it, T2 four fifths.
    pub preferred_secs: u64,
    /// Valid lifetime of every lease, seconds, or [`ENDLESS`].
    pub valid_secs: u64,
    /// Autonomy of every pool, as the network file says it; `None` is the default.
    pub autonomy: Option<&'static str>,
    /// Whether clients that accept Reconfigure are given a key for it.
    pub reconfigure: bool,
    /// Words put before the program of some processes: wrappers that become the program.
    pub wrapped: Vec<(Node, Vec<OsString>)>,
}

impl Default for Setup {
    /// T1 is 20 s and T2 32 s, so that a Renew sent again after some 10 s comes before T2.
    fn default() -> Self {
        Self { preferred_secs: 40, valid_secs: 120, autonomy: None, reconfigure: false, wrapped: Vec::new() }
    }
}

/// Three store nodes and two frontends that serve.
#[derive(Debug)]
pub struct Deployment<'lab> {
    lab: &'lab Lab,
    setup: Setup,
    folder: PathBuf,
    running: BTreeMap<Node, Proc>,
}

impl<'lab> Deployment<'lab> {
    /// A cluster with the ordinary [`Setup`]: lays everything out, starts it, applies the network and returns once both
    /// frontends serve.
    ///
    /// # Errors
    /// When a file cannot be written, or a process does not come up in time.
    pub fn start(lab: &'lab Lab) -> Result<Self> {
        Self::start_with(lab, Setup::default())
    }

    /// The same with another setup.
    ///
    /// # Errors
    /// As [`Deployment::start`].
    pub fn start_with(lab: &'lab Lab, setup: Setup) -> Result<Self> {
        let folder = folder_of(lab);
        fs::create_dir_all(&folder).context("cannot create the cluster's folder")?;
        Layout::new(lab, &folder, &setup)?.write()?;
        let mut deployment = Self { lab, setup, folder, running: BTreeMap::new() };
        for node in Self::nodes() {
            deployment.run(node)?;
        }
        let mut last = String::new();
        let network = deployment.folder.join("network.toml").display().to_string();
        // Until a leader is elected the store refuses.
        let applied = wait_until("the network configuration to be taken", PATIENCE, || {
            Ok(deployment
                .admin(&["network", "apply", &network])
                .map_err(|error| last = format!("{error:#}"))
                .ok())
        });
        applied.with_context(|| last.clone())?;
        deployment.wait_serving(&SIDES)?;
        Ok(deployment)
    }

    /// Every node that runs a process, the store's first.
    pub fn nodes() -> impl Iterator<Item = Node> {
        STORES.map(Node::Store).chain(SIDES.map(Node::Frontend))
    }

    /// The data folder that a store node will have in this lab.
    ///
    /// # Errors
    /// For other nodes, which have none.
    pub fn data_folder(lab: &Lab, node: Node) -> Result<PathBuf> {
        ensure!(matches!(node, Node::Store(_)), "{node} has no data folder");
        Ok(folder_of(lab).join(format!("{}.data", name_of(node)?)))
    }

    /// Starts the process of a node, which must not be running.
    ///
    /// # Errors
    /// When it runs, or cannot be started.
    pub fn run(&mut self, node: Node) -> Result<()> {
        self.run_with(node, &[])
    }

    /// The same with further arguments.
    ///
    /// # Errors
    /// As [`Deployment::run`].
    pub fn run_with(&mut self, node: Node, arguments: &[&str]) -> Result<()> {
        ensure!(!self.running.contains_key(&node), "{node} is running already");
        let kind = if matches!(node, Node::Store(_)) { "store" } else { "frontend" };
        let file = self.folder.join(format!("{}.toml", name_of(node)?));
        let wrapper = self.setup.wrapped.iter().find(|(wrapped, _)| *wrapped == node);
        let mut words = wrapper.map(|(_, words)| words.clone()).unwrap_or_default();
        words.extend([binary().into(), kind.into(), "-c".into(), file.into()]);
        words.extend(arguments.iter().map(OsString::from));
        self.running.insert(node, self.lab.spawn(node, &words)?);
        Ok(())
    }

    /// Kills the process of a node with SIGKILL.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill_node(&mut self, node: Node) -> Result<()> {
        let process = self.running.remove(&node);
        process.with_context(|| format!("{node} does not run"))?.kill()
    }

    /// Stops the process of a node with SIGTERM and waits for its end.
    ///
    /// # Errors
    /// When it is not running, or does not end in time.
    pub fn stop_node(&mut self, node: Node) -> Result<ExitStatus> {
        let mut process = self.running.remove(&node).with_context(|| format!("{node} does not run"))?;
        process.signal(Signal::SIGTERM)?;
        process.wait_exit(PATIENCE)
    }

    /// Sends a signal to the process of a node.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal(&mut self, node: Node, signal: Signal) -> Result<()> {
        self.process(node)?.signal(signal)
    }

    /// What the process of a node has printed, once it has ended by itself; it does not run then.
    ///
    /// # Errors
    /// When it does not run, or the kernel does not say.
    pub fn ended(&mut self, node: Node) -> Result<Option<String>> {
        if self.process(node)?.status()?.is_none() {
            return Ok(None);
        }
        Ok(self.running.remove(&node).map(|process| process.output()))
    }

    /// The process of a node.
    ///
    /// # Errors
    /// When it was killed or stopped and not started again.
    pub fn process(&mut self, node: Node) -> Result<&mut Proc> {
        self.running.get_mut(&node).with_context(|| format!("{node} does not run"))
    }

    /// Waits until these frontends are live and own ranges, as the store sees them.
    ///
    /// # Errors
    /// When they do not within 30 s; the message holds what the store knows.
    pub fn wait_serving(&self, sides: &[Side]) -> Result<()> {
        let mut last = String::new();
        let served = wait_until("the frontends to serve", PATIENCE, || {
            // The store may have no leader for a moment.
            let known = match self.admin(&["frontends"]) {
                Ok(known) => known,
                Err(error) => {
                    last = format!("{error:#}");
                    return Ok(None);
                }
            };
            let list = known.as_array().map(Vec::as_slice).unwrap_or_default();
            let serves = |side: &Side| {
                let name = name_of(Node::Frontend(*side)).ok();
                list.iter().any(|f| {
                    f["name"].as_str() == name.as_deref()
                        && f["live"] == true
                        && f["current"] == true
                        && f["ranges_granted"].as_u64() > Some(0)
                })
            };
            last = known.to_string();
            Ok(sides.iter().all(serves).then_some(()))
        });
        served.with_context(|| last.clone())
    }

    /// The store node that leads, waited for.
    ///
    /// # Errors
    /// When none does within 30 s.
    pub fn leader(&self) -> Result<Node> {
        wait_until("a leader of the store", PATIENCE, || {
            let Ok(status) = self.admin(&["status"]) else { return Ok(None) };
            let name = status["leader"].as_str().unwrap_or_default();
            Ok(STORES.map(Node::Store).find(|node| name_of(*node).is_ok_and(|own| own == name)))
        })
    }

    /// What `leasehold admin WORDS --output json` prints, asking whichever store node answers.
    ///
    /// # Errors
    /// When the command fails, does not end within 20 s, or prints no JSON.
    pub fn admin(&self, words: &[&str]) -> Result<Value> {
        self.admin_by("admin", words)
    }

    /// The same, asking this store node; it may name the leader, which is then asked.
    ///
    /// # Errors
    /// As [`Deployment::admin`].
    pub fn admin_at(&self, node: Node, words: &[&str]) -> Result<Value> {
        self.admin_by(&format!("admin-{}", name_of(node)?), words)
    }

    fn admin_by(&self, profile: &str, words: &[&str]) -> Result<Value> {
        let mut command = self.lab.command(Node::Core, "timeout");
        command.arg(ADMIN_TIMEOUT).arg(binary()).args(["admin", "--output", "json", "-c"]);
        command.arg(self.folder.join(format!("{profile}.toml"))).args(words);
        let output = command.output().context("cannot run leasehold admin")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "admin {words:?} failed ({}): {}", output.status, complaint.trim());
        serde_json::from_slice(&output.stdout).with_context(|| format!("admin {words:?} printed no JSON"))
    }

    /// Active leases as the store has them: the client's DUID by address or `prefix/length`.
    ///
    /// # Errors
    /// As [`Deployment::admin`].
    pub fn active(&self) -> Result<BTreeMap<String, String>> {
        active_of(&self.admin(&ACTIVE)?)
    }

    /// The same, asking this store node first.
    ///
    /// # Errors
    /// As [`Deployment::admin`].
    pub fn active_at(&self, node: Node) -> Result<BTreeMap<String, String>> {
        active_of(&self.admin_at(node, &ACTIVE)?)
    }

    /// The state of every lease on record, by address or `prefix/length`, in the store's words.
    ///
    /// # Errors
    /// As [`Deployment::admin`].
    pub fn states(&self) -> Result<BTreeMap<String, String>> {
        column(&self.admin(&["leases"])?, "state")
    }

    /// Starts `leasehold load WORDS` as a relay in the relay's namespace, its clients behind the relay, sending to
    /// both frontends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn load(&self, words: &[&str]) -> Result<Proc> {
        let mut command: Vec<OsString> = vec![binary().into(), "load".into(), "--relay".into()];
        for side in SIDES {
            command.extend(["--server".into(), format!("[{}]:547", self.lab.near_address(side)).into()]);
        }
        command.extend(["--link-address".into(), self.lab.relay_link_address().to_string().into()]);
        command.extend(["--output", "json"].iter().chain(words).map(OsString::from));
        self.lab.spawn(Node::Relay, &command)
    }
}

const ACTIVE: [&str; 3] = ["leases", "--state", "active"];

fn active_of(listed: &Value) -> Result<BTreeMap<String, String>> {
    column(listed, "duid")
}

/// One field of every listed lease, by lease.
fn column(listed: &Value, field: &str) -> Result<BTreeMap<String, String>> {
    let leases = listed.as_array().context("a list of leases is expected")?;
    let text = |lease: &Value, key: &str| {
        lease[key].as_str().map(str::to_owned).with_context(|| format!("no `{key}` in {lease}"))
    };
    leases.iter().map(|lease| Ok((text(lease, "lease")?, text(lease, field)?))).collect()
}

/// The report of a `leasehold load` that is to end by itself within `patience`.
///
/// # Errors
/// When it does not, or prints no report; it may have failed its own judgement.
pub fn load_report(mut load: Proc, patience: Duration) -> Result<Value> {
    load.wait_exit(patience)?;
    let output = load.output();
    let json = output.find('{').and_then(|at| output.get(at..)).unwrap_or_default();
    let report = serde_json::Deserializer::from_str(json).into_iter().next();
    report.context("no report")?.with_context(|| format!("leasehold load printed:\n{output}"))
}

impl ServerUnderTest for Deployment<'_> {
    fn facts(&self) -> Facts {
        let prefix = |text: &str| text.parse().expect("a constant that is a prefix");
        Facts {
            t1: Duration::from_secs(self.setup.preferred_secs / 2),
            t2: Duration::from_secs(self.setup.preferred_secs.saturating_mul(8) / 10),
            direct_addresses: prefix("2001:db8:1:0:1::/80"),
            relayed_addresses: prefix("2001:db8:2:0:1::/80"),
            delegated: prefix("2001:db8:100::/40"),
            delegated_length: 56,
            dns_servers: vec![prefix("2001:db8::53/128").address],
            dns_search: vec!["example.org".to_owned(), "example.net".to_owned()],
        }
    }

    fn serving(&mut self) -> Result<Side> {
        let status = self.admin(&["status"])?;
        // Hot standby: the primary, while it is live.
        match status["relationships"][0]["primary_live"].as_bool() {
            Some(true) => Ok(Side::A),
            Some(false) => Ok(Side::B),
            None => bail!("no relationship in {status}"),
        }
    }

    fn kill(&mut self, side: Side) -> Result<()> {
        self.kill_node(Node::Frontend(side))
    }

    fn holds(&mut self, leased: Prefix) -> Result<bool> {
        let name = if leased.length == 128 { leased.address.to_string() } else { leased.to_string() };
        Ok(self.active()?.contains_key(&name))
    }
}
