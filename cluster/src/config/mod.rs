//! Configuration: what a node is told by its file, and what the network file says.
//!
//! Owns the file forms (TOML, unknown keys refused, spans with a unit), the checked forms, every default with its
//! reason, and `leasehold config check`. Refuses to open sockets, data folders and certificates, and to know what
//! the processes do with it. Input: files; output: [`StoreConfig`], [`FrontendConfig`], [`NetworkConfig`], or all
//! errors at once, each with file, line, field and remedy. Invariant: a checked form holds no contradiction.

mod admin;
mod common;
mod document;
mod error;
mod frontend;
mod network;
mod pairs;
mod span;
mod store;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

pub use admin::AdminProfile;
pub(crate) use common::is_loopback;
pub use common::{LogConfig, LogFormat, LogLevel, SecurityConfig};
pub use error::{ConfigError, ConfigErrors};
pub(crate) use frontend::SOCKET_PATH_MAX;
pub use frontend::{FrontendConfig, FrontendInterface};
pub use network::{NetworkConfig, network_json, network_toml};
pub(crate) use pairs::parse_pairs;
pub use span::{parse_span, span_text};
pub use store::{RaftTiming, StoreConfig, StoreNode};

use crate::exit::{ExitKind, Failure};
use document::{Table, parse};
use error::{Problems, Source};

/// Arguments of `leasehold config`.
#[derive(Args, Debug)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Check a file of a store node, a frontend, an administrator or the network; print its effective form, or its errors.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// Runs `leasehold config`.
///
/// # Errors
/// The file's errors, all of them, with the exit code for configuration errors.
pub fn run(command: &ConfigCommand) -> Result<(), Failure> {
    let ConfigAction::Check { file } = &command.action;
    let configuration = |errors: &ConfigErrors| Failure::new(ExitKind::Configuration, errors);
    let effective = AnyConfig::load(file)
        .map_err(|errors| configuration(&errors))?
        .to_toml()
        .map_err(|error| Failure::new(ExitKind::Configuration, format!("{}: {error}", file.display())))?;
    print!("{effective}");
    Ok(())
}

/// A checked file of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyConfig {
    /// A store node's.
    Store(StoreConfig),
    /// A frontend's.
    Frontend(FrontendConfig),
    /// An administrator's profile.
    Admin(AdminProfile),
    /// The network file.
    Network(Box<NetworkConfig>),
}

impl AnyConfig {
    /// Reads a file of the kind that its top-level keys tell: `[store]`, `[frontend]`, `[admin]`, or else
    /// the network.
    ///
    /// # Errors
    /// Everything wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::from_source(&Source::read(path)?)
    }

    fn from_source(source: &Source) -> Result<Self, ConfigErrors> {
        match kind(source)? {
            Kind::Store => StoreConfig::from_source(source).map(Self::Store),
            Kind::Frontend => FrontendConfig::from_source(source).map(Self::Frontend),
            Kind::Admin => AdminProfile::from_source(source).map(Self::Admin),
            Kind::Network => NetworkConfig::from_source(source).map(Box::new).map(Self::Network),
        }
    }

    /// The effective form: the file with every default filled in.
    ///
    /// # Errors
    /// When a path in it is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        match self {
            Self::Store(config) => config.to_toml(),
            Self::Frontend(config) => config.to_toml(),
            Self::Admin(profile) => profile.to_toml(),
            Self::Network(config) => network_toml(&config.network),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Store,
    Frontend,
    Admin,
    Network,
}

/// Which top-level keys tell which kind.
const KIND_KEYS: [(&[&str], Kind); 4] = [
    (&["store"], Kind::Store),
    (&["frontend"], Kind::Frontend),
    (&["admin"], Kind::Admin),
    (&["link", "pool", "relationship", "auto"], Kind::Network),
];

fn kind(source: &Source) -> Result<Kind, ConfigErrors> {
    let problems = Problems::new(source);
    let kind = parse(&problems).as_ref().and_then(|document| {
        let root = Table::root(document, &problems);
        let mut kinds = KIND_KEYS.iter().filter(|(keys, _)| keys.iter().any(|key| root.has(key)));
        match (kinds.next(), kinds.next()) {
            (Some((_, kind)), None) => return Some(*kind),
            (None, _) => problems.add(
                0,
                "",
                "is of no known kind: a store node's file has [store], a frontend's [frontend], an administrator's [admin], the network's [[link]]",
            ),
            (Some(_), Some(_)) => problems.add(
                0,
                "",
                "mixes kinds: [store], [frontend], [admin], and [[link]] with [[pool]] and [[relationship]], belong into separate files",
            ),
        }
        None
    });
    problems.finish(kind)
}
