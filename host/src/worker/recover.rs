//! After an epoch that failed.
//!
//! Rule: for certain not in the log: drop it, and the open one over it, and read the inputs again from the committed meta.
//! In doubt: a new producer first (which ends the transaction one way or the other), then the changelog says what is
//! committed. One path for every doubt.

use super::Worker;
use crate::error::{Failure, Result};
use crate::record::{Partition, Rank};
use crate::task::restore::Restoring;
use crate::task::{Epoch, Task};
use std::time::Duration;

/// Waits for the changelog, at most, in one turn.
const READ_WAIT: Duration = Duration::from_millis(5);

impl Worker {
    /// Sealed and open epoch are dropped; every task goes back to its last commit.
    pub(super) fn start_over(&mut self) {
        self.drop_open();
        for task in std::mem::take(&mut self.tasks).into_values() {
            let mut task = task;
            task.abort();
            self.resume(task);
        }
    }

    /// Records that wait were lost in a scratch file: as after an epoch that failed, everything is read again. The epoch in
    /// its commit is decided first.
    pub(super) fn find_lost(&mut self) {
        if self.tasks.values().any(Task::is_lost) {
            self.stale = true;
            if self.flight.is_none() {
                self.start_over();
            }
        }
    }

    fn drop_open(&mut self) {
        self.epoch = Epoch::default();
        self.opened = None;
        self.stale = false;
    }

    /// A task goes on where it was committed: reads again from there, and asks again.
    pub(super) fn resume(&mut self, task: Task) {
        let partition = task.partition();
        self.unread.insert(partition);
        self.services.forget(partition);
        for question in task.questions() {
            self.services.ask(question);
        }
        // A task that has taken no step yet says at once where it begins; what said so before may have been dropped.
        if task.last_time().is_none() {
            self.epoch.touched.insert(partition);
        }
        self.tasks.insert(partition, task);
    }

    /// Assigns the readers of tasks that were opened or started over. Until that is done, what arrives for them is of an
    /// earlier assignment, and is dropped.
    pub(super) fn read_again(&mut self) -> Result<()> {
        while let Some(partition) = self.unread.first().copied() {
            if let Some(task) = self.tasks.get(&partition) {
                for (rank, from) in task.positions() {
                    self.reader.unassign(rank, partition)?;
                    self.paused.remove(&(rank, partition));
                    self.reader.assign(rank, partition, from)?;
                }
            }
            self.unread.remove(&partition);
        }
        Ok(())
    }

    /// Nothing of a task is read any more. What still arrives has no task, and is dropped.
    pub(super) fn unread(&mut self, partition: Partition) {
        self.unread.remove(&partition);
        for rank in 0..self.layout.inputs.len() as Rank {
            self.paused.remove(&(rank, partition));
            if let Err(why) = self.reader.unassign(rank, partition) {
                tracing::warn!(task = partition, %why, "a reader could not be taken away");
            }
        }
    }

    /// Renews the producer; then every task reads its changelog. False: not yet.
    pub(super) fn recover(&mut self) -> Result<bool> {
        match self.producer.renew() {
            Ok(()) => {}
            Err(Failure::Retry(why)) => {
                tracing::warn!(%why, "the producer can't be renewed yet");
                return Ok(false);
            }
            Err(other) => return Err(other),
        }
        self.renew = false;
        self.drop_open();
        for (partition, mut task) in std::mem::take(&mut self.tasks) {
            self.unread(partition);
            self.services.forget(partition);
            // A flush under way goes on when the task does: committed rows are what they were, and so are its stamp and how
            // far it has come.
            task.doubt();
            task.abort();
            tracing::info!(task = partition, "reads its changelog again");
            self.restoring
                .push(Restoring::resume(self.log.clone(), self.layout.clone(), task));
        }
        Ok(true)
    }

    /// The tasks that read their changelog again, and how much of it they have read: from 0 to 1.
    pub fn restoring(&self) -> impl Iterator<Item = (Partition, f64)> {
        let progress = |restoring: &Restoring| (restoring.partition(), restoring.progress());
        self.restoring.iter().map(progress)
    }

    /// Tasks that read their changelog go on with it. True: one of them is there.
    pub(super) fn restore(&mut self) -> Result<bool> {
        let mut busy = false;
        let mut away = false;
        for mut restoring in std::mem::take(&mut self.restoring) {
            let partition = restoring.partition();
            if away {
                // Each would wait for the same broker in vain, and commands would wait for all of them.
                self.restoring.push(restoring);
                continue;
            }
            match restoring.step(READ_WAIT) {
                Ok(Some(restored)) => {
                    let orders = self.orders.clone();
                    let task = Task::open(partition, self.layout.clone(), orders, restored, &[])?;
                    tracing::info!(task = partition, "goes on");
                    self.resume(task);
                    busy = true;
                }
                Ok(None) => self.restoring.push(restoring),
                Err(Failure::Retry(why)) => {
                    tracing::warn!(task = partition, %why, "the changelog can't be read yet");
                    away = true;
                    self.restoring.push(restoring);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(busy)
    }
}
