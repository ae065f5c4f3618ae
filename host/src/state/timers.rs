//! The timers of a task, in the order in which they are due.
//!
//! Rule: there is at most one timer for each (key, kind, tag). Setting it again replaces it. Timers are ordered as
//! their [`StepKey`]s: by due time, key, kind, tag.

use crate::record::{Millis, StepKey};
use crate::state::undo::UndoMap;
use std::ops::Bound;

/// What identifies a timer: its key, permanent id of its kind, tag.
pub type TimerName = (Box<[u8]>, u16, Box<[u8]>);

/// The timers of a task, by due time and by name.
#[derive(Debug, Default)]
pub struct Timers {
    due: UndoMap<StepKey, ()>,
    names: UndoMap<TimerName, Millis>,
}

impl Timers {
    /// Sets a timer for `at`, but at the earliest for `now + 1`. Returns the time that it is set for, and the time of
    /// the timer that it replaces.
    pub fn set(&mut self, key: &[u8], kind: u16, tag: &[u8], at: Millis, now: Millis) -> (Millis, Option<Millis>) {
        let at = if at <= now { now.saturating_add(1) } else { at };
        let name: TimerName = (key.into(), kind, tag.into());
        let old = self.names.insert(name.clone(), at);
        if let Some(time) = old {
            self.due.remove(&step(&name, time));
        }
        self.due.insert(step(&name, at), ());
        (at, old)
    }

    /// Removes a timer, because it is due or cancelled. Returns the time that it was set for.
    pub fn take(&mut self, key: &[u8], kind: u16, tag: &[u8]) -> Option<Millis> {
        let name: TimerName = (key.into(), kind, tag.into());
        let time = self.names.remove(&name)?;
        self.due.remove(&step(&name, time));
        Some(time)
    }

    /// The step of the next timer.
    pub fn first(&self) -> Option<&StepKey> {
        self.due.first().map(|(step, ())| step)
    }

    /// The steps of all timers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &StepKey> {
        self.due.iter().map(|(step, ())| step)
    }

    /// The steps after `cursor`, in their order. The sweep uses it.
    pub fn after(&self, cursor: Option<&StepKey>) -> impl Iterator<Item = &StepKey> {
        let from = cursor.map_or(Bound::Unbounded, |step| Bound::Excluded(step.clone()));
        self.due.range((from, Bound::Unbounded)).map(|(step, ())| step)
    }

    /// The timers that were set at the last commit.
    pub fn committed(&self) -> impl Iterator<Item = StepKey> {
        self.due.committed().into_keys()
    }

    /// The number of timers.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Seals the open epoch: see [`UndoMap::seal`].
    pub fn seal(&mut self) {
        self.due.seal();
        self.names.seal();
    }

    /// Commits the sealed epoch: see [`UndoMap::commit`].
    pub fn commit(&mut self) {
        self.due.commit();
        self.names.commit();
    }

    /// Drops both epochs: see [`UndoMap::abort`].
    pub fn abort(&mut self) {
        self.due.abort();
        self.names.abort();
    }
}

fn step(name: &TimerName, time: Millis) -> StepKey {
    StepKey::Timer {
        time,
        key: name.0.clone(),
        kind: name.1,
        tag: name.2.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// There is one timer for each name, and both indexes agree, through commits and aborts.
        #[test]
        fn names_and_steps_agree(steps in prop::collection::vec((0..6_u8, 0..3_u8, 0..2_u16, 0..3_u8, 0..50_i64), 0..60)) {
            let mut timers = Timers::default();
            let mut sealed = false;
            let mut now = 0;
            for (what, key, kind, tag, at) in steps {
                match what {
                    0 | 1 => {
                        let (set, _) = timers.set(&[key], kind, &[tag], at, now);
                        prop_assert!(set > now && set >= at);
                    }
                    2 => { timers.take(&[key], kind, &[tag]); }
                    3 if !sealed => { timers.seal(); sealed = true; }
                    4 => { timers.commit(); sealed = false; }
                    5 => { timers.abort(); sealed = false; }
                    _ => now += 1,
                }
                let mut by_name: Vec<_> = timers.names.iter().map(|(name, time)| step(name, *time)).collect();
                by_name.sort();
                prop_assert!(by_name.iter().eq(timers.iter()));
            }
        }
    }
}
