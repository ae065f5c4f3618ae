//! The commit: the transaction in the log is the only commit point.
//!
//! Rule, in three lines of [`decide`](Worker::decide): the outcome is committed; memory follows; then, and only then, what
//! leaves the process is released.

use super::{Now, Worker};
use crate::error::Result;
use crate::log::Outcome;
use crate::record::Partition;
use crate::service::Question;
use crate::task::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// A worker that is never out of work commits so many times less often than `epoch.interval` says: records wait for it anyway, and
/// a transaction costs the broker some milliseconds of CPU, whatever is in it.
const PATIENCE: u32 = 4;

/// A decision may take as long as so many commits: it takes two, at least.
const DECISION_COMMITS: u32 = 6;

/// An order's way over the control topic, where commits are quick.
const DECISION_LEAST: Duration = Duration::from_millis(50);

/// An epoch in its commit.
pub struct Flight {
    touched: BTreeSet<Partition>,
    questions: Vec<Question>,
    begun: Duration,
}

impl Worker {
    /// How long an epoch stays open.
    pub(super) fn interval(&self) -> Duration {
        if self.rested {
            return self.pace.interval;
        }
        (self.pace.interval * PATIENCE).min(self.pace.transaction_timeout / 2)
    }

    /// When orders are looked at. From an answer of a task to the decision of a deploy there are, with room: the epoch in its commit,
    /// the answer's own, which is sealed at once, those of other workers, and the order's way to everybody. Commits vary.
    pub(super) fn moment(&self, now: Now) -> Moment {
        Moment {
            mono: now.mono,
            wall: now.wall,
            decision: DECISION_COMMITS * self.took + DECISION_LEAST,
            rests: self.rests || self.rested,
        }
    }

    /// Seals the open epoch and hands it to the producer, when it is time and the one before it is through.
    pub(super) fn seal_when_due(&mut self, now: Now) {
        let Some(opened) = self.opened else { return };
        let due = now.mono.saturating_sub(opened) >= self.interval()
            || self.epoch.bytes() >= self.pace.bytes
            || self.epoch.urgent
            || !self.closing.is_empty();
        if self.flight.is_some() || self.renew || self.stale || !due {
            return;
        }
        self.opened = None;
        self.rests = self.rested;
        let mut epoch = std::mem::take(&mut self.epoch);
        // The next one writes into the memory of the one before this: two arenas take turns.
        self.epoch.reuse(std::mem::take(&mut self.spare));
        epoch.touched.retain(|partition| self.tasks.contains_key(partition));
        if epoch.touched.is_empty() {
            let transaction = std::mem::take(&mut epoch.transaction);
            self.epoch.reuse(transaction);
            return;
        }
        let touched = std::mem::take(&mut epoch.touched);
        for partition in &touched {
            if let Some(task) = self.tasks.get_mut(partition) {
                task.seal(&mut epoch);
            }
        }
        epoch.transaction.assignment = self.assignment;
        self.flight = Some(Flight {
            touched,
            questions: epoch.questions,
            begun: now.mono,
        });
        self.producer.submit(epoch.transaction);
    }

    /// Learns how the epoch in its commit ended. True: it has ended.
    pub(super) fn decide(&mut self, now: Now, wait: Duration) -> Result<bool> {
        if self.flight.is_none() {
            return Ok(false);
        }
        let Some((transaction, outcome)) = self.producer.outcome(wait) else {
            return Ok(false);
        };
        let Some(flight) = self.flight.take() else {
            return Ok(false);
        };
        match outcome {
            Outcome::Committed(positions) => {
                for partition in &flight.touched {
                    let place = |(topic, at, _): &&(_, _, _)| *topic == self.layout.changelog && at == partition;
                    let next = positions.iter().find(place).map(|(_, _, next)| *next);
                    if let (Some(task), Some(next)) = (self.tasks.get_mut(partition), next) {
                        let tally = task.commit(next);
                        self.telemetry.committed(*partition, task.committed_wiring(), &tally);
                    }
                }
                for question in flight.questions {
                    if self.tasks.contains_key(&question.task) {
                        self.services.ask(question);
                    }
                }
                self.took = now.mono.saturating_sub(flight.begun);
                self.telemetry.epoch_committed(self.took);
                self.spare(transaction);
                if self.stale {
                    self.start_over();
                }
            }
            Outcome::Aborted(why) => {
                tracing::warn!(%why, "an epoch was aborted: it is done again");
                self.telemetry.aborted();
                self.spare(transaction);
                self.start_over();
            }
            Outcome::Ambiguous(why) => {
                tracing::warn!(%why, "nobody knows how a commit ended: the log will say");
                self.telemetry.ambiguous();
                self.renew = true;
                self.recover()?;
            }
        }
        Ok(true)
    }

    /// Keeps the memory of a transaction for the epoch after the open one.
    fn spare(&mut self, transaction: crate::log::Transaction) {
        if self.spare.bytes.capacity() < transaction.bytes.capacity() {
            self.spare = transaction;
        }
    }
}
