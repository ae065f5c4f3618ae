//! Reports a task's status, for health and metrics.
//!
//! Rule: reporting changes nothing.

use super::Task;
use crate::binding::Status;

/// The status of this task. Its worker fills in what only the worker knows.
pub(super) fn status(task: &Task) -> Status {
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
