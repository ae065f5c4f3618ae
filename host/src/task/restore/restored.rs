//! A task's state as of its last commit.
//!
//! Rule: it is built only from changes. The code that applies them knows where they come from.

use crate::error::Result;
use crate::record::Offset;
use crate::record::journal::JournalEntry;
use crate::shadow::Link;
use crate::state::TaskState;
use crate::state::delta::{self, Change};
use crate::state::meta::{self, Meta};

/// A task's state as of its last commit.
#[derive(Default)]
pub struct Restored {
    /// Its rows, timers, pending lookups and names.
    pub state: TaskState,
    /// Its position. `None` if it has never committed.
    pub meta: Option<Meta>,
    /// The changelog position after everything that was applied.
    pub changelog: Offset,
    /// The stamp of the stored state that this was built on.
    pub stored: Option<Offset>,
    /// The group's committed offsets, by rank.
    pub offsets: Vec<Option<Offset>>,
    /// The journal, if the task will follow it.
    pub journal: Vec<JournalEntry>,
    /// Where the journal ends, if there is no meta to say so.
    pub follows: Option<Offset>,
    /// The number of changelog records applied.
    pub replayed: u64,
    /// The size of those records.
    pub bytes: u64,
    /// A shadow that continues after the restore.
    pub shadow: Option<Box<Link>>,
}

impl Restored {
    /// Applies one change.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Meta(bytes) => self.meta = Some(meta::decode(bytes)?),
            change => self.state.replay(change)?,
        }
        Ok(())
    }

    /// Applies one record of the changelog.
    pub fn replay(&mut self, record: &[u8]) -> Result<()> {
        for change in delta::read(record) {
            self.apply(change?)?;
        }
        self.replayed += 1;
        self.bytes += record.len() as u64;
        self.settle();
        Ok(())
    }

    /// Declares that everything applied is committed.
    pub(super) fn settle(&mut self) {
        let now = self.meta.as_ref().map_or(i64::MIN, |meta| meta.last.time());
        self.state.settle(now);
    }
}
