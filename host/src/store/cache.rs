//! The stored state of one worker's tasks.
//!
//! Rule: it is a cache. Whatever can't be read or trusted is wiped, because the changelog has everything.

use super::stamp::Stamp;
use crate::error::Result;
use crate::record::{Partition, Stay};
use crate::state::delta::{Change, Delta};
use crate::state::rows::Dirty;

/// The stored state of one worker's tasks.
///
/// `begin`, `write` and `finish` only hand data over and never block. [`flushed`](LocalStore::flushed) says how a flush ended. The other
/// methods wait for what was handed over before.
pub trait LocalStore: Send {
    /// Opens a task's state for a stay, which takes it over from older stays (see `lease`). Returns `None` if there is
    /// nothing, or nothing usable, which is then wiped. [`Retry`](crate::error::Failure::Retry): it can't be used until
    /// it is wiped. [`Fenced`](crate::error::Failure::Fenced): a newer stay has it.
    fn open(&mut self, task: Partition, stay: Stay) -> Result<Option<Stamp>>;
    /// Visits everything that the stamp covers: rows as `Put`, then what [`begin`](LocalStore::begin) got, in its order.
    /// Entries may have expired, and rows may be newer than the stamp.
    fn load(&mut self, task: Partition, visit: &mut dyn FnMut(Change<'_>)) -> Result<()>;
    /// Whether another slice may be handed over. Not while too much is waiting.
    fn ready(&self) -> bool;
    /// Begins a flush. `snapshot` has all timers, lookups, names and the meta, as committed now.
    fn begin(&mut self, task: Partition, snapshot: Delta);
    /// Hands over the next rows.
    fn write(&mut self, task: Partition, rows: Dirty);
    /// Ends a flush, after all rows were handed over. The stamp is durable once it is reported.
    fn finish(&mut self, task: Partition, stamp: Stamp);
    /// The stamp of a finished flush, or why it failed. After a failure, some rows are missing: [`wipe`](LocalStore::wipe),
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
