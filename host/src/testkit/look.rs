//! Reads the results of a stage: what was sent, refused, journaled and counted, and what the stores contain.

use super::stage::Stage;
use crate::binding::Status;
use crate::error::{Failure, Result};
use crate::instance::driven::DrivenInstance;
use crate::log::embedded::{Isolation, Owned};
use crate::record::journal::JournalEntry;
use crate::record::{Millis, Offset, Partition, StepKey};
use crate::state::DumpedEntry;
use crate::task::Task;
use std::collections::BTreeMap;

/// A record of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Partition of the output's topic.
    pub partition: Partition,
    /// The record in the topic.
    pub record: Owned,
}

/// An input that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its key, unchanged.
    pub key: Option<Vec<u8>>,
    /// Its value, unchanged.
    pub value: Option<Vec<u8>>,
    /// The input's own headers, and those that Pelton has added.
    pub headers: BTreeMap<String, String>,
}

impl DeadLetter {
    fn new(record: Owned) -> DeadLetter {
        let headers = record.headers.into_iter().map(|(name, value)| (name, lossy(&value)));
        DeadLetter {
            headers: headers.collect(),
            key: record.key,
            value: record.value,
        }
    }

    /// Why it was refused.
    pub fn reason(&self) -> &str {
        self.header("pelton.reason")
    }

    /// Where it came from: `topic/partition/offset`.
    pub fn origin(&self) -> String {
        let part = |name| self.header(name);
        format!(
            "{}/{}/{}",
            part("pelton.topic"),
            part("pelton.partition"),
            part("pelton.offset")
        )
    }

    /// The value of a header, or empty text if it has none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due, in milliseconds since 1970.
    pub at: Millis,
    /// The key that it was set for.
    pub key: Vec<u8>,
    /// The name of its kind.
    pub name: String,
}

/// The results of a run that must not depend on how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// Records by output, sorted by key, because tasks don't wait for each other. Offsets are left out, because commits
    /// and aborts move them.
    pub outputs: Vec<Vec<Sent>>,
    /// Refused inputs, with their origin and the reason.
    pub letters: Vec<DeadLetter>,
    /// The content of the stores.
    pub state: Vec<DumpedEntry>,
    /// The timers that are set.
    pub timers: Vec<Timer>,
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Stage {
    /// Everything that was sent to an output (by its index in the file) and committed, partition by partition.
    pub fn sent(&self, output: usize) -> Result<Vec<Sent>> {
        let topic = &self.setup.config.outputs[output].topic;
        let mut all = vec![];
        for partition in Partition::all(self.setup.topics.output_partitions) {
            let records = self.committed(topic, partition)?.into_iter();
            all.extend(records.map(|record| Sent { partition, record }));
        }
        Ok(all)
    }

    /// Committed records of any topic.
    pub fn committed(&self, topic: &str, partition: Partition) -> Result<Vec<Owned>> {
        self.cluster.read_all(topic, partition, Isolation::Committed)
    }

    fn all_committed(&self, topic: &str) -> Result<Vec<Owned>> {
        let mut all = vec![];
        for partition in Partition::all(self.setup.topics.partitions) {
            all.extend(self.committed(topic, partition)?);
        }
        Ok(all)
    }

    /// All inputs that were refused.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let letters = self.all_committed(&self.setup.config.dead_letters_topic())?;
        Ok(letters.into_iter().map(DeadLetter::new).collect())
    }

    /// All entries of the journal.
    pub fn journal(&self) -> Result<Vec<JournalEntry>> {
        let strange = |what: &dyn std::fmt::Display| Failure::Fatal(format!("in the journal: {what}"));
        let entry = |record: Owned| {
            let value = record.value.unwrap_or_default();
            JournalEntry::decode(&value).map_err(|why| strange(&why))
        };
        let entries = self.all_committed(&self.setup.config.journal_topic())?;
        entries.into_iter().map(entry).collect()
    }

    /// The value of one of the rules' counters, for epochs that are known to be committed: see
    /// [`is_restless`](Stage::is_restless).
    pub fn counted(&self, name: &str) -> u64 {
        self.metrics.rules(&[], &[name.to_owned()]).counters[0].get()
    }

    /// How many reads of each store were not announced before the batch, so that each needed a call of its own.
    pub fn missed(&self) -> Vec<(String, u64)> {
        let stores = &self.deployed.wiring.rules.description().stores;
        let names: Vec<String> = stores.iter().map(|store| store.name.clone()).collect();
        let counted = self.metrics.rules(&names, &[]).misses;
        let mut missed: Vec<(String, u64)> = names.into_iter().zip(counted.iter().map(|told| told.get())).collect();
        // Adds those that the tasks have not reported yet.
        for partition in Partition::all(self.setup.topics.partitions) {
            let task = self.life.as_ref().and_then(|life| life.task(partition));
            let unreported = task.map_or(&[][..], Task::misses);
            for (missed, unreported) in missed.iter_mut().zip(unreported) {
                missed.1 += unreported;
            }
        }
        missed
    }

    /// The metrics as text for Prometheus.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// The version of the rules.
    pub fn version(&self) -> String {
        self.deployed.wiring.rules.version().to_string()
    }

    /// The status of the tasks.
    pub fn status(&self) -> Vec<Status> {
        self.life.as_ref().map(DrivenInstance::status).unwrap_or_default()
    }

    /// The content of the stores, as the changelog alone rebuilds it.
    pub fn state(&self) -> Result<Vec<DumpedEntry>> {
        let mut cells = vec![];
        for partition in Partition::all(self.setup.topics.partitions) {
            cells.extend(self.rebuilt(partition)?.dump());
        }
        Ok(cells)
    }

    /// The timers that are set, sorted by time, as the changelog alone rebuilds them.
    pub fn timers(&self) -> Result<Vec<Timer>> {
        let mut timers = vec![];
        for partition in Partition::all(self.setup.topics.partitions) {
            let task = self.rebuilt(partition)?;
            for step in task.timers() {
                if let StepKey::Timer { time, key, kind, .. } = step {
                    timers.push(Timer {
                        at: *time,
                        key: key.to_vec(),
                        name: task.timer_name(*kind).to_owned(),
                    });
                }
            }
        }
        timers.sort();
        Ok(timers)
    }

    /// The results that must not depend on how the run went.
    pub fn outcome(&self) -> Result<RunOutcome> {
        let of = |output| -> Result<Vec<Sent>> {
            let mut sent = self.sent(output)?;
            sent.iter_mut().for_each(|sent| sent.record.offset = Offset::ZERO);
            sent.sort_by(|a, b| a.record.key.cmp(&b.record.key));
            Ok(sent)
        };
        let outputs = (0..self.setup.config.outputs.len()).map(of);
        Ok(RunOutcome {
            outputs: outputs.collect::<Result<_>>()?,
            letters: self.dead_letters()?,
            state: self.state()?,
            timers: self.timers()?,
        })
    }
}
