//! What an instance knows of versions, for its other threads.
//!
//! Rule: a task opens only when the control topic was read to the end that it had when the task was assigned, and the task's
//! version is compiled.

use super::agent::Carrier;
use crate::deploy::Orders;
use crate::deploy::protocol::Control;
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition, VersionId};
use crate::rules::Version;
use crate::shadow::Trial;
use crate::state::meta::Meta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub struct Board(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    orders: Arc<Orders>,
    control: Arc<Control>,
    /// How far the control topic is read.
    position: Offset,
    /// Versions that don't fit here, and why.
    failed: BTreeMap<VersionId, String>,
    shadow: Option<Arc<Trial>>,
    /// Tasks that wait for a version.
    opening: BTreeMap<Partition, VersionId>,
}

impl Board {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what is known now.
    pub fn tell(&self, carrier: &Carrier) {
        let mut inner = self.inner();
        inner.orders = carrier.orders().clone();
        inner.control = carrier.control().clone();
        inner.position = carrier.position();
        inner.failed.clone_from(carrier.failed());
        inner.shadow = carrier.shadow().cloned();
    }

    /// Tasks open with these, where nobody reads a control topic.
    pub fn fix(&self, orders: Arc<Orders>) {
        let mut inner = self.inner();
        inner.orders = orders;
        inner.position = Offset::MAX;
    }

    /// What a task opens with; none: not yet. `end`: of the control topic, when the task was assigned.
    pub fn opening(&self, task: Partition, end: Offset, meta: Option<&Meta>) -> Result<Option<Arc<Orders>>> {
        let mut inner = self.inner();
        if inner.position < end || inner.orders.committed.is_empty() {
            return Ok(None);
        }
        match inner.orders.opening(meta) {
            Ok(_) => {
                let orders = inner.orders.clone();
                inner.opening.remove(&task);
                Ok(Some(orders))
            }
            Err(version) => match inner.failed.get(&version) {
                Some(why) => Err(Failure::Fatal(format!(
                    "task {task} runs the rules {}, which don't fit this instance: {why}",
                    Version(version)
                ))),
                None => {
                    inner.opening.insert(task, version);
                    Ok(None)
                }
            },
        }
    }

    /// The task is not wanted here any more.
    pub fn forget(&self, task: Partition) {
        self.inner().opening.remove(&task);
    }

    /// Versions that tasks wait for.
    pub fn wanted(&self) -> Vec<VersionId> {
        self.inner().opening.values().copied().collect()
    }

    /// What the control topic says.
    pub fn control(&self) -> Arc<Control> {
        self.inner().control.clone()
    }

    /// The shadow that runs in its tasks.
    pub fn shadow(&self) -> Option<Arc<Trial>> {
        self.inner().shadow.clone()
    }

    /// The version that runs, or will run: that of the newest committed deploy.
    pub fn version(&self) -> Option<VersionId> {
        self.inner().control.newest().map(|known| known.deploy.version)
    }
}
