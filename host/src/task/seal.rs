//! The end of an epoch: what the task changed, and a piece of its old state, go into the changelog; and what became of it.
//!
//! Rule: *the log, read from its start, always rebuilds the state.* Of each delta the meta comes first, then the epoch's
//! changes, then the sweep's part: each entry as it stands at the end of this epoch. When a round of the sweep is
//! complete and committed, what lies before its start may go.

use super::epoch::{Epoch, Piece};
use super::ledger::{Round, Snapshot};
use super::{Tally, Task};
use crate::delta::Delta;
use crate::inbox::Inbox;
use crate::lookups::LookupName;
use crate::meta::{self, Meta};
use crate::record::{Offset, StepKey};
use crate::sweep::Cursor;
use serde::{Deserialize, Serialize};

/// The meta's share of a delta, for the sweep's budget: a meta of three inputs is about so long.
const META_BYTES: usize = 128;

/// The sweep writes one byte for so many of changes: the log between two rounds is then at most 1 + 2 times the state, and a
/// restore reads at most two such. One for one would make it twice 1 + 1, and every event a quarter longer in the log.
const CHANGES_PER_SWEPT: usize = 2;

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
        let mut old = std::mem::take(&mut self.swept);
        old.clear();
        let round = self.sweep((self.delta.bytes() + META_BYTES) / CHANGES_PER_SWEPT, &mut old);
        if round == Round::Complete {
            self.sweep = SweepState::default();
        }
        let meta = Meta {
            fingerprint: self.layout.fingerprint,
            inputs: self.inboxes.iter_mut().map(Inbox::meta).collect(),
            last: self.last.clone(),
            sequence: self.sequence,
            version: self.wiring.rules.version().0,
            deployed: self.schedule.deployed(),
            prepared: self.schedule.prepared(),
            sweep: meta::encode(&self.sweep),
            follows: self.schedule.follows(),
            round: self.ledger.round_start(round),
        };
        let mut head = Delta::new();
        head.meta(&meta::encode(&meta));
        if self.names != self.ledger.committed().names {
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
        let snapshot = Snapshot {
            meta,
            sweep: self.sweep.clone(),
            names: self.names.clone(),
            wiring: self.wiring.clone(),
        };
        self.ledger.seal(snapshot, round, bytes);
    }

    /// The sealed epoch is in the log; `next` is the changelog position after it.
    /// Returns what was done in it.
    pub fn commit(&mut self, next: Offset) -> Tally {
        let Some(tally) = self.ledger.commit(next) else {
            return Tally::default();
        };
        let committed = &self.ledger.committed().meta;
        let now = committed.last.time();
        self.schedule.commit(committed.follows);
        if let Some(shadow) = &mut self.shadow
            && !shadow.commit(&self.view.rows, &tally)
        {
            self.shadow = None;
        }
        self.view.rows.commit(now);
        self.timers.commit();
        self.lookups.commit();
        tally
    }

    /// Sealed and open epoch are dropped: back to the last commit. The inputs must be read again from
    /// [`positions`](Task::positions).
    pub fn abort(&mut self) {
        self.ledger.abort();
        if let Some(shadow) = &mut self.shadow {
            shadow.abort();
        }
        self.view.rows.abort();
        self.timers.abort();
        self.lookups.abort();
        self.delta.clear();
        self.sweep = self.ledger.committed().sweep.clone();
        self.start_over();
    }

    /// Where the log may be cut, once a store does not need what lies before: told once.
    pub fn take_complete(&mut self) -> Option<Offset> {
        self.ledger.take_complete()
    }

    /// Writes about `budget` bytes of state as it stands. Returns whether that was the end of the round.
    fn sweep(&mut self, budget: usize, into: &mut Delta) -> Round {
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
            if self.lookups.after(state.lookup.as_ref()).next().is_none() {
                return Round::Complete;
            }
        }
        Round::Goes
    }
}
