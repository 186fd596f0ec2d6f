//! The format row that each database carries, checked whenever it is opened.
//!
//! Owns: the row's key and value, and opening a database with its columns. Refuses to know: what else is in it.
//! Inputs: a folder, the database's kind. Outputs: the open database, or why it is not ours to open.
//! Invariant: nothing is read from a database whose format row is not the one this program writes.

use std::path::Path;

use rocksdb::{Cache, ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME, WriteOptions};

use super::{DiskError, options};

/// The column for single rows.
pub(crate) const META: &str = "meta";
const FORMAT_KEY: &[u8] = b"format";
/// The version of the keys and of the messages below them. A change of either is a new number and a migration.
const FORMAT_VERSION: u32 = 1;

/// Opens (or makes) the database of `kind` in `path`, with the column `rows` beside [`META`].
pub(crate) fn open(
    path: &Path,
    kind: &str,
    rows: &'static str,
    buffer_bytes: usize,
    cache: &Cache,
    recycled_logs: usize,
) -> Result<DB, DiskError> {
    let database = options::database(buffer_bytes, cache, recycled_logs);
    // RocksDB's own column is never used, but of the largest buffer of any column it sets disk aside for each log file: so
    // much that a small disk is full until it is given up.
    let columns = [DEFAULT_COLUMN_FAMILY_NAME, META, rows]
        .map(|name| ColumnFamilyDescriptor::new(name, options::column(buffer_bytes, cache)));
    let db = DB::open_cf_descriptors(&database, path, columns)
        .map_err(|error| DiskError::rocks("opening the database", path, &error))?;
    let wanted = format!("{kind}/{FORMAT_VERSION}");
    let meta = column(&db, META, path)?;
    match db.get_cf(meta, FORMAT_KEY).map_err(|error| DiskError::rocks("reading the format", path, &error))? {
        Some(found) if found == wanted.as_bytes() => {}
        Some(found) => {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Err(DiskError::Format { path: path.to_owned(), found, wanted });
        }
        None => {
            let rows = column(&db, rows, path)?;
            let mut rest = db.raw_iterator_cf(rows);
            rest.seek_to_first();
            if rest.valid() {
                return Err(DiskError::damaged(path, "meta/format", "rows are there but no format row"));
            }
            drop(rest);
            let mut synced = WriteOptions::default();
            synced.set_sync(true);
            db.put_cf_opt(meta, FORMAT_KEY, wanted.as_bytes(), &synced)
                .map_err(|error| DiskError::rocks("writing the format", path, &error))?;
        }
    }
    Ok(db)
}

/// The handle of a column that [`open`] made.
pub(crate) fn column<'a>(
    db: &'a DB,
    name: &str,
    path: &Path,
) -> Result<&'a rocksdb::ColumnFamily, DiskError> {
    db.cf_handle(name).ok_or_else(|| DiskError::damaged(path, name, "the column is missing"))
}
