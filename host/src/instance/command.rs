//! Commands to a worker.
//!
//! Rule: a command about one partition names the stay that it is for.

use crate::deploy::RulesSchedule;
use crate::record::{Partition, Stay};
use crate::task::Task;
use std::sync::Arc;

/// One assignment of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The partition.
    pub partition: Partition,
    /// The stay, which identifies the assignment.
    pub stay: Stay,
}

/// A command to a worker. The numbers are assignment counters, with which the open epoch may be committed.
pub enum Command {
    /// Open this task. It is restored, and ours.
    Open(Box<Task>, Stay, u64),
    /// The assignment of other partitions has changed.
    Reassigned(u64),
    /// Commit the open epoch of these tasks, and close them.
    Close(Vec<Claim>, u64),
    /// Drop these tasks, because they belong to another instance already.
    Lose(Vec<Claim>, u64),
    /// Use this schedule.
    SetSchedule(Arc<RulesSchedule>),
}
