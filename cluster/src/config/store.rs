//! The configuration of a store node.
//!
//! Owns its file form, checks, defaults and effective form. Refuses to open the data folder, sockets or
//! certificates. Input: a TOML file; output: [`StoreConfig`], or every error in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::common::{
    LogConfig, SecurityConfig, TlsText, name, peer_address, read_log, read_security, security_text,
};
use super::document::{Located, Table, parse};
use super::error::{ConfigErrors, Problems, Source};
use super::span::{parse_span, span_text};

/// A store node and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreNode {
    /// Its name, as in its certificate.
    pub name: String,
    /// `HOST:PORT` or `[IPV6]:PORT`.
    pub address: String,
}

/// How fast store nodes notice each other's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTiming {
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// A follower that hears nothing of the leader for a random time of three quarters of this to all of it stands for
    /// election.
    pub silence: Duration,
}

impl Default for RaftTiming {
    /// A dead leader is replaced within a second; one that misses three heartbeats on a bad network is not.
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(100), silence: Duration::from_millis(600) }
    }
}

/// A checked configuration of a store node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The node's name, as in its certificate; one of `nodes`.
    pub name: String,
    /// The cluster's name, as in all certificates.
    pub cluster: String,
    /// The data folder, of this node alone.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// All initial members, this node included; at least one. The first founds the cluster.
    pub nodes: Vec<StoreNode>,
    /// How connections are protected.
    pub security: SecurityConfig,
    /// Logging.
    pub log: LogConfig,
    /// Raft's timings.
    pub raft: RaftTiming,
}

impl StoreConfig {
    /// Reads and checks a file. Relative paths in it count from its own folder.
    ///
    /// # Errors
    /// Everything wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::from_source(&Source::read(path)?)
    }

    pub(super) fn from_source(source: &Source) -> Result<Self, ConfigErrors> {
        let problems = Problems::new(source);
        let document = parse(&problems);
        let config = document.as_ref().and_then(|document| read(Table::root(document, &problems), &problems));
        problems.finish(config)
    }

    /// The effective form: the file with every default filled in.
    ///
    /// # Errors
    /// When a path in it is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let (insecure_loopback, tls) = security_text(&self.security);
        toml::to_string(&StoreText {
            insecure_loopback,
            store: StoreTableText {
                name: &self.name,
                cluster: &self.cluster,
                data: &self.data,
                listen: self.listen.to_string(),
                node: &self.nodes,
            },
            raft: RaftText {
                heartbeat: span_text(self.raft.heartbeat),
                silence: span_text(self.raft.silence),
            },
            log: self.log,
            tls,
        })
    }
}

fn read<'d>(mut root: Table<'d>, problems: &'d Problems<'d>) -> Option<StoreConfig> {
    let Some(mut store) = root.table("store") else {
        root.missing("store", "write [store] with name, cluster, data and listen");
        return None;
    };
    let own = store.required("name", "name this node as in its certificate", name("node name"));
    let cluster = store.required("cluster", "name the cluster as in its certificates", name("cluster name"));
    let data = store.required("data", "name the folder for this node's data", |text| {
        if text.is_empty() {
            Err("is empty: name a folder".to_owned())
        } else {
            Ok(problems.source.resolve(text))
        }
    });
    let listen =
        store.required("listen", "write the address and port to listen on, as \"[::]:7547\"", |text| {
            text.parse::<SocketAddr>().map_err(|_| {
                format!("`{text}` is not an address to listen on: write IPV4:PORT or [IPV6]:PORT")
            })
        });
    let nodes = read_nodes(&mut store, own.as_ref());
    store.done();

    let mut addresses: Vec<(String, Located<String>)> = nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let address = Located { value: node.value.address.clone(), at: node.at };
            (format!("store.node[{}].address", i + 1), address)
        })
        .collect();
    if let Some(listen) = &listen {
        let address = Located { value: listen.value.to_string(), at: listen.at };
        addresses.push(("store.listen".to_owned(), address));
    }
    let security = read_security(&mut root, problems.source, &addresses, |at, field, message| {
        problems.add(at, field, message);
    });
    let log = read_log(&mut root);
    let raft = read_raft(&mut root);
    root.done();
    Some(StoreConfig {
        name: own?.value,
        cluster: cluster?.value,
        data: data?.value,
        listen: listen?.value,
        nodes: nodes.into_iter().map(|node| node.value).collect(),
        security: security?,
        log,
        raft,
    })
}

fn read_nodes(store: &mut Table<'_>, own: Option<&Located<String>>) -> Vec<Located<StoreNode>> {
    let tables = store.tables("node");
    if tables.is_empty() {
        store.missing("node", "list every initial store node, this one included, as [[store.node]]");
    }
    let listed = !tables.is_empty();
    let mut nodes: Vec<Located<StoreNode>> = Vec::new();
    let mut complete = true;
    for mut table in tables {
        let node = table.required("name", "name the node as in its certificate", name("node name"));
        let address =
            table.required("address", "write where the node is reached, as \"store-1:7547\"", peer_address);
        for other in &nodes {
            if let Some(node) = node.as_ref().filter(|node| node.value == other.value.name) {
                table.problem(node.at, "name", format!("`{}` is listed twice: names are unique", node.value));
            }
            if let Some(address) = address.as_ref().filter(|address| address.value == other.value.address) {
                table.problem(address.at, "address", format!("`{}` is listed twice", address.value));
            }
        }
        table.done();
        match (node, address) {
            (Some(node), Some(address)) => {
                nodes.push(Located {
                    value: StoreNode { name: node.value, address: address.value },
                    at: address.at,
                });
            }
            _ => complete = false,
        }
    }
    if let Some(own) = own
        && listed
        && complete
        && !nodes.iter().any(|node| node.value.name == own.value)
    {
        let message =
            format!("`{}` is not among the [[store.node]] entries: add it, or correct the name", own.value);
        store.problem(own.at, "name", message);
    }
    nodes
}

fn read_raft(root: &mut Table<'_>) -> RaftTiming {
    let default = RaftTiming::default();
    let Some(mut table) = root.table("raft") else { return default };
    let heartbeat = table.parsed("heartbeat", parse_span);
    let silence = table.parsed("silence", parse_span);
    let at = |field: &Option<Located<Duration>>, table: &Table<'_>| field.as_ref().map_or(table.at, |f| f.at);
    let value = |field: &Option<Located<Duration>>, default| field.as_ref().map_or(default, |f| f.value);
    let timing = RaftTiming {
        heartbeat: value(&heartbeat, default.heartbeat),
        silence: value(&silence, default.silence),
    };
    if timing.heartbeat.is_zero() {
        table.problem(at(&heartbeat, &table), "heartbeat", "must be above 0");
    }
    if timing.silence <= timing.heartbeat * 4 {
        let message = format!("must be more than four times the heartbeat ({})", span_text(timing.heartbeat));
        table.problem(at(&silence, &table), "silence", message);
    }
    table.done();
    timing
}

#[derive(Serialize)]
struct StoreText<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure_loopback: Option<bool>,
    store: StoreTableText<'c>,
    raft: RaftText,
    log: LogConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsText<'c>>,
}

#[derive(Serialize)]
struct StoreTableText<'c> {
    name: &'c str,
    cluster: &'c str,
    data: &'c Path,
    listen: String,
    node: &'c [StoreNode],
}

#[derive(Serialize)]
struct RaftText {
    heartbeat: String,
    silence: String,
}
