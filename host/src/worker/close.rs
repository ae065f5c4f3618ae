//! Tasks that become somebody else's.
//!
//! Rule: the broker's fence is per member, not per partition. So before a revoked task is let go, the epoch in its commit
//! is decided, the open one is committed or dropped whole, and only then the caller is told that it is closed.

use super::Worker;
use crate::record::Partition;

impl Worker {
    /// Finishes with these tasks: commits what is open under this assignment counter, then closes them.
    pub fn close(&mut self, partitions: &[Partition], assignment: u64) {
        self.assignment = assignment;
        for partition in partitions {
            if self.tasks.contains_key(partition) {
                self.closing.insert(*partition);
            } else {
                self.restoring.retain(|restoring| restoring.partition() != *partition);
                self.remove(*partition);
                self.closed.push(*partition);
            }
        }
    }

    /// These tasks are somebody else's already: drops them, and the open epoch, which holds work of theirs.
    pub fn lose(&mut self, partitions: &[Partition], assignment: u64) {
        self.assignment = assignment;
        for partition in partitions {
            self.restoring.retain(|restoring| restoring.partition() != *partition);
            self.closing.remove(partition);
            self.remove(*partition);
        }
        // What is in its commit is refused at the gate, or was through before; the open epoch goes when that is known.
        self.stale = true;
        if self.flight.is_none() {
            self.start_over();
        }
        self.closed.extend(partitions);
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
        if self.closing.is_empty() || self.flight.is_some() || self.renew || self.stale {
            return;
        }
        if !self.epoch.is_empty() && self.opened.is_some() {
            return;
        }
        for partition in std::mem::take(&mut self.closing) {
            self.restoring.retain(|restoring| restoring.partition() != partition);
            self.remove(partition);
            self.closed.push(partition);
        }
    }

    fn remove(&mut self, partition: Partition) {
        self.services.forget(partition);
        self.flushes.forget(partition);
        if let Some(store) = &mut self.store {
            store.close(partition);
        }
        if let Some(mut task) = self.tasks.remove(&partition) {
            self.telemetry.closed(self.now, &mut task);
            self.unread(partition);
        }
    }
}
