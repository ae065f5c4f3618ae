//! The database: how it is opened, its column families, and what its errors mean.

use crate::error::{Failure, Result};
use crate::record::Partition;
use crate::store::Stamp;
use crate::store::layout::{self, STAMP};
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType, DBWithThreadMode,
    ErrorKind, LogLevel, MultiThreaded, Options,
};
use std::path::Path;
use std::sync::Arc;

pub type Db = DBWithThreadMode<MultiThreaded>;

/// Size of all memtables together. A column family starts to flush at its second memtable. 64 MiB hold about 180,000
/// rows.
const WRITE_BUFFERS: usize = 64 << 20;

const WRITE_BUFFER: usize = 8 << 20;

/// Block cache for compactions and the pass at the start. All column families share it.
pub const BLOCK_CACHE: usize = 8 << 20;

/// Whether opening it again can't help. RocksDB reports a missing file of the database as an I/O error.
pub fn damaged(error: &rocksdb::Error) -> bool {
    match error.kind() {
        ErrorKind::Corruption | ErrorKind::InvalidArgument => true,
        ErrorKind::IOError => error.as_ref().contains("No such file"),
        _ => false,
    }
}

pub fn open(path: &Path, cache: &Cache) -> std::result::Result<Db, rocksdb::Error> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    let there = if path.join("CURRENT").exists() {
        Db::list_cf(&options, path)?
    } else {
        Vec::new()
    };
    // Without descriptors, column families would get default options.
    let families = there
        .iter()
        .map(|name| ColumnFamilyDescriptor::new(name, family_options(cache)));
    Db::open_cf_descriptors(&options, path, families.collect::<Vec<_>>())
}

pub fn family_options(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(16 << 10);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_max_write_buffer_number(3);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&blocks);
    options
}

pub fn name(task: Partition) -> String {
    format!("task-{task}")
}

pub fn failure(error: &rocksdb::Error) -> Failure {
    let text = format!("state on disk: {error}");
    match error.kind() {
        ErrorKind::Corruption => Failure::Corrupted(text),
        ErrorKind::IOError | ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain | ErrorKind::Incomplete => {
            Failure::Retry(format!("{text}; if the disk is full, make room"))
        }
        _ => Failure::Fatal(text),
    }
}

/// The column family of a task, or [`Failure::Fatal`] if the task is not open.
pub fn family(db: &Db, task: Partition) -> Result<Arc<BoundColumnFamily<'_>>> {
    db.cf_handle(&name(task))
        .ok_or_else(|| Failure::Fatal(format!("state of task {task} is not open")))
}

/// The stamp, if there is one. [`Failure::Corrupted`]: another version of Pelton wrote it, or it is damaged.
pub fn stamp(db: &Db, task: Partition) -> Result<Option<(Stamp, u64)>> {
    let bytes = db.get_cf(&family(db, task)?, STAMP).map_err(|e| failure(&e))?;
    let decode = |bytes: Vec<u8>| layout::decode_stamp(&bytes).map_err(|why| Failure::Corrupted(why.to_string()));
    bytes.map(decode).transpose()
}
