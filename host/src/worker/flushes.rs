//! Flushes committed state to the local store, late and in slices. Also decides which part of the changelog may be
//! deleted.
//!
//! Rules:
//! - A flush is fuzzy. Its stamp is the changelog position at its start. The rows follow in slices, and each row is
//!   written as it is committed when its slice is taken.
//! - A flush that has begun is completed, unless its task is closed. The rows of a slice count as stored as soon as
//!   they are taken. So a stamp without the remaining rows, or an unnoticed failure, would lose them.
//! - A flush leaves out only what is expired as of the last *committed* step, because the steps of the open epoch may
//!   be taken again.
//! - The changelog is deleted only up to what the store or the last complete round of the sweep still needs.

use super::telemetry::Telemetry;
use crate::binding::{Layout, Status};
use crate::clock::Now;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::record::{Offset, Partition, Stay};
use crate::state::rows::Dirty;
use crate::store::{LocalStore, Stamp};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of rows handed over in one turn. Copying them takes about 0.2 ms.
const SLICE_BYTES: usize = 1 << 20;

/// The least number of records to delete at once, because each deletion is a call to the broker.
const CUT_RECORDS: i64 = 64;

/// The time until a failed wipe is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The local store of a worker, and the progress of its tasks' flushes.
pub struct Flushes {
    /// `None` if the pipeline has no local store.
    store: Option<Box<dyn LocalStore>>,
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    /// A task is flushed after this many bytes of changelog, or after as many as its state has, if that is more.
    flush_bytes: u64,
    under_way: Option<(Partition, Stamp)>,
    tasks: BTreeMap<Partition, TaskFlush>,
    /// Tasks whose flush has failed, or whose rows are not those in the store, and why. The store must be wiped of them
    /// before their next flush. Otherwise deleted rows would come back with the next start.
    failed: BTreeMap<Partition, Arc<str>>,
    not_before: Duration,
    /// Tasks that were reading their changelog when the store was wiped. All of their rows must be flushed when they
    /// are back.
    wiped: BTreeSet<Partition>,
    /// The ids of the cluster and of the changelog topic, once they are known.
    identity: Option<(String, String)>,
    /// The task, and the first changelog offset that is still needed.
    truncations: Vec<(Partition, Offset)>,
}

struct TaskFlush {
    /// Where a restart would begin to read the changelog, if something is stored.
    stamped: Option<Offset>,
    /// The changelog position at the start of the last flush.
    begun: Offset,
    /// The start of the last complete round of the sweep.
    complete: Option<Offset>,
    /// The changelog before this position is deleted.
    cut: Offset,
}

impl Flushes {
    /// Starts without any flush.
    pub fn new(
        store: Option<Box<dyn LocalStore>>,
        log: Arc<dyn Log>,
        layout: Arc<Layout>,
        flush_bytes: u64,
    ) -> Flushes {
        Flushes {
            store,
            log,
            layout,
            flush_bytes,
            under_way: None,
            tasks: BTreeMap::new(),
            failed: BTreeMap::new(),
            not_before: Duration::ZERO,
            wiped: BTreeSet::new(),
            identity: None,
            truncations: vec![],
        }
    }

    /// Opens the store of a new task, for a stay. The first flush is written over the stored state. So the stored state
    /// must be the one that the rows were restored from. Otherwise it must be wiped first.
    pub fn open(&mut self, task: &Task, stay: Stay, telemetry: &mut Telemetry) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let partition = task.partition();
        let why = match store.open(partition, stay) {
            Ok(stamp) if stamp.as_ref().map(|stamp| stamp.offset) == task.stored() => {
                // The gauge may still be set from an earlier stay.
                telemetry.unstored(partition, false);
                return Ok(());
            }
            Ok(_) => "what is stored is not what the task was restored from".to_owned(),
            // For example, the disk is full. The task runs without a store.
            Err(Failure::Retry(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::error!(
            task = partition.0,
            why,
            "state is not stored until the store can be wiped; it is safe in the changelog"
        );
        self.failed.insert(partition, why.into());
        telemetry.unstored(partition, true);
        Ok(())
    }

    /// Forgets a closed task. Its stored state stays.
    pub fn close(&mut self, task: Partition) {
        self.tasks.remove(&task);
        self.wiped.remove(&task);
        self.failed.remove(&task);
        self.under_way.take_if(|(flushing, _)| *flushing == task);
        if let Some(store) = &mut self.store {
            store.close(task);
        }
    }

    /// Adds to a task's status why it can't be stored at present.
    pub fn add_unstored(&self, status: &mut Status) {
        status.state.unstored = self.failed.get(&status.partition).cloned();
    }

    /// Changelogs whose beginning may be deleted: the task, and the first offset that is still needed.
    pub fn take_truncations(&mut self) -> Vec<(Partition, Offset)> {
        std::mem::take(&mut self.truncations)
    }

    /// Hands over a slice of the current flush, or begins a flush that is due. Then checks which changelogs may be cut.
    pub fn step(&mut self, tasks: &mut BTreeMap<Partition, Task>, telemetry: &mut Telemetry, now: Now) {
        self.note_progress(tasks);
        if self.store.is_some() {
            self.take_reports(telemetry, now);
            if now.mono >= self.not_before {
                self.wipe_failed(telemetry, now);
            }
            self.mark_wiped(tasks);
            if now.mono >= self.not_before && self.failed.is_empty() {
                self.flush(tasks);
            }
        }
        self.cut();
    }

    fn note_progress(&mut self, tasks: &mut BTreeMap<Partition, Task>) {
        for (partition, task) in tasks {
            let progress = self.tasks.entry(*partition).or_insert_with(|| TaskFlush {
                stamped: None,
                begun: task.changelog(),
                complete: None,
                cut: Offset::ZERO,
            });
            if let Some(complete) = task.take_complete() {
                progress.complete = Some(complete);
            }
        }
    }

    /// Finds out how flushes ended.
    fn take_reports(&mut self, telemetry: &mut Telemetry, now: Now) {
        let Some(store) = &mut self.store else { return };
        while let Some((task, result)) = store.flushed() {
            let stamped = match result {
                Ok(stamp) => Some(stamp.offset),
                Err(why) => {
                    tracing::error!(task = task.0, %why, "state could not be flushed; it is safe in the changelog");
                    telemetry.unstored(task, true);
                    self.not_before = now.mono;
                    self.under_way.take_if(|(flushing, _)| *flushing == task);
                    self.failed.insert(task, why.to_string().into());
                    None
                }
            };
            if let Some(progress) = self.tasks.get_mut(&task) {
                progress.stamped = stamped;
            }
        }
    }

    /// Wipes what is stored of tasks that have failed.
    fn wipe_failed(&mut self, telemetry: &mut Telemetry, now: Now) {
        let Some(store) = &mut self.store else { return };
        while let Some(task) = self.failed.keys().next().copied() {
            self.not_before = now.mono + AFTER_FAILURE;
            if let Err(why) = store.wipe(task) {
                tracing::error!(
                                   task = task.0,
                                   %why,
                "the stored state can't be wiped yet: nothing is stored until then, and nothing is lost; make room on the \
                                    disk and restart this process"
                               );
                break;
            }
            self.failed.remove(&task);
            telemetry.unstored(task, false);
            self.wiped.insert(task);
        }
    }

    /// Marks the rows of the wiped tasks, because the store has none of them any more.
    fn mark_wiped(&mut self, tasks: &mut BTreeMap<Partition, Task>) {
        if self.wiped.is_empty() {
            return;
        }
        for (partition, task) in tasks {
            if self.wiped.remove(partition) {
                task.mark_dirty();
            }
        }
    }

    fn flush(&mut self, tasks: &mut BTreeMap<Partition, Task>) {
        if self.under_way.is_some() {
            self.hand_over_slice(tasks);
        } else {
            let task = tasks.values_mut().find(|task| self.is_due(task));
            if let Some(task) = task {
                self.begin(task);
            }
        }
    }

    /// The cheap questions come first, because this is asked for every task in every turn.
    fn is_due(&self, task: &Task) -> bool {
        let begun = self
            .tasks
            .get(&task.partition())
            .map(|progress| progress.begun)
            .unwrap_or_default();
        // Counted in bytes, because a changelog record can have anything between a few KiB and 512 KiB.
        task.changelog() > begun && task.unflushed() >= self.flush_bytes && task.unflushed() >= task.row_bytes() as u64
    }

    fn begin(&mut self, task: &mut Task) {
        let Some((cluster, topic)) = self.identity() else {
            return;
        };
        let Some(store) = &mut self.store else { return };
        let partition = task.partition();
        let stamp = Stamp {
            cluster,
            topic,
            offset: task.changelog(),
        };
        store.begin(partition, task.snapshot());
        task.begin_flush();
        if let Some(progress) = self.tasks.get_mut(&partition) {
            progress.begun = stamp.offset;
        }
        self.under_way = Some((partition, stamp));
    }

    /// The ids that a stamp contains besides the offset. `None` if the log can't be asked now.
    fn identity(&mut self) -> Option<(String, String)> {
        if self.identity.is_none() {
            let name = &self.layout.topics[usize::from(self.layout.changelog)];
            let topic = self.log.topic(name).ok().flatten().map(|info| info.id);
            self.identity = self.log.cluster().ok().zip(topic);
        }
        self.identity.clone()
    }

    fn hand_over_slice(&mut self, tasks: &mut BTreeMap<Partition, Task>) {
        let (Some(store), Some((partition, stamp))) = (&mut self.store, &self.under_way) else {
            return;
        };
        // If the task is reading its changelog again, its flush waits for it.
        let Some(task) = tasks.get_mut(partition).filter(|_| store.ready()) else {
            return;
        };
        let mut rows = Dirty::default();
        let done = task.take_dirty(SLICE_BYTES, &mut rows);
        store.write(*partition, rows);
        if done {
            store.finish(*partition, stamp.clone());
            self.under_way = None;
        }
    }

    fn cut(&mut self) {
        for (partition, progress) in &mut self.tasks {
            let Some(complete) = progress.complete else { continue };
            // A restart without stored state reads from the log's start, which is then the start of the round.
            let needed = progress.stamped.map_or(complete, |stamped| complete.min(stamped));
            if needed.since(progress.cut) >= CUT_RECORDS {
                progress.cut = needed;
                self.truncations.push((*partition, needed));
            }
        }
    }
}
