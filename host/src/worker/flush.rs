//! Flushing committed state to the local store, late and in slices; and cutting the changelog.
//!
//! Rule: a flush is fuzzy. Its stamp is the changelog position at its start; rows follow in slices, as they are committed
//! by then. The changelog is cut only before what the store and the last complete round of the sweep both don't need.
//! A flush that has begun is taken to its end, or its task is closed: rows that a slice has taken count as stored from then
//! on, so a stamp that left the others out, or a failure that nobody heard of, would lose them.
//! What is expired as of the last *committed* step is left out, and no more: the steps of the open epoch may be taken again.

use super::{Now, Worker};
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition, Stay};
use crate::rows::Dirty;
use crate::store::Stamp;
use crate::task::{Status, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of rows handed over in one turn: copying them takes about 0.2 ms.
const SLICE: usize = 1 << 20;

/// Cuts that would free fewer records than this are left for later: each is a call to the broker.
const CUT_RECORDS: Offset = 64;

/// A failed flush begins again after so long.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Flushes of a worker's tasks.
#[derive(Default)]
pub struct Flushes {
    /// The one under way.
    now: Option<(Partition, Stamp)>,
    tasks: BTreeMap<Partition, Progress>,
    not_before: Duration,
    /// Tasks of which a flush has failed, or whose rows are not those that the store has, and why: what the store has of them
    /// must go before another one begins, or rows that are gone would come back with the next start.
    failed: BTreeMap<Partition, Arc<str>>,
    /// The store has nothing of these tasks any more, and their rows don't know it yet: they were reading their changelog.
    wiped: BTreeSet<Partition>,
    identity: Option<(String, String)>,
}

#[derive(Default)]
struct Progress {
    /// Where a replay would begin; none: everything.
    stamped: Option<Offset>,
    /// Changelog position at the last flush's start.
    begun: Offset,
    /// What the sweep does not need.
    complete: Option<Offset>,
    /// Last cut.
    cut: Offset,
}

impl Flushes {
    /// How a task stands, and whether it can be stored at present.
    pub fn status(&self, task: &Task) -> Status {
        Status {
            unstored: self.failed.get(&task.partition()).cloned(),
            ..task.status()
        }
    }

    /// The task is gone.
    pub fn forget(&mut self, task: Partition) {
        self.tasks.remove(&task);
        self.wiped.remove(&task);
        self.failed.remove(&task);
        self.now.take_if(|(flushing, _)| *flushing == task);
    }
}

impl Worker {
    /// Opens the store of a new task. What the first flush is written over must be what the rows were restored from, or it goes.
    pub(super) fn open_store(&mut self, task: &Task, stay: Stay) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let partition = task.partition();
        let why = match store.open(partition, stay) {
            Ok(stamp) if stamp.as_ref().map(|stamp| stamp.offset) == task.stored() => {
                // It may have been here before.
                self.telemetry.unstored(partition, false);
                return Ok(());
            }
            Ok(_) => "what is stored is not what the task was restored from".to_owned(),
            // The disk is full, say: the task does without.
            Err(Failure::Retry(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::error!(
            task = partition,
            why,
            "state is not stored until the store can be wiped; it is safe in the changelog"
        );
        self.flushes.failed.insert(partition, why.into());
        self.telemetry.unstored(partition, true);
        Ok(())
    }

    /// A slice of the flush under way, or a new flush when one is due.
    pub(super) fn flush(&mut self, now: Now) {
        self.note_progress();
        if let Some(store) = &mut self.store {
            while let Some((task, result)) = store.flushed() {
                match result {
                    Ok(stamp) => {
                        if let Some(progress) = self.flushes.tasks.get_mut(&task) {
                            progress.stamped = Some(stamp.offset);
                        }
                    }
                    Err(why) => {
                        tracing::error!(task, %why, "state could not be flushed; it is safe in the changelog");
                        self.telemetry.unstored(task, true);
                        self.flushes.not_before = now.mono;
                        self.flushes.now.take_if(|(flushing, _)| *flushing == task);
                        if let Some(progress) = self.flushes.tasks.get_mut(&task) {
                            progress.stamped = None;
                        }
                        self.flushes.failed.insert(task, why.to_string().into());
                    }
                }
            }
            if now.mono >= self.flushes.not_before {
                while let Some(task) = self.flushes.failed.keys().next().copied() {
                    self.flushes.not_before = now.mono + AFTER_FAILURE;
                    if let Err(why) = store.wipe(task) {
                        tracing::error!(
                            task,
                            %why,
                            "the stored state can't be wiped yet: nothing is stored until then, and nothing is lost; \
                             make room on the disk and restart this process"
                        );
                        break;
                    }
                    self.flushes.failed.remove(&task);
                    self.telemetry.unstored(task, false);
                    self.flushes.wiped.insert(task);
                }
            }
            for (partition, task) in &mut self.tasks {
                if self.flushes.wiped.remove(partition) {
                    task.mark_dirty();
                }
            }
            if now.mono >= self.flushes.not_before && self.flushes.failed.is_empty() {
                self.flush_slice();
            }
        }
        self.cut();
    }

    fn note_progress(&mut self) {
        for (partition, task) in &mut self.tasks {
            let progress = self.flushes.tasks.entry(*partition).or_insert_with(|| Progress {
                stamped: None,
                begun: task.changelog(),
                complete: None,
                cut: 0,
            });
            if let Some(complete) = task.take_complete() {
                progress.complete = Some(complete);
            }
        }
    }

    fn flush_slice(&mut self) {
        let Some(store) = &mut self.store else { return };
        if let Some((partition, stamp)) = &self.flushes.now {
            if !store.ready() {
                return;
            }
            let Some(task) = self.tasks.get_mut(partition) else {
                return;
            };
            let mut rows = Dirty::default();
            let done = task.take_dirty(SLICE, &mut rows);
            store.write(*partition, rows);
            if done {
                store.finish(*partition, stamp.clone());
                self.flushes.now = None;
            }
            return;
        }
        let due = self.tasks.iter().find(|(partition, task)| {
            let begun = self.flushes.tasks.get(*partition).map_or(0, |progress| progress.begun);
            let status = task.status();
            // A changelog record is up to 512 KiB, but most are an epoch's few KiB: bytes are what the task counts.
            task.changelog() > begun && task.unflushed() >= self.flush_bytes.max(status.state_bytes as u64)
        });
        let Some(partition) = due.map(|(partition, _)| *partition) else {
            return;
        };
        if self.flushes.identity.is_none() {
            let name = &self.layout.topics[usize::from(self.layout.changelog)];
            let topic = self.log.topic(name).ok().flatten().map(|info| info.id);
            self.flushes.identity = self.log.cluster().ok().zip(topic);
        }
        let Some((cluster, topic)) = self.flushes.identity.clone() else {
            return;
        };
        let Some(task) = self.tasks.get_mut(&partition) else {
            return;
        };
        let stamp = Stamp {
            cluster,
            topic,
            offset: task.changelog(),
        };
        store.begin(partition, task.aside());
        task.begin_flush();
        if let Some(progress) = self.flushes.tasks.get_mut(&partition) {
            progress.begun = stamp.offset;
        }
        self.flushes.now = Some((partition, stamp));
    }

    fn cut(&mut self) {
        let has_store = self.store.is_some();
        for (partition, progress) in &mut self.flushes.tasks {
            let Some(complete) = progress.complete else { continue };
            let needed = match (has_store, progress.stamped) {
                // Without a store every restart replays from the log's start.
                (false, _) => complete,
                (true, Some(stamped)) => complete.min(stamped),
                // Nothing is stored yet: the log alone must do, and it does from the round's start on.
                (true, None) => complete,
            };
            if needed >= progress.cut + CUT_RECORDS {
                progress.cut = needed;
                self.truncations.push((*partition, needed));
            }
        }
    }
}
