//! State on disk in RocksDB: one database for each instance, one column family for each task, no write-ahead log.
//!
//! Rule: all writes of a task go through one thread, in order, into one column family. Memtables reach the disk in that
//! order, so a crash keeps a prefix of the writes. A stamp that survives has all of its data before it.
//!
//! Everything is read in one pass at a start, and written sorted. So there are no bloom filters, and only a small block
//! cache and small write buffers.

mod db;
#[cfg(test)]
mod tests;
mod writer;

use super::layout::{self, ROW};
use super::lease::Leases;
use super::{Directory, LocalStore, Stamp};
use crate::error::{Failure, Result};
use crate::record::{Partition, Stay};
use crate::state::delta::{Change, Delta};
use crate::state::rows::Dirty;
use db::{BLOCK_CACHE, Db, damaged, failure, family, family_options, name, open, stamp};
use rocksdb::{Cache, ReadOptions};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use writer::{FlushEnd, Work, Writer};

/// No more slices are accepted while this much waits for the writer. That is eight slices of 1 MiB.
const WAITING_MAX: usize = 8 << 20;

/// The database of an instance, or the reason why the disk has no room for one. In that case, every call fails with
/// that reason, and the tasks only use their changelogs. Clones share the database, and dropping the last one closes
/// it.
#[derive(Clone)]
pub struct Rocks(Result<Open>);

#[derive(Clone)]
struct Open {
    db: Arc<Db>,
    writer: Arc<Writer>,
    cache: Cache,
    leases: Leases,
}

impl Rocks {
    /// Opens the database in the data directory. A damaged one is removed, because the changelog has everything.
    pub fn open(directory: &Directory) -> Result<Self> {
        let path = directory.path().join("state");
        let cache = Cache::new_lru_cache(BLOCK_CACHE);
        let db = match open(&path, &cache) {
            Err(e) if damaged(&e) => {
                tracing::warn!(path = %path.display(), error = %e, "the state on disk is damaged; removing it, and restoring from the changelog");
                std::fs::remove_dir_all(&path)
                    .map_err(|e| Failure::Fatal(format!("can't remove the damaged {}: {e}", path.display())))?;
                open(&path, &cache)
            }
            opened => opened,
        };
        let db = match db {
            Ok(db) => Arc::new(db),
            Err(e) => {
                let text = format!("can't open the state at {}: {e}", path.display());
                return match e.as_ref().contains("No space left") {
                    true => Ok(Self(Err(Failure::Retry(format!("{text}; make room"))))),
                    false => Err(Failure::Fatal(format!("{text}; is another process using it?"))),
                };
            }
        };
        let leases = Leases::default();
        let writer = Arc::new(Writer::start(db.clone(), leases.clone())?);
        Ok(Self(Ok(Open {
            db,
            writer,
            cache,
            leases,
        })))
    }

    /// A worker's view of the database.
    pub fn store(&self) -> RocksStore {
        let (sender, ends) = channel();
        RocksStore {
            rocks: self.clone(),
            stays: HashMap::new(),
            sender,
            ends,
        }
    }
}

/// A [`LocalStore`] in RocksDB.
pub struct RocksStore {
    rocks: Rocks,
    /// The stay of each open task. Reports of earlier stays are dropped.
    stays: HashMap<Partition, Stay>,
    sender: Sender<FlushEnd>,
    ends: Receiver<FlushEnd>,
}

impl RocksStore {
    fn rocks(&self) -> Result<&Open> {
        self.rocks.0.as_ref().map_err(Failure::clone)
    }

    fn stay(&self, task: Partition) -> Result<Stay> {
        let stay = self.stays.get(&task).copied();
        stay.ok_or_else(|| Failure::Fatal(format!("state of task {task} is not open")))
    }

    /// Hands work over to the writer, unless the task is not open here.
    fn send(&self, task: Partition, bytes: usize, work: Work) {
        if let (Ok(rocks), Ok(stay)) = (self.rocks(), self.stay(task)) {
            rocks.writer.send(task, stay, bytes, work);
        }
    }
}

fn visit(db: &Db, task: Partition, from: &[u8], to: &[u8], visit: &mut dyn FnMut(Change<'_>)) -> Result<()> {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(from);
    options.set_iterate_upper_bound(to);
    options.fill_cache(false);
    options.set_readahead_size(2 << 20);
    let mut pairs = db.raw_iterator_cf_opt(&family(db, task)?, options);
    pairs.seek_to_first();
    while let Some(record) = pairs.value() {
        layout::visit(record, visit)?;
        pairs.next();
    }
    pairs.status().map_err(|e| failure(&e))
}

impl LocalStore for RocksStore {
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>> {
        let rocks = self.rocks()?.clone();
        // From here on, the writer drops the work of older stays. After the wait, its current job is done.
        rocks.leases.take(task, stay)?;
        self.stays.insert(task, stay);
        rocks.writer.wait()?;
        let made = rocks.leases.change(task, stay, || {
            let missing = rocks.db.cf_handle(&name(task)).is_none();
            if missing {
                let created = rocks.db.create_cf(name(task), &family_options(&rocks.cache));
                created.map_err(|e| failure(&e))?;
            }
            Ok(missing)
        })?;
        if made {
            return Ok(None);
        }
        match stamp(&rocks.db, task) {
            Ok(Some((stamp, _))) => Ok(Some(stamp)),
            Ok(None) => self.wipe(task).map(|()| None),
            Err(Failure::Corrupted(why)) => {
                tracing::warn!(
                    task = task.0,
                    why,
                    "wiping the task's stored state; it will be restored from the changelog"
                );
                self.wipe(task).map(|()| None)
            }
            Err(failure) => Err(failure),
        }
    }

    fn load(&mut self, task: Partition, each: &mut dyn FnMut(Change<'_>)) -> Result<()> {
        let Open { db, writer, .. } = self.rocks()?;
        writer.wait()?;
        let Some((_, flush)) = stamp(db, task)? else {
            return Ok(());
        };
        visit(db, task, &[ROW], &[ROW + 1], each)?;
        let (from, to) = (layout::snapshot_key(flush, 0), layout::snapshot_key(flush + 1, 0));
        visit(db, task, &from, &to, each)
    }

    fn ready(&self) -> bool {
        self.rocks().is_ok_and(|rocks| rocks.writer.waiting() < WAITING_MAX)
    }

    fn begin(&mut self, task: Partition, snapshot: Delta) {
        self.send(task, snapshot.bytes(), Work::Begin(snapshot));
    }

    fn write(&mut self, task: Partition, rows: Dirty) {
        self.send(task, rows.bytes(), Work::Write(rows));
    }

    fn finish(&mut self, task: Partition, stamp: Stamp) {
        self.send(task, 0, Work::Finish(stamp, self.sender.clone()));
    }

    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)> {
        let ended = self
            .ends
            .try_iter()
            .find(|end| self.stays.get(&end.task) == Some(&end.stay));
        ended.map(|end| (end.task, end.result))
    }

    fn wipe(&mut self, task: Partition) -> Result<()> {
        let Open {
            db,
            writer,
            cache,
            leases,
        } = self.rocks()?;
        let stay = self.stay(task)?;
        writer.wait()?;
        leases.change(task, stay, || {
            if db.cf_handle(&name(task)).is_some() {
                db.drop_cf(&name(task)).map_err(|e| failure(&e))?;
            }
            db.create_cf(name(task), &family_options(cache))
                .map_err(|e| failure(&e))
        })
    }

    fn close(&mut self, task: Partition) {
        self.stays.remove(&task);
    }
}
