//! Hands tasks over to another instance.
//!
//! Rule: the broker's fence is per member, not per partition. So a revoked task is released in three steps. First the
//! epoch that is being committed is decided. Then the open one is committed, or dropped as a whole. Only then the
//! caller is told that the task is closed.

use crate::record::Partition;
use std::collections::BTreeSet;

/// The tasks that are being handed over.
#[derive(Default)]
pub struct Handover {
    /// Tasks that wait for their last commit.
    closing: BTreeSet<Partition>,
    /// Closed tasks that the caller has not been told about.
    closed: Vec<Partition>,
}

impl Handover {
    /// Whether a task waits for its last commit. Then no task takes a step.
    pub fn is_pending(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Closes the task after its last commit.
    pub fn close(&mut self, task: Partition) {
        self.closing.insert(task);
    }

    /// Notes that the task is closed.
    pub fn closed(&mut self, task: Partition) {
        self.closing.remove(&task);
        self.closed.push(task);
    }

    /// Takes the tasks that were waiting for their last commit. It must be decided.
    pub fn take_closing(&mut self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.closing)
    }

    /// Takes the tasks that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Partition> {
        std::mem::take(&mut self.closed)
    }
}
