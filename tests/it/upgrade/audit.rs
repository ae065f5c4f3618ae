//! Compares the pipeline of the fixture with the auditor.
//!
//! Rule: every wait here ends when the instances have done what the auditor requires, and all of it is committed. So
//! neither what happens next nor the results depend on how fast the machine is.

use super::fixture::PARTITIONS;
use super::pipeline::{Pipeline, Process};
use crate::deploys::fleet::eventually;
use anyhow::{Context, Result, anyhow, bail};
use pelton::binding::Status;
use pelton::deploy::protocol::ControlRecord;
use pelton::log::embedded::Owned;
use pelton::record::{Partition, VersionId};
use pelton_tests::auditor::{self, Expected, Parameters, Task};
use pelton_tests::stage::{Format, Stream};
use pelton_tests::translate;
use std::collections::BTreeSet;

impl Pipeline {
    /// Waits until everything that can be done is done and committed.
    pub fn rest(&self, processes: &[&Process]) {
        let mut printed = String::new();
        eventually("everything is at rest", || match self.at_rest(processes) {
            Ok(()) => true,
            Err(why) => {
                let why = why.to_string();
                if why != printed {
                    println!("not at rest: {why}");
                    printed = why;
                }
                false
            }
        });
    }

    fn at_rest(&self, processes: &[&Process]) -> Result<()> {
        for process in processes {
            assert!(!process.running.has_ended(), "instance {} has ended", process.name);
        }
        let statuses: Vec<Status> = processes
            .iter()
            .flat_map(|process| process.running.statuses())
            .collect();
        let mut asked = 0;
        for task in Partition::all(PARTITIONS) {
            let its: Vec<_> = statuses.iter().filter(|status| status.partition == task).collect();
            let [status] = its[..] else {
                bail!("task {task} is open {} times", its.len());
            };
            let expected = self.audit(task)?;
            let states = || expected.users.values();
            let questions: usize = states().map(|state| state.asked.len()).sum();
            asked += questions;
            let must = [
                ("watermark", expected.watermark),
                (
                    "time of the last step",
                    expected.steps.last().map_or(i64::MIN, |step| step.time),
                ),
                ("waiting", expected.waiting.len() as i64),
                (
                    "timers",
                    states().map(|state| state.pending.len()).sum::<usize>() as i64,
                ),
                ("lookups", questions as i64),
                ("outputs", expected.outputs.len() as i64),
                ("dead letters", expected.dead_letters.len() as i64),
            ];
            let letters = self.committed(&self.config.dead_letters_topic(), task).len();
            let is = [
                status.watermark,
                status.last,
                status.waiting as i64,
                status.state.timers as i64,
                status.state.lookups as i64,
                self.committed(&self.config.outputs[0].topic, task).len() as i64,
                letters as i64,
            ];
            if let Some((is, (what, must))) = is.iter().zip(must).find(|(is, (_, must))| **is != *must) {
                bail!("task {task}: {what}: is {is}, must be {must}");
            }
        }
        match self.script.open().len() {
            open if open == asked => Ok(()),
            open => Err(anyhow!("{open} questions have come to the service, of {asked}")),
        }
    }

    /// What a task must have done by now.
    pub fn audit(&self, task: Partition) -> Result<Expected> {
        let parameters = self.parameters()?;
        let expected = auditor::audit(&self.task(task, &parameters)?, &parameters);
        Ok(expected)
    }

    /// Compares the outputs with the auditor, byte for byte where it has bytes.
    pub fn agrees(&self) {
        for task in Partition::all(PARTITIONS) {
            let parameters = self.parameters().expect("a control topic that can be read");
            let given = self.task(task, &parameters).expect("a journal that can be read");
            let expected = auditor::audit(&given, &parameters);
            let outputs = self.committed(&self.config.outputs[0].topic, task).into_iter();
            let outputs: Vec<_> = outputs
                .map(|record| {
                    let value = record.value.expect("an output has a value");
                    let value = auditor::read_enriched(Format::Json, &value).expect("an enriched event");
                    (record.key.unwrap_or_default(), record.timestamp, value)
                })
                .collect();
            auditor::compare_journal(&given, &expected, &parameters).unwrap_or_else(|why| panic!("task {task}: {why}"));
            let must = expected.outputs.into_iter();
            let must: Vec<_> = must
                .map(|output| (output.key, output.timestamp, output.value))
                .collect();
            assert_eq!(outputs, must, "outputs of task {task}");
        }
    }

    fn parameters(&self) -> Result<Parameters> {
        let control = self.committed(&self.config.control_topic(), Partition(0)).into_iter();
        let control = control.map(|record| (record.key.unwrap_or_default(), record.value.unwrap_or_default()));
        let events = translate::control(control, |deploy| translate::settings(&deploy.settings))?;
        let mut committed = auditor::decide(&events, PARTITIONS as usize)?.committed.into_iter();
        let first = committed.next().context("no deploy yet")?.settings;
        Ok(Parameters {
            format: Format::Json,
            dedup_ttl: first.dedup_ttl,
            session_ttl: first.session_ttl,
            pending_ttl: first.pending_ttl,
            label: first.label,
            deploys: committed.collect(),
            ..Parameters::default()
        })
    }

    fn task(&self, partition: Partition, parameters: &Parameters) -> Result<Task> {
        let record = |record: Owned| auditor::Record {
            offset: record.offset.0,
            key: record.key,
            value: record.value,
            appended: None,
        };
        let of = |stream: &Stream| {
            self.committed(stream.topic(), partition)
                .into_iter()
                .map(record)
                .collect()
        };
        let mut task = Task {
            partitions: Stream::ALL.iter().map(of).collect(),
            ..Task::default()
        };
        let control = self.committed(&self.config.control_topic(), Partition(0)).into_iter();
        let versions = control.filter_map(|record| match ControlRecord::decode(&record.value?) {
            Ok(ControlRecord::Deploy(deploy)) => Some(deploy.version),
            _ => None,
        });
        let known: BTreeSet<VersionId> = versions.collect();
        let entries = self.committed(&self.config.journal_topic(), partition).into_iter();
        let entries = entries.map(|record| record.value.unwrap_or_default());
        translate::journal(&mut task, entries, parameters, |version| known.contains(version))?;
        Ok(task)
    }
}
