//! The end of an epoch: what the task changed, and a piece of its old state, go into the changelog; and what became of it.
//!
//! Rule: *the log, read from its start, always rebuilds the state.* Of each delta the meta comes first, then the epoch's
//! changes, then the sweep's part: each entry as it stands at the end of this epoch. When a round of the sweep is
//! complete and committed, what lies before its start may go.

use super::epoch::{Epoch, Piece};
use super::{Tally, Task, Wiring};
use crate::delta::Delta;
use crate::inbox::Inbox;
use crate::lookups::LookupName;
use crate::meta::{self, Meta};
use crate::record::{Offset, StepKey};
use crate::sweep::Cursor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The meta's share of a delta, for the sweep's budget: a meta of three inputs is about so long.
const META_BYTES: usize = 128;

/// The sweep writes one byte for so many of changes: the log between two rounds is then at most 1 + 2 times the state, and a
/// restore reads at most two such. One for one would make it twice 1 + 1, and every event a quarter longer in the log.
const CHANGES_PER_SWEPT: usize = 2;

/// What is sealed: it becomes the committed state, or nothing.
pub struct Sealed {
    meta: Meta,
    sweep: SweepState,
    complete: Option<Offset>,
    names: meta::Names,
    wiring: Arc<Wiring>,
    bytes: u64,
    tally: Tally,
}

/// Where the sweep is. A round: names, rows, timers, lookups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SweepState {
    part: Part,
    rows: Vec<u8>,
    timer: Option<StepKey>,
    lookup: Option<LookupName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    #[default]
    Names,
    Rows,
    Timers,
    Lookups,
}

impl Task {
    /// Writes the open epoch's delta into the transaction, and the offsets of all inputs; a new epoch opens.
    ///
    /// # Panics
    /// When an epoch is sealed already.
    pub fn seal(&mut self, epoch: &mut Epoch) {
        assert!(self.sealed.is_none(), "one epoch is in its commit at most");
        let mut old = std::mem::take(&mut self.swept);
        old.clear();
        let mut round = self.committed.round;
        let mut complete = None;
        if self.sweep((self.delta.bytes() + META_BYTES) / CHANGES_PER_SWEPT, &mut old) {
            complete = Some(round);
            // At or before the first record of this delta: aborted ones may lie between.
            round = self.changelog;
            self.sweep = SweepState::default();
        }
        let meta = Meta {
            fingerprint: self.layout.fingerprint,
            inputs: self.inboxes.iter_mut().map(Inbox::meta).collect(),
            last: self.last.clone(),
            sequence: self.sequence,
            version: self.wiring.rules.version().0,
            deployed: self.deployed,
            prepared: self.prepared,
            sweep: meta::encode(&self.sweep),
            follows: self.follows(),
            round,
        };
        let mut head = Delta::new();
        head.meta(&meta::encode(&meta));
        if self.names != self.committed_names {
            head.names(&meta::encode(&self.names));
        }
        let timestamp = self.last_time().unwrap_or(0).max(0);
        let bytes = (head.bytes() + self.delta.bytes() + old.bytes()) as u64;
        for delta in [&head, &self.delta, &old] {
            for record in delta.records() {
                let (topic, partition) = (self.layout.changelog, self.partition);
                epoch.write(Piece {
                    topic,
                    partition,
                    timestamp,
                    key: None,
                    value: Some([record, &[]]),
                });
            }
        }
        self.delta.clear();
        self.swept = old;
        if self.shadow.is_some() {
            self.seal_shadow();
        }
        for (rank, input) in meta.inputs.iter().enumerate() {
            epoch
                .transaction
                .offsets
                .push((rank as u16, self.partition, input.next));
        }
        self.view.rows.seal();
        self.timers.seal();
        self.lookups.seal();
        self.sealed = Some(Sealed {
            meta,
            sweep: self.sweep.clone(),
            complete,
            names: self.names.clone(),
            wiring: self.wiring.clone(),
            bytes,
            tally: std::mem::take(&mut self.tally),
        });
    }

    /// The sealed epoch is in the log; `next` is the changelog position behind it.
    /// Returns what was done in it.
    pub fn commit(&mut self, next: Offset) -> Tally {
        let Some(sealed) = self.sealed.take() else {
            return Tally::default();
        };
        let now = sealed.meta.last.time();
        if let Some(shadow) = &mut self.shadow
            && !shadow.commit(&self.view.rows, &sealed.tally)
        {
            self.shadow = None;
        }
        self.view.rows.commit(now);
        self.timers.commit();
        self.lookups.commit();
        self.committed = sealed.meta;
        self.committed_sweep = sealed.sweep;
        self.committed_names = sealed.names;
        self.committed_wiring = sealed.wiring;
        if self.committed.follows.is_none() && self.replay.take().is_some() {
            self.resumed = true;
        }
        self.changelog = next;
        self.unflushed += sealed.bytes;
        self.rounds.1 += sealed.bytes;
        if sealed.complete.is_some() {
            self.complete = sealed.complete;
            self.rounds = (self.rounds.1, 0);
        }
        sealed.tally
    }

    /// Sealed and open epoch are dropped: back to the last commit. The inputs must be read again from
    /// [`positions`](Task::positions).
    pub fn abort(&mut self) {
        self.sealed = None;
        if let Some(shadow) = &mut self.shadow {
            shadow.abort();
        }
        self.view.rows.abort();
        self.timers.abort();
        self.lookups.abort();
        self.delta.clear();
        self.sweep = self.committed_sweep.clone();
        self.start_over();
    }

    /// Where the log may be cut, once a store does not need what lies before: told once.
    pub fn take_complete(&mut self) -> Option<Offset> {
        self.complete.take()
    }

    /// True when it is being committed.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// Writes about `budget` bytes of state as it stands. True: the round is complete.
    fn sweep(&mut self, budget: usize, into: &mut Delta) -> bool {
        let now = self.last.time();
        let state = &mut self.sweep;
        if state.part == Part::Names {
            into.names(&meta::encode(&self.names));
            state.part = Part::Rows;
        }
        if state.part == Part::Rows && into.bytes() < budget {
            // Our own encoding; an unreadable one begins the round's rows again, which is always right.
            let mut cursor = Cursor::decode(&state.rows).unwrap_or_default();
            if self.view.rows.sweep(&mut cursor, budget - into.bytes(), now, into) {
                state.part = Part::Timers;
                state.rows = vec![];
            } else {
                state.rows = cursor.encode();
            }
        }
        if state.part == Part::Timers {
            let mut last = None;
            for timer in self.timers.after(state.timer.as_ref()) {
                if into.bytes() >= budget {
                    break;
                }
                if let StepKey::Timer { time, key, kind, tag } = timer {
                    into.set_timer(key, *time, *kind, tag);
                }
                last = Some(timer.clone());
            }
            state.timer = last.or(state.timer.take());
            if self.timers.after(state.timer.as_ref()).next().is_none() {
                state.part = Part::Lookups;
                state.timer = None;
            }
        }
        if state.part == Part::Lookups {
            let mut last = None;
            for (name, pending) in self.lookups.after(state.lookup.as_ref()) {
                if into.bytes() >= budget {
                    break;
                }
                into.ask(&name.0, name.1, &name.2, &pending.id, &pending.request);
                last = Some(name.clone());
            }
            state.lookup = last.or(state.lookup.take());
            return self.lookups.after(state.lookup.as_ref()).next().is_none();
        }
        false
    }
}
