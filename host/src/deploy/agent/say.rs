//! The records that an instance must write to the control topic now.
//!
//! Rule: they follow from what was read, and from the clock. So a record that was not written is tried again, and none
//! is written twice.

use super::deploy_agent::OpenDeploy;
use super::{DeployAgent, back};
use crate::binding::Status;
use crate::clock::Now;
use crate::deploy::batch::ControlBatch;
use crate::deploy::compile::hash;
use crate::deploy::protocol::{ControlRecord, Decision, Deploy, DeployProgress, nonce};
use crate::error::{Failure, Result};
use crate::record::Partition;
use crate::rules::Version;
use std::time::Duration;

/// How much later the instances without task 0 decide.
const OTHERS_AFTER: Duration = Duration::from_secs(2);

impl DeployAgent {
    /// The records that are due.
    pub(super) fn batch(&mut self, now: Now, tasks: &[Status]) -> ControlBatch {
        let mut batch = ControlBatch::default();
        if self.control.last() == 0 {
            self.first(now, &mut batch);
            return batch;
        }
        if let Some(decision) = back::decision(&self.control, &self.parts.instance, tasks) {
            self.decide(now, &decision, &mut batch);
            return batch;
        }
        let Some(open) = self.control.open() else {
            self.open = None;
            return batch;
        };
        let (number, version) = (open.deploy.number, open.deploy.version);
        let due = self.control.due();
        let known = self.open.filter(|known| known.number == number);
        let since = known.map_or(now.mono, |known| known.since);
        let due_since = due
            .as_ref()
            .map(|_| known.and_then(|known| known.due_since).unwrap_or(now.mono));
        self.open = Some(OpenDeploy {
            number,
            since,
            due_since,
        });
        let mine: Vec<Partition> = tasks.iter().map(|task| task.partition).collect();
        let late = |since: Duration, limit: Duration| {
            let grace = if mine.contains(&Partition(0)) {
                Duration::ZERO
            } else {
                OTHERS_AFTER
            };
            now.mono.saturating_sub(since) >= limit + grace
        };
        let decision = if let Some(why) = self.versions.failed().get(&version) {
            let why = format!("it does not fit instance '{}': {why}", self.parts.instance);
            Some(Decision::Cancel(why))
        } else if let (Some(ControlRecord::Decision { decision, .. }), Some(since)) = (due, due_since) {
            late(since, Duration::ZERO).then_some(decision)
        } else if late(since, self.parts.limit) {
            Some(Decision::Cancel(format!(
                "it was not decided within {:?}: the tasks {:?} have not answered; does an instance run for each?",
                self.parts.limit,
                self.control.missing()
            )))
        } else {
            None
        };
        if let Some(decision) = decision {
            self.decide(now, &ControlRecord::Decision { number, decision }, &mut batch);
            return batch;
        }
        let Some(stage) = self.versions.stage(&version) else {
            return batch;
        };
        let report = DeployProgress { stage, tasks: mine };
        if open.reports.get(&self.parts.instance) != Some(&report) {
            let instance = self.parts.instance.clone();
            let record = ControlRecord::Report {
                number,
                instance,
                report,
            };
            // The key of this kind of record needs no nonce.
            batch.record(&self.parts.layout, &record, &[0; 16], now.wall);
        }
        batch
    }

    /// Adds a decision, with a unique key.
    fn decide(&mut self, now: Now, decision: &ControlRecord, batch: &mut ControlBatch) {
        self.decisions_made += 1;
        let own = nonce(&[
            self.parts.instance.as_bytes(),
            &now.wall.to_be_bytes(),
            &self.decisions_made.to_be_bytes(),
            &self.control.last().to_be_bytes(),
        ]);
        batch.record(&self.parts.layout, decision, &own, now.wall);
    }

    /// Once everything that was on the topic at the start has been read, looks whether the file's rules count. They do
    /// only if nothing was deployed.
    pub(super) fn look_at_file(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.looked, true) {
            return Ok(());
        }
        let file = self.parts.first.as_ref().map(|first| first.wiring.rules.version().0);
        match (self.control.newest(), file) {
            (None, None) => Err(Failure::Fatal(
                "nothing was deployed yet, and the rules that the file names don't fit: see `pelton check`".into(),
            )),
            (Some(newest), file) if file != Some(newest.deploy.version) => {
                tracing::warn!(
                    version = %Version(newest.deploy.version),
                    "running the rules that were deployed last; rules.file names only the first version"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the file's rules the first deploy.
    fn first(&self, now: Now, batch: &mut ControlBatch) {
        let Some(first) = &self.parts.first else { return };
        let component = hash(&first.component);
        let instance = &self.parts.instance;
        let deploy = Deploy {
            number: 1,
            nonce: nonce(&[instance.as_bytes(), &now.wall.to_be_bytes()]),
            version: first.wiring.rules.version().0,
            component,
            bytes: first.component.len() as u64,
            settings: first.settings.clone(),
            at: None,
            one_way: false,
            drop_timers: false,
            author: format!("the file of instance '{instance}'"),
            written: now.wall,
            declared: first.declared.clone(),
        };
        let layout = &self.parts.layout;
        batch.component(layout, &component, &first.component, now.wall);
        batch.record(layout, &ControlRecord::Deploy(deploy), &[0; 16], now.wall);
    }
}
