//! The files of a cluster on loopback: folder, free ports, certificates, configurations, an administrator's profile.

use std::fmt::Write as _;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use leasehold_proto::identity::Role;
use leasehold_proto::tls::TlsError;

use crate::certs::{CertificateAuthority, CertsError, Validity};
use crate::config::{ConfigErrors, SOCKET_PATH_MAX};

/// The cluster's name in certificates and files.
const CLUSTER: &str = "local";
/// Days that the certificates of a cluster on loopback are valid.
const VALID_DAYS: u32 = 30;

/// What is laid out.
#[derive(Debug, Clone)]
pub struct Options {
    /// An existing folder for everything.
    pub folder: PathBuf,
    /// The `leasehold` program.
    pub binary: PathBuf,
    /// How many store nodes: `store-1` and on.
    pub stores: usize,
    /// The frontends' names.
    pub frontends: Vec<String>,
}

/// Why the files cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No port.
    #[error("no free port on [::1]: {0}; is IPv6 on for loopback?")]
    Port(std::io::Error),
    /// A certificate.
    #[error(transparent)]
    Certificates(#[from] CertsError),
    /// A configuration that was just written, or a network file.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The administrator's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A cluster's files.
#[derive(Debug)]
pub struct Layout {
    options: Options,
    stores: Vec<(String, SocketAddrV6)>,
    frontends: Vec<(String, SocketAddrV6)>,
}

impl Layout {
    /// Writes everything.
    ///
    /// # Errors
    /// When a file cannot be written, a port or a certificate cannot be had.
    pub fn create(options: Options) -> Result<Self, LayoutError> {
        let stores = (1..=options.stores)
            .map(|n| Ok((format!("store-{n}"), free_tcp_port()?)))
            .collect::<Result<_, LayoutError>>()?;
        let frontends = options
            .frontends
            .iter()
            .map(|name| Ok((name.clone(), free_udp_port()?)))
            .collect::<Result<_, LayoutError>>()?;
        let layout = Self { options, stores, frontends };
        layout.write_certificates()?;
        for (name, address) in &layout.stores {
            layout.write(&layout.config_file(name), &layout.store_text(name, *address))?;
        }
        for (name, address) in &layout.frontends {
            layout.write(&layout.config_file(name), &layout.frontend_text(name, *address))?;
        }
        layout.write(&layout.profile_file(), &layout.profile_text())?;
        Ok(layout)
    }

    /// Store nodes and where they listen.
    #[must_use]
    pub fn stores(&self) -> &[(String, SocketAddrV6)] {
        &self.stores
    }

    /// Frontends and where they listen for DHCPv6.
    #[must_use]
    pub fn frontends(&self) -> &[(String, SocketAddrV6)] {
        &self.frontends
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.options.binary
    }

    /// The folder of it all.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// A process's configuration.
    #[must_use]
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.options.folder.join(format!("{name}.toml"))
    }

    /// A process's log.
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.options.folder.join(format!("{name}.log"))
    }

    /// A frontend's status socket, for `leasehold frontend-status`.
    #[must_use]
    pub fn status_socket(&self, name: &str) -> PathBuf {
        self.options.folder.join(format!("{name}.sock"))
    }

    /// A store node's data folder.
    #[must_use]
    pub fn data_folder(&self, name: &str) -> PathBuf {
        self.options.folder.join(format!("{name}.data"))
    }

    /// The administrator's profile: `leasehold admin -c FILE`.
    #[must_use]
    pub fn profile_file(&self) -> PathBuf {
        self.options.folder.join("admin.toml")
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), LayoutError> {
        std::fs::write(path, text).map_err(|source| LayoutError::File { path: path.to_owned(), source })
    }

    /// The folder of the cluster's certificates.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.options.folder.join("certs")
    }

    fn write_certificates(&self) -> Result<(), LayoutError> {
        let folder = self.certificates();
        let authority = CertificateAuthority::create(&folder, CLUSTER)?;
        let stores = self.stores.iter().map(|(name, _)| (Role::Store, name.as_str()));
        let frontends = self.frontends.iter().map(|(name, _)| (Role::Frontend, name.as_str()));
        for (role, name) in stores.chain(frontends).chain([(Role::Admin, "admin")]) {
            authority.issue(role, name, Validity::days(VALID_DAYS)?, &folder)?;
        }
        Ok(())
    }

    fn tls_text(role: &str, name: &str) -> String {
        format!(
            "\n[tls]\nca = \"certs/ca.pem\"\ncert = \"certs/{role}-{name}.pem\"\nkey = \"certs/{role}-{name}.key\"\n"
        )
    }

    fn store_text(&self, name: &str, address: SocketAddrV6) -> String {
        let mut text = format!(
            "[store]\nname = \"{name}\"\ncluster = \"{CLUSTER}\"\ndata = \"{name}.data\"\nlisten = \"{address}\"\n"
        );
        for (node, address) in &self.stores {
            // Writing into a String cannot fail.
            let _ = write!(text, "\n[[store.node]]\nname = \"{node}\"\naddress = \"{address}\"\n");
        }
        text + &Self::tls_text("store", name)
    }

    fn frontend_text(&self, name: &str, address: SocketAddrV6) -> String {
        // In a folder whose path is too long for a socket there is none.
        let socket = self.status_socket(name);
        let fits = socket.as_os_str().len() <= SOCKET_PATH_MAX;
        let socket = if fits { format!("status_socket = \"{name}.sock\"\n") } else { String::new() };
        format!(
            "[frontend]\nname = \"{name}\"\ncluster = \"{CLUSTER}\"\nlisten_address = \"{}\"\nlisten_port = {}\nstore = [{}]\nlock_file = \"{name}.lock\"\n{socket}{}",
            address.ip(),
            address.port(),
            self.store_list(),
            Self::tls_text("frontend", name)
        )
    }

    fn profile_text(&self) -> String {
        format!("[admin]\nstore = [{}]\n{}", self.store_list(), Self::tls_text("admin", "admin"))
    }

    fn store_list(&self) -> String {
        let addresses: Vec<String> = self.stores.iter().map(|(_, a)| format!("\"{a}\"")).collect();
        addresses.join(", ")
    }
}

/// A port that was free a moment ago: processes are started at once, and one that finds it taken says so.
fn free_tcp_port() -> Result<SocketAddrV6, LayoutError> {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).map_err(LayoutError::Port)?;
    let port = listener.local_addr().map_err(LayoutError::Port)?.port();
    Ok(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0))
}

fn free_udp_port() -> Result<SocketAddrV6, LayoutError> {
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).map_err(LayoutError::Port)?;
    let port = socket.local_addr().map_err(LayoutError::Port)?.port();
    Ok(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0))
}
