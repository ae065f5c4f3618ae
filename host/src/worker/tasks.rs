//! The tasks of a worker: how a task comes, goes back to its last commit, and leaves.
//!
//! Rule: when a task leaves, every part of the worker forgets it at once. When it starts over, it starts over in all of
//! them.

use super::calls::Calls;
use super::epochs::Epochs;
use super::fetcher::Fetcher;
use super::flushes::Flushes;
use super::handover::Handover;
use super::ports::Ports;
use super::recovery::Recovery;
use super::telemetry::Telemetry;
use super::versions::Versions;
use crate::binding::{Layout, Sources, Status};
use crate::config::Config;
use crate::deploy::RulesSchedule;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::record::{Offset, Partition, Stay};
use crate::task::Task;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A worker and its tasks.
pub struct Worker {
    pub(super) tasks: BTreeMap<Partition, Task>,
    pub(super) fetcher: Fetcher,
    pub(super) calls: Calls,
    pub(super) versions: Versions,
    pub(super) epochs: Epochs,
    pub(super) recovery: Recovery,
    pub(super) handover: Handover,
    pub(super) flushes: Flushes,
    pub(super) telemetry: Telemetry,
    pub(super) chores_at: Duration,
}

impl Worker {
    /// A worker without tasks, and with an empty schedule.
    pub fn new(index: usize, config: &Config, layout: Arc<Layout>, ports: Ports, metrics: Arc<Metrics>) -> Worker {
        let assignment = ports.log.assignment();
        let sources = Sources::new(&config.inputs, ports.schemas);
        Worker {
            tasks: BTreeMap::new(),
            fetcher: Fetcher::new(layout.clone(), ports.reader, sources),
            calls: Calls::new(ports.services),
            versions: Versions::default(),
            epochs: Epochs::new(ports.producer, layout.changelog, config.epoch.clone(), assignment),
            recovery: Recovery::new(ports.log.clone(), layout.clone()),
            handover: Handover::default(),
            flushes: Flushes::new(ports.store, ports.log, layout, config.state.flush_bytes),
            telemetry: Telemetry::new(metrics, index),
            chores_at: Duration::ZERO,
        }
    }

    /// Takes over a task for this stay. `assignment` is the counter at which it became ours.
    pub fn open(&mut self, task: Task, stay: Stay, assignment: u64) -> Result<()> {
        self.epochs.set_assignment(assignment);
        self.flushes.open(&task, stay, &mut self.telemetry)?;
        let partition = task.partition();
        self.resume(task);
        // It commits at once. From now on the group's offsets are this member's.
        self.epochs.open().touched.insert(partition);
        Ok(())
    }

    /// Partitions have changed hands, but none of ours. The open epoch may be committed under this counter.
    pub fn reassigned(&mut self, assignment: u64) {
        self.epochs.set_assignment(assignment);
    }

    /// Commits the open epoch of these tasks under this assignment counter, and then closes them.
    pub fn close(&mut self, partitions: &[Partition], assignment: u64) {
        self.epochs.set_assignment(assignment);
        for partition in partitions {
            if self.tasks.contains_key(partition) {
                self.handover.close(*partition);
            } else {
                self.remove(*partition);
            }
        }
    }

    /// Drops these tasks, because another instance already runs them. The open epoch is dropped too, because it
    /// contains their work.
    pub fn lose(&mut self, partitions: &[Partition], assignment: u64) {
        self.epochs.set_assignment(assignment);
        for partition in partitions {
            self.remove(*partition);
        }
        // The epoch that is being committed is refused at the gate, unless it was committed before.
        self.void_open();
    }

    /// The tasks that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Partition> {
        self.handover.take_closed()
    }

    pub(super) fn remove(&mut self, partition: Partition) {
        self.recovery.forget(partition);
        self.calls.forget(partition);
        self.flushes.close(partition);
        if let Some(mut task) = self.tasks.remove(&partition) {
            self.telemetry.closed(&mut task);
            self.fetcher.stop(partition);
        }
        self.handover.closed(partition);
    }

    /// Lets a task continue from its last commit. Its inputs are read from there, and its pending questions are asked
    /// again.
    pub(super) fn resume(&mut self, task: Task) {
        let partition = task.partition();
        self.fetcher.start(partition);
        self.calls.forget(partition);
        self.calls.ask_pending(&task);
        // A task without a step commits its start at once, because an earlier commit of that may have been dropped.
        if task.last_time().is_none() {
            self.epochs.open().touched.insert(partition);
        }
        self.tasks.insert(partition, task);
    }

    /// The open epoch can't be committed. It is dropped and the tasks start over, as soon as the epoch before it is
    /// decided.
    pub(super) fn void_open(&mut self) {
        if self.epochs.void_open() {
            self.start_over();
        }
    }

    /// Drops the open epoch. Every task goes back to its last commit.
    pub(super) fn start_over(&mut self) {
        self.epochs.drop_open();
        for mut task in std::mem::take(&mut self.tasks).into_values() {
            task.abort();
            self.resume(task);
        }
    }

    /// Sets the schedule that its tasks follow from the next turn on.
    pub fn set_schedule(&mut self, schedule: Arc<RulesSchedule>) {
        self.telemetry.withdrawn(schedule.withdrawn.len());
        self.versions.set_schedule(schedule);
    }

    /// The status of its tasks.
    pub fn status(&self) -> Vec<Status> {
        let uncommitted = self.epochs.uncommitted(self.telemetry.now());
        let status = |task: &Task| {
            let mut status = task.status();
            status.uncommitted = uncommitted.clone();
            self.flushes.add_unstored(&mut status);
            self.versions.add_trouble(task, &mut status);
            status
        };
        self.tasks.values().map(status).collect()
    }

    /// The tasks that read their changelog again, and how much of it they have read, from 0 to 1.
    pub fn restoring(&self) -> impl Iterator<Item = (Partition, f64)> {
        self.recovery.progress()
    }

    /// Whether it has no task, and nothing left to decide.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.recovery.is_empty() && !self.epochs.is_committing()
    }

    /// Changelogs whose beginning may be deleted: the task, and the first offset that is still needed.
    pub fn take_truncations(&mut self) -> Vec<(Partition, Offset)> {
        self.flushes.take_truncations()
    }

    /// A task, for tests and queries.
    pub fn task(&self, partition: Partition) -> Option<&Task> {
        self.tasks.get(&partition)
    }
}
