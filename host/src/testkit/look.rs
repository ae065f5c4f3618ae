//! Looking at the stage: what was sent, refused, journaled, counted, and what the stores hold.

use super::Stage;
use crate::binding::Status;
use crate::error::{Failure, Result};
use crate::instance::driven::Instance;
use crate::log::embedded::{Isolation, Owned};
use crate::record::journal::Entry;
use crate::record::{Millis, Partition, StepKey};
use crate::state::Stored;
use std::collections::BTreeMap;

/// A record of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Partition of the output.
    pub partition: Partition,
    /// As it stands in the topic.
    pub record: Owned,
}

/// A refused input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// As it came.
    pub key: Option<Vec<u8>>,
    /// As it came.
    pub value: Option<Vec<u8>>,
    /// Those it came with, and Pelton's own.
    pub headers: BTreeMap<String, String>,
}

impl Letter {
    fn new(record: Owned) -> Letter {
        let headers = record.headers.into_iter().map(|(name, value)| (name, lossy(&value)));
        Letter {
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

    /// A header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due, in milliseconds since 1970.
    pub at: Millis,
    /// Whose it is.
    pub key: Vec<u8>,
    /// Its kind.
    pub name: String,
}

/// What of a run must be the same, however it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// By output, in the order of their keys: tasks don't wait for each other. Their offsets, which commits and aborts move, are left out.
    pub outputs: Vec<Vec<Sent>>,
    /// What was refused: origin and why.
    pub letters: Vec<Letter>,
    /// What the stores hold.
    pub state: Vec<Stored>,
    /// The timers that are set.
    pub timers: Vec<Timer>,
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Stage {
    /// Everything that was sent to an output, by its index in the file, and committed; in the order of its partitions.
    pub fn sent(&self, output: usize) -> Result<Vec<Sent>> {
        let topic = &self.setup.config.outputs[output].topic;
        let mut all = vec![];
        for partition in 0..self.setup.output_partitions {
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
        for partition in 0..self.setup.partitions {
            all.extend(self.committed(topic, partition)?);
        }
        Ok(all)
    }

    /// Everything that was refused.
    pub fn dead_letters(&self) -> Result<Vec<Letter>> {
        let letters = self.all_committed(&self.setup.config.dead_letters_topic())?;
        Ok(letters.into_iter().map(Letter::new).collect())
    }

    /// Everything that was journaled.
    pub fn journal(&self) -> Result<Vec<Entry>> {
        let strange = |what: &dyn std::fmt::Display| Failure::Fatal(format!("in the journal: {what}"));
        let entry = |record: Owned| {
            let value = record.value.unwrap_or_default();
            Entry::decode(&value).map_err(|why| strange(&why))
        };
        let entries = self.all_committed(&self.setup.config.journal_topic())?;
        entries.into_iter().map(entry).collect()
    }

    /// What the rules have counted by this name, as far as it was told to be committed: see [`is_restless`](Stage::is_restless).
    pub fn counted(&self, name: &str) -> u64 {
        self.metrics.rules(&[], &[name.to_owned()]).counters[0].get()
    }

    /// Reads of a store that were not named before the batch, so that each cost a call of its own.
    pub fn missed(&mut self) -> Vec<(String, u64)> {
        let stores = &self.wiring.rules.description().stores;
        let names: Vec<String> = stores.iter().map(|store| store.name.clone()).collect();
        let told = self.metrics.rules(&names, &[]).misses;
        let mut missed: Vec<(String, u64)> = names.into_iter().zip(told.iter().map(|told| told.get())).collect();
        // What was not told yet is told here.
        for partition in 0..self.setup.partitions {
            let task = self.life.as_mut().and_then(|life| life.task(partition));
            for (at, misses) in task.into_iter().flat_map(|task| task.misses()).enumerate() {
                told[at].inc_by(misses);
                missed[at].1 += misses;
            }
        }
        missed
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// The version of the rules.
    pub fn version(&self) -> String {
        self.wiring.rules.version().to_string()
    }

    /// How the tasks stand.
    pub fn status(&self) -> Vec<Status> {
        self.life.as_ref().map(Instance::status).unwrap_or_default()
    }

    /// What the stores hold, as the changelog alone rebuilds it.
    pub fn state(&self) -> Result<Vec<Stored>> {
        let mut cells = vec![];
        for partition in 0..self.setup.partitions {
            cells.extend(self.rebuilt(partition)?.dump());
        }
        Ok(cells)
    }

    /// The timers that are set, in order of their times, as the changelog alone rebuilds them.
    pub fn timers(&self) -> Result<Vec<Timer>> {
        let mut timers = vec![];
        for partition in 0..self.setup.partitions {
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

    /// What must be the same, however the run goes.
    pub fn outcome(&self) -> Result<Outcome> {
        let of = |output| -> Result<Vec<Sent>> {
            let mut sent = self.sent(output)?;
            sent.iter_mut().for_each(|sent| sent.record.offset = 0);
            sent.sort_by(|a, b| a.record.key.cmp(&b.record.key));
            Ok(sent)
        };
        let outputs = (0..self.setup.config.outputs.len()).map(of);
        Ok(Outcome {
            outputs: outputs.collect::<Result<_>>()?,
            letters: self.dead_letters()?,
            state: self.state()?,
            timers: self.timers()?,
        })
    }
}
