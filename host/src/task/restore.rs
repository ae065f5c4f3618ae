//! A task's state from its store and its changelog.
//!
//! Rule: what decides ([`Rebuild`]) only asks, and never waits; what waits ([`Access`]) decides nothing. So production, the
//! test kit and the simulator run the same restore, each in its own order of events.

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

/// A task's state as it was committed last.
#[derive(Default)]
pub struct Restored {
    /// Its rows, timers, pending lookups and names.
    pub state: TaskState,
    /// Where it stood. None: it has never committed.
    pub meta: Option<Meta>,
    /// Changelog position behind everything applied.
    pub changelog: Offset,
    /// The stamp of the stored state that it was built on.
    pub stored: Option<Offset>,
    /// The group's offsets, by rank.
    pub offsets: Vec<Option<Offset>>,
    /// The journal, where it is to be followed.
    pub journal: Vec<Entry>,
    /// Where it ends, when there is no meta to say so.
    pub follows: Option<Offset>,
    /// Changelog records applied.
    pub replayed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// A shadow that goes on.
    pub shadow: Option<Box<crate::shadow::Link>>,
}

impl Restored {
    /// Applies a change.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Meta(bytes) => self.meta = Some(meta::decode(bytes)?),
            change => self.state.replay(change)?,
        }
        Ok(())
    }

    /// Applies a record of the changelog.
    pub fn replay(&mut self, record: &[u8]) -> Result<()> {
        for change in delta::read(record) {
            self.apply(change?)?;
        }
        self.replayed += 1;
        self.bytes += record.len() as u64;
        self.settle();
        Ok(())
    }

    /// What was applied is committed.
    fn settle(&mut self) {
        let now = self.meta.as_ref().map_or(i64::MIN, |meta| meta.last.time());
        self.state.settle(now);
    }
}

/// A restore from the changelog alone, for whoever can wait while it asks.
pub struct Restoring {
    rebuild: Rebuild,
    access: Access,
}

impl Restoring {
    /// Begins with nothing.
    pub fn begin(log: Arc<dyn Log>, layout: Arc<Layout>, partition: Partition) -> Restoring {
        Restoring {
            rebuild: Rebuild::begin(layout, partition, false),
            access: Access::new(log, partition),
        }
    }

    /// Goes on from a task that has started over: only what its changelog has gained is read.
    pub fn resume(log: Arc<dyn Log>, layout: Arc<Layout>, task: Task) -> Restoring {
        let partition = task.partition();
        Restoring {
            rebuild: Rebuild::resume(layout, partition, task.into_restored()),
            access: Access::new(log, partition),
        }
    }

    /// How far it is: from 0 to 1.
    pub fn progress(&self) -> f64 {
        self.rebuild.progress()
    }

    /// The number of the task.
    pub fn partition(&self) -> Partition {
        self.rebuild.partition()
    }

    /// Asks the next question, and waits for data for at most `wait`. [`Retry`](crate::error::Failure::Retry): call it again.
    pub fn step(&mut self, wait: Duration) -> Result<Option<Restored>> {
        if let Some(question) = self.rebuild.question() {
            let answer = self.access.ask(question, wait);
            self.rebuild.answer(answer)?;
        }
        self.rebuild.restored()
    }
}
