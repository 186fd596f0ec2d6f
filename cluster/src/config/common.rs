//! What configurations of all nodes share: names, addresses, `[tls]` or `insecure_loopback`, and `[log]`.
//!
//! Owns these parts' file form, checks and effective form. Refuses to open anything: files named here are read when
//! the node starts. Invariant: [`SecurityConfig::InsecureLoopback`] passed the check that every address given is a
//! loopback one.

use std::net::SocketAddr;
use std::path::Path;

use leasehold_proto::identity::check_name;
use leasehold_proto::tls::{Security, TlsError, TlsFiles};
use serde::Serialize;

use super::document::{Located, Table};
use super::error::Source;

/// How a node's connections to and between store nodes are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityConfig {
    /// Mutual TLS with these files.
    Tls(TlsFiles),
    /// Plain text; every address is a loopback one.
    InsecureLoopback,
}

impl SecurityConfig {
    /// Reads the certificates.
    ///
    /// # Errors
    /// [`TlsError`], naming the file and the remedy.
    pub fn open(&self) -> Result<Security, TlsError> {
        match self {
            Self::Tls(files) => Security::open(files.clone()),
            Self::InsecureLoopback => Ok(Security::InsecureLoopback),
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What stops a node or loses something.
    Error,
    /// What needs attention.
    Warn,
    /// What changes: the default, silent in a steady state.
    #[default]
    Info,
    /// Every connection and every exchange with the store.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As `tracing` calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// In which form logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people: the default.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

pub(super) fn read_log(root: &mut Table<'_>) -> LogConfig {
    let Some(mut table) = root.table("log") else { return LogConfig::default() };
    let level = table.parsed("level", |text| {
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a level: use error, warn, info, debug or trace"))
    });
    let format = table.parsed("format", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is not a format: use text or json")),
    });
    table.done();
    LogConfig {
        level: level.map(|l| l.value).unwrap_or_default(),
        format: format.map(|f| f.value).unwrap_or_default(),
    }
}

/// Reads `[tls]` or `insecure_loopback`. `addresses` are all addresses of the file, which plain text limits to
/// loopback, each with its field's name.
pub(super) fn read_security(
    root: &mut Table<'_>,
    source: &Source,
    addresses: &[(String, Located<String>)],
    problem: impl Fn(usize, &str, String),
) -> Option<SecurityConfig> {
    let insecure = root.bool("insecure_loopback");
    let tls = root.table("tls");
    match (insecure.filter(|flag| flag.value), tls) {
        (Some(flag), Some(tls)) => {
            problem(flag.at, "insecure_loopback", "contradicts [tls]: keep one of the two".to_owned());
            read_tls(tls, source);
            None
        }
        (Some(_), None) => {
            let mut all_loopback = true;
            for (field, address) in addresses.iter().filter(|(_, address)| !is_loopback(&address.value)) {
                all_loopback = false;
                let message = format!(
                    "`{}` is not a loopback address, and `insecure_loopback = true` allows no other: configure [tls]",
                    address.value
                );
                problem(address.at, field, message);
            }
            all_loopback.then_some(SecurityConfig::InsecureLoopback)
        }
        (None, Some(tls)) => read_tls(tls, source).map(SecurityConfig::Tls),
        (None, None) => {
            root.missing("tls", "write [tls] with ca, cert and key, as `leasehold certs issue` prints it");
            None
        }
    }
}

fn read_tls(mut table: Table<'_>, source: &Source) -> Option<TlsFiles> {
    let path = |text: &str| {
        if text.is_empty() { Err("is empty: name a file".to_owned()) } else { Ok(source.resolve(text)) }
    };
    let ca = table.required("ca", "name the file with the cluster's authority", path);
    let cert = table.required("cert", "name the file with this node's certificate", path);
    let key = table.required("key", "name the file with this node's private key", path);
    let crl = table.parsed("crl", path);
    table.done();
    Some(TlsFiles { ca: ca?.value, cert: cert?.value, key: key?.value, crl: crl.map(|crl| crl.value) })
}

/// The name of a node or a cluster, as it stands in certificates.
pub(super) fn name(what: &'static str) -> impl Fn(&str) -> Result<String, String> {
    move |text| check_name(what, text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// An address to connect to: `HOST:PORT` or `[IPV6]:PORT`.
pub(super) fn peer_address(text: &str) -> Result<String, String> {
    let unreadable = || format!("`{text}` is not an address to connect to: write HOST:PORT or [IPV6]:PORT");
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { Err(unreadable()) } else { Ok(text.to_owned()) };
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(unreadable)?;
    let host_fits = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let port_fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    if host_fits && port_fits { Ok(text.to_owned()) } else { Err(unreadable()) }
}

/// Whether an address certainly stays on this host.
pub(crate) fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => address.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
    }
}

/// `[tls]` of the effective form.
#[derive(Serialize)]
pub(super) struct TlsText<'c> {
    ca: &'c Path,
    cert: &'c Path,
    key: &'c Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    crl: Option<&'c Path>,
}

/// The security part of the effective form: `insecure_loopback` or `[tls]`.
pub(super) fn security_text(security: &SecurityConfig) -> (Option<bool>, Option<TlsText<'_>>) {
    match security {
        SecurityConfig::InsecureLoopback => (Some(true), None),
        SecurityConfig::Tls(files) => (
            None,
            Some(TlsText { ca: &files.ca, cert: &files.cert, key: &files.key, crl: files.crl.as_deref() }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_host_and_a_port() {
        for good in ["127.0.0.1:7000", "[::1]:7000", "store-1.example:7000"] {
            assert!(peer_address(good).is_ok(), "{good}");
        }
        for bad in ["", "host", "host:", ":7000", "host:0", "::1:7000", "a b:1", "[::1]:0", "host:70000"] {
            assert!(peer_address(bad).is_err(), "{bad}");
        }
        assert!(is_loopback("127.0.0.9:1") && is_loopback("[::1]:1") && is_loopback("localhost:1"));
        assert!(!is_loopback("10.0.0.1:1") && !is_loopback("store.example:1"));
    }
}
