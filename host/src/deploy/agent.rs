//! An instance's part in a deploy: it fetches, compiles and checks the rules, tells its tasks, reports, and decides
//! when it is due.
//!
//! Rules:
//! - Any instance that sees that a commit is due may write it, and the order of the topic decides. The instance with
//!   task 0 does so at once. The others wait a while, so that the deploy does not hang if that instance dies.
//! - A deploy that is not decided within the limit is cancelled, so that no task holds for ever.
//! - It has no clock and no thread: its driver gives it the time, and runs the compilations.
#![warn(clippy::disallowed_methods)] // It is driven: its caller says what time it is.

mod back;
mod compiled_versions;
mod components;
mod control_writer;
mod deploy_agent;
mod say;
mod shadow;

pub use deploy_agent::{AgentParts, ConfiguredRules, DeployAgent, Play};

use super::compile::{CompileJob, ComponentSource};
use crate::binding::Status;
use crate::clock::Now;
use crate::deploy::{Prepare, RulesSchedule};
use crate::error::Result;
use crate::record::{Partition, VersionId};
use crate::shadow::Trial;
use compiled_versions::KEEP;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl DeployAgent {
    /// Does one round, and waits at most `wait` for the topic. `tasks` are those of this instance. `wanted` are
    /// versions that opening tasks need. Returns whether the schedule has changed.
    pub fn step(&mut self, now: Now, wait: Duration, tasks: &[Status], wanted: &[VersionId]) -> Result<bool> {
        let wait = if self.writer.in_flight() {
            wait.min(Duration::from_millis(2))
        } else {
            wait
        };
        if self.parts.reader.poll(wait)? {
            self.control = Arc::new(self.parts.reader.control().clone());
        }
        self.versions.take_results(&self.control);
        self.compile(tasks, wanted);
        self.publish(now, tasks)?;
        Ok(self.renew_schedule(tasks, wanted))
    }

    /// Versions that anything needs.
    fn needed(&self, tasks: &[Status], wanted: &[VersionId]) -> BTreeSet<VersionId> {
        let of_tasks = tasks.iter().flat_map(|task| {
            task.rules
                .wants
                .into_iter()
                .chain([task.rules.version, task.rules.committed])
        });
        // This includes the version to go back to, so that no task has to wait for its compilation.
        let newest = self.control.newest();
        let back = newest.and_then(|newest| self.control.before(newest.deploy.number));
        let open = self.control.open().into_iter().chain(newest).chain(back);
        let open = open.map(|known| known.deploy.version);
        let shadow = self.control.shadows().under_way();
        let shadow = shadow.map(|known| known.shadow.deploy.version);
        let beside = open.chain(shadow);
        of_tasks.chain(wanted.iter().copied()).chain(beside).collect()
    }

    /// The versions that tasks have taken over last, and the ones after. A task that is being restored after an
    /// ambiguous commit has no status, and continues with one of these.
    fn taken(&self) -> BTreeSet<VersionId> {
        let committed = self.control.committed();
        let tasks = Partition::all(self.control.tasks() as i32);
        let lasts: BTreeSet<_> = tasks.map(|task| self.control.taken(task)).collect();
        let follow = |last| {
            committed
                .iter()
                .skip_while(move |known| known.number < last)
                .take(1 + KEEP)
        };
        lasts.into_iter().flat_map(follow).map(|known| known.version).collect()
    }

    fn compile(&mut self, tasks: &[Status], wanted: &[VersionId]) {
        for version in self.needed(tasks, wanted) {
            if !self.versions.is_missing(&version) {
                continue;
            }
            let Some(deploy) = self.control.of_version(&version) else {
                // The record with its deploy was not read yet.
                continue;
            };
            let here = self.versions.component(&deploy.component).map(ComponentSource::Here);
            let topic = || self.parts.reader.fetch(deploy).map(ComponentSource::Topic);
            let Some(source) = here.or_else(topic) else {
                let why = "its component is not on the control topic any more: was it pruned?".to_owned();
                self.versions.fail(version, why);
                continue;
            };
            let job = CompileJob {
                version,
                settings: deploy.settings.clone(),
                source,
            };
            self.versions.begin(job, &self.parts.compile, &mut self.parts.start);
        }
    }

    /// Looks how the last transaction ended, and writes the records that are due.
    fn publish(&mut self, now: Now, tasks: &[Status]) -> Result<()> {
        if !self.writer.settle(&self.parts.reader)? {
            return Ok(());
        }
        let begun = match self.begun {
            Some(begun) => begun,
            None => *self.begun.insert(self.parts.reader.end()?),
        };
        if self.position() < self.writer.written().max(begun) {
            return Ok(());
        }
        self.look_at_file()?;
        let mut batch = self.batch(now, tasks);
        self.say_shadow(now, tasks, &mut batch);
        if batch.is_empty() {
            return Ok(());
        }
        let id = format!("{}-{}-control", self.parts.pipeline, self.parts.instance);
        self.writer.submit(&*self.parts.log, &id, batch.transaction())
    }

    /// Makes the schedule again, if it has changed.
    fn renew_schedule(&mut self, tasks: &[Status], wanted: &[VersionId]) -> bool {
        let mut needed = self.needed(tasks, wanted);
        needed.extend(self.taken());
        self.versions.prune(&needed);
        let control = self.control.clone();
        let decided = control.last() - u64::from(control.open().is_some());
        let prepare = control.open().filter(|open| {
            let deploy = &open.deploy;
            self.versions.wirings().contains_key(&deploy.version) && (deploy.at.is_some() || open.covered)
        });
        let prepare = prepare.map(|open| Prepare {
            number: open.deploy.number,
            version: open.deploy.version,
            at: open.deploy.at,
            drop_timers: open.deploy.drop_timers,
        });
        let shadow = self.trial();
        let old = &self.schedule;
        let runs = |schedule: &Option<Arc<Trial>>| schedule.as_ref().map(|trial| trial.plan.number);
        let withdrawn = control.withdrawn();
        let same = old.decided == decided
            && old.prepare == prepare
            && old.withdrawn == withdrawn
            && old.wirings.keys().eq(self.versions.wirings().keys())
            && runs(&old.shadow) == runs(&shadow);
        if same {
            return false;
        }
        back::log_withdrawn(&control, old.withdrawn.len());
        self.schedule = Arc::new(RulesSchedule {
            committed: control.committed(),
            stops: control.ended_by_budget(),
            withdrawn,
            decided,
            prepare,
            wirings: self.versions.wirings().clone(),
            shadow,
        });
        true
    }
}
