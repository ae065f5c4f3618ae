//! The sweep: the slow, endless walk over a task's rows that writes them into the deltas again, so that the changelog's old
//! part can go.
//!
//! Rule: *the log, read from the start of the last round that is complete, always rebuilds the state.* For that, a sweep
//! writes each entry as it stands at the end of the epoch whose delta it goes into (its writes and those of the sealed epoch
//! included), behind the delta's changes, and leaves out nothing but what is expired. The order is that of (hash, key, store,
//! entry), which does not depend on the table; the rows of a page go as a whole. The cursor belongs to the epoch: an abort
//! takes the committed one again.

#[cfg(test)]
mod tests;

use crate::delta::Delta;
use crate::record::Millis;
use crate::rows::Rows;

pub use crate::rows::Cursor;

impl Rows {
    /// Writes entries from the cursor on, as they stand now (open epoch included), without those that are expired at `now` (a
    /// time that no later step is before), until `budget` bytes are written, and moves the cursor. True: the round is complete,
    /// and the cursor is at the front again.
    pub fn sweep(&mut self, cursor: &mut Cursor, budget: usize, now: Millis, delta: &mut Delta) -> bool {
        if budget == 0 {
            return false;
        }
        let complete = self.walk(cursor, delta.bytes() + budget, now, delta);
        if complete {
            *cursor = Cursor::new();
        }
        complete
    }
}
