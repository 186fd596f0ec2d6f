//! The files of a cluster in the lab: certificates, a configuration for each process, the network, administrators.
//!
//! Owns: names and texts. Refuses to know: processes. In: a [`Lab`] and a [`Setup`]. Out: files in one folder.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use leasehold::certs::{CertificateAuthority, Validity};
use leasehold_proto::identity::Role;

use super::{ENDLESS, Setup};
use crate::netns::{Lab, Node, Side};

pub(super) const SIDES: [Side; 2] = [Side::A, Side::B];
pub(super) const STORES: std::ops::RangeInclusive<u8> = 1..=3;

/// What is said once, addresses and prefixes on each link, `fe-a` before `fe-b`.
const NETWORK: &str = r#"
[options]
dns_servers = ["2001:db8::53"]
domain_search = ["example.org", "example.net"]

[[relationship]]
name = "pair"
primary = "fe-a"
secondary = "fe-b"
pools = ["lan-addresses", "far-addresses", "lan-prefixes", "far-prefixes"]
buckets = "hot-standby"
"#;

/// The frontends' own link and the one behind the relay: name and prefix.
const LINKS: [(&str, &str); 2] = [("lan", "2001:db8:1::/64"), ("far", "2001:db8:2::/64")];

/// Each pool: its name, its link, and what it leases, as the network file says it.
const POOLS: [(&str, &str, &str); 4] = [
    ("lan-addresses", "lan", "addresses = \"2001:db8:1:0:1::/80\""),
    ("far-addresses", "far", "addresses = \"2001:db8:2:0:1::/80\""),
    ("lan-prefixes", "lan", "prefixes = \"2001:db8:100::/41\"\ndelegated_length = 56"),
    ("far-prefixes", "far", "prefixes = \"2001:db8:180::/41\"\ndelegated_length = 56"),
];

/// The name of a process, of its files and in its certificate.
///
/// # Errors
/// For nodes that run none.
pub(super) fn name_of(node: Node) -> Result<String> {
    Ok(match node {
        Node::Frontend(Side::A) => "fe-a".to_owned(),
        Node::Frontend(Side::B) => "fe-b".to_owned(),
        Node::Store(number) => format!("store-{number}"),
        Node::Core | Node::Relay | Node::Hop(_) | Node::Client(_) => {
            bail!("{node} runs no process of Leasehold")
        }
    })
}

/// The cluster's files.
pub(super) struct Layout<'a> {
    folder: &'a Path,
    setup: &'a Setup,
    /// Name and `[ADDRESS]:PORT` of each store node.
    stores: Vec<(String, String)>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(lab: &Lab, folder: &'a Path, setup: &'a Setup) -> Result<Self> {
        let address = |n| {
            let node = Node::Store(n);
            Ok((name_of(node)?, format!("[{}]:7547", lab.store_address(node)?)))
        };
        Ok(Self { folder, setup, stores: STORES.map(address).collect::<Result<_>>()? })
    }

    pub(super) fn write(&self) -> Result<()> {
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
        for side in SIDES {
            let name = name_of(Node::Frontend(side))?;
            let tls = certify(Role::Frontend, &name)?;
            let own = format!("name = \"{name}\"\ncluster = \"lab\"\nstore = [{list}]");
            let interface = "[[interface]]\nname = \"eth0\"\nlink = \"lan\"\nrelays = true";
            self.file(&name, &format!("[frontend]\n{own}\n\n{interface}\n{tls}"))?;
        }
        let tls = certify(Role::Admin, "admin")?;
        self.file("admin", &format!("[admin]\nstore = [{list}]\n{tls}"))?;
        for (name, address) in &self.stores {
            self.file(&format!("admin-{name}"), &format!("[admin]\nstore = [\"{address}\"]\n{tls}"))?;
        }
        self.file("network", &self.network())
    }

    fn network(&self) -> String {
        let Setup { preferred_secs, valid_secs, autonomy, reconfigure, .. } = self.setup;
        let mut network = NETWORK.to_owned();
        for (name, prefix) in LINKS {
            let _ = write!(
                network,
                "\n[[link]]\nname = \"{name}\"\nprefixes = [\"{prefix}\"]\nreconfigure = {reconfigure}\n"
            );
        }
        for (name, link, what) in POOLS {
            let (preferred, valid) = (lifetime(*preferred_secs), lifetime(*valid_secs));
            let lifetimes = format!("preferred_lifetime = \"{preferred}\"\nvalid_lifetime = \"{valid}\"");
            let autonomy = autonomy.map(|span| format!("autonomy = \"{span}\"\n")).unwrap_or_default();
            let _ = write!(
                network,
                "\n[[pool]]\nname = \"{name}\"\nlink = \"{link}\"\n{what}\n{lifetimes}\n{autonomy}"
            );
        }
        network
    }

    fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(format!("{name}.toml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A lifetime as the network file says it.
fn lifetime(secs: u64) -> String {
    if secs == ENDLESS { "infinite".to_owned() } else { format!("{secs}s") }
}

/// Where a cluster's files lie.
pub(super) fn folder_of(lab: &Lab) -> PathBuf {
    lab.folder().join("leasehold")
}
