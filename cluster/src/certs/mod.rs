//! `leasehold certs`: making and revoking the certificates of a cluster.
//!
//! Owns: the command line and what it prints. Refuses to know: how certificates are made (`authority`) and how they
//! are verified (`leasehold_proto::tls`). Input: arguments; output: files, and on standard output the `[tls]` table
//! that a node needs.
//!
//! Invariants: no file is overwritten but the revocation list, which only grows; keys have mode 0600.

mod authority;
mod files;
mod list;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use leasehold_proto::identity::Role;
use leasehold_proto::tls::TlsFiles;

pub use authority::{CertificateAuthority, CertsError, DEFAULT_DAYS, Issued, Validity, inspect};

/// Arguments of `leasehold certs`.
#[derive(Args, Debug)]
pub struct CertsCommand {
    #[command(subcommand)]
    action: CertsAction,
}

#[derive(Debug, Subcommand)]
enum CertsAction {
    /// Make a certificate authority for a new cluster.
    Init {
        /// Folder for the authority's certificate, key and revocation list; made if it is not there.
        #[arg(long)]
        dir: PathBuf,
        /// Name of the cluster: lowercase letters, digits, `-`, `.`.
        #[arg(long)]
        cluster: String,
    },
    /// Issue a certificate and its key to a node or a person.
    Issue {
        /// The authority's folder.
        #[arg(long)]
        dir: PathBuf,
        /// What the holder may do: store, frontend, admin or viewer.
        #[arg(long)]
        role: Role,
        /// The holder's name: lowercase letters, digits, `-`, `.`.
        #[arg(long)]
        name: String,
        /// Days until the certificate expires.
        #[arg(long, default_value_t = DEFAULT_DAYS)]
        days: u32,
        /// Folder for the two new files; the authority's own if not given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Say what a certificate file holds.
    Show {
        /// The certificate, PEM.
        file: PathBuf,
    },
    /// Put a certificate on the revocation list.
    Revoke {
        /// The authority's folder.
        #[arg(long)]
        dir: PathBuf,
        /// The certificate to revoke, PEM.
        file: PathBuf,
    },
}

/// Runs `leasehold certs`.
///
/// # Errors
/// Whatever is in the way, with the file and the remedy; nothing is left half-written.
pub fn run(command: CertsCommand) -> anyhow::Result<()> {
    match command.action {
        CertsAction::Init { dir, cluster } => {
            let authority = CertificateAuthority::create(&dir, &cluster)?;
            println!("Made the certificate authority of cluster {cluster}:");
            println!("  {}  (every node needs a copy)", authority.ca_file().display());
            println!(
                "  {}  (every node needs a copy; grows by `leasehold certs revoke`)",
                authority.crl_file().display()
            );
            println!("  {}  (keep it secret, and keep a backup)", authority.key_file().display());
        }
        CertsAction::Issue { dir, role, name, days, out } => {
            let authority = CertificateAuthority::open(&dir)?;
            let issued =
                authority.issue(role, &name, Validity::days(days)?, out.as_deref().unwrap_or(&dir))?;
            println!("Issued {} for {days} days. Configuration of its node:", issued.identity);
            println!("{}", configuration(&issued.files)?);
        }
        CertsAction::Show { file } => print!("{}", inspect(&file)?),
        CertsAction::Revoke { dir, file } => {
            let authority = CertificateAuthority::open(&dir)?;
            let who = authority.revoke(&file)?;
            println!("Revoked {who}.");
            println!(
                "Copy {} to every node: it counts from each node's next connection on.",
                authority.crl_file().display()
            );
        }
    }
    Ok(())
}

/// The `[tls]` table with absolute paths.
fn configuration(files: &TlsFiles) -> anyhow::Result<String> {
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("cannot make {} absolute", path.display()))
    };
    let mut lines = vec!["[tls]".to_owned()];
    let entries = [
        ("ca", Some(&files.ca)),
        ("cert", Some(&files.cert)),
        ("key", Some(&files.key)),
        ("crl", files.crl.as_ref()),
    ];
    for (key, path) in entries {
        if let Some(path) = path {
            let text = absolute(path)?.to_string_lossy().into_owned();
            lines.push(format!("{key} = {}", toml::Value::String(text)));
        }
    }
    Ok(lines.join("\n"))
}
