//! The status of a task, for health and metrics.
//!
//! Rule: looking at a task changes nothing.

use crate::record::{Millis, Number, Offset, Partition, VersionId};
use crate::state::meta::PreparedDeploy;
use std::sync::Arc;

/// The status of a task.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Partition of the task.
    pub partition: Partition,
    /// Its watermark. [`crate::record::NEVER`] until every input has had a record.
    pub watermark: Millis,
    /// Time of its last step.
    pub last: Millis,
    /// Number of records that wait for the watermark.
    pub waiting: usize,
    /// Bytes of the chunks that are kept for them, by rank.
    pub buffered: Vec<usize>,
    /// Bytes of these that are only in the scratch file, by rank.
    pub spilled: Vec<usize>,
    /// Committed offsets, by rank.
    pub positions: Vec<Offset>,
    /// Its state.
    pub state: StateStatus,
    /// Its rules.
    pub rules: DeployedRules,
    /// What it does is not committed at present. The worker fills this in.
    pub uncommitted: Option<Uncommitted>,
}

/// Epochs of a worker are not committed, one after the other. It goes on trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncommitted {
    /// When the first of them ended, in milliseconds since 1970.
    pub since: Millis,
    /// How many there were.
    pub epochs: u32,
    /// Why the last of them was not committed.
    pub why: Arc<str>,
}

/// What a task's state takes.
#[derive(Clone, Debug, Default)]
pub struct StateStatus {
    /// Number of keys.
    pub rows: usize,
    /// Number of timers that are set.
    pub timers: usize,
    /// Number of pending lookups.
    pub lookups: usize,
    /// Size in memory, in bytes.
    pub bytes: usize,
    /// Bytes of changelog that a restore would read, which is about two rounds of the sweep.
    pub log_bytes: u64,
    /// Why the local store can't take it, if so. The worker fills this in.
    pub unstored: Option<Arc<str>>,
}

/// The rules of a task, and what it has heard of others.
#[derive(Clone, Debug, Default)]
pub struct DeployedRules {
    /// The version that runs.
    pub version: VersionId,
    /// The last deploy that it has taken over.
    pub deployed: Number,
    /// The deploy that it holds for, if any.
    pub prepared: Option<PreparedDeploy>,
    /// The version as of the last commit.
    pub committed: VersionId,
    /// A version that it needs and does not have, if any.
    pub wants: Option<VersionId>,
    /// Its deploy exceeds a budget. The worker fills this in.
    pub trouble: Option<BudgetExceeded>,
}

/// A deploy exceeds a budget in a task.
#[derive(Clone, Debug)]
pub struct BudgetExceeded {
    /// Which budget, and why.
    pub why: String,
    /// Whether the task has stopped for that.
    pub stopped: bool,
}
