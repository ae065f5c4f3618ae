//! How a task stands, for health and metrics.
//!
//! Rule: nothing changes by looking.

use crate::record::{Millis, Number, Offset, Partition, VersionId};
use crate::state::meta::Prepared;
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
