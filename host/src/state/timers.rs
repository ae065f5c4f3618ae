//! The timers of a task, in the order in which they are due.
//!
//! Rule: there is at most one timer for each (key, kind, tag). Setting it again replaces it. Timers are ordered as
//! their [`StepKey`]s: by due time, key, kind, tag.

use crate::record::{Millis, StepKey};
use crate::state::undo::UndoMap;
use std::ops::Bound;

/// What identifies a timer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerName {
    /// Key that it is for.
    pub key: Box<[u8]>,
    /// Permanent id of its kind.
    pub kind: u16,
    /// As it was set.
    pub tag: Box<[u8]>,
}

impl TimerName {
    /// The name of the timer of this kind for this key, with this tag.
    pub fn new(key: &[u8], kind: u16, tag: &[u8]) -> TimerName {
        TimerName {
            key: key.into(),
            kind,
            tag: tag.into(),
        }
    }

    fn step(&self, time: Millis) -> StepKey {
        StepKey::Timer {
            time,
            key: self.key.clone(),
            kind: self.kind,
            tag: self.tag.clone(),
        }
    }
}

/// A timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The time that it is set for.
    pub at: Millis,
    /// The time of the timer that it replaces.
    pub replaced: Option<Millis>,
}

/// The timers of a task, by due time and by name.
#[derive(Debug, Default)]
pub struct Timers {
    due: UndoMap<StepKey, ()>,
    names: UndoMap<TimerName, Millis>,
}

impl Timers {
    /// Sets a timer for `at`, but at the earliest for `now + 1`.
    pub fn set(&mut self, name: TimerName, at: Millis, now: Millis) -> Scheduled {
        let at = if at <= now { now.saturating_add(1) } else { at };
        let replaced = self.names.insert(name.clone(), at);
        if let Some(time) = replaced {
            self.due.remove(&name.step(time));
        }
        self.due.insert(name.step(at), ());
        Scheduled { at, replaced }
    }

    /// Removes a timer, because it is due or cancelled. Returns the time that it was set for.
    pub fn take(&mut self, name: &TimerName) -> Option<Millis> {
        let time = self.names.remove(name)?;
        self.due.remove(&name.step(time));
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
                        let set = timers.set(TimerName::new(&[key], kind, &[tag]), at, now);
                        prop_assert!(set.at > now && set.at >= at);
                    }
                    2 => { timers.take(&TimerName::new(&[key], kind, &[tag])); }
                    3 if !sealed => { timers.seal(); sealed = true; }
                    4 => { timers.commit(); sealed = false; }
                    5 => { timers.abort(); sealed = false; }
                    _ => now += 1,
                }
                let mut by_name: Vec<_> = timers.names.iter().map(|(name, time)| name.step(*time)).collect();
                by_name.sort();
                prop_assert!(by_name.iter().eq(timers.iter()));
            }
        }
    }
}
