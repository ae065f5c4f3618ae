//! What an instance knows about versions, for its other threads.
//!
//! Rule: a task opens only when two things are true. The control topic was read up to the end that it had when the task
//! was assigned. The task's version is compiled.

use super::agent::DeployAgent;
use crate::deploy::RulesSchedule;
use crate::deploy::protocol::Control;
use crate::error::{Failure, Result};
use crate::fault::fault;
use crate::record::{Offset, Partition, VersionId};
use crate::rules::Version;
use crate::shadow::Trial;
use crate::state::meta::Meta;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An instance's view of the control topic, shared by its threads.
#[derive(Default)]
pub struct DeployView(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    schedule: Arc<RulesSchedule>,
    control: Arc<Control>,
    /// How far the control topic was read.
    position: Offset,
    /// Versions that don't fit here, with the reasons.
    failed: BTreeMap<VersionId, String>,
    shadow: Option<Arc<Trial>>,
    /// Tasks that wait for a version.
    opening: BTreeMap<Partition, VersionId>,
}

impl DeployView {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Updates the view.
    pub fn publish(&self, agent: &DeployAgent) {
        let mut inner = self.inner();
        inner.schedule = agent.schedule().clone();
        inner.control = agent.control().clone();
        inner.position = agent.position();
        inner.failed.clone_from(agent.failed());
        inner.shadow = agent.shadow().cloned();
    }

    /// Sets a fixed schedule, for use without a control topic.
    pub fn fix(&self, schedule: Arc<RulesSchedule>) {
        let mut inner = self.inner();
        inner.schedule = schedule;
        inner.position = Offset::MAX;
    }

    /// The schedule that a task can open with, or `None` if it is not available yet. `end` is the end of the control
    /// topic when the task was assigned.
    pub fn opening(&self, task: Partition, end: Offset, meta: Option<&Meta>) -> Result<Option<Arc<RulesSchedule>>> {
        let mut inner = self.inner();
        let behind = inner.position < end && !fault!("opens-before-control-is-read");
        if behind || inner.schedule.committed.is_empty() {
            return Ok(None);
        }
        match inner.schedule.opening(meta) {
            Ok(_) => {
                let schedule = inner.schedule.clone();
                inner.opening.remove(&task);
                Ok(Some(schedule))
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

    /// Forgets that the task waits for a version.
    pub fn forget(&self, task: Partition) {
        self.inner().opening.remove(&task);
    }

    /// Versions that tasks wait for.
    pub fn wanted(&self) -> Vec<VersionId> {
        self.inner().opening.values().copied().collect()
    }

    /// The state of the control topic.
    pub fn control(&self) -> Arc<Control> {
        self.inner().control.clone()
    }

    /// The shadow that runs in this instance's tasks, if any.
    pub fn shadow(&self) -> Option<Arc<Trial>> {
        self.inner().shadow.clone()
    }

    /// The version that runs, or will run, which is that of the newest committed deploy.
    pub fn version(&self) -> Option<VersionId> {
        self.inner().control.newest().map(|known| known.deploy.version)
    }
}
