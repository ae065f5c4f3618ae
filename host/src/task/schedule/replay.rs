//! A journal that is followed: the same inputs read from the start give the same results again.
//!
//! Rule: while there are entries, nothing is decided again. Heartbeats and verdicts hold from the positions where they were
//! written, no step is taken beyond the next entry's anchor, and replies come from the journal.
//!
//! A task follows a journal when it has one but has never committed (its changelog is empty). Its meta says so until the end
//! of the journal is committed, so aborts and restarts go on with it. It is held in memory as a whole: about 60 bytes an entry.

use crate::record::journal::{Entry, Happening, Verdict};
use crate::record::{Millis, Offset, StepKey};
use std::collections::HashMap;

/// What a journal says, and how much of it has come.
#[derive(Debug, Default)]
pub struct Replay {
    /// What comes after steps, in order.
    after: Vec<After>,
    /// The first of them that has not come yet.
    next: usize,
    /// Steps that trapped, and why. Replies are named by their anchor and their sequence number.
    trapped: HashMap<(StepKey, Option<u64>), String>,
    /// The last of them.
    trapped_until: Option<StepKey>,
    /// The id of the reply that was handed out last, until it is taken.
    given: Option<Box<[u8]>>,
    /// Where the journal ends.
    end: Offset,
}

/// A journaled input that comes right after a step.
#[derive(Debug)]
struct After {
    anchor: StepKey,
    sequence: u64,
    what: Happening,
}

/// What a journal says of one input partition.
#[derive(Default)]
pub struct Preset {
    /// Heartbeats, by the position that they hold from.
    pub heartbeats: Vec<(Offset, Millis)>,
    /// Verdicts, by the offset of the record.
    pub verdicts: Vec<(Offset, Verdict)>,
}

impl Replay {
    /// Takes a journal apart that ends at `end`: what each input partition gets, by rank, and what the task follows.
    pub fn new(journal: Vec<Entry>, end: Offset, inputs: usize) -> (Vec<Preset>, Option<Replay>) {
        let mut presets: Vec<Preset> = (0..inputs).map(|_| Preset::default()).collect();
        let mut replay = Replay {
            end,
            ..Replay::default()
        };
        for entry in journal {
            match entry {
                Entry::Heartbeat { rank, position, time } => {
                    let heartbeats = &mut presets[usize::from(rank)].heartbeats;
                    match heartbeats.last_mut() {
                        Some(last) if last.0 == position => last.1 = last.1.max(time),
                        _ => heartbeats.push((position, time)),
                    }
                }
                Entry::Verdict { rank, offset, verdict } => presets[usize::from(rank)].verdicts.push((offset, verdict)),
                Entry::After { anchor, sequence, what } => replay.after.push(After { anchor, sequence, what }),
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

    /// Goes back to the place after `last` and `sequence` journaled inputs that stand there.
    pub fn resume(&mut self, last: &StepKey, sequence: u64) {
        self.next = self
            .after
            .partition_point(|entry| (&entry.anchor, entry.sequence) < (last, sequence));
        self.given = None;
    }

    /// Where the journal ends.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// No step beyond this one may be taken.
    pub fn bound(&self) -> Option<&StepKey> {
        self.after.get(self.next).map(|entry| &entry.anchor)
    }

    /// What comes right after `last`, if that is what comes next.
    pub fn next_after(&self, last: &StepKey) -> Option<&Happening> {
        let entry = self.after.get(self.next)?;
        (entry.anchor == *last).then_some(&entry.what)
    }

    /// What came next has come.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// The reply that came next is handed out.
    pub fn give(&mut self, id: Box<[u8]>) {
        self.given = Some(id);
        self.advance();
    }

    /// Was this reply handed out by the journal? Says so once.
    pub fn take_given(&mut self, id: &[u8]) -> bool {
        self.given.take_if(|given| **given == *id).is_some()
    }

    /// Nothing is left of it after `last`.
    pub fn is_through(&self, last: &StepKey) -> bool {
        let no_traps_left = self.trapped_until.as_ref().is_none_or(|trapped| trapped < last);
        self.next == self.after.len() && no_traps_left
    }

    /// Does it name any step that trapped?
    pub fn has_traps(&self) -> bool {
        !self.trapped.is_empty()
    }

    /// Why this step went to the dead letters. A reply is named by its anchor and its sequence number.
    pub fn trap(&self, step: StepKey, sequence: Option<u64>) -> Option<&str> {
        self.trapped.get(&(step, sequence)).map(String::as_str)
    }
}
