//! A cluster's state in one file: written from a stopped node's data folder, read when a cluster is founded anew.
//!
//! Owns the file's form, and bringing the rows up to the end of the log. Entries at the log's end may never have been
//! committed; to know more does no harm here, since a cluster founded from the file waits out all old promises. Refuses
//! to know what is done with the rows. The form: magic, format, then length-delimited Protobuf messages (a header, the
//! rows in key order), then a CRC-32 of all before it.

use crate::machine::{CommandBatch, CommandError, Machine, RowError};
use crate::raft::offline;
use crate::rocks::{DiskError, DiskLimits};
use leasehold_proto::v1;
use leasehold_proto::words::LogIndex;
use prost::Message;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"LHSTORE\n";
/// The version of the file's form.
const FORMAT: u32 = 1;

/// Why there is no export, or it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The node's databases.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No node ever stored anything there.
    #[error("{}: no node's data is here; name the data folder of a store node as in its configuration", .0.display())]
    Nothing(PathBuf),
    /// The cluster was never founded.
    #[error("{}: this node never took part in a cluster: there is nothing to export", .0.display())]
    NotFounded(PathBuf),
    /// A row or an entry that this program cannot read.
    #[error("the node's data cannot be understood: {0}")]
    Content(String),
    /// The file cannot be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not an export, or it is damaged.
    #[error("{}: {detail}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl From<RowError> for ExportError {
    fn from(error: RowError) -> Self {
        Self::Content(error.to_string())
    }
}

impl From<CommandError> for ExportError {
    fn from(error: CommandError) -> Self {
        Self::Content(error.to_string())
    }
}

/// What an export holds: among its rows the secret from which clients' reconfigure keys follow. So the file is for its
/// owner's eyes alone, and the rows are in no `Debug` output (SEC-07).
#[derive(Clone, PartialEq)]
pub struct Export {
    /// Whose state, and as of when.
    pub header: v1::ExportHeader,
    /// The machine's rows, key and value, in key order.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({:?}, {} rows)", self.header, self.rows.len())
    }
}

/// What was exported, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// The cluster's name.
    pub cluster: String,
    /// Its incarnation.
    pub incarnation: u32,
    /// As of this log index: of several nodes, take the one with the highest.
    pub applied_index: u64,
    /// Lease records.
    pub leases: u64,
    /// Why the log was not read to its end, if it was not.
    pub left_out: Option<String>,
}

/// Writes the state of a stopped node into a file, which is there entirely or not at all.
///
/// # Errors
/// [`ExportError`].
pub fn export(data_dir: &Path, limits: &DiskLimits, to: &Path) -> Result<ExportReport, ExportError> {
    let found = offline::read(data_dir, limits)?.ok_or_else(|| ExportError::Nothing(data_dir.to_owned()))?;
    let mut machine = Machine::from_rows(&mut found.rows.into_iter())?;
    for (index, payload) in &found.entries {
        machine.apply(LogIndex(*index), &CommandBatch::decode(payload)?);
    }
    let Some((cluster, incarnation)) = machine.cluster().map(|(name, n)| (name.to_owned(), n)) else {
        return Err(ExportError::NotFounded(data_dir.to_owned()));
    };
    let header = v1::ExportHeader {
        cluster: cluster.clone(),
        incarnation: u32::from(incarnation),
        applied_index: machine.applied().0,
        cluster_time_ms: machine.time().as_millis(),
        server_duid_seed: machine.server_duid_seed().unwrap_or_default().to_vec(),
    };
    let leases = machine.leases_from(std::ops::Bound::Unbounded).count();
    write(&Export { header: header.clone(), rows: machine.rows().collect() }, to)?;
    Ok(ExportReport {
        cluster,
        incarnation: header.incarnation,
        applied_index: header.applied_index,
        leases: u64::try_from(leases).unwrap_or(u64::MAX),
        left_out: found.left_out,
    })
}

fn write(export: &Export, to: &Path) -> Result<(), ExportError> {
    let fail = |source| ExportError::File { path: to.to_owned(), source };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_be_bytes());
    bytes.extend(export.header.encode_length_delimited_to_vec());
    for (key, value) in &export.rows {
        let row = v1::OldRow { key: key.clone(), value: value.clone() };
        bytes.extend(row.encode_length_delimited_to_vec());
    }
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    let draft = to.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(fail)?;
    file.write_all(&bytes).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    std::fs::rename(&draft, to).map_err(fail)?;
    let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}

/// Reads an export.
///
/// # Errors
/// [`ExportError`]: not there, of a newer program, damaged.
pub fn read(from: &Path) -> Result<Export, ExportError> {
    let fail = |source| ExportError::File { path: from.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(from).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(fail)?;
    parse(&bytes).map_err(|detail| ExportError::Damaged { path: from.to_owned(), detail })
}

fn parse(bytes: &[u8]) -> Result<Export, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("this is no export of a store")?;
    let (format, _) = rest.split_first_chunk::<4>().ok_or("it ends after its first octets")?;
    let format = u32::from_be_bytes(*format);
    if format != FORMAT {
        return Err(format!("its form is version {format}, this program reads {FORMAT}"));
    }
    let (content, sum) = bytes.split_last_chunk::<4>().ok_or("it ends after its first octets")?;
    if crc32fast::hash(content) != u32::from_be_bytes(*sum) {
        return Err("its checksum is wrong: it is damaged or incomplete".to_owned());
    }
    let mut rest = content.get(MAGIC.len() + 4..).ok_or("it ends after its first octets")?;
    let header = v1::ExportHeader::decode_length_delimited(&mut rest).map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let row = v1::OldRow::decode_length_delimited(&mut rest).map_err(|e| e.to_string())?;
        rows.push((row.key, row.value));
    }
    Ok(Export { header, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn sample() -> Export {
        let header = v1::ExportHeader {
            cluster: "berlin".into(),
            incarnation: 1,
            applied_index: 7,
            cluster_time_ms: 5,
            server_duid_seed: vec![3; 16],
        };
        Export { header, rows: vec![(vec![1], vec![2, 3]), (vec![4, 5], Vec::new())] }
    }

    #[test]
    fn fo_907_sec_07_an_export_is_read_as_it_was_written_by_its_owner_alone_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        write(&sample(), &path).unwrap();
        assert_eq!(read(&path).unwrap(), sample());
        assert!(!path.with_extension("part").exists());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "SEC-07: it holds a secret");
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "octet {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_no_export_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other");
        std::fs::write(&path, "something else").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("no export"));
        let limits = DiskLimits::default();
        let error = export(&folder.path().join("nowhere"), &limits, &path).unwrap_err();
        assert!(matches!(error, ExportError::Nothing(_)), "{error}");
    }
}
