//! The thread that writes to RocksDB.
//!
//! Rule: work is done in the order in which it was handed over. The first failure of a flush ends it: nothing more of
//! it is written, and its finish reports the failure instead of a stamp. The thread never waits for room on the disk.
//! RocksDB itself would wait silently, and then opening or closing a task would wait too.
#![expect(clippy::disallowed_methods, reason = "RocksDB blocks, so it has a thread of its own")]

use super::db::{Db, failure, family, stamp};
use crate::error::{Failure, Result};
use crate::record::{Partition, Stay};
use crate::state::delta::Delta;
use crate::state::rows::Dirty;
use crate::store::Stamp;
use crate::store::layout::{self, ASIDE, STAMP};
use crate::store::lease::Leases;
use rocksdb::properties::{BACKGROUND_ERRORS, NUM_IMMUTABLE_MEM_TABLE};
use rocksdb::{ErrorKind, FlushOptions, WriteBatch, WriteOptions};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread checks whether RocksDB has caught up.
const LOOK: Duration = Duration::from_millis(1);

/// How a flush ended.
pub struct FlushEnd {
    pub task: Partition,
    pub stay: Stay,
    /// What is stored now.
    pub result: Result<Stamp>,
}

/// A piece of work for a task.
pub enum Work {
    Begin(Delta),
    Write(Dirty),
    /// Contains the stamp, and where to report the end.
    Finish(Stamp, Sender<FlushEnd>),
    /// Reports that all work before it is done.
    Reached(SyncSender<()>),
}

/// A piece of work, and the stay that it belongs to.
struct Job {
    task: Partition,
    stay: Stay,
    bytes: usize,
    work: Work,
}

pub struct Writer {
    work: Option<Sender<Job>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(db: Arc<Db>, leases: Leases) -> Result<Self> {
        let (work, todo) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let done = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(&db, &leases, &todo, &done));
        let thread = thread.map_err(|e| Failure::Fatal(format!("can't start the thread of the store: {e}")))?;
        Ok(Self {
            work: Some(work),
            waiting,
            thread: Some(thread),
        })
    }

    /// Number of bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn send(&self, task: Partition, stay: Stay, bytes: usize, work: Work) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // The thread ends only with `self`. If it has panicked, no flush is ever reported, and `wait` fails.
        if let Some(to) = &self.work {
            _ = to.send(Job {
                task,
                stay,
                bytes,
                work,
            });
        }
    }

    /// Waits until everything that was handed over is written.
    pub fn wait(&self) -> Result<()> {
        let (reached, done) = sync_channel(1);
        self.send(Partition(0), Stay::default(), 0, Work::Reached(reached));
        done.recv()
            .map_err(|_| Failure::Fatal("the thread of the store has died".to_owned()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A flush that has begun and not ended.
struct Flush {
    number: u64,
    /// Number of RocksDB's background errors at its start.
    errors: u64,
}

fn run(db: &Db, leases: &Leases, todo: &Receiver<Job>, waiting: &AtomicUsize) {
    // The current flushes, or why they have failed.
    let mut flushes: HashMap<(Partition, Stay), Result<Flush>> = HashMap::new();
    for job in todo {
        let Job {
            task,
            stay,
            bytes,
            work,
        } = job;
        // A stay that takes the state over waits for the current job. All later jobs of older stays are dropped by this
        // check.
        let held = || leases.hold(task, stay);
        match work {
            Work::Begin(snapshot) => {
                // Unfinished flushes of older stays are over.
                flushes.retain(|(other, older), _| *other != task || *older > stay);
                flushes.insert((task, stay), held().and_then(|()| begin(db, task, &snapshot)));
            }
            Work::Write(rows) => {
                if let Some(state) = flushes.get_mut(&(task, stay))
                    && let Ok(flush) = state
                    && let Err(failure) = held().and_then(|()| write(db, task, &rows, flush))
                {
                    *state = Err(failure);
                }
            }
            Work::Finish(stamp, report) => {
                let flush = flushes
                    .remove(&(task, stay))
                    .unwrap_or_else(|| Err(Failure::Fatal("no flush has begun".to_owned())));
                let flush = held().and(flush);
                let result = flush.and_then(|flush| finish(db, task, &stamp, &flush)).map(|()| stamp);
                // If nobody listens, the worker has ended.
                _ = report.send(FlushEnd { task, stay, result });
            }
            Work::Reached(tell) => _ = tell.send(()),
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How many background errors RocksDB has had.
fn errors(db: &Db) -> Result<u64> {
    let count = db.property_int_value(BACKGROUND_ERRORS).map_err(|e| failure(&e))?;
    Ok(count.unwrap_or(0))
}

/// Waits a moment for RocksDB to flush. Returns [`Failure::Retry`] if it has had background errors since `before`.
fn look_again(db: &Db, before: u64) -> Result<()> {
    if errors(db)? > before {
        return Err(Failure::Retry(
            "state on disk: RocksDB can't write in the background; if the disk is full, make room".to_owned(),
        ));
    }
    std::thread::sleep(LOOK);
    Ok(())
}

/// Writes without a write-ahead log, and waits while RocksDB must catch up.
fn put(db: &Db, batch: &WriteBatch, errors: u64) -> Result<()> {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options.set_no_slowdown(true);
    loop {
        match db.write_opt(WriteBatch::from_data(batch.data()), &options) {
            Err(e) if e.kind() == ErrorKind::Incomplete => look_again(db, errors)?,
            result => return result.map_err(|e| failure(&e)),
        }
    }
}

/// Removes what other flushes have left, and writes what is not a row under a new number.
fn begin(db: &Db, task: Partition, snapshot: &Delta) -> Result<Flush> {
    let family = family(db, task)?;
    let errors = errors(db)?;
    let old = stamp(db, task)?.map(|(_, flush)| flush);
    let number = old.map_or(1, |flush| flush + 1);
    let mut batch = WriteBatch::default();
    batch.delete_range_cf(&family, vec![ASIDE], layout::snapshot_key(old.unwrap_or(0), 0));
    batch.delete_range_cf(&family, layout::snapshot_key(number, 0), vec![ASIDE + 1]);
    put(db, &batch, errors)?;
    for (record, n) in snapshot.records().zip(0..) {
        let mut batch = WriteBatch::default();
        batch.put_cf(&family, layout::snapshot_key(number, n), record);
        put(db, &batch, errors)?;
    }
    Ok(Flush { number, errors })
}

fn write(db: &Db, task: Partition, rows: &Dirty, flush: &Flush) -> Result<()> {
    let family = family(db, task)?;
    let mut batch = WriteBatch::default();
    for (hash, key, record) in rows.rows() {
        match record {
            Some(record) => batch.put_cf(&family, layout::row_key(hash, key), record),
            None => batch.delete_cf(&family, layout::row_key(hash, key)),
        }
    }
    put(db, &batch, flush.errors)
}

/// Writes the stamp after its data, and waits until both are on disk.
fn finish(db: &Db, task: Partition, stamp: &Stamp, flush: &Flush) -> Result<()> {
    let family = family(db, task)?;
    let mut batch = WriteBatch::default();
    batch.put_cf(&family, STAMP, layout::encode_stamp(stamp, flush.number));
    put(db, &batch, flush.errors)?;
    let mut options = FlushOptions::default();
    options.set_wait(false);
    db.flush_cf_opt(&family, &options).map_err(|e| failure(&e))?;
    // The stamp's memtable is now immutable. It leaves the list once its file is in the manifest.
    let waiting = || {
        db.property_int_value_cf(&family, NUM_IMMUTABLE_MEM_TABLE)
            .map_err(|e| failure(&e))
    };
    while waiting()?.is_none_or(|count| count > 0) {
        look_again(db, flush.errors)?;
    }
    Ok(())
}
