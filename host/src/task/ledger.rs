//! Keeps what is committed of a task, and what its sealed epoch adds to that when it is committed.
//!
//! Rules:
//! - At most one epoch is sealed. A commit turns it into the committed state; an abort drops it.
//! - The committed state changes in one place only, [`Ledger::commit`], after the log has confirmed that it contains
//!   the epoch.

use crate::binding::Wiring;
use crate::record::Offset;
use crate::state::SealedDelta;
use crate::state::meta::Meta;
use crate::step::Tally;
use std::sync::Arc;

/// The books of one task: committed, sealed, and counts of the open epoch.
pub struct Ledger {
    committed: Snapshot,
    sealed: Option<Sealed>,
    /// The changelog position after the last committed delta.
    changelog: Offset,
    /// The stamp of the stored state that the task was restored from. `None` if it was restored from the changelog
    /// alone.
    stored: Option<Offset>,
    /// Bytes of changelog committed since the last flush began.
    unflushed: u64,
    rounds: Rounds,
    /// Where the last complete and committed round of the sweep began. The changelog before that may be cut.
    complete: Option<Offset>,
    /// What the open epoch has done so far, for the metrics.
    tally: Tally,
}

/// What a task goes back to after an abort, except its state.
pub struct Snapshot {
    /// The task's position and its other committed data.
    pub meta: Meta,
    /// The rules that its last step took.
    pub wiring: Arc<Wiring>,
}

/// An epoch that is being committed.
struct Sealed {
    snapshot: Snapshot,
    /// The start of the round of the sweep that this epoch completes, if it does.
    complete: Option<Offset>,
    /// The size of its delta.
    bytes: u64,
    tally: Tally,
}

/// Bytes of changelog, by round of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rounds {
    /// The bytes of the last complete round.
    last: u64,
    /// The bytes of the current round.
    current: u64,
}

impl Ledger {
    /// The books of a task that was restored up to `changelog`, for which `bytes` of it were read.
    pub fn new(committed: Snapshot, changelog: Offset, bytes: u64, stored: Option<Offset>) -> Ledger {
        Ledger {
            committed,
            sealed: None,
            changelog,
            stored,
            unflushed: 0,
            rounds: Rounds {
                last: bytes,
                current: 0,
            },
            complete: None,
            tally: Tally::default(),
        }
    }

    /// Hands the open epoch to the producer: its delta, and `snapshot`, the task at its end.
    ///
    /// # Panics
    /// If an epoch is already sealed.
    pub fn seal(&mut self, snapshot: Snapshot, delta: SealedDelta) {
        assert!(self.sealed.is_none(), "at most one epoch is being committed");
        self.sealed = Some(Sealed {
            snapshot,
            complete: delta.complete,
            bytes: delta.bytes,
            tally: std::mem::take(&mut self.tally),
        });
    }

    /// The sealed epoch is in the log, and `next` is the changelog position after it. Returns the counts of that epoch,
    /// or `None` if nothing is sealed.
    pub fn commit(&mut self, next: Offset) -> Option<Tally> {
        let sealed = self.sealed.take()?;
        self.committed = sealed.snapshot;
        self.changelog = next;
        self.unflushed += sealed.bytes;
        self.rounds.add(sealed.bytes, sealed.complete.is_some());
        self.complete = sealed.complete.or(self.complete);
        Some(sealed.tally)
    }

    /// Drops the sealed and the open epoch.
    pub fn abort(&mut self) {
        self.sealed = None;
        self.tally = Tally::default();
    }

    /// What is committed, and the changelog position after it.
    pub fn into_committed(self) -> (Snapshot, Offset) {
        (self.committed, self.changelog)
    }

    /// What is committed.
    pub fn committed(&self) -> &Snapshot {
        &self.committed
    }

    /// The changelog position after the last committed delta.
    pub fn changelog(&self) -> Offset {
        self.changelog
    }

    /// The stamp of the stored state that the task was restored from.
    pub fn stored(&self) -> Option<Offset> {
        self.stored
    }

    /// Bytes of changelog committed since the last flush began.
    pub fn unflushed(&self) -> u64 {
        self.unflushed
    }

    /// Notes that a flush begins now.
    pub fn begin_flush(&mut self) {
        self.unflushed = 0;
    }

    /// Bytes of changelog that a restore would read: the last complete round of the sweep, and the current one.
    pub fn log_bytes(&self) -> u64 {
        self.rounds.bytes()
    }

    /// Where the changelog may be cut, as soon as the store doesn't need what comes before either. Returned once.
    pub fn take_complete(&mut self) -> Option<Offset> {
        self.complete.take()
    }

    /// The counts of the open epoch, to be added to.
    #[inline]
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Rounds {
    /// Adds a committed delta of this size. `complete` says that it ends the round.
    fn add(&mut self, bytes: u64, complete: bool) {
        self.current += bytes;
        if complete {
            *self = Rounds {
                last: self.current,
                current: 0,
            };
        }
    }

    fn bytes(&self) -> u64 {
        self.last + self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_reads_the_last_complete_round_and_the_one_under_way() {
        let mut rounds = Rounds { last: 100, current: 0 };
        rounds.add(10, false);
        assert_eq!(rounds.bytes(), 110);
        rounds.add(20, true);
        assert_eq!(rounds, Rounds { last: 30, current: 0 }, "what was before it may be cut");
        rounds.add(5, false);
        assert_eq!(rounds.bytes(), 35);
    }
}
