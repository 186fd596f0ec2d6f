//! Downloading Debian packages and unpacking them, with those of their dependencies whose libraries are missing.
//!
//! Owns: the calls of `apt-get`, `dpkg-deb`, `dpkg-query` and `ldd`.
//! Refuses to know: where the cache is, and locking.
//! In: a program, its package, an empty folder. Out: that folder holds the unpacked tree.
//! Invariants: dependencies are fetched only while `ldd` names a missing library, one level at a time, at most
//! [`MAX_LEVELS`] levels; packages that the system has installed are never fetched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};

use super::located;

/// How many levels of dependencies may be fetched.
const MAX_LEVELS: usize = 6;

/// Unpacks `package`, and what the program `name` in it needs, below `root`, which is created.
pub(super) fn fetch(name: &str, package: &str, root: &Path) -> Result<()> {
    let archives = root.join(".archives");
    fs::create_dir_all(&archives).with_context(|| format!("cannot create {}", archives.display()))?;
    let mut seen = BTreeSet::from([package.to_owned()]);
    let mut level = vec![package.to_owned()];
    for _ in 0..=MAX_LEVELS {
        download(&level, &archives)?;
        let depends = unpack(&archives, root)?;
        // The program may itself come with a dependency, so it need not be there yet.
        let missing = match located(name, root) {
            Ok(program) => missing_libraries(&program)?,
            Err(_) => vec![format!("the program {name}")],
        };
        if missing.is_empty() {
            return Ok(());
        }
        level = depends
            .into_iter()
            .filter(|package| seen.insert(package.clone()) && !installed(package))
            .collect();
        ensure!(
            !level.is_empty(),
            "no dependency of `{package}` is left to fetch, but missing are: {missing:?}"
        );
    }
    bail!("the dependencies of `{package}` go deeper than {MAX_LEVELS} levels")
}

/// Downloads packages into a folder; refreshes the package lists once if that fails.
fn download(packages: &[String], folder: &Path) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("-qq");
    let root = nix::unistd::geteuid().is_root();
    if root {
        // apt's own user could not write into this folder.
        command.args(["-o", "APT::Sandbox::User=root"]);
    }
    command.arg("download").args(packages).current_dir(folder);
    match run(&mut command) {
        Ok(_) => Ok(()),
        // Package lists that are empty, or older than the mirror, are the usual cause.
        Err(_) if root => {
            run(Command::new("apt-get").args(["-qq", "update"]))?;
            run(&mut command).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Unpacks the archives of a folder, deletes them, and returns the names of the packages that they depend on.
fn unpack(archives: &Path, root: &Path) -> Result<Vec<String>> {
    let mut depends = Vec::new();
    for archive in listing(archives)? {
        run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(root))?;
        let fields = run(Command::new("dpkg-deb").arg("-f").arg(&archive).args(["Pre-Depends", "Depends"]))?;
        depends.extend(dependency_names(&String::from_utf8_lossy(&fields.stdout)));
        fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    }
    Ok(depends)
}

fn listing(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The package names in `Depends: a (>= 1), b:any | c` lines; of alternatives the first.
fn dependency_names(fields: &str) -> Vec<String> {
    let values = fields.lines().map(|line| line.split_once(": ").map_or(line, |(_, value)| value));
    let clauses = values.flat_map(|value| value.split(','));
    let names = clauses.filter_map(|clause| clause.split(['|', '(', ':', ' ']).find(|word| !word.is_empty()));
    names.map(str::to_owned).collect()
}

/// Whether the system has a package installed.
fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f=${db:Status-Status}", package]);
    query.output().is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

/// The shared libraries that the loader would not find for a program.
fn missing_libraries(program: &super::Program) -> Result<Vec<String>> {
    let mut ldd = Command::new("env");
    if !program.library_folders.is_empty() {
        ldd.arg(program.library_setting());
    }
    let output = run(ldd.arg("ldd").arg(program.path()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lost = text.lines().filter(|line| line.contains("not found"));
    Ok(lost.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Runs a command to its end; an error says what was run and what it printed.
fn run(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({}): {}", output.status, complaint.trim());
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::dependency_names;

    #[test]
    fn dependency_fields_yield_the_first_alternatives() {
        let fields =
            "Pre-Depends: init-system-helpers (>= 1.54~)\nDepends: libc6 (>= 2.36), a:any | b, iproute2\n";
        assert_eq!(dependency_names(fields), ["init-system-helpers", "libc6", "a", "iproute2"]);
    }
}
