//! Who may change the stored state of a task.
//!
//! Rule: one stay at a time. A stay takes the state over from older stays, and from then on nothing that an older one does
//! can change it. Without this, a restore that nobody wants any more, and that waited for a slow broker, could wipe what the
//! next stay has written since: the next start would miss those rows.

use crate::error::{Failure, Result};
use crate::record::{Partition, Stay};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The newest stay of each task whose state was opened, in this process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<Partition, Stay>>>);

impl Leases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Stay>> {
        // A number is inserted, or not: nobody can leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stay takes over. [`Fenced`](Failure::Fenced): a newer one has done so already.
    pub fn take(&self, task: Partition, stay: Stay) -> Result<()> {
        let mut newest = self.lock();
        let entry = newest.entry(task).or_insert(stay);
        if *entry > stay {
            return Err(fenced(task));
        }
        *entry = stay;
        Ok(())
    }

    /// Makes a change, unless a newer stay has taken over. None can while the change is made.
    pub fn change<R>(&self, task: Partition, stay: Stay, change: impl FnOnce() -> Result<R>) -> Result<R> {
        let newest = self.lock();
        if newest.get(&task).is_some_and(|newest| *newest > stay) {
            return Err(fenced(task));
        }
        change()
    }

    /// No newer stay has taken over so far.
    pub fn hold(&self, task: Partition, stay: Stay) -> Result<()> {
        self.change(task, stay, || Ok(()))
    }
}

fn fenced(task: Partition) -> Failure {
    Failure::Fenced(format!(
        "the stored state of task {task} belongs to a newer assignment of it"
    ))
}
