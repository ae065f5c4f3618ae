//! Looking at the stage: what was sent, refused, journaled, counted, and what the stores hold.

use super::{Cell, DeadLetter, Format, Output, START, Stage, seen};
use pelton::journal::Entry;
use pelton::log::Log;
use pelton::log::embedded::Owned;
use pelton::record::Partition;
use pelton::service::Question;
use pelton::task::restore::Restoring;
use pelton::task::{Status, Task};
use std::sync::Arc;
use std::time::Duration;

impl Stage {
    /// Everything that was sent and committed, in the order of the output's partitions.
    pub fn outputs(&self) -> Vec<Output> {
        let topic = self.setup.config.outputs[0].topic.clone();
        let all = |partition| {
            let records = self.committed(&topic, partition).into_iter();
            records.map(move |record| Output::new(self.setup.format, partition, record))
        };
        (0..self.setup.output_partitions).flat_map(all).collect()
    }

    /// The outputs as lines: `m1 first user 2000/CA session DE`.
    pub fn enriched(&self) -> Vec<String> {
        self.outputs().iter().map(ToString::to_string).collect()
    }

    /// Committed records of any topic.
    pub fn committed(&self, topic: &str, partition: Partition) -> Vec<Owned> {
        self.cluster
            .read_all(topic, partition, true)
            .expect("a topic of the pipeline")
    }

    /// Everything that was refused.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let topic = self.setup.config.dead_letters_topic();
        let all = (0..self.setup.partitions).flat_map(|partition| self.committed(&topic, partition));
        all.map(DeadLetter::new).collect()
    }

    /// Everything that was journaled.
    pub fn journal(&self) -> Vec<Entry> {
        let topic = self.setup.config.journal_topic();
        let all = (0..self.setup.partitions).flat_map(|partition| self.committed(&topic, partition));
        let entry = |record: Owned| Entry::decode(&record.value.expect("an entry")).expect("an entry");
        all.map(entry).collect()
    }

    /// Asserts what the rules have counted, by name. Not where processes die and outcomes are never told: numbers are of a
    /// process, and of what it knows to be committed.
    pub fn counted<const N: usize>(&self, counts: [(&str, u64); N]) {
        if self.dice.is_none() {
            for (name, count) in counts {
                let counter = &self.metrics.rules(&[], &[name.to_owned()]).counters[0];
                assert_eq!(counter.get(), count, "{name}");
            }
        }
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// The version of the rules.
    pub fn version(&self) -> String {
        self.wiring.rules.version().to_string()
    }

    /// How inputs and outputs are written.
    pub fn format(&self) -> Format {
        self.setup.format
    }

    /// Questions that the session service has not answered.
    pub fn questions(&self) -> Vec<Question> {
        self.script.open()
    }

    /// How the tasks stand.
    pub fn status(&self) -> Vec<Status> {
        self.life.as_ref().map(|life| life.worker.status()).unwrap_or_default()
    }

    /// What the stores hold, as the changelog alone rebuilds it.
    pub fn state(&self) -> Vec<Cell> {
        let name = "a reader of the state";
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &self.setup.config.name, name);
        let log: Arc<dyn Log> = Arc::new(log);
        let mut cells = vec![];
        for partition in 0..self.setup.partitions {
            let mut restoring = Restoring::begin(log.clone(), self.layout.clone(), partition);
            let restored = loop {
                if let Some(restored) = restoring
                    .step(None, Duration::ZERO)
                    .expect("a changelog that can be read")
                {
                    break restored;
                }
            };
            let starts = vec![0; self.layout.inputs.len()];
            let task = Task::open(partition, self.layout.clone(), self.orders.clone(), restored, &starts);
            for (key, store, entry, expires, value) in task.expect("a task").dump() {
                let expires = if expires == i64::MAX { expires } else { expires - START };
                cells.push(Cell {
                    key: seen::text(&key),
                    store,
                    entry,
                    expires,
                    value,
                });
            }
        }
        cells
    }

    /// Asserts that inputs and journal, read again from their start, give the same: outputs in their order, dead letters, state.
    pub fn check_replay(&self) {
        let replayed = self.replay();
        let bytes = |stage: &Stage| {
            let outputs = stage.outputs().into_iter().map(|output| {
                let Owned {
                    timestamp, key, value, ..
                } = output.record;
                (output.partition, key, timestamp, value)
            });
            // Tasks don't wait for each other: the order is one by user.
            let mut outputs: Vec<_> = outputs.collect();
            outputs.sort_by(|a, b| a.1.cmp(&b.1));
            outputs
        };
        assert_eq!(replayed.enriched().len(), self.enriched().len(), "outputs of a replay");
        assert_eq!(bytes(&replayed), bytes(self), "outputs of a replay, byte for byte");
        assert_eq!(replayed.dead_letters(), self.dead_letters(), "dead letters of a replay");
        assert_eq!(replayed.state(), self.state(), "state after a replay");
    }

    /// The stores that hold something of a user.
    pub fn stores(&self, user: &str) -> Vec<String> {
        let mut stores: Vec<String> = self
            .state()
            .into_iter()
            .filter(|cell| cell.key == user)
            .map(|c| c.store)
            .collect();
        stores.dedup();
        stores
    }
}
