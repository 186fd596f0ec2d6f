//! Leasehold in a lab: one store node and one frontend without a partner, in the first frontend's namespace.
//!
//! Owns their files, and bringing them up. Refuses to know scripts. In: a [`Lab`]. Out: two processes that serve.
//! They talk in plain text over that namespace's loopback: failover and certificates are other tests' matter.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::site;
use crate::cluster::binary;
use crate::netns::{Lab, Node, Proc, Side, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);
const STORE: &str = "insecure_loopback = true\n[store]\nname = \"store-1\"\ncluster = \"lab\"\n\
    data = \"store-1.data\"\nlisten = \"[::1]:7547\"\n[[store.node]]\nname = \"store-1\"\naddress = \"[::1]:7547\"\n";
const FRONTEND: &str = "insecure_loopback = true\n[frontend]\nname = \"fe-a\"\ncluster = \"lab\"\n\
    store = [\"[::1]:7547\"]\n[[interface]]\nname = \"eth0\"\nlink = \"lan\"\nrelays = true\n";
const ADMIN: &str = "insecure_loopback = true\n[admin]\nstore = [\"[::1]:7547\"]\n";

/// Starts both, applies the network and returns once the frontend owns a range of every pool.
///
/// # Errors
/// When a process does not come up in time; the message holds what the store said last.
pub(super) fn start(lab: &Lab) -> Result<Vec<Proc>> {
    let folder = lab.folder();
    let network = site::ours();
    let files = [("store", STORE), ("frontend", FRONTEND), ("admin", ADMIN), ("network", &network)];
    for (name, text) in files {
        let path = folder.join(format!("{name}.toml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let run = |kind: &str| {
        let file = folder.join(format!("{kind}.toml"));
        let words = [binary().into_os_string(), kind.into(), "-c".into(), file.into()];
        lab.spawn(Node::Frontend(Side::A), &words)
    };
    let processes = vec![run("store")?, run("frontend")?];
    let mut last = String::new();
    let network = folder.join("network.toml").display().to_string();
    // Until a leader is elected the store refuses.
    let applied = wait_until("the network configuration to be taken", PATIENCE, || {
        let applied = admin(lab, folder, &["network", "apply", &network]);
        Ok(applied.map_err(|error| last = format!("{error:#}")).ok())
    });
    applied.with_context(|| last.clone())?;
    let served = wait_until("ranges of all pools", PATIENCE, || {
        let known = admin(lab, folder, &["frontends"])?;
        last = known.to_string();
        let ranges = known[0]["ranges_granted"].as_u64().unwrap_or(0);
        Ok((usize::try_from(ranges)? >= site::POOLS.len()).then_some(()))
    });
    served.with_context(|| last.clone())?;
    Ok(processes)
}

fn admin(lab: &Lab, folder: &Path, words: &[&str]) -> Result<Value> {
    let mut command = lab.command(Node::Frontend(Side::A), "timeout");
    command.arg("20").arg(binary()).args(["admin", "--output", "json", "-c"]);
    let output = command.arg(folder.join("admin.toml")).args(words).output().context("cannot run admin")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "admin {words:?} failed ({}): {}", output.status, complaint.trim());
    serde_json::from_slice(&output.stdout).with_context(|| format!("admin {words:?} printed no JSON"))
}
