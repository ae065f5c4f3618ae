//! Following a journal: the same inputs read from the start give the same results again.
//!
//! Rule: while there are entries, nothing is decided anew: heartbeats and verdicts hold from the positions where they
//! stood, no step is taken beyond the next entry's anchor, and replies come from the journal.
//!
//! A journal is followed by a task that has never committed (its changelog is empty) but has one. It is held in memory
//! as a whole: about 60 bytes an entry.

use super::Task;
use super::plan::{Planned, What};
use crate::journal::{Entry, Happening, Verdict};
use crate::record::{Millis, Offset, StepKey};
use std::collections::{HashMap, VecDeque};

/// See the module.
#[derive(Debug, Default)]
pub struct Replay {
    /// What stands after steps, in order.
    after: VecDeque<(StepKey, u64, Happening)>,
    /// Steps that trapped.
    trapped: HashMap<(StepKey, Option<u64>), String>,
    /// The last of them.
    trapped_until: Option<StepKey>,
    /// The reply handed out, by its id.
    given: Option<Box<[u8]>>,
}

/// Heartbeats and verdicts of one partition.
pub type Preset = (Vec<(Offset, Millis)>, Vec<(Offset, Verdict)>);

impl Replay {
    /// Takes a journal apart: by rank what the partitions get, and what the task follows.
    pub fn new(journal: Vec<Entry>, inputs: usize) -> (Vec<Preset>, Option<Replay>) {
        let mut presets: Vec<Preset> = vec![Default::default(); inputs];
        let mut replay = Replay::default();
        for entry in journal {
            match entry {
                Entry::Heartbeat { rank, position, time } => presets[usize::from(rank)].0.push((position, time)),
                Entry::Verdict { rank, offset, verdict } => presets[usize::from(rank)].1.push((offset, verdict)),
                Entry::After { anchor, sequence, what } => replay.after.push_back((anchor, sequence, what)),
                Entry::Trapped {
                    step, sequence, reason, ..
                } => {
                    replay.trapped_until = replay.trapped_until.max(Some(step.clone()));
                    replay.trapped.insert((step, sequence), reason);
                }
            }
        }
        let done = replay.after.is_empty() && replay.trapped.is_empty();
        (presets, (!done).then_some(replay))
    }

    /// No step beyond this one may be taken.
    pub fn bound(&self) -> Option<&StepKey> {
        self.after.front().map(|(anchor, _, _)| anchor)
    }
}

impl Task {
    /// Offers the next journaled reply, when its place is reached.
    pub(super) fn follow_journal(&mut self) {
        let Some(replay) = &mut self.replay else { return };
        while self.replies.is_empty()
            && let Some((anchor, _, what)) = replay.after.front()
            && *anchor == self.last
        {
            match what {
                Happening::Reply { id, answer } => {
                    replay.given = Some(id.clone());
                    self.replies.push_back((id.clone(), answer.clone()));
                }
                // Which component that was is known by its version only; the one at hand goes on.
                Happening::Rules { .. } => {}
            }
            replay.after.pop_front();
        }
        let traps_behind = replay.trapped_until.as_ref().is_none_or(|last| *last < self.last);
        if replay.after.is_empty() && traps_behind && self.replies.is_empty() {
            self.replay = None;
            self.resumed = true;
        }
    }

    /// A journaled reply stands at the place that is reached: nothing else may come before it.
    pub(super) fn awaits_reply(&self) -> bool {
        let next = self.replay.as_ref().and_then(|replay| replay.after.front());
        next.is_some_and(|(anchor, _, _)| *anchor == self.last)
    }

    /// True, once, when this reply came from the journal.
    pub(super) fn replayed_reply(&mut self, id: &[u8]) -> bool {
        let given = self.replay.as_mut().map(|replay| &mut replay.given);
        given.is_some_and(|given| given.take_if(|known| **known == *id).is_some())
    }

    /// Why this step is a dead letter, by the journal.
    pub(super) fn trapped_before(&mut self, planned: &Planned) -> Option<String> {
        let replay = self.replay.as_mut().filter(|replay| !replay.trapped.is_empty())?;
        let name = match &planned.what {
            What::Reply { .. } => (self.last.clone(), Some(self.sequence)),
            _ => (planned.step()?, None),
        };
        replay.trapped.get(&name).cloned()
    }
}
