//! An instance's part in a shadow: it compiles the rules, gives them to its tasks, runs them, and reports the results.
//!
//! Rules:
//! - Results of this instance's tasks are written to the topic when the shadow begins and ends, and now and then in
//!   between. So every instance can show all of them, and so can a command that only uses the brokers.
//! - A task runs a shadow at most once. If the topic has a report of the task, the shadow does not begin there again.
//!   If the instance that ran it is gone, the report says that it has ended.

use super::DeployAgent;
use crate::binding::Status;
use crate::clock::Now;
use crate::deploy::batch::ControlBatch;
use crate::deploy::protocol::shadow::{KnownShadow, ShadowRecord};
use crate::deploy::protocol::{ControlRecord, DeployProgress, nonce};
use crate::record::Partition;
use crate::shadow::{Plan, ShadowLimits, ShadowReport, ShadowState, Trial};
use std::sync::Arc;
use std::time::Duration;

/// How often the report of a running shadow is written. It has a few KiB.
const TELL_EVERY: Duration = Duration::from_secs(10);

impl DeployAgent {
    /// The shadow that the tasks must run, if its rules are compiled.
    pub(super) fn trial(&mut self) -> Option<Arc<Trial>> {
        let wanted = self.control.shadows().under_way();
        let number = wanted.map(KnownShadow::number);
        if let Some(old) = self.shadow.trial.take_if(|old| Some(old.plan.number) != number) {
            old.end();
            self.shadow.reported.clear();
        }
        if let (None, Some(wanted)) = (&self.shadow.trial, wanted)
            && let Some(wiring) = self.versions.wirings().get(&wanted.shadow.deploy.version)
        {
            let trial = Trial::new(
                Plan {
                    number: wanted.number(),
                    wiring: wiring.clone(),
                    duration: wanted.shadow.duration,
                    instance: self.parts.instance.clone(),
                    layout: self.parts.layout.clone(),
                    inputs: self.parts.inputs.clone(),
                    schemas: self.parts.schemas.clone(),
                },
                ShadowLimits::default(),
            );
            let trial = Arc::new(trial);
            if let Some(play) = self.parts.play
                && let Err(why) = play(trial.clone())
            {
                tracing::warn!(%why, "can't start a thread for the shadow; it will be dropped when too much waits for it");
            }
            self.shadow.trial = Some(trial);
        }
        if let (Some(trial), Some(wanted)) = (&self.shadow.trial, wanted) {
            trial.had(wanted.tasks.keys().copied());
        }
        self.shadow.trial.clone()
    }

    /// Adds the records about the shadow that are due.
    pub(super) fn say_shadow(&mut self, now: Now, tasks: &[Status], batch: &mut ControlBatch) {
        let Some(known) = self.control.shadows().under_way() else {
            return;
        };
        let (number, version) = (known.number(), known.shadow.deploy.version);
        let (layout, instance) = (self.parts.layout.clone(), self.parts.instance.clone());
        let own = nonce(&[instance.as_bytes(), &now.wall.to_be_bytes(), &number.to_be_bytes()]);
        let mut record = |said: ShadowRecord| batch.record(&layout, &ControlRecord::Shadow(said), &own, now.wall);
        if let Some(why) = self.versions.failed().get(&version) {
            return record(ShadowRecord::Over(
                number,
                format!("it does not fit instance '{instance}': {why}"),
            ));
        }
        let Some(stage) = self.versions.stage(&version) else {
            return;
        };
        let mine: Vec<Partition> = tasks.iter().map(|task| task.partition).collect();
        let progress = DeployProgress {
            stage,
            tasks: mine.clone(),
        };
        if known.instances.get(&instance) != Some(&progress) {
            record(ShadowRecord::Progress(number, instance.clone(), progress));
        }
        let Some(trial) = &self.shadow.trial else { return };
        let reports = trial.reports();
        for (task, report) in &reports {
            let reported = known.tasks.get(task);
            // The instance that has the task now reports on it. Otherwise two would overwrite each other's reports for ever.
            if !mine.contains(task) && reported.is_some_and(|told| told.instance != instance) {
                continue;
            }
            let at = self.shadow.reported.get(task);
            let soon = reported.is_none_or(|told| told.standing != report.standing)
                || at.is_none_or(|at| now.mono.saturating_sub(*at) >= TELL_EVERY);
            if reported != Some(report) && soon {
                self.shadow.reported.insert(*task, now.mono);
                record(ShadowRecord::Seen(number, *task, json(report)));
            }
        }
        // Reports about tasks that are here now, from other instances or from before a restart of this one.
        let gone = |task: &Partition| mine.contains(task) && !reports.contains_key(task);
        for (task, told) in known.tasks.iter().filter(|(task, _)| gone(task)) {
            if told.standing == ShadowState::Running {
                let report = ShadowReport {
                    standing: ShadowState::Ended,
                    why: Some(format!("its task has left instance '{}'", told.instance)),
                    ..told.clone()
                };
                record(ShadowRecord::Seen(number, *task, json(&report)));
            }
        }
    }
}

fn json(report: &ShadowReport) -> Vec<u8> {
    // Plain data with text keys can't fail.
    serde_json::to_vec(report).expect("plain data")
}
