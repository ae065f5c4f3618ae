//! A simulated disk in memory. What is flushed stays, and a crash keeps a prefix of the rest.
//!
//! Rule: writes of a task survive in their order, as with RocksDB without a write-ahead log: if one survives, so do all
//! before it.

use super::layout::{self, ASIDE, ROW, STAMP};
use super::lease::Leases;
use super::{LocalStore, Stamp};
use crate::error::{Failure, Result};
use crate::record::{Partition, Stay};
use crate::state::delta::{Change, Delta};
use crate::state::rows::Dirty;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A key with its new value, or `None` if it was removed.
type Write = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Default)]
struct TaskRows {
    flushed: Pairs,
    /// Writes since the last flush, in their order.
    tail: Vec<Write>,
}

impl TaskRows {
    fn keep(&mut self, writes: usize) {
        for (key, value) in self.tail.drain(..).take(writes) {
            match value {
                Some(value) => _ = self.flushed.insert(key, value),
                None => _ = self.flushed.remove(&key),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Contents {
    tasks: BTreeMap<Partition, TaskRows>,
    full: bool,
}

/// The disk of an instance, as one process sees it. Clones share the same disk. It outlives its stores.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    contents: Arc<Mutex<Contents>>,
    leases: Leases,
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same disk, as the next process sees it: stays are numbered from the start again.
    pub fn reopen(&self) -> Self {
        Self {
            contents: self.contents.clone(),
            leases: Leases::default(),
        }
    }

    /// A worker's view of the disk.
    pub fn store(&self) -> Memory {
        Memory {
            disk: self.clone(),
            stays: HashMap::new(),
            flushes: HashMap::new(),
            ended: Vec::new(),
        }
    }

    /// Simulates a crash of the process. Of `n` unflushed writes of a task, the first `keep(n)` survive.
    pub fn crash(&self, keep: &mut dyn FnMut(usize) -> usize) {
        for stored in self.contents().tasks.values_mut() {
            let writes = keep(stored.tail.len());
            stored.keep(writes);
        }
    }

    /// How many records are stored for a task.
    pub fn records(&self, task: Partition) -> usize {
        let contents = self.contents();
        contents
            .tasks
            .get(&task)
            .map_or(0, |stored| stored.flushed.len() + stored.tail.len())
    }

    /// Damages a row of each task for which `damages` says so.
    pub fn damage(&self, damages: &mut dyn FnMut() -> bool) {
        for stored in self.contents().tasks.values_mut() {
            let mut rows = stored.flushed.range_mut(vec![ROW]..vec![ROW + 1]);
            if let Some((_, record)) = rows.next().filter(|_| damages()) {
                *record = vec![0xff; 8];
            }
        }
    }

    /// While it is full, flushes and wipes fail.
    pub fn set_full(&self, full: bool) {
        self.contents().full = full;
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }
}

fn not_open(task: Partition) -> Failure {
    Failure::Fatal(format!("the stored state of task {task} is not open"))
}

fn full() -> Failure {
    Failure::Retry("the disk is full: make room".to_owned())
}

/// A flush that has begun and not ended.
#[derive(Debug)]
struct Flush {
    number: u64,
    failed: bool,
}

/// A [`LocalStore`] on a [`Disk`].
#[derive(Debug)]
pub struct Memory {
    disk: Disk,
    /// The stay of each open task.
    stays: HashMap<Partition, Stay>,
    flushes: HashMap<Partition, Flush>,
    ended: Vec<(Partition, Result<Stamp>)>,
}

impl Memory {
    fn stamp(&self, task: Partition) -> Option<(Stamp, u64)> {
        let contents = self.disk.contents();
        layout::decode_stamp(contents.tasks.get(&task)?.flushed.get(STAMP)?).ok()
    }

    fn append(&mut self, task: Partition, writes: impl Iterator<Item = Write>) {
        let (Some(flush), Some(stay)) = (self.flushes.get_mut(&task), self.stays.get(&task)) else {
            return;
        };
        let held = self.disk.leases.hold(task, *stay);
        let mut contents = self.disk.contents();
        flush.failed |= contents.full || held.is_err();
        if !flush.failed {
            contents.tasks.entry(task).or_default().tail.extend(writes);
        }
    }
}

impl LocalStore for Memory {
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>> {
        self.disk.leases.take(task, stay)?;
        self.stays.insert(task, stay);
        // Another worker of this process may have written it, so no crash can lose it any more.
        if let Some(stored) = self.disk.contents().tasks.get_mut(&task) {
            stored.keep(usize::MAX);
        }
        match self.stamp(task) {
            Some((stamp, _)) => Ok(Some(stamp)),
            None => self.wipe(task).map(|()| None),
        }
    }

    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()> {
        let Some((_, flush)) = self.stamp(task) else {
            return Ok(());
        };
        let contents = self.disk.contents();
        let Some(stored) = contents.tasks.get(&task) else {
            return Ok(());
        };
        let rows = stored.flushed.range(vec![ROW]..vec![ROW + 1]);
        let snapshot = stored
            .flushed
            .range(layout::snapshot_key(flush, 0)..layout::snapshot_key(flush + 1, 0));
        rows.chain(snapshot)
            .try_for_each(|(_, record)| layout::visit(record, visit))
    }

    fn ready(&self) -> bool {
        true
    }

    fn begin(&mut self, task: Partition, snapshot: Delta) {
        if !self.stays.contains_key(&task) {
            return;
        }
        let old = self.stamp(task).map(|(_, flush)| flush);
        let number = old.map_or(1, |flush| flush + 1);
        self.flushes.insert(task, Flush { number, failed: false });
        // Keys of other flushes may exist, flushed or not.
        let contents = self.disk.contents();
        let stored = contents.tasks.get(&task);
        let tail = stored
            .into_iter()
            .flat_map(|stored| stored.tail.iter().map(|write| write.0.clone()));
        let flushed = stored.into_iter().flat_map(|stored| stored.flushed.keys().cloned());
        let kept = |key: &[u8]| old.is_some_and(|old| key.starts_with(&layout::snapshot_key(old, 0)[..9]));
        let gone: Vec<Write> = flushed
            .chain(tail)
            .filter(|key| key[0] == ASIDE && !kept(key))
            .map(|key| (key, None))
            .collect();
        drop(contents);
        let records = snapshot
            .records()
            .zip(0..)
            .map(|(record, n)| (layout::snapshot_key(number, n), Some(record.to_vec())));
        self.append(task, gone.into_iter().chain(records));
    }

    fn write(&mut self, task: Partition, rows: Dirty) {
        let write =
            |(hash, key, record): (u64, &[u8], Option<&[u8]>)| (layout::row_key(hash, key), record.map(<[u8]>::to_vec));
        self.append(task, rows.rows().map(write));
    }

    fn finish(&mut self, task: Partition, stamp: Stamp) {
        let Some(number) = self.flushes.get(&task).map(|flush| flush.number) else {
            return;
        };
        self.append(
            task,
            [(STAMP.to_vec(), Some(layout::encode_stamp(&stamp, number)))].into_iter(),
        );
        let failed = self.flushes.remove(&task).is_some_and(|flush| flush.failed);
        if failed {
            return self.ended.push((task, Err(full())));
        }
        if let Some(stored) = self.disk.contents().tasks.get_mut(&task) {
            stored.keep(usize::MAX);
        }
        self.ended.push((task, Ok(stamp)));
    }

    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)> {
        (!self.ended.is_empty()).then(|| self.ended.remove(0))
    }

    fn wipe(&mut self, task: Partition) -> Result<()> {
        let stay = self.stays.get(&task).copied().ok_or_else(|| not_open(task))?;
        self.disk.leases.hold(task, stay)?;
        self.flushes.remove(&task);
        self.ended.retain(|ended| ended.0 != task);
        self.disk.leases.change(task, stay, || {
            let mut contents = self.disk.contents();
            if contents.full {
                return Err(full());
            }
            contents.tasks.remove(&task);
            Ok(())
        })
    }

    fn close(&mut self, task: Partition) {
        self.stays.remove(&task);
        self.flushes.remove(&task);
        self.ended.retain(|ended| ended.0 != task);
    }
}
