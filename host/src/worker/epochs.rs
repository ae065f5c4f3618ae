//! The epochs of a worker: the open one, which its tasks write to, and the one before it, which is being committed.
//!
//! Rules:
//! - An epoch is open while the one before it is being committed. It is sealed only when that one is decided.
//! - If an epoch is not committed, the open one, which builds on it, is dropped too.
//!
//! What the producer is doing, and what may come next ([`Phase`]):
//!
//! ```text
//!             seal                    committed, or certainly not
//!     Free ----------> Committing ----------------------------------> Free
//!       ^                  |
//!       |  renew           |  nobody knows how it ended
//!     InDoubt <------------+
//! ```

#[cfg(test)]
mod tests;

use crate::clock::Now;
use crate::config;
use crate::error::{Failure, Result};
use crate::log::{Outcome, Producer, Transaction};
use crate::record::{Offset, Partition, TopicIx};
use crate::service::Question;
use crate::task::{Epoch, Moment, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An open epoch that waits for the one before it may grow to this many times its normal size; then its tasks wait.
const OVERFULL: usize = 2;

/// How many times longer an epoch stays open while the worker is never idle. Records wait in the log then anyway, and each
/// transaction costs the broker some milliseconds of CPU, however little is in it.
const BUSY_INTERVALS: u32 = 4;

/// Time allowed for deciding a deploy, in commits. It takes two at least; commits vary.
const DECISION_COMMITS: u32 = 6;

/// The least time allowed for deciding a deploy, where commits are quick: the round trip over the control topic.
const DECISION_LEAST: Duration = Duration::from_millis(50);

/// The outcome of a commit comes without a wake-up: this long at most until it is looked at.
const OUTCOME_WITHIN: Duration = Duration::from_millis(1);

/// See the rules above.
pub struct Epochs {
    producer: Box<dyn Producer>,
    changelog: TopicIx,
    pace: config::Epoch,
    /// The assignment counter that the next epoch is sealed under.
    assignment: u64,
    open: Epoch,
    /// When the open epoch got its first step.
    opened_at: Option<Duration>,
    phase: Phase,
    /// Memory of a transaction that is through. The next epoch writes into it: two arenas take turns.
    spare: Transaction,
    /// The worker has run out of work since the open epoch began.
    idle_this_epoch: bool,
    idle_last_epoch: bool,
    last_commit_duration: Duration,
}

/// What the producer is doing.
enum Phase {
    /// No epoch is being committed.
    Free,
    /// An epoch was handed to it.
    Committing(CommittingEpoch),
    /// Nobody knows how the last commit ended: the producer must be renewed before anything else.
    InDoubt,
}

/// An epoch that is sealed and was handed to the producer.
pub struct CommittingEpoch {
    /// Tasks that have something in it.
    pub tasks: BTreeSet<Partition>,
    /// To be asked once it is committed.
    pub questions: Vec<Question>,
    sealed_at: Duration,
    /// The open epoch can't be used, and must be dropped however this one ends.
    pub drops_open: bool,
}

/// How an epoch ended.
pub struct Decided {
    /// The epoch.
    pub epoch: CommittingEpoch,
    /// Its memory, to be [used again](Epochs::recycle).
    pub transaction: Transaction,
    /// How its transaction ended.
    pub outcome: Outcome,
}

impl Epochs {
    /// Nothing is open. A new worker counts as idle.
    pub fn new(producer: Box<dyn Producer>, changelog: TopicIx, pace: config::Epoch, assignment: u64) -> Epochs {
        Epochs {
            producer,
            changelog,
            pace,
            assignment,
            open: Epoch::default(),
            opened_at: None,
            phase: Phase::Free,
            spare: Transaction::default(),
            idle_this_epoch: false,
            idle_last_epoch: true,
            last_commit_duration: Duration::ZERO,
        }
    }

    /// The epoch that steps are written to.
    pub fn open(&mut self) -> &mut Epoch {
        &mut self.open
    }

    /// Epochs are sealed under this assignment counter from now on.
    pub fn set_assignment(&mut self, assignment: u64) {
        self.assignment = assignment;
    }

    /// To be called after whatever may have written to the open epoch: its first step starts its clock.
    pub fn note_opened(&mut self, now: Now) {
        if !self.open.is_empty() && self.opened_at.is_none() {
            self.opened_at = Some(now.mono);
            self.idle_this_epoch = false;
        }
    }

    /// The worker has run out of work.
    pub fn note_idle(&mut self) {
        self.idle_this_epoch = true;
    }

    /// True while an epoch is being committed.
    pub fn is_committing(&self) -> bool {
        matches!(self.phase, Phase::Committing(_))
    }

    /// True until the producer is [renewed](Epochs::renew), after a commit of which nobody knows how it ended.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.phase, Phase::InDoubt)
    }

    /// May tasks write to the open epoch? Not if it will be dropped.
    pub fn takes_steps(&self) -> bool {
        match &self.phase {
            Phase::Free => true,
            Phase::Committing(epoch) => !epoch.drops_open,
            Phase::InDoubt => false,
        }
    }

    /// The open epoch has grown enough, and can't be sealed yet.
    pub fn is_overfull(&self) -> bool {
        self.is_committing() && self.open.bytes() > OVERFULL * self.pace.bytes
    }

    /// True when everything that the tasks did is decided: nothing is open, being committed, or in doubt.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Free) && (self.open.is_empty() || self.opened_at.is_none())
    }

    /// How long an epoch stays open.
    fn interval(&self) -> Duration {
        if self.idle_this_epoch {
            return self.pace.interval;
        }
        (self.pace.interval * BUSY_INTERVALS).min(self.pace.transaction_timeout / 2)
    }

    /// How long the worker may wait for records, if there is nothing else to do: until the next epoch must be sealed, or
    /// the one being committed may be decided.
    pub fn wait(&self, now: Now, longest: Duration) -> Duration {
        let wait = match (self.is_committing(), self.opened_at) {
            (true, _) => OUTCOME_WITHIN,
            (false, Some(opened)) => (opened + self.interval()).saturating_sub(now.mono),
            (false, None) => longest,
        };
        longest.min(wait)
    }

    /// What tasks need to know of the time when they look at the schedule. The time to decide a deploy covers the epoch that
    /// is being committed, the epoch with the task's answer (which is sealed at once), those of other workers, and the way
    /// over the control topic, with some room.
    pub fn moment(&self, now: Now) -> Moment {
        Moment {
            mono: now.mono,
            wall: now.wall,
            decision: DECISION_COMMITS * self.last_commit_duration + DECISION_LEAST,
            rests: self.idle_last_epoch || self.idle_this_epoch,
        }
    }

    /// Should the open epoch be sealed now, and can it be? `closing`: a task waits for its last commit.
    pub fn is_due(&self, now: Now, closing: bool) -> bool {
        let Some(opened) = self.opened_at else { return false };
        let due = now.mono.saturating_sub(opened) >= self.interval()
            || self.open.bytes() >= self.pace.bytes
            || self.open.urgent
            || closing;
        due && matches!(self.phase, Phase::Free)
    }

    /// Seals the open epoch, and hands it to the producer. Only when it [is due](Epochs::is_due).
    pub fn seal(&mut self, tasks: &mut BTreeMap<Partition, Task>, now: Now) {
        self.opened_at = None;
        self.idle_last_epoch = self.idle_this_epoch;
        let mut epoch = std::mem::take(&mut self.open);
        self.open.reuse(std::mem::take(&mut self.spare));
        epoch.touched.retain(|partition| tasks.contains_key(partition));
        if epoch.touched.is_empty() {
            // Its tasks are gone.
            self.open.reuse(epoch.transaction);
            return;
        }
        let touched = std::mem::take(&mut epoch.touched);
        for partition in &touched {
            if let Some(task) = tasks.get_mut(partition) {
                task.seal(&mut epoch);
            }
        }
        epoch.transaction.assignment = self.assignment;
        self.phase = Phase::Committing(CommittingEpoch {
            tasks: touched,
            questions: epoch.questions,
            sealed_at: now.mono,
            drops_open: false,
        });
        self.producer.submit(epoch.transaction);
    }

    /// How the epoch that is being committed ended, if it has.
    pub fn decided(&mut self) -> Option<Decided> {
        if !self.is_committing() {
            return None;
        }
        let (transaction, outcome) = self.producer.outcome(Duration::ZERO)?;
        let next = match outcome {
            Outcome::Committed(_) | Outcome::Aborted(_) => Phase::Free,
            Outcome::Ambiguous(_) => Phase::InDoubt,
        };
        let Phase::Committing(epoch) = std::mem::replace(&mut self.phase, next) else {
            return None;
        };
        Some(Decided {
            epoch,
            transaction,
            outcome,
        })
    }

    /// Where a committed transaction ends in the changelog of a task, if it wrote to it.
    pub fn changelog_end(&self, ends: &[(TopicIx, Partition, Offset)], task: Partition) -> Option<Offset> {
        let of_task = |end: &&(TopicIx, Partition, Offset)| (end.0, end.1) == (self.changelog, task);
        ends.iter().find(of_task).map(|(_, _, end)| *end)
    }

    /// An epoch is committed. Returns how long it took since it was handed over.
    pub fn note_committed(&mut self, epoch: &CommittingEpoch, now: Now) -> Duration {
        self.last_commit_duration = now.mono.saturating_sub(epoch.sealed_at);
        self.last_commit_duration
    }

    /// Keeps the memory of a transaction for the epoch after the open one.
    pub fn recycle(&mut self, transaction: Transaction) {
        if self.spare.bytes.capacity() < transaction.bytes.capacity() {
            self.spare = transaction;
        }
    }

    /// The open epoch can't be used. Returns true if it may be [dropped](Epochs::drop_open) at once; else that is to be done as
    /// soon as the epoch before it is decided.
    #[must_use]
    pub fn void_open(&mut self) -> bool {
        match &mut self.phase {
            Phase::Committing(epoch) => {
                epoch.drops_open = true;
                false
            }
            Phase::Free | Phase::InDoubt => true,
        }
    }

    /// Drops the open epoch.
    pub fn drop_open(&mut self) {
        self.open = Epoch::default();
        self.opened_at = None;
    }

    /// Renews the producer, which ends the transaction in doubt one way or the other, and drops the open epoch. Returns false
    /// if the log can't do it yet.
    pub fn renew(&mut self) -> Result<bool> {
        match self.producer.renew() {
            Ok(()) => {}
            Err(Failure::Retry(why)) => {
                tracing::warn!(%why, "the producer can't be renewed yet");
                return Ok(false);
            }
            Err(other) => return Err(other),
        }
        self.phase = Phase::Free;
        self.drop_open();
        Ok(true)
    }
}
