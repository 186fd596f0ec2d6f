//! How RocksDB is set up for both databases.
//!
//! Owns: RocksDB's options, with the reason of each, and the operator's limits on memory. Refuses to know: keys.
//! Invariants: point-in-time recovery (a torn tail of the write-ahead log is dropped and only unsynced writes can be in
//! it; the only mode that allows recycled log files); all columns of a database are flushed together, so that what one
//! column's files hold is never ahead of another's after a crash.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options};

const MIB: usize = 1 << 20;

/// How much memory the databases of one node may use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// Memory for unflushed writes of the log database.
    pub log_buffer_bytes: usize,
    /// Memory for unflushed writes of the state database.
    pub state_buffer_bytes: usize,
    /// Memory for blocks read, both databases together.
    pub block_cache_bytes: usize,
}

impl Default for DiskLimits {
    fn default() -> Self {
        Self { log_buffer_bytes: 64 * MIB, state_buffer_bytes: 64 * MIB, block_cache_bytes: 32 * MIB }
    }
}

/// Write-ahead log files to be used again, for a database whose writes are synced: a recycled file is overwritten, not
/// extended, so a sync changes no file size (half the time at small batches). RocksDB refuses unlogged writes then.
pub(crate) const RECYCLED_LOGS: usize = 4;

/// Options of one database whose unflushed writes take at most `buffer_bytes`.
pub(crate) fn database(buffer_bytes: usize, cache: &Cache, recycled_logs: usize) -> Options {
    let mut options = column(buffer_bytes, cache);
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(recycled_logs);
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(buffer_bytes);
    options.set_max_total_wal_size(u64::try_from(buffer_bytes).unwrap_or(u64::MAX).saturating_mul(2));
    options.set_max_background_jobs(2);
    options.set_max_open_files(512);
    options.set_bytes_per_sync(u64::try_from(MIB).unwrap_or(u64::MAX));
    // RocksDB's own diary, bounded.
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(4 * MIB);
    options
}

/// Options of one column.
pub(crate) fn column(buffer_bytes: usize, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(buffer_bytes / 4);
    options.set_max_write_buffer_number(3);
    options
}
