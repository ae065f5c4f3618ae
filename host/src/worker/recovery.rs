//! Tasks of which nobody knows what is committed: they read their changelog again.
//!
//! Rule: this is the one answer to every doubt about a commit. First a new producer, which ends the transaction one way or the
//! other; then each task reads its changelog to the end, and goes on from what is committed there.

use crate::binding::Layout;
use crate::deploy::RulesSchedule;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::record::Partition;
use crate::task::Task;
use crate::task::restore::Restoring;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait for the changelog in one turn.
const READ_WAIT: Duration = Duration::from_millis(5);

/// See the rule above.
pub struct Recovery {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    restoring: Vec<Restoring>,
}

impl Recovery {
    /// No task is in doubt.
    pub fn new(log: Arc<dyn Log>, layout: Arc<Layout>) -> Recovery {
        Recovery {
            log,
            layout,
            restoring: vec![],
        }
    }

    /// True if no task is in doubt.
    pub fn is_empty(&self) -> bool {
        self.restoring.is_empty()
    }

    /// The task reads its changelog again. A flush of its state goes on when the task does: committed rows are what they were,
    /// and so are the stamp of the flush and how far it has come.
    pub fn begin(&mut self, mut task: Task) {
        task.doubt();
        task.abort();
        tracing::info!(task = task.partition(), "reads its changelog again");
        self.restoring
            .push(Restoring::resume(self.log.clone(), self.layout.clone(), task));
    }

    /// The task is no longer ours.
    pub fn forget(&mut self, task: Partition) {
        self.restoring.retain(|restoring| restoring.partition() != task);
    }

    /// Tasks that read their changelog, and how much of it they have read: from 0 to 1.
    pub fn progress(&self) -> impl Iterator<Item = (Partition, f64)> {
        let progress = |restoring: &Restoring| (restoring.partition(), restoring.progress());
        self.restoring.iter().map(progress)
    }

    /// Reads on. Returns the tasks that have reached the end.
    pub fn step(&mut self, schedule: &Arc<RulesSchedule>) -> Result<Vec<Task>> {
        let mut restored = vec![];
        let mut log_is_away = false;
        for mut restoring in std::mem::take(&mut self.restoring) {
            if log_is_away {
                // Each would wait for the same broker in vain, and commands would wait for all of them.
                self.restoring.push(restoring);
                continue;
            }
            let task = restoring.partition();
            match restoring.step(READ_WAIT) {
                Ok(Some(state)) => {
                    restored.push(Task::open(task, self.layout.clone(), schedule.clone(), state, &[])?);
                    tracing::info!(task, "goes on");
                }
                Ok(None) => self.restoring.push(restoring),
                Err(Failure::Retry(why)) => {
                    tracing::warn!(task, %why, "the changelog can't be read yet");
                    log_is_away = true;
                    self.restoring.push(restoring);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(restored)
    }
}
