//! Tasks that another instance takes over.
//!
//! Rule: the broker's fence is per member, not per partition. So a revoked task is let go in three steps: the epoch that is
//! being committed is decided; the open one is committed, or dropped as a whole; only then the caller is told that the task is
//! closed.

use crate::record::Partition;
use std::collections::BTreeSet;

/// See the rule above.
#[derive(Default)]
pub struct Handover {
    /// They wait for their last commit.
    closing: BTreeSet<Partition>,
    /// They are closed, and the caller has not been told.
    closed: Vec<Partition>,
}

impl Handover {
    /// True while a task waits for its last commit. No task takes a step then.
    pub fn is_pending(&self) -> bool {
        !self.closing.is_empty()
    }

    /// The task is to be closed after its last commit.
    pub fn close(&mut self, task: Partition) {
        self.closing.insert(task);
    }

    /// The task is closed.
    pub fn closed(&mut self, task: Partition) {
        self.closing.remove(&task);
        self.closed.push(task);
    }

    /// Takes the tasks that have waited for their last commit, which is through.
    pub fn take_closing(&mut self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.closing)
    }

    /// Takes the tasks that are closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Partition> {
        std::mem::take(&mut self.closed)
    }
}
