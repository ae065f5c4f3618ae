//! Rebuilds a task's state, step by step.
//!
//! - First the group's committed offsets are read (as soon as no open transaction holds them back), *then* the
//!   changelog's high watermark. The changelog is replayed up to there. In the other order, committed state would be
//!   lost.
//! - The meta in the changelog is the authority on positions. The group's offsets should agree, and are only compared.
//! - The store only shortens this. Stored state is wiped if its stamp is before the log's start, after its end, or from
//!   another cluster or topic. If the disk can't be read or written, the restore goes on without it, and the worker
//!   wipes the store before it writes.

use super::{RestoreAnswer, RestoreQuestion, Restored};
use crate::binding::Layout;
use crate::error::{Failure, Result};
use crate::log::Arrival;
use crate::record::journal::JournalEntry;
use crate::record::{Offset, Partition, Rank, StepKey, TopicIx};
use crate::store::Stamp;
use std::sync::Arc;

/// A task's state while it is rebuilt. It says what it must know next, and is given the answer.
pub struct Rebuild {
    layout: Arc<Layout>,
    partition: Partition,
    stored: bool,
    state: Restored,
    part: RebuildPhase,
}

enum RebuildPhase {
    /// Waits until the group's offsets are stable.
    Offsets,
    /// Asks where the changelog begins and ends.
    Changelog,
    /// Opens the store.
    Store(ChangelogBounds),
    /// Asks what the stamp must say.
    Fits(ChangelogBounds, Stamp),
    /// Reads the store.
    Loads(ChangelogBounds, Stamp),
    /// Removes what is stored.
    Wipes(ChangelogBounds),
    /// Replays the changelog.
    Replays(ReadRange),
    /// Asks where the journal begins and ends.
    Journal,
    /// Reads the journal.
    Reads(ReadRange),
    Done,
}

/// The bounds of the changelog when the restore began.
#[derive(Clone, Copy)]
struct ChangelogBounds {
    start: Offset,
    end: Offset,
}

/// A part of a partition that is being read.
struct ReadRange {
    topic: TopicIx,
    start: Offset,
    position: Offset,
    end: Offset,
}

impl Rebuild {
    /// Begins with an empty state. `stored` says that there is a local store, which is asked first.
    pub fn begin(layout: Arc<Layout>, partition: Partition, stored: bool) -> Rebuild {
        let mut state = Restored::default();
        if stored {
            state.state.track();
        }
        Rebuild {
            layout,
            partition,
            stored,
            state,
            part: RebuildPhase::Offsets,
        }
    }

    /// Begins with a committed state. What was added to its changelog since is replayed.
    pub fn resume(layout: Arc<Layout>, partition: Partition, state: Restored) -> Rebuild {
        Rebuild {
            layout,
            partition,
            stored: false,
            state,
            part: RebuildPhase::Offsets,
        }
    }

    /// The task's partition number.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// How much of the changelog has been read, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.part {
            RebuildPhase::Replays(span) if span.end > span.start => {
                span.position.since(span.start) as f64 / span.end.since(span.start) as f64
            }
            RebuildPhase::Replays(_) | RebuildPhase::Journal | RebuildPhase::Reads(_) | RebuildPhase::Done => 1.0,
            _ => 0.0,
        }
    }

    /// What it must know next. The same question again if the answer was a failure. `None` when it is done.
    pub fn question(&mut self) -> Option<RestoreQuestion> {
        Some(match &self.part {
            RebuildPhase::Offsets => {
                let ranks = Rank::all(self.layout.inputs.len());
                RestoreQuestion::Offsets(ranks.map(|rank| (rank.topic(), self.partition)).collect())
            }
            RebuildPhase::Changelog => RestoreQuestion::Bounds(self.layout.changelog, self.partition),
            RebuildPhase::Store(_) => RestoreQuestion::Stamp,
            RebuildPhase::Fits(..) => {
                RestoreQuestion::Identity(self.layout.topics[usize::from(self.layout.changelog)].clone())
            }
            RebuildPhase::Loads(..) => RestoreQuestion::Load(Box::new(std::mem::take(&mut self.state))),
            RebuildPhase::Wipes(_) => RestoreQuestion::Wipe,
            RebuildPhase::Journal => RestoreQuestion::Bounds(self.layout.journal, self.partition),
            RebuildPhase::Replays(span) | RebuildPhase::Reads(span) => RestoreQuestion::Read(span.topic, span.position),
            RebuildPhase::Done => return None,
        })
    }

    /// Takes the answer to the last question. After [`Retry`](Failure::Retry), the question is asked again.
    pub fn answer(&mut self, answer: Result<RestoreAnswer>) -> Result<()> {
        // If this fails, the progress so far stays: the part is put back where it can be tried again.
        let part = std::mem::replace(&mut self.part, RebuildPhase::Done);
        self.part = match (part, answer) {
            (RebuildPhase::Store(bounds), Err(Failure::Retry(why))) => {
                tracing::warn!(
                    task = self.partition.0,
                    why,
                    "the stored state can't be opened; restoring from the changelog alone"
                );
                self.replay(bounds)
            }
            // If it can't be wiped now, the worker that opens the task will notice that the task was not restored from
            // it.
            (RebuildPhase::Wipes(bounds), Err(Failure::Retry(why))) => {
                tracing::warn!(task = self.partition.0, why, "the stored state can't be wiped yet");
                self.replay(bounds)
            }
            (part, Err(why)) => {
                self.part = part;
                return Err(why);
            }
            (RebuildPhase::Offsets, Ok(RestoreAnswer::Offsets(offsets))) => {
                self.state.offsets = offsets;
                RebuildPhase::Changelog
            }
            (RebuildPhase::Changelog, Ok(RestoreAnswer::Bounds(start, end))) => {
                if self.state.meta.is_none() {
                    self.state.changelog = start;
                }
                let bounds = ChangelogBounds { start, end };
                match self.stored {
                    true => RebuildPhase::Store(bounds),
                    false => self.replay(bounds),
                }
            }
            (RebuildPhase::Store(bounds), Ok(RestoreAnswer::Stamp(stamp))) => match stamp {
                Some(stamp) => RebuildPhase::Fits(bounds, stamp),
                None => self.replay(bounds),
            },
            (RebuildPhase::Fits(bounds, stamp), Ok(RestoreAnswer::Identity { cluster, topic })) => {
                self.fits(bounds, stamp, &cluster, &topic)
            }
            (RebuildPhase::Loads(bounds, stamp), Ok(RestoreAnswer::Loaded(state, loaded))) => {
                self.state = *state;
                self.loaded(bounds, &stamp, loaded)?
            }
            (RebuildPhase::Wipes(bounds), Ok(RestoreAnswer::Wiped)) => self.replay(bounds),
            (RebuildPhase::Replays(span), Ok(RestoreAnswer::Read(arrivals, read))) => {
                return self.replayed(span, &arrivals).and(read);
            }
            (RebuildPhase::Journal, Ok(RestoreAnswer::Bounds(start, end))) => self.follow(start, end),
            (RebuildPhase::Reads(span), Ok(RestoreAnswer::Read(arrivals, read))) => {
                return self.followed(span, &arrivals).and(read);
            }
            (part, Ok(_)) => {
                self.part = part;
                return Err(Failure::Fatal(
                    "a restore was given the answer to another question".into(),
                ));
            }
        };
        self.skip_empty();
        Ok(())
    }

    /// The state, once it is complete.
    pub fn restored(&mut self) -> Result<Option<Restored>> {
        if !matches!(self.part, RebuildPhase::Done) {
            return Ok(None);
        }
        let state = std::mem::take(&mut self.state);
        self.compare(&state)?;
        Ok(Some(state))
    }

    fn fits(&self, bounds: ChangelogBounds, stamp: Stamp, cluster: &str, topic: &str) -> RebuildPhase {
        let in_log = (bounds.start..=bounds.end).contains(&stamp.offset);
        if in_log && stamp.cluster == cluster && stamp.topic == topic {
            return RebuildPhase::Loads(bounds, stamp);
        }
        tracing::warn!(
            task = self.partition.0,
            stamp = stamp.offset.0,
            log_start = bounds.start.0,
            log_end = bounds.end.0,
            "the stored state does not match the changelog; wiping it and restoring from the changelog"
        );
        RebuildPhase::Wipes(bounds)
    }

    fn loaded(&mut self, bounds: ChangelogBounds, stamp: &Stamp, loaded: Result<()>) -> Result<RebuildPhase> {
        let state = &mut self.state;
        match loaded {
            Ok(()) => {}
            Err(why @ (Failure::Fatal(_) | Failure::Fenced(_))) => return Err(why),
            Err(why) => {
                tracing::warn!(task = self.partition.0, %why, "the stored state can't be read; wiping it");
                *state = Restored {
                    changelog: bounds.start,
                    offsets: std::mem::take(&mut state.offsets),
                    ..Restored::default()
                };
                // Otherwise the next flush would take none of its rows.
                state.state.track();
                return Ok(RebuildPhase::Wipes(bounds));
            }
        }
        state.settle();
        state.state.mark_clean();
        state.changelog = stamp.offset;
        state.stored = Some(stamp.offset);
        tracing::info!(
            task = self.partition.0,
            stamp = stamp.offset.0,
            log_end = bounds.end.0,
            "loaded the stored state; reading the changelog from its stamp on"
        );
        Ok(self.replay(bounds))
    }

    fn replay(&self, bounds: ChangelogBounds) -> RebuildPhase {
        RebuildPhase::Replays(ReadRange::new(self.layout.changelog, self.state.changelog, bounds.end))
    }

    fn replayed(&mut self, mut span: ReadRange, arrivals: &[Arrival]) -> Result<()> {
        let state = &mut self.state;
        let taken = span.take(arrivals, &mut |value| state.replay(value));
        self.part = RebuildPhase::Replays(span);
        self.skip_empty();
        taken
    }

    fn follow(&mut self, start: Offset, end: Offset) -> RebuildPhase {
        let follows = match &self.state.meta {
            Some(meta) => meta.follows,
            None => (end > start).then_some(end),
        };
        self.state.follows = follows;
        match follows {
            Some(end) => RebuildPhase::Reads(ReadRange::new(self.layout.journal, start, end)),
            None => RebuildPhase::Done,
        }
    }

    fn followed(&mut self, mut span: ReadRange, arrivals: &[Arrival]) -> Result<()> {
        let journal = &mut self.state.journal;
        let taken = span.take(arrivals, &mut |value| {
            journal.push(JournalEntry::decode(value)?);
            Ok(())
        });
        self.part = RebuildPhase::Reads(span);
        self.skip_empty();
        taken
    }

    /// A part that is already read to its end needs no question.
    fn skip_empty(&mut self) {
        match &self.part {
            RebuildPhase::Replays(span) if span.is_through() => {
                self.state.changelog = span.end;
                self.part = RebuildPhase::Journal;
            }
            RebuildPhase::Reads(span) if span.is_through() => self.part = RebuildPhase::Done,
            _ => {}
        }
    }

    /// Compares the group's offsets with the meta. Both are written in the same transaction, so they should agree.
    fn compare(&self, state: &Restored) -> Result<()> {
        let Some(meta) = &state.meta else {
            if state.offsets.iter().any(Option::is_some) {
                return Err(Failure::Fatal(format!(
                    "task {}: the group has committed offsets, but the changelog '{}' holds nothing of this task: it was \
                     emptied or made anew. To begin again from the start of the inputs, delete the group's offsets",
                    self.partition,
                    self.layout.topics[usize::from(self.layout.changelog)]
                )));
            }
            return Ok(());
        };
        if meta.fingerprint != self.layout.fingerprint {
            return Err(Failure::Fatal(format!(
                "task {}: the state was made with another configuration of inputs (ranks, topics, event-time fields, \
                 out_of_orderness, max_ahead or partition count). Results would change: put the old one back, or give the \
                 pipeline a new name",
                self.partition
            )));
        }
        // A task that had never committed before a doubtful commit has no offsets yet.
        let never = meta.last == StepKey::Start && state.offsets.iter().all(Option::is_none);
        for (rank, (input, offset)) in meta.inputs.iter().zip(&state.offsets).enumerate() {
            if *offset != Some(input.next) && !never {
                tracing::error!(
                    task = self.partition.0,
                    rank,
                    meta = input.next.0,
                    group = offset.map(|offset| offset.0),
                    "the group's committed offset differs from the changelog's meta, which is right; was it reset by hand?"
                );
            }
        }
        Ok(())
    }
}

impl ReadRange {
    fn new(topic: TopicIx, start: Offset, end: Offset) -> ReadRange {
        ReadRange {
            topic,
            start,
            position: start,
            end,
        }
    }

    fn is_through(&self) -> bool {
        self.position >= self.end
    }

    /// Calls `value` with each value that has come.
    fn take(&mut self, arrivals: &[Arrival], value: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for arrival in arrivals {
            match arrival {
                Arrival::Records(chunk) if chunk.topic == self.topic => {
                    for record in &chunk.records {
                        if let Some(bytes) = record.value
                            && record.offset < self.end
                        {
                            value(bytes.of(&chunk.bytes))?;
                        }
                        self.position = record.offset.next();
                    }
                }
                Arrival::End { offset, .. } => self.position = self.position.max(*offset),
                Arrival::OutOfRange { start, end, .. } => {
                    return Err(Failure::Corrupted(format!(
                        "position {} is not in the log any more: it holds {start} to {end}",
                        self.position
                    )));
                }
                Arrival::Records(_) => {}
            }
        }
        Ok(())
    }
}
