//! The epochs of a worker: the open one, which its tasks write to, and the one before it, which is being committed.
//!
//! Rules:
//! - An epoch is open while the one before it is being committed. It is sealed only when that one is decided.
//! - If an epoch is not committed, the open epoch is dropped too, because it builds on it.
//! - If several in a row are not committed, the next one waits a while, except when a task must close.
//!
//! The states of the producer ([`CommitPhase`]):
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

use super::commit_failures::CommitFailures;
use crate::binding::Uncommitted;
use crate::clock::Now;
use crate::config;
use crate::error::{Failure, Result};
use crate::log::{End, Outcome, Producer, Transaction};
use crate::record::{Offset, Partition, TopicIx};
use crate::service::ServiceCall;
use crate::task::{Epoch, Moment, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An open epoch may grow to this many times its normal size while the one before it is being committed. Then its tasks
/// wait.
const OVERFULL: usize = 2;

/// How many times longer an epoch stays open while the worker is never idle. In that case records wait in the log
/// anyway, and each transaction costs the broker some milliseconds of CPU, however small it is.
const BUSY_INTERVALS: u32 = 4;

/// The time allowed for deciding a deploy, in commits. It takes at least two, and commits vary.
const DECISION_COMMITS: u32 = 6;

/// The least time allowed for deciding a deploy, for when commits are quick: the round trip over the control topic.
const DECISION_LEAST: Duration = Duration::from_millis(50);

/// The longest time until the outcome of a commit is looked at. It comes without a wake-up.
const OUTCOME_WITHIN: Duration = Duration::from_millis(1);

/// A commit that takes longer is told in the status. It is longer than an election takes.
const SLOW_COMMIT: Duration = Duration::from_secs(5);

/// The open epoch, and the state of the producer.
pub struct Epochs {
    producer: Box<dyn Producer>,
    changelog: TopicIx,
    pace: config::EpochConfig,
    /// The assignment counter under which the next epoch is sealed.
    assignment: u64,
    open: Epoch,
    /// When the first step was written to the open epoch.
    opened_at: Option<Duration>,
    phase: CommitPhase,
    /// The memory of a finished transaction. The next epoch is written into it, so two arenas take turns.
    spare: Transaction,
    /// Whether the worker has run out of work since the open epoch began.
    idle_this_epoch: bool,
    idle_last_epoch: bool,
    last_commit_duration: Duration,
    failures: CommitFailures,
}

/// What the producer is doing.
enum CommitPhase {
    /// No epoch is being committed.
    Free,
    /// An epoch was handed to the producer.
    Committing(CommittingEpoch),
    /// Nobody knows how the last commit ended. The producer must be renewed before anything else.
    InDoubt,
}

/// A sealed epoch that was handed to the producer.
pub struct CommittingEpoch {
    /// The tasks that have something in it.
    pub tasks: BTreeSet<Partition>,
    /// The questions to ask once it is committed.
    pub questions: Vec<ServiceCall>,
    sealed_at: Duration,
    /// The open epoch can't be used. It must be dropped, however this one ends.
    pub drops_open: bool,
}

/// How an epoch ended.
pub struct Decided {
    /// The epoch.
    pub epoch: CommittingEpoch,
    /// Its transaction, whose memory can be [used again](Epochs::recycle).
    pub transaction: Transaction,
    /// How its transaction ended.
    pub outcome: Outcome,
}

impl Epochs {
    /// Starts without an open epoch. A new worker counts as idle.
    pub fn new(producer: Box<dyn Producer>, changelog: TopicIx, pace: config::EpochConfig, assignment: u64) -> Epochs {
        Epochs {
            producer,
            changelog,
            pace,
            assignment,
            open: Epoch::default(),
            opened_at: None,
            phase: CommitPhase::Free,
            spare: Transaction::default(),
            idle_this_epoch: false,
            idle_last_epoch: true,
            last_commit_duration: Duration::ZERO,
            failures: CommitFailures::default(),
        }
    }

    /// The open epoch, which steps are written to.
    pub fn open(&mut self) -> &mut Epoch {
        &mut self.open
    }

    /// Sets the assignment counter under which epochs are sealed from now on.
    pub fn set_assignment(&mut self, assignment: u64) {
        self.assignment = assignment;
    }

    /// To be called after anything that may have written to the open epoch. The epoch's time starts with its first
    /// step.
    pub fn note_opened(&mut self, now: Now) {
        if !self.open.is_empty() && self.opened_at.is_none() {
            self.opened_at = Some(now.mono);
            self.idle_this_epoch = false;
        }
    }

    /// Notes that the worker has run out of work.
    pub fn note_idle(&mut self) {
        self.idle_this_epoch = true;
    }

    /// Whether an epoch is being committed.
    pub fn is_committing(&self) -> bool {
        matches!(self.phase, CommitPhase::Committing(_))
    }

    /// Whether nobody knows how the last commit ended. True until the producer is [renewed](Epochs::renew).
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.phase, CommitPhase::InDoubt)
    }

    /// Whether tasks may write to the open epoch. They may not if it will be dropped.
    pub fn takes_steps(&self) -> bool {
        match &self.phase {
            CommitPhase::Free => true,
            CommitPhase::Committing(epoch) => !epoch.drops_open,
            CommitPhase::InDoubt => false,
        }
    }

    /// Whether the open epoch has grown enough, but can't be sealed yet.
    pub fn is_overfull(&self) -> bool {
        self.is_committing() && self.open.bytes() > OVERFULL * self.pace.bytes
    }

    /// Whether everything that the tasks did is decided: nothing is open, being committed, or in doubt.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, CommitPhase::Free) && (self.open.is_empty() || self.opened_at.is_none())
    }

    /// How long an epoch stays open.
    fn interval(&self) -> Duration {
        if self.idle_this_epoch {
            return self.pace.interval;
        }
        (self.pace.interval * BUSY_INTERVALS).min(self.pace.transaction_timeout / 2)
    }

    /// How long the worker may wait for records if there is nothing else to do: until the next epoch must be sealed, or
    /// the outcome of the current commit may have come.
    pub fn wait(&self, now: Now, longest: Duration) -> Duration {
        let wait = match (self.is_committing(), self.opened_at) {
            (true, _) => OUTCOME_WITHIN,
            (false, Some(opened)) => {
                let due = (opened + self.interval()).max(self.failures.retry_at());
                due.saturating_sub(now.mono)
            }
            (false, None) => longest,
        };
        longest.min(wait)
    }

    /// What tasks must know about time when they look at the schedule. The time to decide a deploy covers the epoch
    /// that is being committed, the epoch with the task's answer (which is sealed at once), the epochs of other
    /// workers, and the way over the control topic, with some margin.
    pub fn moment(&self, now: Now) -> Moment {
        Moment {
            mono: now.mono,
            wall: now.wall,
            decision: DECISION_COMMITS * self.last_commit_duration + DECISION_LEAST,
            no_backlog: self.idle_last_epoch || self.idle_this_epoch,
        }
    }

    /// Whether the open epoch should be sealed now, and can be. `closing` says that a task waits for its last commit.
    pub fn is_due(&self, now: Now, closing: bool) -> bool {
        let Some(opened) = self.opened_at else { return false };
        let due = now.mono.saturating_sub(opened) >= self.interval()
            || self.open.bytes() >= self.pace.bytes
            || self.open.urgent
            || closing;
        let due = due && (closing || !self.is_backing_off(now));
        due && matches!(self.phase, CommitPhase::Free)
    }

    /// Seals the open epoch and hands it to the producer. To be called only when it [is due](Epochs::is_due).
    pub fn seal(&mut self, tasks: &mut BTreeMap<Partition, Task>, now: Now) {
        self.opened_at = None;
        self.idle_last_epoch = self.idle_this_epoch;
        let mut epoch = std::mem::take(&mut self.open);
        self.open.reuse(std::mem::take(&mut self.spare));
        epoch.touched.retain(|partition| tasks.contains_key(partition));
        if epoch.touched.is_empty() {
            // None of its tasks is left.
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
        self.phase = CommitPhase::Committing(CommittingEpoch {
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
            Outcome::Committed(_) | Outcome::Aborted(_) => CommitPhase::Free,
            Outcome::Ambiguous(_) => CommitPhase::InDoubt,
        };
        let CommitPhase::Committing(epoch) = std::mem::replace(&mut self.phase, next) else {
            return None;
        };
        Some(Decided {
            epoch,
            transaction,
            outcome,
        })
    }

    /// Where a committed transaction ends in the changelog of a task, if it wrote to it.
    pub fn changelog_end(&self, ends: &[End], task: Partition) -> Option<Offset> {
        let of_task = |end: &&End| (end.topic, end.partition) == (self.changelog, task);
        ends.iter().find(of_task).map(|end| end.offset)
    }

    /// Whether several epochs in a row were not committed, and it is too early for the next one.
    pub fn is_backing_off(&self, now: Now) -> bool {
        now.mono < self.failures.retry_at()
    }

    /// Notes that an epoch is not committed, or that nobody knows.
    pub fn note_failed(&mut self, why: &str, now: Now) {
        self.failures.failed(why, now);
    }

    /// What is not committed at present, and why: after failures, or while the log takes too long to answer.
    pub fn uncommitted(&self, now: Now) -> Option<Uncommitted> {
        let slow = || match &self.phase {
            CommitPhase::Committing(epoch) if now.mono.saturating_sub(epoch.sealed_at) >= SLOW_COMMIT => {
                Some(Uncommitted {
                    since: now.wall - now.mono.saturating_sub(epoch.sealed_at).as_millis() as i64,
                    epochs: 1,
                    why: "the log has not answered to its commit".into(),
                })
            }
            _ => None,
        };
        self.failures.uncommitted(now).or_else(slow)
    }

    /// Notes that an epoch is committed. Returns how long that took since it was handed over.
    pub fn note_committed(&mut self, epoch: &CommittingEpoch, now: Now) -> Duration {
        self.failures.committed(now);
        self.last_commit_duration = now.mono.saturating_sub(epoch.sealed_at);
        self.last_commit_duration
    }

    /// Keeps the memory of a transaction for the epoch after the open one.
    pub fn recycle(&mut self, transaction: Transaction) {
        if self.spare.bytes.capacity() < transaction.bytes.capacity() {
            self.spare = transaction;
        }
    }

    /// The open epoch can't be used. Returns true if it may be [dropped](Epochs::drop_open) now. Otherwise it must be
    /// dropped as soon as the epoch before it is decided.
    #[must_use]
    pub fn void_open(&mut self) -> bool {
        match &mut self.phase {
            CommitPhase::Committing(epoch) => {
                epoch.drops_open = true;
                false
            }
            CommitPhase::Free | CommitPhase::InDoubt => true,
        }
    }

    /// Drops the open epoch.
    pub fn drop_open(&mut self) {
        self.open = Epoch::default();
        self.opened_at = None;
    }

    /// Renews the producer and drops the open epoch. Renewing ends the transaction in doubt one way or the other.
    /// Returns false if the log can't do it yet.
    pub fn renew(&mut self) -> Result<bool> {
        match self.producer.renew() {
            Ok(()) => {}
            Err(Failure::Retry(why)) => {
                tracing::warn!(%why, "the producer can't be renewed yet");
                return Ok(false);
            }
            Err(other) => return Err(other),
        }
        self.phase = CommitPhase::Free;
        self.drop_open();
        Ok(true)
    }
}
