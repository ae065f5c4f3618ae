//! Opens a task's state, and seals, commits and aborts its epochs.
//!
//! Invariant: a delta has first the meta, then the names if they are new, then the epoch's changes, and then the
//! sweep's part. At most one epoch is sealed. An abort restores everything as of the last commit, including the sweep's
//! position.

use super::TaskState;
use super::sweep::{Sweep, Swept};
use crate::record::encoding::UnreadableFormat;
use crate::record::{Millis, Offset, StepKey};
use crate::state::delta::{Change, Delta};
use crate::state::lookups::{LookupName, Pending};
use crate::state::meta::{self, Meta, Names};
use crate::state::rows::{self, Dirty};
use crate::state::timers::TimerName;
use thiserror::Error;

/// The part of the sweep's budget for the meta. It is about the size of a meta with three inputs.
const META_BYTES: usize = 128;

/// The sweep writes one byte for this many bytes of changes. Then the log between two rounds is at most 1 + 2 times the
/// state, and a restore reads at most two rounds. With 1, it would be at most 1 + 1 times the state, but every event
/// would take a quarter more of the log.
const CHANGES_PER_SWEPT: usize = 2;

/// The keys of this state were placed by another hash than this version of Pelton's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("its keys were placed by '{0}', and this version of Pelton places them by '{here}'", here = rows::HASH)]
pub struct OtherHash(String);

/// The delta of an epoch that was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedDelta {
    /// Its size in the changelog.
    pub bytes: u64,
    /// The start of the sweep's round, if this delta completes it. Once the epoch is committed, the log before that is
    /// not needed.
    pub complete: Option<Offset>,
}

impl TaskState {
    /// A copy of a live task's state for its shadow, without the rows, which are replayed as they come.
    pub fn copied(names: Names, timers: &[StepKey], lookups: Vec<(LookupName, Pending)>) -> TaskState {
        let mut state = TaskState::default();
        state.bookkeeping.names = names;
        for timer in timers {
            if let StepKey::Timer { time, key, kind, tag } = timer {
                state.timers.set(TimerName::new(key, *kind, tag), *time, Millis::MIN);
            }
        }
        for (name, pending) in lookups {
            state.lookups.ask(name, pending);
        }
        state
    }

    /// Opens the restored state. `sweep` is the sweep's position in the meta. Fails if keys were placed by another
    /// hash.
    pub fn open(&mut self, sweep: &[u8]) -> Result<(), OtherHash> {
        let names = &mut self.bookkeeping.names;
        if names.hash.is_empty() {
            names.hash = rows::HASH.to_owned();
        }
        if names.hash != rows::HASH {
            return Err(OtherHash(names.hash.clone()));
        }
        // If it can't be read, the round starts again, which is always correct.
        self.bookkeeping.sweep = meta::decode(sweep).unwrap_or_default();
        self.committed = self.bookkeeping.clone();
        Ok(())
    }

    /// Applies a change that a delta already contains. Ignores the meta, which is not state.
    pub fn replay(&mut self, change: Change<'_>) -> Result<(), UnreadableFormat> {
        let rows = &mut self.view.rows;
        match change {
            Change::Meta(_) => {}
            Change::Names(bytes) => self.bookkeeping.names = meta::decode(bytes)?,
            Change::Put {
                key,
                store,
                entry,
                cell,
            } => {
                let slot = rows.slot(rows::hash(key), key);
                rows.put(slot, store, entry, cell);
            }
            Change::Delete { key, store, entry } => {
                let slot = rows.slot(rows::hash(key), key);
                rows.delete(slot, store, entry);
            }
            Change::SetTimer { key, at, kind, tag } => {
                self.timers.set(TimerName::new(key, kind, tag), at, Millis::MIN);
            }
            Change::CancelTimer { key, kind, tag, .. } => _ = self.timers.take(&TimerName::new(key, kind, tag)),
            Change::Ask {
                key,
                lookup,
                tag,
                id,
                request,
            } => {
                let pending = Pending {
                    id: id.into(),
                    request: request.into(),
                };
                self.lookups.ask(LookupName::new(key, lookup, tag), pending);
            }
            Change::Answered { key, lookup, tag } => _ = self.lookups.take(&LookupName::new(key, lookup, tag)),
        }
        Ok(())
    }

    /// Makes everything that was replayed committed, except the names, which wait for [`open`](TaskState::open). `now`
    /// is the time of the last replayed step.
    ///
    /// # Panics
    /// If something was written since the last commit, because its delta would be lost.
    pub fn settle(&mut self, now: Millis) {
        assert!(
            self.delta.is_empty(),
            "only replayed changes are committed without a delta"
        );
        self.seal_tables();
        self.commit_tables(now);
    }

    /// Commits the open epoch without a changelog, for a shadow.
    pub fn commit_unlogged(&mut self, now: Millis) {
        self.delta.clear();
        self.settle(now);
    }

    /// Seals the open epoch and opens another. `record` is called with each record of the delta. `meta` must be
    /// complete except for the sweep and its round, which are filled in here. `changelog` is the committed position in
    /// the changelog.
    ///
    /// # Panics
    /// If an epoch is sealed already.
    pub fn seal(&mut self, meta: &mut Meta, changelog: Offset, mut record: impl FnMut(&[u8])) -> SealedDelta {
        assert!(self.sealed.is_none(), "at most one epoch is in its commit");
        let mut swept = std::mem::take(&mut self.swept);
        swept.clear();
        let mut complete = None;
        let budget = (self.delta.bytes() + META_BYTES) / CHANGES_PER_SWEPT;
        let mut state = Swept {
            names: &self.bookkeeping.names,
            rows: &mut self.view.rows,
            timers: &self.timers,
            lookups: &self.lookups,
        };
        let now = meta.last.time();
        if self.bookkeeping.sweep.step(&mut state, budget, now, &mut swept) {
            complete = Some(meta.round);
            // At or before the first record of this delta, because records of aborted transactions may come in between.
            meta.round = changelog;
            self.bookkeeping.sweep = Sweep::default();
        }
        meta.sweep = meta::encode(&self.bookkeeping.sweep);
        let mut head = Delta::new();
        head.meta(&meta::encode(meta));
        if self.bookkeeping.names != self.committed.names {
            head.names(&meta::encode(&self.bookkeeping.names));
        }
        let bytes = (head.bytes() + self.delta.bytes() + swept.bytes()) as u64;
        for delta in [&head, &self.delta, &swept] {
            delta.records().for_each(&mut record);
        }
        self.delta.clear();
        self.swept = swept;
        self.sealed = Some(self.bookkeeping.clone());
        self.seal_tables();
        SealedDelta { bytes, complete }
    }

    fn seal_tables(&mut self) {
        self.view.rows.seal();
        self.timers.seal();
        self.lookups.seal();
    }

    fn commit_tables(&mut self, now: Millis) {
        self.view.rows.commit(now);
        self.timers.commit();
        self.lookups.commit();
    }

    /// Commits the sealed epoch. `now` is the time of its last step.
    ///
    /// # Panics
    /// If no epoch is sealed.
    pub fn commit(&mut self, now: Millis) {
        self.committed = self.sealed.take().expect("a commit follows a seal");
        self.commit_tables(now);
    }

    /// Drops the sealed and the open epoch. The rules must be bound again, because the names are those of the last
    /// commit.
    pub fn abort(&mut self) {
        self.sealed = None;
        self.bookkeeping = self.committed.clone();
        self.view.rows.abort();
        self.timers.abort();
        self.lookups.abort();
        self.delta.clear();
    }
}

// The local store.
impl TaskState {
    /// Starts to keep track of rows that the local store does not have. Call it before the first commit.
    pub fn track(&mut self) {
        self.view.rows.track();
    }

    /// Notes that the local store has every row as it is, after a load.
    pub fn mark_clean(&mut self) {
        self.view.rows.mark_clean();
    }

    /// Notes that the local store has no rows, after it was wiped.
    pub fn mark_dirty(&mut self) {
        self.view.rows.mark_dirty();
    }

    /// Takes the next slice of a flush: see [`Rows::take_dirty`](rows::Rows::take_dirty).
    pub fn take_dirty(&mut self, budget: usize, now: Millis, into: &mut Dirty) -> bool {
        self.view.rows.take_dirty(budget, now, into)
    }

    /// Everything except rows that a local store keeps, as committed.
    pub fn committed_snapshot(&self, meta: &Meta) -> Delta {
        let mut snapshot = Delta::new();
        snapshot.meta(&meta::encode(meta));
        snapshot.names(&meta::encode(&self.committed.names));
        for timer in self.timers.committed() {
            if let StepKey::Timer { time, key, kind, tag } = &timer {
                snapshot.set_timer(key, *time, *kind, tag);
            }
        }
        for (name, pending) in self.lookups.committed() {
            snapshot.push(name.ask(&pending));
        }
        snapshot
    }
}
