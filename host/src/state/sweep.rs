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

use super::TaskState;
use crate::record::{Millis, StepKey};
use crate::state::delta::Delta;
use crate::state::lookups::LookupName;
use crate::state::meta;
use crate::state::rows::{Cursor, Rows};
use serde::{Deserialize, Serialize};

/// A position in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sweep {
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

impl TaskState {
    /// Writes about `budget` bytes of the state as it is at `now`. Returns whether the round is complete.
    pub(super) fn sweep(&mut self, budget: usize, now: Millis, into: &mut Delta) -> bool {
        if self.aside.sweep.part == Part::Names {
            into.names(&meta::encode(&self.aside.names));
            self.aside.sweep.part = Part::Rows;
        }
        if self.aside.sweep.part == Part::Rows && into.bytes() < budget {
            self.sweep_rows(budget, now, into);
        }
        if self.aside.sweep.part == Part::Timers {
            self.sweep_timers(budget, into);
        }
        self.aside.sweep.part == Part::Lookups && self.sweep_lookups(budget, into)
    }

    fn sweep_rows(&mut self, budget: usize, now: Millis, into: &mut Delta) {
        let sweep = &mut self.aside.sweep;
        // If it can't be read, the rows start again, which is always correct.
        let mut cursor = Cursor::decode(&sweep.rows).unwrap_or_default();
        if self.view.rows.sweep(&mut cursor, budget - into.bytes(), now, into) {
            sweep.part = Part::Timers;
            sweep.rows = vec![];
        } else {
            sweep.rows = cursor.encode();
        }
    }

    fn sweep_timers(&mut self, budget: usize, into: &mut Delta) {
        let sweep = &mut self.aside.sweep;
        let mut last = None;
        for timer in self.timers.after(sweep.timer.as_ref()) {
            if into.bytes() >= budget {
                break;
            }
            if let StepKey::Timer { time, key, kind, tag } = timer {
                into.set_timer(key, *time, *kind, tag);
            }
            last = Some(timer.clone());
        }
        sweep.timer = last.or(sweep.timer.take());
        if self.timers.after(sweep.timer.as_ref()).next().is_none() {
            sweep.part = Part::Lookups;
            sweep.timer = None;
        }
    }

    fn sweep_lookups(&mut self, budget: usize, into: &mut Delta) -> bool {
        let sweep = &mut self.aside.sweep;
        let mut last = None;
        for (name, pending) in self.lookups.after(sweep.lookup.as_ref()) {
            if into.bytes() >= budget {
                break;
            }
            into.push(name.ask(pending));
            last = Some(name.clone());
        }
        sweep.lookup = last.or(sweep.lookup.take());
        self.lookups.after(sweep.lookup.as_ref()).next().is_none()
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
