//! Tasks that become somebody else's.
//!
//! Rule: the broker's fence is per member, not per partition. So before a revoked task is let go, the epoch in its commit
//! is decided, the open one is committed or dropped whole, and only then the caller is told that it is closed.

use super::Worker;
use crate::error::Result;
use crate::record::{Partition, Rank};

impl Worker {
    /// Finishes with these tasks: commits what is open under this assignment counter, then closes them.
    pub fn close(&mut self, partitions: &[Partition], assignment: u64) {
        self.assignment = assignment;
        for partition in partitions {
            if self.tasks.contains_key(partition) {
                self.closing.insert(*partition);
            } else {
                self.restoring.retain(|restoring| restoring.partition() != *partition);
                self.closed.push(*partition);
            }
        }
    }

    /// These tasks are somebody else's already: drops what is open, and them.
    pub fn lose(&mut self, partitions: &[Partition], assignment: u64) -> Result<()> {
        self.assignment = assignment;
        for partition in partitions {
            self.restoring.retain(|restoring| restoring.partition() != *partition);
            self.remove(*partition)?;
        }
        // What is in its commit is refused at the gate, or was through before.
        if self.flight.is_none() {
            self.start_over()?;
        }
        self.closed.extend(partitions);
        Ok(())
    }

    /// Tasks that are closed by now: drained.
    pub fn take_closed(&mut self) -> Vec<Partition> {
        std::mem::take(&mut self.closed)
    }

    /// True when it has nothing to do with any task.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.restoring.is_empty() && self.flight.is_none()
    }

    pub(super) fn close_when_through(&mut self) {
        if self.closing.is_empty() || self.flight.is_some() || self.renew {
            return;
        }
        if !self.epoch.is_empty() && self.opened.is_some() {
            return;
        }
        for partition in std::mem::take(&mut self.closing) {
            self.restoring.retain(|restoring| restoring.partition() != partition);
            if let Err(why) = self.remove(partition) {
                tracing::warn!(task = partition, %why, "a reader could not be taken away");
            }
            self.closed.push(partition);
        }
    }

    fn remove(&mut self, partition: Partition) -> Result<()> {
        self.services.forget(partition);
        self.flushes.forget(partition);
        if let Some(store) = &mut self.store {
            store.close(partition);
        }
        if let Some(mut task) = self.tasks.remove(&partition) {
            self.telemetry.closed(self.now, &mut task);
            for rank in 0..self.layout.inputs.len() as Rank {
                self.paused.remove(&(rank, partition));
                self.reader.unassign(rank, partition)?;
            }
        }
        Ok(())
    }
}
