//! Reads results from the stage, in the terms of the money pipeline.

use super::pipeline::{Stage, alive};
use super::seen::{self, Cell, Output};
use super::time::START;
use crate::auditor::Format;
use pelton::binding::Status;
use pelton::log::embedded::Owned;
use pelton::record::Partition;
use pelton::record::journal::JournalEntry;
use pelton::service::ServiceCall;
use pelton::testkit::DeadLetter;

impl Stage {
    /// All committed outputs, in the order of the output's partitions.
    pub fn outputs(&self) -> Vec<Output> {
        let sent = alive(self.engine.sent(0)).into_iter();
        sent.map(|sent| Output::new(self.format, sent.partition, sent.record))
            .collect()
    }

    /// The outputs as lines: `m1 first user 2000/CA session DE`.
    pub fn enriched(&self) -> Vec<String> {
        self.outputs().iter().map(ToString::to_string).collect()
    }

    /// The committed records of any topic.
    pub fn committed(&self, topic: &str, partition: Partition) -> Vec<Owned> {
        alive(self.engine.committed(topic, partition))
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        alive(self.engine.dead_letters())
    }

    /// All journal entries.
    pub fn journal(&self) -> Vec<JournalEntry> {
        alive(self.engine.journal())
    }

    /// Asserts the rules' counters, by name. It does nothing where processes die or outcomes stay unknown, because a
    /// process counts only what it knows to be committed.
    pub fn counted<const N: usize>(&self, counts: [(&str, u64); N]) {
        if !self.engine.is_restless() {
            for (name, count) in counts {
                assert_eq!(self.engine.counted(name), count, "{name}");
            }
        }
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.engine.metrics()
    }

    /// The version of the rules.
    pub fn version(&self) -> String {
        self.engine.version()
    }

    /// The format of inputs and outputs.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Questions that the session service has not answered.
    pub fn questions(&self) -> Vec<ServiceCall> {
        self.script().open()
    }

    /// The status of the tasks.
    pub fn status(&self) -> Vec<Status> {
        self.engine.status()
    }

    /// The content of the stores, as it is rebuilt from the changelog alone.
    pub fn state(&self) -> Vec<Cell> {
        let cell = |cell: pelton::testkit::DumpedEntry| Cell {
            key: seen::text(&cell.key),
            store: cell.store,
            entry: cell.entry,
            expires: match cell.expires {
                i64::MAX => i64::MAX,
                expires => expires - START,
            },
            value: cell.value,
        };
        alive(self.engine.state()).into_iter().map(cell).collect()
    }

    /// Asserts that a replay of inputs and journal from the start gives the same outputs in the same order, the same
    /// dead letters, and the same state.
    pub fn check_replay(&self) {
        let replayed = self.replay();
        assert_eq!(replayed.enriched().len(), self.enriched().len(), "outputs of a replay");
        assert_eq!(replayed.dead_letters(), self.dead_letters(), "dead letters of a replay");
        assert_eq!(replayed.state(), self.state(), "state after a replay");
        let outcome = |stage: &Stage| alive(stage.engine.outcome());
        assert_eq!(outcome(&replayed), outcome(self), "a replay, byte for byte");
    }

    /// The stores that have something about a user.
    pub fn stores(&self, user: &str) -> Vec<String> {
        let its = self.state().into_iter().filter(|cell| cell.key == user);
        let mut stores: Vec<String> = its.map(|cell| cell.store).collect();
        stores.dedup();
        stores
    }
}
