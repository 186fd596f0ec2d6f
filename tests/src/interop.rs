//! Leasehold itself in the lab: three store nodes and two partner frontends in namespaces of their own.
//!
//! Owns: their certificates, configuration files and processes, and asking the store what it knows, all by the
//! ordinary `leasehold` program. Refuses to know: clients (`netns`), and what is shown with them (the tests).
//! In: a [`Lab`]. Out: a [`Deployment`] that serves, a [`ServerUnderTest`] to scenarios; reports of `leasehold load`.
//! Invariants: port 547 and multicast as in real service, mutual TLS between all; every wait is bounded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use leasehold::certs::{CertificateAuthority, Validity};
use leasehold_proto::identity::Role;
use serde_json::Value;

use crate::cluster::binary;
use crate::netns::scenario::{Facts, ServerUnderTest};
use crate::netns::{Lab, Node, Prefix, Proc, Side, wait_until};

/// T1 is half of it, T2 four fifths: 20 s and 32 s, so that a Renew sent again after some 10 s comes before T2.
const PREFERRED_SECS: u64 = 40;
/// How long processes may take to come up and to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one `leasehold admin` may take, as the `timeout` command reads it.
const ADMIN_TIMEOUT: &str = "20";

const SIDES: [Side; 2] = [Side::A, Side::B];
const STORES: std::ops::RangeInclusive<u8> = 1..=3;

/// The frontends' own link and the one behind the relay, addresses and prefixes on each, `fe-a` before `fe-b`.
const NETWORK: &str = r#"
[options]
dns_servers = ["2001:db8::53"]
domain_search = ["example.org", "example.net"]

[[link]]
name = "lan"
prefixes = ["2001:db8:1::/64"]

[[link]]
name = "far"
prefixes = ["2001:db8:2::/64"]

[[relationship]]
name = "pair"
primary = "fe-a"
secondary = "fe-b"
pools = ["lan-addresses", "far-addresses", "lan-prefixes", "far-prefixes"]
buckets = "hot-standby"
"#;

/// Each pool: its name, its link, and what it leases, as the network file says it.
const POOLS: [(&str, &str, &str); 4] = [
    ("lan-addresses", "lan", "addresses = \"2001:db8:1:0:1::/80\""),
    ("far-addresses", "far", "addresses = \"2001:db8:2:0:1::/80\""),
    ("lan-prefixes", "lan", "prefixes = \"2001:db8:100::/41\"\ndelegated_length = 56"),
    ("far-prefixes", "far", "prefixes = \"2001:db8:180::/41\"\ndelegated_length = 56"),
];

/// Three store nodes and two frontends that serve.
#[derive(Debug)]
pub struct Deployment<'lab> {
    lab: &'lab Lab,
    folder: PathBuf,
    /// Held so that they run.
    _stores: Vec<Proc>,
    frontends: [Option<Proc>; 2],
}

impl<'lab> Deployment<'lab> {
    /// Lays everything out, starts it, applies the network and returns once both frontends serve.
    ///
    /// # Errors
    /// When a file cannot be written, or a process does not come up in time.
    pub fn start(lab: &'lab Lab) -> Result<Self> {
        let folder = lab.folder().join("leasehold");
        fs::create_dir_all(&folder).context("cannot create the cluster's folder")?;
        let layout = Layout::new(lab, folder.clone())?;
        layout.write()?;
        let run = |node: Node, kind: &str, name: &str| {
            let file = folder.join(format!("{name}.toml"));
            let words: [OsString; 4] = [binary().into(), kind.into(), "-c".into(), file.into()];
            lab.spawn(node, &words)
        };
        let stores = STORES.map(|n| run(Node::Store(n), "store", &store_name(n))).collect::<Result<_>>()?;
        let [a, b] = SIDES.map(|side| run(Node::Frontend(side), "frontend", frontend_name(side)));
        let deployment = Self { lab, folder, _stores: stores, frontends: [Some(a?), Some(b?)] };
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
        wait_until("both frontends to serve", PATIENCE, || {
            let known = deployment.admin(&["frontends"])?;
            let serves = |side: Side| {
                let list = known.as_array().map(Vec::as_slice).unwrap_or_default();
                list.iter().any(|f| {
                    f["name"] == frontend_name(side)
                        && f["live"] == true
                        && f["current"] == true
                        && f["ranges_granted"].as_u64() > Some(0)
                })
            };
            last = known.to_string();
            Ok(SIDES.into_iter().all(serves).then_some(()))
        })
        .with_context(|| last.clone())?;
        Ok(deployment)
    }

    /// What `leasehold admin WORDS --output json` prints, run beside the first store node.
    ///
    /// # Errors
    /// When the command fails, does not end within 20 s, or prints no JSON.
    pub fn admin(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.lab.command(Node::Store(1), "timeout");
        command.arg(ADMIN_TIMEOUT).arg(binary()).args(["admin", "--output", "json", "-c"]);
        command.arg(self.folder.join("admin.toml")).args(words);
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
        let listed = self.admin(&["leases", "--state", "active"])?;
        let leases = listed.as_array().context("a list of leases is expected")?;
        let text = |lease: &Value, key: &str| {
            lease[key].as_str().map(str::to_owned).with_context(|| format!("no `{key}` in {lease}"))
        };
        leases.iter().map(|lease| Ok((text(lease, "lease")?, text(lease, "duid")?))).collect()
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
            t1: Duration::from_secs(PREFERRED_SECS / 2),
            t2: Duration::from_secs(PREFERRED_SECS * 8 / 10),
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
        let primary = status["relationships"][0]["primary_live"].as_bool().context("no relationship")?;
        Ok(if primary { Side::A } else { Side::B })
    }

    fn kill(&mut self, side: Side) -> Result<()> {
        let process = self.frontends[side as usize].take();
        process.with_context(|| format!("{} does not run", frontend_name(side)))?.kill()
    }

    fn holds(&mut self, leased: Prefix) -> Result<bool> {
        let name = if leased.length == 128 { leased.address.to_string() } else { leased.to_string() };
        Ok(self.active()?.contains_key(&name))
    }
}

fn frontend_name(side: Side) -> &'static str {
    match side {
        Side::A => "fe-a",
        Side::B => "fe-b",
    }
}

fn store_name(number: u8) -> String {
    format!("store-{number}")
}

/// The cluster's files.
struct Layout {
    folder: PathBuf,
    /// Name and `[ADDRESS]:PORT` of each store node.
    stores: Vec<(String, String)>,
}

impl Layout {
    fn new(lab: &Lab, folder: PathBuf) -> Result<Self> {
        let address = |n| Ok((store_name(n), format!("[{}]:7547", lab.store_address(Node::Store(n))?)));
        Ok(Self { folder, stores: STORES.map(address).collect::<Result<_>>()? })
    }

    fn write(&self) -> Result<()> {
        let certificates = self.folder.join("certs");
        let authority = CertificateAuthority::create(&certificates, "lab")?;
        let certify = |role: Role, name: &str| -> Result<String> {
            authority.issue(role, name, Validity::days(30)?, &certificates)?;
            let file = format!("certs/{}-{name}", role.as_str());
            Ok(format!("\n[tls]\nca = \"certs/ca.pem\"\ncert = \"{file}.pem\"\nkey = \"{file}.key\"\n"))
        };
        let mut nodes = String::new();
        for (name, address) in &self.stores {
            // Writing into a String cannot fail.
            let _ = write!(nodes, "\n[[store.node]]\nname = \"{name}\"\naddress = \"{address}\"\n");
        }
        for (name, address) in &self.stores {
            let tls = certify(Role::Store, name)?;
            let own = format!(
                "name = \"{name}\"\ncluster = \"lab\"\ndata = \"{name}.data\"\nlisten = \"{address}\""
            );
            self.file(name, &format!("[store]\n{own}\n{nodes}{tls}"))?;
        }
        let list: Vec<String> = self.stores.iter().map(|(_, address)| format!("\"{address}\"")).collect();
        let list = list.join(", ");
        for name in SIDES.map(frontend_name) {
            let tls = certify(Role::Frontend, name)?;
            let own = format!("name = \"{name}\"\ncluster = \"lab\"\nstore = [{list}]");
            let interface = "[[interface]]\nname = \"eth0\"\nlink = \"lan\"\nrelays = true";
            self.file(name, &format!("[frontend]\n{own}\n\n{interface}\n{tls}"))?;
        }
        let tls = certify(Role::Admin, "admin")?;
        self.file("admin", &format!("[admin]\nstore = [{list}]\n{tls}"))?;
        let mut network = NETWORK.to_owned();
        for (name, link, what) in POOLS {
            let lifetimes = format!("preferred_lifetime = \"{PREFERRED_SECS}s\"\nvalid_lifetime = \"120s\"");
            let _ =
                write!(network, "\n[[pool]]\nname = \"{name}\"\nlink = \"{link}\"\n{what}\n{lifetimes}\n");
        }
        self.file("network", &network)
    }

    fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(format!("{name}.toml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
