//! Recovers tasks after a doubtful commit: they read their changelog again.
//!
//! Rule: every doubt about a commit is resolved here. First a new producer ends the transaction one way or the other.
//! Then each task reads its changelog to the end, and continues from what is committed there.

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

/// The tasks that are reading their changelog again.
pub struct Recovery {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    restoring: Vec<Restoring>,
}

impl Recovery {
    /// Starts without tasks in doubt.
    pub fn new(log: Arc<dyn Log>, layout: Arc<Layout>) -> Recovery {
        Recovery {
            log,
            layout,
            restoring: vec![],
        }
    }

    /// Whether no task is in doubt.
    pub fn is_empty(&self) -> bool {
        self.restoring.is_empty()
    }

    /// Lets the task read its changelog again. A flush of its state continues when the task does, because its committed
    /// rows, its stamp and its progress stay valid.
    pub fn begin(&mut self, mut task: Task) {
        task.doubt();
        task.abort();
        let (log, layout, partition) = (self.log.clone(), self.layout.clone(), task.partition());
        tracing::info!(task = partition.0, "reading the task's changelog again");
        self.restoring
            .push(Restoring::resume(log, layout, partition, task.into_restored()));
    }

    /// Forgets a task that is no longer ours.
    pub fn forget(&mut self, task: Partition) {
        self.restoring.retain(|restoring| restoring.partition() != task);
    }

    /// The tasks that read their changelog, and how much of it they have read, from 0 to 1.
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
                // Each one would wait for the same broker in vain, and commands would wait for all of them.
                self.restoring.push(restoring);
                continue;
            }
            let task = restoring.partition();
            match restoring.step(READ_WAIT) {
                Ok(Some(state)) => {
                    restored.push(Task::open(task, self.layout.clone(), schedule.clone(), state, &[])?);
                    tracing::info!(task = task.0, "the changelog is read; the task continues");
                }
                Ok(None) => self.restoring.push(restoring),
                Err(Failure::Retry(why)) => {
                    tracing::warn!(task = task.0, %why, "the changelog can't be read yet");
                    log_is_away = true;
                    self.restoring.push(restoring);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(restored)
    }
}
