//! Following a journal: the same inputs read from the start give the same results again.
//!
//! Rule: while there are entries, nothing is decided anew: heartbeats and verdicts hold from the positions where they
//! stood, no step is taken beyond the next entry's anchor, and replies come from the journal.
//!
//! A journal is followed by a task that has never committed (its changelog is empty) but has one; the meta says so until
//! its end is reached, so aborts and restarts go on with it. It is held in memory as a whole: about 60 bytes an entry.

use super::Task;
use super::epoch::Epoch;
use super::plan::{Planned, What};
use crate::journal::{Entry, Happening, Verdict};
use crate::record::{Millis, Offset, StepKey};
use std::collections::HashMap;

/// See the module.
#[derive(Debug, Default)]
pub struct Replay {
    /// What stands after steps, in order.
    after: Vec<(StepKey, u64, Happening)>,
    /// The first of them that has not come yet.
    next: usize,
    /// Steps that trapped.
    trapped: HashMap<(StepKey, Option<u64>), String>,
    /// The last of them.
    trapped_until: Option<StepKey>,
    /// The reply handed out, by its id.
    given: Option<Box<[u8]>>,
    /// Where the journal that is followed ends.
    end: Offset,
    /// Its end is reached; it counts when that is committed.
    over: bool,
}

/// Heartbeats and verdicts of one partition.
pub type Preset = (Vec<(Offset, Millis)>, Vec<(Offset, Verdict)>);

impl Replay {
    /// Takes a journal apart that ends at `end`: by rank what the partitions get, and what the task follows.
    pub fn new(journal: Vec<Entry>, end: Offset, inputs: usize) -> (Vec<Preset>, Option<Replay>) {
        let mut presets: Vec<Preset> = vec![Default::default(); inputs];
        let mut replay = Replay {
            end,
            ..Replay::default()
        };
        for entry in journal {
            match entry {
                Entry::Heartbeat { rank, position, time } => {
                    let heartbeats = &mut presets[usize::from(rank)].0;
                    match heartbeats.last_mut() {
                        Some(last) if last.0 == position => last.1 = last.1.max(time),
                        _ => heartbeats.push((position, time)),
                    }
                }
                Entry::Verdict { rank, offset, verdict } => presets[usize::from(rank)].1.push((offset, verdict)),
                Entry::After { anchor, sequence, what } => replay.after.push((anchor, sequence, what)),
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

    /// Goes on behind this step, and so many journaled inputs that stand after it.
    pub fn resume(&mut self, last: &StepKey, sequence: u64) {
        self.next = self
            .after
            .partition_point(|(anchor, number, _)| (anchor, number) < (last, &sequence));
        self.given = None;
        self.over = false;
    }

    /// No step beyond this one may be taken.
    pub fn bound(&self) -> Option<&StepKey> {
        self.after.get(self.next).map(|(anchor, _, _)| anchor)
    }
}

impl Task {
    /// True while the journal decides.
    pub(super) fn follows_journal(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| !replay.over)
    }

    /// Where the journal that decides ends.
    pub(super) fn follows(&self) -> Option<Offset> {
        self.replay
            .as_ref()
            .filter(|replay| !replay.over)
            .map(|replay| replay.end)
    }

    /// Does what the journal says of the place that is reached: the next reply is offered, a version takes over.
    pub(super) fn follow_journal(&mut self, epoch: &mut Epoch) {
        self.awaited = None;
        while let Some(replay) = self.replay.as_mut().filter(|replay| !replay.over)
            && self.replies.is_empty()
            && let Some((anchor, _, what)) = replay.after.get(replay.next)
            && *anchor == self.last
        {
            let (version, number) = match what {
                Happening::Reply { id, answer } => {
                    replay.given = Some(id.clone());
                    self.replies.push_back((id.clone(), answer.clone()));
                    replay.next += 1;
                    continue;
                }
                Happening::Rules { version, number } => (*version, *number),
            };
            let wiring = self.orders.wirings.get(&version).cloned();
            let committed = self.orders.committed.iter().map(|known| known.version);
            let withdrawn = self.orders.withdrawn.iter().map(|known| known.version);
            if wiring.is_none() && committed.chain(withdrawn).any(|known| known == version) {
                // It is being compiled.
                self.awaited = Some(version);
                return;
            }
            replay.next += 1;
            match wiring {
                Some(wiring) => self.take_over(number, wiring, epoch),
                None => {
                    tracing::error!(
                        task = self.partition,
                        deploy = number,
                        "the journal says that a version took over here that the control topic does not know: the one at hand goes on"
                    );
                    self.sequence += 1;
                }
            }
        }
        let Some(replay) = self.replay.as_mut().filter(|replay| !replay.over) else {
            return;
        };
        let traps_behind = replay.trapped_until.as_ref().is_none_or(|last| *last < self.last);
        if replay.next == replay.after.len() && traps_behind && self.replies.is_empty() {
            replay.over = true;
            self.bind_order();
            // To be committed, also when no step comes.
            epoch.touched.insert(self.partition);
        }
    }

    /// A journaled reply stands at the place that is reached: nothing else may come before it.
    pub(super) fn awaits_reply(&self) -> bool {
        let bound = self.replay.as_ref().and_then(Replay::bound);
        bound.is_some_and(|anchor| *anchor == self.last)
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
