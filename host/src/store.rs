//! The port to the local cache of state on disk. The truth is the changelog; what is here only shortens a restart.
//!
//! Rule: data first, then the stamp. Whatever part of the writes survives a crash, its stamp names a changelog position
//! from which a replay over what is here rebuilds the state; deltas are absolute, so it may hold more than its stamp says.
//!
//! A flush is fuzzy: `begin` (with everything that is not a row), slices of rows, `finish` with the changelog position at
//! which the flush began. Two implementations: `rocks` (RocksDB) and `memory` (which can lose its unflushed tail; the
//! simulator and builds without RocksDB).

use crate::delta::{Change, Delta};
use crate::error::Result;
use crate::record::{Offset, Partition};
use crate::rows::Dirty;

/// What the stored state of a task stands for: rebuild by replaying the changelog from `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Id of the cluster.
    pub cluster: String,
    /// Id (not name) of the changelog topic.
    pub topic: String,
    /// The changelog position at the flush's start.
    pub offset: Offset,
}

/// The stored state of one worker's tasks.
///
/// `begin`, `write` and `finish` only hand over and never block; how a flush ended comes by [`flushed`](Store::flushed).
pub trait Store: Send {
    /// Opens a task's state. None: nothing is there, or it can't be used (it is wiped then).
    fn open(&mut self, task: Partition) -> Result<Option<Stamp>>;
    /// Everything that belongs to the stamp: rows as `Put`, and what [`begin`](Store::begin) got, in its order.
    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()>;
    /// True when a slice may be handed over; false while the queue is full.
    fn ready(&self) -> bool;
    /// A flush begins: `aside` holds all timers, lookups, names and the meta, as committed now.
    fn begin(&mut self, task: Partition, aside: Delta);
    /// The next rows.
    fn write(&mut self, task: Partition, rows: Dirty);
    /// All rows are written; the state is that of the stamp, durably, once it is reported.
    fn finish(&mut self, task: Partition, stamp: Stamp);
    /// The end of a flush: its stamp, or why it failed (then nothing of it counts: [`wipe`](Store::wipe), mark all rows
    /// dirty, and begin anew).
    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)>;
    /// Removes a task's state; waits for what was handed over before.
    fn wipe(&mut self, task: Partition) -> Result<()>;
    /// The task is somebody else's: lets go of it, keeps what is on disk. A flush under way ends without a report.
    fn close(&mut self, task: Partition);
}
