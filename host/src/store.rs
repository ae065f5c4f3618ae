//! The port to the local cache of state on disk. The truth is the changelog; the cache only shortens a restart.
//!
//! Rule: data first, then the stamp. Whatever part of the writes survives a crash, its stamp names a changelog position from which a
//! replay over the stored data rebuilds the state. Deltas are absolute, so the store may hold more than its stamp says.
//!
//! A flush is fuzzy: [`begin`](Store::begin) with everything that is not a row, slices of rows, [`finish`](Store::finish) with
//! the changelog position at which it began. Two implementations: `rocks` (RocksDB) and `memory` (which can lose its
//! unflushed tail; for tests and the simulator).
//!
//! [`scratch`] is a file for waiting records that do not fit into memory. It disappears with the process.

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

use crate::error::Result;
use crate::record::{Offset, Partition, Stay};
use crate::state::delta::{Change, Delta};
use crate::state::rows::Dirty;

/// What the stored state of a task is worth: a replay of the changelog from `offset` rebuilds the state.
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
/// `begin`, `write` and `finish` only hand data over and never block. [`flushed`](Store::flushed) says how a flush ended. The other
/// methods wait for what was handed over before.
pub trait Store: Send {
    /// Opens a task's state for a stay, which takes it over from older ones: see `lease`. None when nothing is there, or
    /// nothing that can be used (then it is wiped). [`Retry`](crate::error::Failure::Retry): it can't be used until it is wiped.
    /// [`Fenced`](crate::error::Failure::Fenced): a newer stay has it.
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>>;
    /// Everything that the stamp stands for: rows as `Put`, then what [`begin`](Store::begin) got, in its order. Entries may
    /// be expired, and rows newer than the stamp.
    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()>;
    /// Whether a slice may be handed over. False while too much is waiting.
    fn ready(&self) -> bool;
    /// Begins a flush. `aside` holds all timers, lookups, names and the meta, as committed now.
    fn begin(&mut self, task: Partition, aside: Delta);
    /// Hands over the next rows.
    fn write(&mut self, task: Partition, rows: Dirty);
    /// Ends a flush: all rows are handed over. The stamp is durable once it is reported.
    fn finish(&mut self, task: Partition, stamp: Stamp);
    /// The stamp of a finished flush, or why it failed. After a failure, rows that were handed over are missing:
    /// [`wipe`](Store::wipe), [`Rows::mark_dirty`](crate::state::rows::Rows::mark_dirty), and begin again later. (Without the wipe, rows that
    /// were deleted since would stay in the store, because memory has forgotten them.)
    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)>;
    /// Removes the state of a task that this handle has open. [`Retry`](crate::error::Failure::Retry): it may still be there,
    /// whole or not; call it again. [`Fenced`](crate::error::Failure::Fenced): a newer stay has it, and nothing was removed.
    fn wipe(&mut self, task: Partition) -> Result<()>;
    /// Closes a task that belongs to another instance now, and keeps what is on disk. A flush in progress is not reported.
    fn close(&mut self, task: Partition);
}
