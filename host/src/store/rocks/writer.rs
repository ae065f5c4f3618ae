//! The thread that writes to RocksDB.
//!
//! Rule: work is done in the order in which it was handed over. The first failure of a flush ends it: nothing more of it is
//! written, and its finish reports the failure instead of a stamp.

use super::{Db, failure, family, stamp};
use crate::delta::Delta;
use crate::error::{Failure, Result};
use crate::record::Partition;
use crate::rows::Dirty;
use crate::store::Stamp;
use crate::store::layout::{self, ASIDE, STAMP};
use rocksdb::{FlushOptions, WriteBatch, WriteOptions};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// What there is to do for a task.
pub enum Work {
    Begin(Delta),
    Write(Dirty),
    /// The stamp, the task's stay, and where to report.
    Finish(Stamp, u64, Sender<(Partition, u64, Result<Stamp>)>),
    /// All before it is done.
    Reached(SyncSender<()>),
}

pub struct Writer {
    work: Option<Sender<(Partition, usize, Work)>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(db: Arc<Db>) -> Result<Self> {
        let (work, todo) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let done = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(&db, &todo, &done));
        let thread = thread.map_err(|e| Failure::Fatal(format!("can't start the thread of the store: {e}")))?;
        Ok(Self {
            work: Some(work),
            waiting,
            thread: Some(thread),
        })
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn send(&self, task: Partition, bytes: usize, work: Work) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // The thread ends only with `self`; should it have panicked, no flush is ever reported, and `wait` says so.
        _ = self.work.as_ref().map(|to| to.send((task, bytes, work)));
    }

    /// Waits until all that was handed over is written.
    pub fn wait(&self) -> Result<()> {
        let (reached, done) = sync_channel(1);
        self.send(0, 0, Work::Reached(reached));
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

/// A flush under way: its number, or why it has failed.
type Flush = Result<u64>;

fn run(db: &Db, todo: &Receiver<(Partition, usize, Work)>, waiting: &AtomicUsize) {
    let mut flushes: HashMap<Partition, Flush> = HashMap::new();
    for (task, bytes, work) in todo {
        match work {
            Work::Begin(aside) => _ = flushes.insert(task, begin(db, task, &aside)),
            Work::Write(rows) => {
                if let Some(flush) = flushes.get_mut(&task)
                    && flush.is_ok()
                    && let Err(failure) = write(db, task, &rows)
                {
                    *flush = Err(failure);
                }
            }
            Work::Finish(stamp, stay, report) => {
                let flush = flushes
                    .remove(&task)
                    .unwrap_or_else(|| Err(Failure::Fatal("no flush has begun".to_owned())));
                let result = flush.and_then(|flush| finish(db, task, &stamp, flush)).map(|()| stamp);
                // Nobody listens: the worker has ended.
                _ = report.send((task, stay, result));
            }
            Work::Reached(tell) => _ = tell.send(()),
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn no_log() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

/// Removes what flushes left that nobody finished, or that are over, and writes what is beside the rows under a new number.
fn begin(db: &Db, task: Partition, aside: &Delta) -> Flush {
    let family = family(db, task)?;
    let old = stamp(db, task)?.map(|(_, flush)| flush);
    let number = old.map_or(1, |flush| flush + 1);
    let mut batch = WriteBatch::default();
    batch.delete_range_cf(&family, vec![ASIDE], layout::aside_key(old.unwrap_or(0), 0));
    batch.delete_range_cf(&family, layout::aside_key(number, 0), vec![ASIDE + 1]);
    db.write_opt(batch, &no_log()).map_err(|e| failure(&e))?;
    for (record, n) in aside.records().zip(0..) {
        db.put_cf_opt(&family, layout::aside_key(number, n), record, &no_log())
            .map_err(|e| failure(&e))?;
    }
    Ok(number)
}

fn write(db: &Db, task: Partition, rows: &Dirty) -> Result<()> {
    let family = family(db, task)?;
    let mut batch = WriteBatch::default();
    for (hash, key, record) in rows.rows() {
        match record {
            Some(record) => batch.put_cf(&family, layout::row_key(hash, key), record),
            None => batch.delete_cf(&family, layout::row_key(hash, key)),
        }
    }
    db.write_opt(batch, &no_log()).map_err(|e| failure(&e))
}

/// The stamp follows its data, and both reach the disk.
fn finish(db: &Db, task: Partition, stamp: &Stamp, flush: u64) -> Result<()> {
    let family = family(db, task)?;
    db.put_cf_opt(&family, STAMP, layout::encode_stamp(stamp, flush), &no_log())
        .map_err(|e| failure(&e))?;
    let mut options = FlushOptions::default();
    options.set_wait(true);
    db.flush_cf_opt(&family, &options).map_err(|e| failure(&e))
}
