//! A worker: one thread of an instance. It has its tasks and their inputs, one transactional producer, and an instance
//! of each version of the rules.
//!
//! Rules:
//! - Every doubt about a commit is resolved in the same way: the changelog is read again (`recovery`).
//! - An epoch is open while the one before it is being committed. If that one fails, both are dropped (`epochs`).
//! - The loop doesn't ask for the time, starts no threads, and uses no randomness: its driver passes the time in. So
//!   the same worker runs on Kafka, on the embedded log and in the simulator. Only metrics, and the time budget of the
//!   rules, read a clock.
//!
//! The loop is [`turn`](Worker::turn). Its parts do the work; each of them is one field and one file.

mod calls;
mod commit;
mod cpu_times;
mod epochs;
mod fetcher;
mod flushes;
mod handover;
mod recovery;
mod telemetry;
mod versions;

use crate::binding::{Layout, Sources, Status};
use crate::clock::Now;
use crate::config::Config;
use crate::deploy::Orders;
use crate::error::Result;
use crate::log::{Log, Producer, Reader};
use crate::metrics::{Metrics, Part};
use crate::record::{Millis, Offset, Partition, Stay};
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::Store;
use crate::task::Task;
use calls::Calls;
use epochs::Epochs;
use fetcher::Fetcher;
use flushes::Flushes;
use handover::Handover;
use recovery::Recovery;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use versions::{Batch, Versions};

/// How many batches of one task run before it is the next task's turn. 8 of 512 inputs take about 4 ms.
const BATCHES_A_TURN: usize = 8;

/// How often the worker looks for idle partitions, pauses and held records.
const CHORES_EVERY: Duration = Duration::from_millis(10);

/// What a worker needs from the outside.
pub struct Ports {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Reads the inputs of its tasks.
    pub reader: Box<dyn Reader>,
    /// Commits its epochs.
    pub producer: Box<dyn Producer>,
    /// Calls external services.
    pub services: Box<dyn Services>,
    /// The source of schemas, if the pipeline uses a registry.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// The local store, if the pipeline has one.
    pub store: Option<Box<dyn Store>>,
}

/// A worker and its tasks.
pub struct Worker {
    tasks: BTreeMap<Partition, Task>,
    fetcher: Fetcher,
    calls: Calls,
    versions: Versions,
    epochs: Epochs,
    recovery: Recovery,
    handover: Handover,
    flushes: Flushes,
    telemetry: Telemetry,
    chores_at: Duration,
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

    /// One round of the loop. If there is nothing else to do, it waits for data for at most this long. Returns whether
    /// something was done.
    pub fn turn(&mut self, now: Now, wait: Duration) -> Result<bool> {
        self.telemetry.begin_turn(now);
        let mut busy = self.decide(now)?;
        if self.epochs.is_in_doubt() && !self.recover()? {
            return Ok(busy);
        }
        busy |= self.resume_recovered()?;
        self.fetcher.assign(&self.tasks)?;
        self.telemetry.charge(Part::Commit);

        busy |= self.calls.deliver(&mut self.tasks);
        busy |= self.run_tasks(now);
        self.telemetry.charge(Part::Steps);
        self.telemetry.charge_rules(self.versions.take_spent());

        self.seal_when_due(now);
        self.close_when_settled();
        self.telemetry.charge(Part::Commit);

        busy |= self.fetch(now, wait, busy)?;
        self.chores_when_due(now)?;
        self.flushes.step(&mut self.tasks, &mut self.telemetry, now);
        self.telemetry.charge(Part::Other);
        Ok(busy)
    }

    /// Lets each task follow the schedule and then take its steps.
    fn run_tasks(&mut self, now: Now) -> bool {
        if self.handover.is_pending() || !self.epochs.takes_steps() {
            return false;
        }
        let moment = self.epochs.moment(now);
        for task in self.tasks.values_mut() {
            task.obey(self.versions.schedule(), &moment, self.epochs.open());
        }
        self.epochs.note_opened(now);
        let mut busy = false;
        for task in self.tasks.values_mut() {
            let (mut ran, mut left) = (false, true);
            for _ in 0..BATCHES_A_TURN {
                if !self.versions.may_run(task.deployed()) || self.epochs.is_overfull() {
                    break;
                }
                match self
                    .versions
                    .run(task, self.fetcher.sources(), self.epochs.open(), &self.telemetry)
                {
                    Batch::Ran => ran = true,
                    Batch::NothingLeft => {
                        left = false;
                        break;
                    }
                    Batch::NoRules => break,
                }
            }
            busy |= ran;
            let held = task.is_held_back();
            self.telemetry.held(task.partition(), held, now);
            self.telemetry.had_turn(task.partition(), ran, left || held, now);
        }
        self.epochs.note_opened(now);
        if self.versions.stop_exceeded() {
            self.void_open();
        }
        busy
    }

    /// Takes what has arrived for the tasks. Waits for it if the worker is not busy.
    fn fetch(&mut self, now: Now, wait: Duration, busy: bool) -> Result<bool> {
        let wait = if busy {
            Duration::ZERO
        } else {
            self.epochs.wait(now, wait)
        };
        let polled = self.fetcher.poll(wait);
        self.telemetry.charge(Part::Poll);
        let fetched = self.fetcher.has_arrivals();
        let delivered = self.fetcher.deliver(&mut self.tasks, &mut self.epochs, now);
        self.telemetry.charge(Part::Arrive);
        polled.and(delivered)?;
        if !busy && !fetched {
            self.epochs.note_idle();
        }
        Ok(fetched)
    }

    /// Does what is not urgent: idle partitions, pauses, held records, gauges.
    fn chores_when_due(&mut self, now: Now) -> Result<()> {
        if now.mono < self.chores_at {
            return Ok(());
        }
        self.chores_at = now.mono + CHORES_EVERY;
        for task in self.tasks.values_mut() {
            task.note_stride(now.mono);
            if !self.handover.is_pending() {
                task.beat(now.mono, now.wall, self.epochs.open());
            }
            if task.take_resumed() {
                self.calls.ask_pending(task);
            }
            self.fetcher.pause_or_resume(task)?;
        }
        self.fetcher.retry_schemas(&mut self.tasks, self.epochs.open(), now);
        let is_stopped = |deploy| self.versions.is_stopped(deploy);
        self.telemetry.look(now, &mut self.tasks, is_stopped);
        self.epochs.note_opened(now);
        // Waiting records were lost in a scratch file. Everything is read again, as after a failed epoch.
        if self.tasks.values().any(Task::is_lost) {
            self.void_open();
        }
        self.versions.forget_unused(&self.tasks);
        Ok(())
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

    fn close_when_settled(&mut self) {
        if self.handover.is_pending() && self.epochs.is_settled() {
            for partition in self.handover.take_closing() {
                self.remove(partition);
            }
        }
    }

    fn remove(&mut self, partition: Partition) {
        self.recovery.forget(partition);
        self.calls.forget(partition);
        self.flushes.close(partition);
        if let Some(mut task) = self.tasks.remove(&partition) {
            self.telemetry.closed(&mut task);
            self.fetcher.stop(partition);
        }
        self.handover.closed(partition);
    }

    /// Sets the schedule that its tasks follow from the next turn on.
    pub fn set_schedule(&mut self, schedule: Arc<Orders>) {
        self.telemetry.withdrawn(schedule.withdrawn.len());
        self.versions.set_schedule(schedule);
    }

    /// The status of its tasks.
    pub fn status(&self) -> Vec<Status> {
        let status = |task: &Task| {
            let mut status = task.status();
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
    pub fn task(&mut self, partition: Partition) -> Option<&mut Task> {
        self.tasks.get_mut(&partition)
    }

    /// Moves the event time of every task to `time`, as silence would: by journaled heartbeats. For scenarios.
    pub fn advance_event_time(&mut self, time: Millis, now: Now) {
        for task in self.tasks.values_mut() {
            task.beat_to(time, now.wall, self.epochs.open());
        }
        self.epochs.note_opened(now);
    }
}
