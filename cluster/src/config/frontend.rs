//! The configuration of a frontend.
//!
//! Owns its file form, checks, defaults and effective form. Refuses to know links (the store's network configuration
//! does; a frontend names the link of an interface only) and to open anything. Input: a TOML file; output:
//! [`FrontendConfig`], or every error in it. Source: RFC 9915 §7.2 (port 547).

use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::{Path, PathBuf};

use leasehold_proto::words::FrontendId;
use serde::Serialize;

use super::common::{
    LogConfig, SecurityConfig, TlsText, name, peer_address, read_log, read_security, security_text,
};
use super::document::{Located, Table, parse};
use super::error::{ConfigErrors, Problems, Source};

/// The port of servers and relays. Another one is for tests only: clients and relays know none but this.
const SERVER_PORT: u16 = 547;

/// Longest name of a network interface, in bytes (IFNAMSIZ less its end mark).
const INTERFACE_NAME_MAX: usize = 15;

/// Longest path of a Unix socket, in bytes (`sun_path` less its end mark).
pub(crate) const SOCKET_PATH_MAX: usize = 107;

/// An interface that the frontend listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendInterface {
    /// Its name, as in `ip link`; it need not exist yet.
    pub name: String,
    /// The link, by its name in the network configuration, whose clients sit on it: it joins ff02::1:2 (SV-101).
    pub link: Option<String>,
    /// Relays may multicast to servers there: it joins ff05::1:3.
    pub relays: bool,
}

/// Bytes of receive buffer asked for when the file does not say.
const RECEIVE_BUFFER_LEN: usize = leasehold_frontend::io::socket::RECEIVE_BUFFER_LEN;

/// Bounds on what the file may ask for: a batch of ordinary datagrams, and what the kernel can count.
const RECEIVE_BUFFER_LEN_MIN: u64 = 64 << 10;
const RECEIVE_BUFFER_LEN_MAX: u64 = 1 << 30;

/// What happens when more comes in than can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadConfig {
    /// Renew and Rebind go before Request, Request before Solicit, and relays take turns. A switch for diagnosis and
    /// comparison: off, messages are answered in the order of arrival.
    pub priorities: bool,
    /// Bytes of receive buffer to ask the kernel for.
    pub receive_buffer_len: usize,
}

/// A checked configuration of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendConfig {
    /// The frontend's name, as in its certificate and in the network's relationships.
    pub name: FrontendId,
    /// The cluster's name, as in all certificates.
    pub cluster: String,
    /// Where store nodes are reached; at least one.
    pub store: Vec<String>,
    /// Where DHCPv6 is served. `[::]:547` for real service; a certain address hears what is sent to it alone.
    pub listen: SocketAddrV6,
    /// Where `leasehold frontend-status` asks; nowhere when left out.
    pub status_socket: Option<PathBuf>,
    /// Locked while the frontend runs, so that a restarted one proves its predecessor gone; no proof when left out.
    pub lock_file: Option<PathBuf>,
    /// Interfaces listened on; none when only relays' unicast is served.
    pub interfaces: Vec<FrontendInterface>,
    /// What happens when more comes in than can be answered.
    pub overload: OverloadConfig,
    /// How connections to the store are protected.
    pub security: SecurityConfig,
    /// Logging.
    pub log: LogConfig,
}

impl FrontendConfig {
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
        toml::to_string(&FrontendText {
            insecure_loopback,
            frontend: FrontendTableText {
                name: self.name.as_str(),
                cluster: &self.cluster,
                store: &self.store,
                listen_address: *self.listen.ip(),
                listen_port: self.listen.port(),
                status_socket: self.status_socket.as_deref(),
                lock_file: self.lock_file.as_deref(),
            },
            interface: self
                .interfaces
                .iter()
                .map(|i| InterfaceText { name: &i.name, link: i.link.as_deref(), relays: i.relays })
                .collect(),
            overload: OverloadText {
                priorities: self.overload.priorities,
                receive_buffer_bytes: self.overload.receive_buffer_len,
            },
            log: self.log,
            tls,
        })
    }
}

fn read<'d>(mut root: Table<'d>, problems: &'d Problems<'d>) -> Option<FrontendConfig> {
    let Some(mut frontend) = root.table("frontend") else {
        root.missing("frontend", "write [frontend] with name, cluster and store");
        return None;
    };
    let own = frontend.required("name", "name this frontend as in its certificate", |text| {
        FrontendId::new(text).map_err(|error| error.to_string())
    });
    let cluster =
        frontend.required("cluster", "name the cluster as in its certificates", name("cluster name"));
    let (has_store, store_at) = (frontend.has("store"), frontend.place("store"));
    let store = frontend.list("store", peer_address);
    if !has_store {
        frontend
            .missing("store", "list store nodes, as [\"store-1:7547\", \"store-2:7547\", \"store-3:7547\"]");
    } else if store.is_empty() {
        frontend.problem(store_at, "store", "has no usable address: list at least one store node");
    }
    let port = frontend.number("listen_port", 1, u64::from(u16::MAX));
    let address = frontend.parsed("listen_address", |text| {
        text.parse::<Ipv6Addr>()
            .map_err(|_| format!("`{text}` is not an IPv6 address; leave it out to serve all"))
    });
    let lock_file = frontend.parsed("lock_file", |text| match text {
        "" => Err("is empty: name a file, or leave it out".to_owned()),
        text => Ok(problems.source.resolve(text)),
    });
    let status_socket = frontend.parsed("status_socket", |text| socket_path(problems.source, text));
    frontend.done();

    let interfaces = read_interfaces(&mut root);
    if let Some(address) = address.as_ref().filter(|a| !a.value.is_unspecified() && !interfaces.is_empty()) {
        problems.add(
            address.at,
            "frontend.listen_address",
            format!("a socket bound to {} hears no multicast, so no [[interface]] can be served: leave one of the two out", address.value),
        );
    }
    let addresses: Vec<(String, Located<String>)> =
        store.iter().map(|address| ("frontend.store".to_owned(), address.clone())).collect();
    let security = read_security(&mut root, problems.source, &addresses, |at, field, message| {
        problems.add(at, field, message);
    });
    let overload = read_overload(&mut root);
    let log = read_log(&mut root);
    root.done();
    let port = port.and_then(|port| u16::try_from(port.value).ok()).unwrap_or(SERVER_PORT);
    Some(FrontendConfig {
        name: own?.value,
        cluster: cluster?.value,
        store: store.into_iter().map(|address| address.value).collect(),
        listen: SocketAddrV6::new(address.map_or(Ipv6Addr::UNSPECIFIED, |a| a.value), port, 0, 0),
        status_socket: status_socket.map(|path| path.value),
        lock_file: lock_file.map(|path| path.value),
        interfaces,
        overload,
        security: security?,
        log,
    })
}

fn socket_path(source: &Source, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("is empty: name a file, or leave it out".to_owned());
    }
    let path = source.resolve(text);
    let len = path.as_os_str().len();
    if len > SOCKET_PATH_MAX {
        let path = path.display();
        return Err(format!("`{path}` has {len} bytes, and a socket's path no more than {SOCKET_PATH_MAX}"));
    }
    Ok(path)
}

fn read_overload(root: &mut Table<'_>) -> OverloadConfig {
    let mut config = OverloadConfig { priorities: true, receive_buffer_len: RECEIVE_BUFFER_LEN };
    let Some(mut table) = root.table("overload") else { return config };
    if let Some(priorities) = table.bool("priorities") {
        config.priorities = priorities.value;
    }
    let buffer = table.number("receive_buffer_bytes", RECEIVE_BUFFER_LEN_MIN, RECEIVE_BUFFER_LEN_MAX);
    if let Some(len) = buffer.and_then(|len| usize::try_from(len.value).ok()) {
        config.receive_buffer_len = len;
    }
    table.done();
    config
}

fn read_interfaces(root: &mut Table<'_>) -> Vec<FrontendInterface> {
    let mut out: Vec<FrontendInterface> = Vec::new();
    for mut table in root.tables("interface") {
        let interface = table.required("name", "name the interface as in `ip link`", |text| {
            let fits = (1..=INTERFACE_NAME_MAX).contains(&text.len())
                && !text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
            let message = "cannot be an interface: names have 1 to 15 bytes, without `/` and white space";
            if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` {message}")) }
        });
        let has_link = table.has("link");
        let link = table.parsed("link", |text| {
            FrontendId::new(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
        });
        let relays = table.bool("relays").is_some_and(|relays| relays.value);
        if !has_link && !relays {
            table.missing("link", "name the link that clients on it belong to, or write `relays = true`");
        }
        if let Some(interface) = interface.as_ref().filter(|i| out.iter().any(|other| other.name == i.value))
        {
            let message = format!("`{}` is listed twice: merge the two entries", interface.value);
            table.problem(interface.at, "name", message);
        }
        table.done();
        if let Some(interface) = interface {
            out.push(FrontendInterface { name: interface.value, link: link.map(|link| link.value), relays });
        }
    }
    out
}

#[derive(Serialize)]
struct FrontendText<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure_loopback: Option<bool>,
    frontend: FrontendTableText<'c>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interface: Vec<InterfaceText<'c>>,
    overload: OverloadText,
    log: LogConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsText<'c>>,
}

#[derive(Serialize)]
struct FrontendTableText<'c> {
    name: &'c str,
    cluster: &'c str,
    store: &'c [String],
    listen_address: Ipv6Addr,
    listen_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_socket: Option<&'c Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_file: Option<&'c Path>,
}

#[derive(Serialize)]
struct OverloadText {
    priorities: bool,
    receive_buffer_bytes: usize,
}

#[derive(Serialize)]
struct InterfaceText<'c> {
    name: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'c str>,
    relays: bool,
}
