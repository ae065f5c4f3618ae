//! Restores a task's state from its store and its changelog.
//!
//! Rule: the part that decides ([`Rebuild`]) only asks questions and never waits. The part that waits ([`Access`])
//! decides nothing. So production, the test kit and the simulator run the same restore, each with its own order of
//! events.

mod access;
mod rebuild;

pub use access::{Access, Answer, Question};
pub use rebuild::Rebuild;

use super::Task;
use crate::binding::Layout;
use crate::error::Result;
use crate::log::Log;
use crate::record::journal::Entry;
use crate::record::{Offset, Partition};
use crate::state::TaskState;
use crate::state::delta::{self, Change};
use crate::state::meta::{self, Meta};
use std::sync::Arc;
use std::time::Duration;

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
    pub journal: Vec<Entry>,
    /// Where the journal ends, if there is no meta to say so.
    pub follows: Option<Offset>,
    /// The number of changelog records applied.
    pub replayed: u64,
    /// The size of those records.
    pub bytes: u64,
    /// A shadow that continues after the restore.
    pub shadow: Option<Box<crate::shadow::Link>>,
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
    fn settle(&mut self) {
        let now = self.meta.as_ref().map_or(i64::MIN, |meta| meta.last.time());
        self.state.settle(now);
    }
}

/// A restore from the changelog alone, for callers that can wait while it asks.
pub struct Restoring {
    rebuild: Rebuild,
    access: Access,
}

impl Restoring {
    /// Begins with an empty state.
    pub fn begin(log: Arc<dyn Log>, layout: Arc<Layout>, partition: Partition) -> Restoring {
        Restoring {
            rebuild: Rebuild::begin(layout, partition, false),
            access: Access::new(log, partition),
        }
    }

    /// Continues from a task that has started over. It reads only what was added to its changelog since.
    pub fn resume(log: Arc<dyn Log>, layout: Arc<Layout>, task: Task) -> Restoring {
        let partition = task.partition();
        Restoring {
            rebuild: Rebuild::resume(layout, partition, task.into_restored()),
            access: Access::new(log, partition),
        }
    }

    /// How much of it is done, from 0 to 1.
    pub fn progress(&self) -> f64 {
        self.rebuild.progress()
    }

    /// The task's partition number.
    pub fn partition(&self) -> Partition {
        self.rebuild.partition()
    }

    /// Asks the next question, and waits at most `wait` for data. After [`Retry`](crate::error::Failure::Retry), call
    /// it again.
    pub fn step(&mut self, wait: Duration) -> Result<Option<Restored>> {
        if let Some(question) = self.rebuild.question() {
            let answer = self.access.ask(question, wait);
            self.rebuild.answer(answer)?;
        }
        self.rebuild.restored()
    }
}
