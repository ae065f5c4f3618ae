//! How a task stands, for health and metrics.
//!
//! Rule: nothing changes by looking.

use super::Task;
use crate::control::{Number, VersionId};
use crate::meta::Prepared;
use crate::record::{Millis, Offset, Partition};
use std::sync::Arc;

/// How a task stands, for health and metrics.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The task.
    pub partition: Partition,
    /// Its watermark; [`crate::record::NEVER`] before the first record of every input.
    pub watermark: Millis,
    /// Time of the last step.
    pub last: Millis,
    /// Records that wait for the watermark.
    pub waiting: usize,
    /// Bytes of chunks that are kept for them, by rank.
    pub buffered: Vec<usize>,
    /// Those of them that are in the scratch file only, by rank.
    pub spilled: Vec<usize>,
    /// Committed offsets, by rank.
    pub positions: Vec<Offset>,
    /// Timers that are set.
    pub timers: usize,
    /// Lookups that are pending.
    pub lookups: usize,
    /// Keys with state.
    pub rows: usize,
    /// Bytes of state.
    pub state_bytes: usize,
    /// Committed position in the changelog.
    pub changelog: Offset,
    /// Bytes of changelog that a restore would read: about two rounds of the sweep.
    pub log_bytes: u64,
    /// The rules' version.
    pub version: VersionId,
    /// The deploy that it took over last.
    pub deployed: Number,
    /// The deploy that it holds for.
    pub prepared: Option<Prepared>,
    /// The rules' version, as committed.
    pub committed: VersionId,
    /// A version that it waits for.
    pub wants: Option<VersionId>,
    /// Why the local store can't take its state; the worker knows.
    pub unstored: Option<Arc<str>>,
    /// Its deploy is over a budget: why, and whether it has stopped for that.
    pub trouble: Option<(String, bool)>,
}

impl Status {
    /// How this task stands. What only its worker knows is left open.
    pub(super) fn of(task: &Task) -> Status {
        let ranks = 0..task.arrivals.inputs();
        let committed = &task.ledger.committed().meta;
        Status {
            partition: task.partition,
            watermark: task.arrivals.watermark(),
            last: task.progress.time(),
            waiting: task.arrivals.len(),
            buffered: ranks.clone().map(|rank| task.arrivals.buffered(rank)).collect(),
            spilled: ranks.map(|rank| task.arrivals.spilled(rank)).collect(),
            positions: committed.inputs.iter().map(|input| input.next).collect(),
            timers: task.state.timers().len(),
            lookups: task.state.lookups().len(),
            rows: task.state.rows().len(),
            state_bytes: task.state.rows().bytes(),
            changelog: task.ledger.changelog(),
            log_bytes: task.ledger.log_bytes(),
            version: task.wiring.rules.version().0,
            deployed: task.schedule.deployed(),
            prepared: task.schedule.prepared(),
            committed: committed.version,
            wants: task.schedule.wants(),
            unstored: None,
            trouble: None,
        }
    }
}
