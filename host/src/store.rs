//! The port to the local cache of state on disk. The truth is the changelog; what is here only shortens a restart.
//!
//! Rule: data first, then the stamp. Whatever part of the writes survives a crash, its stamp names a changelog position
//! from which a replay over what is here rebuilds the state; deltas are absolute, so it may hold more than its stamp says.
//!
//! A flush is fuzzy: [`begin`](Store::begin) with everything that is not a row, slices of rows, [`finish`](Store::finish) with
//! the changelog position at which it began. Two implementations: `rocks` (RocksDB) and `memory` (which can lose its
//! unflushed tail; for tests and the simulator).
//!
//! Beside it, [`scratch`]: a file for records that wait and do not fit into memory, gone with the process.

mod directory;
mod layout;
mod lease;
pub mod memory;
#[cfg(feature = "rocks")]
pub mod rocks;
pub mod scratch;
#[cfg(test)]
mod tests;

pub use directory::Directory;
#[cfg(feature = "rocks")]
pub use rocks::Rocks;

use crate::delta::{Change, Delta};
use crate::error::Result;
use crate::record::{Offset, Partition, Stay};
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
/// The others wait for what was handed over before.
pub trait Store: Send {
    /// Opens a task's state for a stay, which takes it over from older ones: see `lease`. None when nothing is there, or
    /// nothing that can be used (then it is wiped). [`Retry`](crate::error::Failure::Retry): it can't be used until it is wiped.
    /// [`Fenced`](crate::error::Failure::Fenced): a newer stay has it.
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>>;
    /// Everything that the stamp stands for: rows as `Put`, then what [`begin`](Store::begin) got, in its order. Entries may
    /// be expired, and rows newer than the stamp.
    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()>;
    /// True when a slice may be handed over; false while too much is waiting.
    fn ready(&self) -> bool;
    /// A flush begins: `aside` holds all timers, lookups, names and the meta, as committed now.
    fn begin(&mut self, task: Partition, aside: Delta);
    /// The next rows.
    fn write(&mut self, task: Partition, rows: Dirty);
    /// All rows are handed over. The stamp counts, durably, once it is reported.
    fn finish(&mut self, task: Partition, stamp: Stamp);
    /// The end of a flush, at its finish: its stamp, or why it failed. Then rows that were handed over are missing: [`wipe`](Store::wipe),
    /// [`Rows::mark_dirty`](crate::rows::Rows::mark_dirty), and begin anew, later. (Trying again without the wipe would leave rows
    /// that are gone: memory has forgotten them.)
    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)>;
    /// Removes the state of a task that this handle has open. [`Retry`](crate::error::Failure::Retry): it may still be there,
    /// whole or not; call it again. [`Fenced`](crate::error::Failure::Fenced): a newer stay has it, and nothing was removed.
    fn wipe(&mut self, task: Partition) -> Result<()>;
    /// The task is somebody else's: lets go of it, keeps what is on disk. A flush under way has no report.
    fn close(&mut self, task: Partition);
}
