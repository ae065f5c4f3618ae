//! A journal that is being followed. With it, inputs that are read from the start give the same results again.
//!
//! Rule: while there are entries left, nothing is decided again. Heartbeats and verdicts apply from the positions where
//! they were written. No step is taken after the anchor of the next entry. Replies come from the journal.
//!
//! A task follows a journal if it has one but has never committed, so its changelog is empty. Its meta says so until
//! the end of the journal is committed, so that the task continues to follow it after aborts and restarts. The whole
//! journal is kept in memory, at about 60 bytes an entry.

use crate::record::journal::{JournalEntry, JournalInput, Verdict};
use crate::record::{Millis, Offset, StepKey};
use std::collections::HashMap;

/// The content of a journal, and how much of it has been followed.
#[derive(Debug, Default)]
pub struct Replay {
    /// What comes after which step, in order.
    after: Vec<After>,
    /// The index of the first one that has not come yet.
    next: usize,
    /// Steps that trapped, and the reason. A reply's name is its anchor and its sequence number.
    trapped: HashMap<(StepKey, Option<u64>), String>,
    /// The last step that trapped.
    trapped_until: Option<StepKey>,
    /// The id of the reply that was returned last, until that reply is taken.
    given: Option<Box<[u8]>>,
    /// Where the journal ends.
    end: Offset,
}

/// A journaled input, and the step that it comes right after.
#[derive(Debug)]
struct After {
    anchor: StepKey,
    sequence: u64,
    what: JournalInput,
}

/// What a journal says about one input partition.
#[derive(Default)]
pub struct Preset {
    /// Heartbeats, by the position from which they apply.
    pub heartbeats: Vec<(Offset, Millis)>,
    /// Verdicts, by the offset of the record.
    pub verdicts: Vec<(Offset, Verdict)>,
}

impl Replay {
    /// Takes apart a journal that ends at `end`. Returns what it says about each input partition, by rank, and the rest
    /// for the task to follow.
    pub fn new(journal: Vec<JournalEntry>, end: Offset, inputs: usize) -> (Vec<Preset>, Option<Replay>) {
        let mut presets: Vec<Preset> = (0..inputs).map(|_| Preset::default()).collect();
        let mut replay = Replay {
            end,
            ..Replay::default()
        };
        for entry in journal {
            match entry {
                JournalEntry::Heartbeat { rank, position, time } => {
                    let heartbeats = &mut presets[usize::from(rank)].heartbeats;
                    match heartbeats.last_mut() {
                        Some(last) if last.0 == position => last.1 = last.1.max(time),
                        _ => heartbeats.push((position, time)),
                    }
                }
                JournalEntry::Verdict { rank, offset, verdict } => {
                    presets[usize::from(rank)].verdicts.push((offset, verdict))
                }
                JournalEntry::After { anchor, sequence, what } => replay.after.push(After { anchor, sequence, what }),
                JournalEntry::Trapped {
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

    /// Goes back to the place after `last` and after `sequence` journaled inputs that follow it.
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

    /// The last step that may be taken for now.
    pub fn bound(&self) -> Option<&StepKey> {
        self.after.get(self.next).map(|entry| &entry.anchor)
    }

    /// The next journaled input, if it comes right after `last`.
    pub fn next_after(&self, last: &StepKey) -> Option<&JournalInput> {
        let entry = self.after.get(self.next)?;
        (entry.anchor == *last).then_some(&entry.what)
    }

    /// Moves on to the next journaled input.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// Notes that the reply that came next was returned, and moves on.
    pub fn give(&mut self, id: Box<[u8]>) {
        self.given = Some(id);
        self.advance();
    }

    /// Whether this reply was returned by the journal. Answers yes only once.
    pub fn take_given(&mut self, id: &[u8]) -> bool {
        self.given.take_if(|given| **given == *id).is_some()
    }

    /// Whether nothing of it is left after `last`.
    pub fn is_through(&self, last: &StepKey) -> bool {
        let no_traps_left = self.trapped_until.as_ref().is_none_or(|trapped| trapped < last);
        self.next == self.after.len() && no_traps_left
    }

    /// Whether it knows of any step that trapped.
    pub fn has_traps(&self) -> bool {
        !self.trapped.is_empty()
    }

    /// The reason why this step went to the dead letters. A reply's name is its anchor and its sequence number.
    pub fn trap(&self, step: StepKey, sequence: Option<u64>) -> Option<&str> {
        self.trapped.get(&(step, sequence)).map(String::as_str)
    }
}
