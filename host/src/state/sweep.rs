//! The sweep: with each delta, some of the task's old state is written again, so that the start of the changelog can be
//! deleted.
//!
//! Rule: *the log from the start of the last complete round always rebuilds the state.* For that, the sweep writes each
//! entry as it is at the end of the epoch that the delta belongs to, after the delta's own changes. It leaves out only
//! what has expired. It walks in the order of (hash, key, store, entry), which does not depend on the table's size, and
//! it writes the rows of a page together. The cursor belongs to the epoch: an abort restores the committed one.
//!
//! A round is: names, rows, timers, lookups.

#[cfg(test)]
mod tests;

use crate::record::{Millis, StepKey};
use crate::state::delta::Delta;
use crate::state::lookups::{LookupName, Lookups};
use crate::state::meta::{self, Names};
use crate::state::rows::{Cursor, Rows};
use crate::state::timers::Timers;
use serde::{Deserialize, Serialize};

/// A position in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sweep {
    part: SweepPart,
    rows: Vec<u8>,
    timer: Option<StepKey>,
    lookup: Option<LookupName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum SweepPart {
    #[default]
    Names,
    Rows,
    Timers,
    Lookups,
}

/// The state that the sweep writes.
pub(super) struct Swept<'a> {
    pub names: &'a Names,
    pub rows: &'a mut Rows,
    pub timers: &'a Timers,
    pub lookups: &'a Lookups,
}

impl Sweep {
    /// Writes about `budget` bytes of the state as it is at `now`. Returns whether the round is complete.
    pub(super) fn step(&mut self, state: &mut Swept<'_>, budget: usize, now: Millis, into: &mut Delta) -> bool {
        if self.part == SweepPart::Names {
            into.names(&meta::encode(state.names));
            self.part = SweepPart::Rows;
        }
        if self.part == SweepPart::Rows && into.bytes() < budget {
            self.rows(state.rows, budget, now, into);
        }
        if self.part == SweepPart::Timers {
            self.timers(state.timers, budget, into);
        }
        self.part == SweepPart::Lookups && self.lookups(state.lookups, budget, into)
    }

    fn rows(&mut self, rows: &mut Rows, budget: usize, now: Millis, into: &mut Delta) {
        // If it can't be read, the rows start again, which is always correct.
        let mut cursor = Cursor::decode(&self.rows).unwrap_or_default();
        if rows.sweep(&mut cursor, budget - into.bytes(), now, into) {
            self.part = SweepPart::Timers;
            self.rows = vec![];
        } else {
            self.rows = cursor.encode();
        }
    }

    fn timers(&mut self, timers: &Timers, budget: usize, into: &mut Delta) {
        let mut last = None;
        for timer in timers.after(self.timer.as_ref()) {
            if into.bytes() >= budget {
                break;
            }
            if let StepKey::Timer { time, key, kind, tag } = timer {
                into.set_timer(key, *time, *kind, tag);
            }
            last = Some(timer.clone());
        }
        self.timer = last.or(self.timer.take());
        if timers.after(self.timer.as_ref()).next().is_none() {
            self.part = SweepPart::Lookups;
            self.timer = None;
        }
    }

    fn lookups(&mut self, lookups: &Lookups, budget: usize, into: &mut Delta) -> bool {
        let mut last = None;
        for (name, pending) in lookups.after(self.lookup.as_ref()) {
            if into.bytes() >= budget {
                break;
            }
            into.push(name.ask(pending));
            last = Some(name.clone());
        }
        self.lookup = last.or(self.lookup.take());
        lookups.after(self.lookup.as_ref()).next().is_none()
    }
}

impl Rows {
    /// Writes entries from the cursor on as they are now, including the open epoch, until `budget` bytes are written,
    /// and moves the cursor. Entries that have expired at `now` are left out; no later step may be before that time.
    /// Returns whether the round is complete. If so, the cursor is at the start again.
    pub fn sweep(&mut self, cursor: &mut Cursor, budget: usize, now: Millis, delta: &mut Delta) -> bool {
        if budget == 0 {
            return false;
        }
        let complete = self.walk(cursor, delta.bytes() + budget, now, delta);
        if complete {
            *cursor = Cursor::new();
        }
        complete
    }
}
