//! Third-party programs for tests, unpacked privately from Debian packages.
//!
//! Owns: finding a named program on this machine or, failing that, downloading its package with `apt-get download` and
//! unpacking it with `dpkg -x` into a cache folder beside cargo's target folder. Nothing is ever installed: no
//! maintainer script runs, no service starts, no file outside the cache is written. Refuses to know: what the programs
//! are for and how they are run. In: a program name of [`PACKAGES`], or that of a library to be preloaded. Out: a
//! [`Program`], a path and the private library folders that it needs. Invariants: a cached program is complete (it is
//! unpacked aside and renamed into place); one file lock serialises parallel tests and processes; `apt-get update` runs
//! only when a download has failed and only as root. To fetch newer packages, delete the folder `test-programs` in the
//! target folder.

mod fetch;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The programs that can be fetched, each with the Debian package that holds it.
pub const PACKAGES: &[(&str, &str)] = &[
    ("dhclient", "isc-dhcp-client"),
    ("dhcrelay", "isc-dhcp-relay"),
    ("dhcpcd", "dhcpcd-base"),
    ("dibbler-client", "dibbler-client"),
    ("dibbler-relay", "dibbler-relay"),
    ("dhcp6c", "wide-dhcpv6-client"),
    ("dhcp6relay", "wide-dhcpv6-relay"),
    ("systemd-networkd", "systemd"),
    ("kea-dhcp6", "kea-dhcp6-server"),
    ("libfaketimeMT.so.1", "libfaketime"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];

/// Folders of a Debian system, relative to its root, that hold programs.
const PROGRAM_FOLDERS: [&str; 6] = ["usr/sbin", "usr/bin", "sbin", "bin", "lib/systemd", "usr/lib/systemd"];

/// An executable and the private library folders that it needs beyond the system's.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    library_folders: Vec<PathBuf>,
}

impl Program {
    /// Where the executable is, an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The words that run the program: its path, led by `env LD_LIBRARY_PATH=…` where it needs private libraries.
    ///
    /// The variable is set on the command line and not in the environment, so that a wrapper such as
    /// `ip netns exec` still runs with the system's libraries.
    pub fn words(&self) -> Vec<OsString> {
        let path = self.path.clone().into_os_string();
        if self.library_folders.is_empty() {
            return vec![path];
        }
        vec!["env".into(), self.library_setting(), path]
    }

    /// A command that runs the program, for arguments to be added.
    pub fn command(&self) -> Command {
        let words = self.words();
        let (first, rest) = words.split_first().expect("words() always holds at least the path");
        let mut command = Command::new(first);
        command.args(rest);
        command
    }

    fn library_setting(&self) -> OsString {
        let mut setting = OsString::from("LD_LIBRARY_PATH=");
        for (index, folder) in self.library_folders.iter().enumerate() {
            if index > 0 {
                setting.push(":");
            }
            setting.push(folder);
        }
        setting
    }
}

/// A program of the system where it is installed, else one unpacked privately: for plain tools such as `ip` and
/// `nft`, of which any version does.
///
/// # Errors
/// As [`program`].
pub fn tool(name: &str) -> Result<Program> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let listed = std::env::split_paths(&search_path);
    let usual = PROGRAM_FOLDERS.iter().map(|folder| Path::new("/").join(folder));
    match listed.chain(usual).map(|folder| folder.join(name)).find(|path| path.is_file()) {
        Some(path) => Ok(Program { path, library_folders: Vec::new() }),
        None => program(name),
    }
}

/// A program from its Debian package, fetched and unpacked privately on first use and taken from the cache later.
///
/// # Errors
/// When the program is not one of [`PACKAGES`], the machine is not a Debian one (no `apt-get` or `dpkg-deb`), or
/// the package cannot be downloaded; the message says which command failed and what it printed.
pub fn program(name: &str) -> Result<Program> {
    let Some((_, package)) = PACKAGES.iter().find(|(program, _)| *program == name) else {
        bail!("no Debian package is known for the program `{name}`: add it to debian::PACKAGES");
    };
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).with_context(|| format!("cannot create {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;

    let home = cache.join(name);
    if !home.exists() {
        let aside = cache.join(format!("{name}.partial"));
        if aside.exists() {
            fs::remove_dir_all(&aside).with_context(|| format!("cannot remove {}", aside.display()))?;
        }
        fetch::fetch(name, package, &aside).with_context(|| {
            format!(
                "cannot get the program `{name}` from the Debian package `{package}` (offline? As root, \
                 `apt-get update && apt-get download {package}` must work)"
            )
        })?;
        fs::rename(&aside, &home).with_context(|| format!("cannot rename {}", aside.display()))?;
    }
    located(name, &home)
}

/// The cache: `test-programs` in cargo's target folder, which outlives the tests and, in CI, the clone. Found from where
/// this test lies, since the test too may outlive the clone that it was compiled in.
fn cache_folder() -> Result<PathBuf> {
    let test = std::env::current_exe().context("a test does not know where it lies")?;
    let target = test.ancestors().nth(3).with_context(|| {
        format!("{} does not lie three folders deep in a target folder, as cargo puts tests", test.display())
    })?;
    Ok(target.join("test-programs"))
}

/// The program in an unpacked tree.
fn located(name: &str, root: &Path) -> Result<Program> {
    let path = PROGRAM_FOLDERS.iter().map(|folder| root.join(folder).join(name)).find(|path| path.is_file());
    let path = match path {
        Some(path) => Some(path),
        None => library(&root.join("usr/lib"), name, 2)?,
    };
    let Some(path) = path else {
        bail!("there is no program `{name}` in {}: delete that folder and run again", root.display());
    };
    let mut library_folders = Vec::new();
    for folder in ["lib", "usr/lib"] {
        collect_library_folders(&root.join(folder), 2, &mut library_folders)?;
    }
    Ok(Program { path, library_folders })
}

/// A library meant to be loaded before others, which lies in a folder of its own, `depth` levels down at most.
fn library(folder: &Path, name: &str, depth: usize) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    if folder.join(name).is_file() {
        return Ok(Some(folder.join(name)));
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries.filter(|_| depth > 0) {
        if let Some(path) = library(&entry?.path(), name, depth - 1)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Adds `folder` and those below it, `depth` levels deep, that hold shared libraries proper (`lib*.so*`).
fn collect_library_folders(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut holds_library = false;
    let mut below = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            below.push(path);
        } else {
            holds_library |= path.file_name().is_some_and(is_library);
        }
    }
    if holds_library {
        found.push(folder.to_path_buf());
    }
    below.sort();
    if depth > 0 {
        for folder in below {
            collect_library_folders(&folder, depth - 1, found)?;
        }
    }
    Ok(())
}

fn is_library(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("lib") && name.contains(".so")
}
