//! Commits epochs, and cleans up after a commit that failed.
//!
//! Rules:
//! - The transaction in the log is the only commit point. `decide` shows three steps, in this order: the transaction is
//!   committed, then memory follows, and only then everything that leaves the process is released.
//! - An epoch that is certainly not in the log is dropped, and the open one with it. Every task goes back to its last
//!   commit and reads its inputs again.
//! - When nobody knows whether an epoch is in the log, every task reads its changelog again (`recovery`).

use super::Worker;
use super::epochs::{CommittingEpoch, Decided};
use crate::clock::Now;
use crate::error::Result;
use crate::log::{End, Outcome};

impl Worker {
    /// Seals the open epoch and hands it to the producer, if it is time and the epoch before it is decided.
    pub(super) fn seal_when_due(&mut self, now: Now) {
        if self.epochs.is_due(now, self.handover.is_pending()) {
            self.epochs.seal(&mut self.tasks, now);
        }
    }

    /// Finds out whether the epoch that is being committed has ended, and how. Returns whether it has ended.
    pub(super) fn decide(&mut self, now: Now) -> Result<bool> {
        let Some(Decided {
            epoch,
            transaction,
            outcome,
        }) = self.epochs.decided()
        else {
            return Ok(false);
        };
        match outcome {
            Outcome::Committed(ends) => {
                let drops_open = epoch.drops_open;
                self.commit_tasks(&epoch, &ends, now);
                self.release(epoch);
                self.epochs.recycle(transaction);
                if drops_open {
                    self.start_over();
                }
            }
            Outcome::Aborted(why) => {
                tracing::warn!(%why, "epoch aborted; reading its inputs again");
                self.telemetry.aborted();
                self.epochs.note_failed(&why, now);
                self.epochs.recycle(transaction);
                self.start_over();
            }
            Outcome::Ambiguous(why) => {
                tracing::warn!(%why, "unknown whether an epoch was committed; reading the changelog to find out");
                self.telemetry.ambiguous();
                self.epochs.note_failed(&why, now);
                self.recover()?;
            }
        }
        Ok(true)
    }

    /// Memory follows the log: what the tasks had sealed becomes their committed state. `ends` says where the
    /// transaction ends in each partition that it wrote to.
    fn commit_tasks(&mut self, epoch: &CommittingEpoch, ends: &[End], now: Now) {
        for partition in &epoch.tasks {
            let end = self.epochs.changelog_end(ends, *partition);
            if let (Some(task), Some(end)) = (self.tasks.get_mut(partition), end) {
                let tally = task.commit(end);
                self.telemetry.committed(*partition, task.committed_wiring(), &tally);
            }
        }
        let took = self.epochs.note_committed(epoch, now);
        self.telemetry.epoch_committed(took);
    }

    /// Releases what leaves the process after a commit.
    fn release(&mut self, epoch: CommittingEpoch) {
        for question in epoch.questions {
            if self.tasks.contains_key(&question.task) {
                self.calls.ask(question);
            }
        }
    }

    /// Renews the producer, and then lets every task read its changelog. Returns false if the log can't renew it yet.
    pub(super) fn recover(&mut self) -> Result<bool> {
        if !self.epochs.renew()? {
            return Ok(false);
        }
        for (partition, task) in std::mem::take(&mut self.tasks) {
            self.fetcher.stop(partition);
            self.calls.forget(partition);
            self.recovery.begin(task);
        }
        Ok(true)
    }

    /// Lets tasks continue that have read their changelog to the end. Returns whether there were any.
    pub(super) fn resume_recovered(&mut self) -> Result<bool> {
        let restored = self.recovery.step(self.versions.schedule())?;
        let any = !restored.is_empty();
        for task in restored {
            self.resume(task);
        }
        Ok(any)
    }
}
