//! Restores a task's state from its store and its changelog.
//!
//! Rule: the part that decides ([`Rebuild`]) only asks questions and never waits. The part that waits ([`Access`])
//! decides nothing. So production, the test kit and the simulator run the same restore, each with its own order of
//! events.

mod access;
mod rebuild;
mod restored;

pub use access::{Access, RestoreAnswer, RestoreQuestion};
pub use rebuild::Rebuild;
pub use restored::Restored;

use crate::binding::Layout;
use crate::error::Result;
use crate::log::Log;
use crate::record::Partition;
use std::sync::Arc;
use std::time::Duration;

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

    /// Continues from what a task had committed. It reads only what was added to its changelog since.
    pub fn resume(log: Arc<dyn Log>, layout: Arc<Layout>, partition: Partition, committed: Restored) -> Restoring {
        Restoring {
            rebuild: Rebuild::resume(layout, partition, committed),
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
