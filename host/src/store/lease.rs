//! Leases: which stay may change the stored state of a task.
//!
//! Rule: one stay at a time. A stay takes the state over from older ones, which can't change it from then on.
//! Otherwise, an abandoned restore that was waiting for a slow broker could wipe what the next stay has written since,
//! and the next start would miss those rows.

use crate::error::{Failure, Result};
use crate::fault::fault;
use crate::record::{Partition, Stay};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The newest stay that has opened each task's state in this process. Clones share the same leases.
#[derive(Clone, Debug, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<Partition, Stay>>>);

impl Leases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Stay>> {
        self.0.lock()
    }

    /// Takes the state over. Returns [`Fenced`](Failure::Fenced) if a newer stay has it.
    pub fn take(&self, task: Partition, stay: Stay) -> Result<()> {
        let mut newest = self.lock();
        let entry = newest.entry(task).or_insert(stay);
        if *entry > stay && !fault!("stale-restore-may-wipe") {
            return Err(fenced(task));
        }
        *entry = stay;
        Ok(())
    }

    /// Makes a change, unless a newer stay has the state. No stay can take it over during the change.
    pub fn change<R>(&self, task: Partition, stay: Stay, change: impl FnOnce() -> Result<R>) -> Result<R> {
        let newest = self.lock();
        let stale = newest.get(&task).is_some_and(|newest| *newest > stay);
        if stale && !fault!("stale-restore-may-wipe") {
            return Err(fenced(task));
        }
        change()
    }

    /// Checks that no newer stay has the state.
    pub fn hold(&self, task: Partition, stay: Stay) -> Result<()> {
        self.change(task, stay, || Ok(()))
    }
}

fn fenced(task: Partition) -> Failure {
    Failure::Fenced(format!(
        "the stored state of task {task} belongs to a newer assignment of it"
    ))
}
