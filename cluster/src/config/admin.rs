//! The profile of an administrator: where the store is, and with which certificate to go there.
//!
//! Owns its file form and checks. Refuses to connect. Input: a TOML file; output: [`AdminProfile`], or every error
//! in it.

use std::path::Path;

use serde::Serialize;

use super::common::{SecurityConfig, TlsText, peer_address, read_security, security_text};
use super::document::{Located, Table, parse};
use super::error::{ConfigErrors, Problems, Source};

/// A checked profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminProfile {
    /// Where store nodes are reached; at least one.
    pub store: Vec<String>,
    /// How connections are protected.
    pub security: SecurityConfig,
}

impl AdminProfile {
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
        let profile =
            document.as_ref().and_then(|document| read(Table::root(document, &problems), &problems));
        problems.finish(profile)
    }

    /// The effective form.
    ///
    /// # Errors
    /// When a path in it is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let (insecure_loopback, tls) = security_text(&self.security);
        toml::to_string(&ProfileText { insecure_loopback, admin: AdminText { store: &self.store }, tls })
    }
}

fn read<'d>(mut root: Table<'d>, problems: &'d Problems<'d>) -> Option<AdminProfile> {
    let Some(mut admin) = root.table("admin") else {
        root.missing("admin", "write [admin] with store = [\"store-1:7547\", …]");
        return None;
    };
    let (has_store, at) = (admin.has("store"), admin.place("store"));
    let store = admin.list("store", peer_address);
    if store.is_empty() {
        let what = if has_store { "has no usable address" } else { "is missing" };
        admin.problem(at, "store", format!("{what}: list store nodes, as [\"store-1:7547\"]"));
    }
    admin.done();
    let addresses: Vec<(String, Located<String>)> =
        store.iter().map(|address| ("admin.store".to_owned(), address.clone())).collect();
    let security = read_security(&mut root, problems.source, &addresses, |at, field, message| {
        problems.add(at, field, message);
    });
    root.done();
    Some(AdminProfile {
        store: store.into_iter().map(|address| address.value).collect(),
        security: security?,
    })
}

#[derive(Serialize)]
struct ProfileText<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure_loopback: Option<bool>,
    admin: AdminText<'c>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsText<'c>>,
}

#[derive(Serialize)]
struct AdminText<'c> {
    store: &'c [String],
}
