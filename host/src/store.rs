//! The port to the local cache of state on disk. The changelog is the truth, and the cache only makes restarts shorter.
//!
//! Rule: data first, then the stamp. Whatever part of the writes survives a crash, its stamp names a changelog position
//! from which a replay over the stored data rebuilds the state. Deltas are absolute, so the store may contain more than
//! its stamp says.
//!
//! A flush is fuzzy: [`begin`](Store::begin) gets everything that is not a row, then come slices of rows, and
//! [`finish`](Store::finish) gets the changelog position at which the flush began. There are two implementations:
//! `rocks` (RocksDB), and `memory` for tests and the simulator, which can lose its unflushed writes.
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

/// What the stored state of a task is good for: a replay of the changelog from `offset` rebuilds the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Id of the cluster.
    pub cluster: String,
    /// Id (not name) of the changelog topic.
    pub topic: String,
    /// The changelog position at the start of the flush.
    pub offset: Offset,
}

/// The stored state of one worker's tasks.
///
/// `begin`, `write` and `finish` only hand data over and never block. [`flushed`](Store::flushed) says how a flush ended. The other
/// methods wait for what was handed over before.
pub trait Store: Send {
    /// Opens a task's state for a stay, which takes it over from older stays (see `lease`). Returns `None` if there is
    /// nothing, or nothing usable, which is then wiped. [`Retry`](crate::error::Failure::Retry): it can't be used until
    /// it is wiped. [`Fenced`](crate::error::Failure::Fenced): a newer stay has it.
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>>;
    /// Visits everything that the stamp covers: rows as `Put`, then what [`begin`](Store::begin) got, in its order.
    /// Entries may have expired, and rows may be newer than the stamp.
    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()>;
    /// Whether another slice may be handed over. Not while too much is waiting.
    fn ready(&self) -> bool;
    /// Begins a flush. `aside` has all timers, lookups, names and the meta, as committed now.
    fn begin(&mut self, task: Partition, aside: Delta);
    /// Hands over the next rows.
    fn write(&mut self, task: Partition, rows: Dirty);
    /// Ends a flush, after all rows were handed over. The stamp is durable once it is reported.
    fn finish(&mut self, task: Partition, stamp: Stamp);
    /// The stamp of a finished flush, or why it failed. After a failure, some rows are missing: [`wipe`](Store::wipe),
    /// call [`Rows::mark_dirty`](crate::state::rows::Rows::mark_dirty), and begin again later. Without the wipe, rows
    /// that were deleted since would stay in the store, because memory has forgotten them.
    fn flushed(&mut self) -> Option<(Partition, Result<Stamp>)>;
    /// Removes the state of a task that this handle has open. [`Retry`](crate::error::Failure::Retry): some or all of
    /// it may still exist; call it again. [`Fenced`](crate::error::Failure::Fenced): a newer stay has it, and nothing
    /// was removed.
    fn wipe(&mut self, task: Partition) -> Result<()>;
    /// Closes a task that belongs to another instance now, and keeps what is on disk. The end of a current flush is not
    /// reported.
    fn close(&mut self, task: Partition);
}
