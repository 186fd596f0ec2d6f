//! The place where failures happen: a cluster that serves, clients of every kind at work, and the judge at the wire.
//!
//! Owns: generated clients that renew and generated ones that come anew, each lot in a namespace of its own, `dhclient`
//! and `dhcpcd`, and the capture. Refuses to know what fails, and what is concluded. All clients sit on the frontends'
//! own link, so that both frontends hear every message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use leasehold::load::client::Behaviour;
use leasehold::load::{Outcome, Plan, Run, Target};
use leasehold_proto::words::Prefix;

use super::wire::Wire;
use crate::interop::{Deployment, Setup};
use crate::netns::{Ask, Capture, Dhclient, Dhcpcd, Lab, Node, Place, ScriptedClient, wait_until};

/// How often each regular client renews.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long the calm before a failure may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lifetimes short enough for real clients to renew while a failure lasts, T1 being half the preferred lifetime.
pub const PREFERRED_SECS: u64 = 16;
/// Longer than any failure lasts.
const VALID_SECS: u64 = 120;

/// A cluster in the lab, with clients at work.
pub struct Site<'lab> {
    /// The network.
    pub lab: &'lab Lab,
    /// The cluster.
    pub cluster: Deployment<'lab>,
    /// The namespaces of the clients that renew, and of those that come anew.
    pub load_nodes: [Node; 2],
    /// The real clients, with their namespaces.
    pub clients: Vec<(Node, Box<dyn ScriptedClient + 'lab>)>,
    wire: Arc<Mutex<Wire>>,
    capture: Option<Capture>,
    loads: Vec<Run>,
    work: Work,
}

/// What generated clients do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Regular clients, each with an address and a prefix, renewing every second.
    pub regulars: u32,
    /// Clients that come anew in a second, each with an address, renewing at T1.
    pub newcomers_per_second: u32,
    /// For how long at most; [`Site::end_loads`] ends it.
    pub longest: Duration,
}

impl Default for Work {
    /// Enough that a failure of any moment finds some at work, and few enough for a small machine.
    fn default() -> Self {
        Self { regulars: 200, newcomers_per_second: 40, longest: Duration::from_secs(120) }
    }
}

/// The setup that failures use, unless they need another.
#[must_use]
pub fn setup() -> Setup {
    Setup { preferred_secs: PREFERRED_SECS, valid_secs: VALID_SECS, ..Setup::default() }
}

impl<'lab> Site<'lab> {
    /// Brings a cluster up, listens on the wire, and starts all clients.
    ///
    /// # Errors
    /// When a process does not come up, or a socket cannot be had.
    pub fn start(lab: &'lab Lab, setup: Setup, work: Work) -> Result<Self> {
        let wire = Arc::new(Mutex::new(Wire::default()));
        let seen = Arc::clone(&wire);
        let capture = lab.capture("near", move |datagram| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).see(datagram);
        })?;
        let cluster = Deployment::start_with(lab, setup)?;
        let load_nodes = [lab.add_client(Place::Direct)?, lab.add_client(Place::Direct)?];
        let [first, second] = [lab.add_client(Place::Direct)?, lab.add_client(Place::Direct)?];
        let mut clients: Vec<(Node, Box<dyn ScriptedClient + 'lab>)> = vec![
            (first, Box::new(Dhclient::new(lab, first, Ask::Both)?)),
            (second, Box::new(Dhcpcd::new(lab, second, Ask::Both)?)),
        ];
        for (_, client) in &mut clients {
            client.start()?;
        }
        let loads = vec![
            start_load(lab, load_nodes[0], |target| Plan {
                behaviour: behaviour(true, Some(RENEW_EVERY)),
                ..plan(target, work, work.regulars, 1)
            })?,
            start_load(lab, load_nodes[1], |target| {
                let seconds = u32::try_from(work.longest.as_secs()).unwrap_or(u32::MAX);
                let rate_per_sec = Some(f64::from(work.newcomers_per_second));
                let clients = work.newcomers_per_second.saturating_mul(seconds);
                Plan { avalanche: None, rate_per_sec, ..plan(target, work, clients, 2) }
            })?,
        ];
        Ok(Self { lab, cluster, load_nodes, clients, wire, capture: Some(capture), loads, work })
    }

    /// Waits until everything is at work: all regular clients and the real ones hold leases, and the store knows of
    /// them. Returns what is committed then.
    ///
    /// # Errors
    /// When that does not come to pass within 30 s.
    pub fn calm(&self) -> Result<BTreeMap<Prefix, String>> {
        for (_, client) in &self.clients {
            client.wait_for(0, &crate::netns::Reason::Bound, PATIENCE)?;
        }
        let generated = 2 * self.work.regulars + self.work.newcomers_per_second;
        let wanted = usize::try_from(generated)? + 2 * self.clients.len();
        wait_until("the leases of all clients in the store", PATIENCE, || {
            let committed = self.committed()?;
            Ok((committed.len() >= wanted).then_some(committed))
        })
    }

    /// Active leases as the store has them, with their holders.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn committed(&self) -> Result<BTreeMap<Prefix, String>> {
        prefixes(self.cluster.active()?)
    }

    /// The same, asking this store node first.
    ///
    /// # Errors
    /// When it does not answer, and does not name a leader that does.
    pub fn committed_at(&self, node: Node) -> Result<BTreeMap<Prefix, String>> {
        prefixes(self.cluster.active_at(node)?)
    }

    /// Looks at what has passed on the wire up to now.
    pub fn look<T>(&self, look: impl FnOnce(&Wire) -> T) -> T {
        look(&self.wire.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a failure last, or its end take effect, with the clients at work.
    pub fn go_on(&self, span: Duration) {
        std::thread::sleep(span);
    }

    /// Ends the generated clients' work, the last answers awaited for some seconds, and returns what they found: of
    /// those that renew, and of those that came anew.
    ///
    /// # Errors
    /// When a load ended by an error.
    pub fn end_loads(&mut self) -> Result<Vec<Outcome>> {
        self.loads.iter().for_each(Run::finish_early);
        self.loads.drain(..).map(|load| load.join().context("a load failed")).collect()
    }

    /// Ends the capture and returns how many frames it missed.
    ///
    /// # Errors
    /// When it failed before.
    pub fn end_capture(&mut self) -> Result<u32> {
        self.capture.take().context("the capture was ended before")?.stop()
    }
}

/// Now, by the clock of the capture.
///
/// # Errors
/// When the machine's clock stands before 1970.
pub fn now() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")
}

fn prefixes(leases: BTreeMap<String, String>) -> Result<BTreeMap<Prefix, String>> {
    let parsed = leases.into_iter().map(|(lease, duid)| {
        let prefix = lease.parse().map_err(|error| anyhow::anyhow!("{lease}: {error}"))?;
        Ok((prefix, duid))
    });
    parsed.collect()
}

fn behaviour(prefixes: bool, renew_after: Option<Duration>) -> Behaviour {
    Behaviour { addresses: true, prefixes, rapid_commit: false, renew_after }
}

/// Clients that all come within a second, and that have room to make up for a turn that came late.
fn plan(target: Target, work: Work, clients: u32, seed: u64) -> Plan {
    Plan {
        avalanche: None,
        target,
        clients,
        behaviour: behaviour(false, None),
        rate_per_sec: Some(f64::from(clients) * 1.25),
        in_flight: None,
        duration: work.longest,
        cycle: false,
        release_at_end: false,
        grace: Duration::from_secs(5),
        seed,
    }
}

/// Starts generated clients on `eth0` of a namespace: multicast from port 546, as real ones.
fn start_load(lab: &Lab, node: Node, plan: impl FnOnce(Target) -> Plan + Send) -> Result<Run> {
    let run = lab.inside(node, || -> Result<Run> {
        let interface_index = nix::net::if_::if_nametoindex("eth0")?;
        Ok(Run::start(plan(Target::Direct { interface_index }))?)
    })?;
    run.with_context(|| format!("cannot start a load in {node}"))
}
