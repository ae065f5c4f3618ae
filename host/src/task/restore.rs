//! A task's state from its store and its changelog.
//!
//! Rules:
//! - The group's committed offsets are read first (stable: no open transaction holds others back), *then* the
//!   changelog's high watermark, and the changelog is replayed up to there. In the other order committed state is lost.
//! - The meta in the changelog is the authority on positions; the group's offsets must agree, and are only compared.
//! - The store only shortens it: see `stored`.

mod stored;

use super::{Layout, Task};
use crate::delta::{self, Change};
use crate::error::{Failure, Result};
use crate::journal::Entry;
use crate::log::{Arrival, Log, Reader};
use crate::lookups::{Lookups, Pending};
use crate::meta::{self, Meta, Names};
use crate::record::{Offset, Partition, StepKey, TopicIx};
use crate::rows::{self, Rows};
use crate::store::Store;
use crate::timers::Timers;
use std::sync::Arc;
use std::time::Duration;

/// A task's state as it was committed last.
#[derive(Default)]
pub struct Restored {
    /// Rows.
    pub rows: Rows,
    /// Timers.
    pub timers: Timers,
    /// Pending lookups.
    pub lookups: Lookups,
    /// Permanent ids.
    pub names: Names,
    /// Where it stood. None: it has never committed.
    pub meta: Option<Meta>,
    /// Changelog position behind everything applied.
    pub changelog: Offset,
    /// The stamp of the stored state that it was built on.
    pub stored: Option<Offset>,
    /// The group's offsets, by rank.
    pub offsets: Vec<Option<Offset>>,
    /// The journal, where it is to be followed.
    pub journal: Vec<Entry>,
    /// Where it ends, when there is no meta to say so.
    pub follows: Option<Offset>,
    /// Changelog records applied.
    pub replayed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// A shadow that goes on.
    pub shadow: Option<Box<super::shadow::Link>>,
}

impl Restored {
    /// Applies a change.
    pub fn apply(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Meta(bytes) => self.meta = Some(meta::decode(bytes).map_err(corrupted)?),
            Change::Names(bytes) => self.names = meta::decode(bytes).map_err(corrupted)?,
            Change::Put {
                key,
                store,
                schema,
                entry,
                expires,
                value,
            } => {
                let slot = self.rows.slot(rows::hash(key), key);
                self.rows.put(slot, store, schema, entry, value, expires);
            }
            Change::Delete { key, store, entry } => {
                let slot = self.rows.slot(rows::hash(key), key);
                self.rows.delete(slot, store, entry);
            }
            Change::SetTimer { key, at, kind, tag } => {
                self.timers.set(key, kind, tag, at, i64::MIN);
            }
            Change::CancelTimer { key, kind, tag, .. } => {
                self.timers.take(key, kind, tag);
            }
            Change::Ask {
                key,
                lookup,
                tag,
                id,
                request,
            } => {
                let pending = Pending {
                    id: id.into(),
                    request: request.into(),
                };
                self.lookups.ask((key.into(), lookup, tag.into()), pending);
            }
            Change::Answered { key, lookup, tag } => {
                self.lookups.take(&(key.into(), lookup, tag.into()));
            }
        }
        Ok(())
    }

    /// Applies a record of the changelog.
    pub fn replay(&mut self, record: &[u8]) -> Result<()> {
        for change in delta::read(record) {
            self.apply(change.map_err(corrupted)?)?;
        }
        self.replayed += 1;
        self.bytes += record.len() as u64;
        self.settle();
        Ok(())
    }

    /// What was applied is committed.
    fn settle(&mut self) {
        let now = self.meta.as_ref().map_or(i64::MIN, |meta| meta.last.time());
        self.rows.seal();
        self.rows.commit(now);
        self.timers.seal();
        self.timers.commit();
        self.lookups.seal();
        self.lookups.commit();
    }
}

fn corrupted(why: impl std::fmt::Display) -> Failure {
    Failure::Corrupted(why.to_string())
}

/// A restore under way; each [`step`](Restoring::step) takes what has come, so it can run beside other work.
pub struct Restoring {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    partition: Partition,
    state: Restored,
    part: Part,
}

enum Part {
    /// Waits until the group's offsets are stable.
    Offsets,
    /// Replays the changelog up to an offset.
    Changelog(Span),
    /// Reads the journal up to an offset.
    Journal(Span),
    Done,
}

/// A piece of a partition that is read.
struct Span {
    reader: Box<dyn Reader>,
    topic: TopicIx,
    start: Offset,
    position: Offset,
    end: Offset,
}

impl Restoring {
    /// Begins. What is in `state` already (another stay on this worker) is gone on from: its changelog position.
    pub fn begin(log: Arc<dyn Log>, layout: Arc<Layout>, partition: Partition) -> Restoring {
        Restoring {
            log,
            layout,
            partition,
            state: Restored::default(),
            part: Part::Offsets,
        }
    }

    /// Goes on from a task that has started over: only what its changelog has gained is read.
    pub fn resume(log: Arc<dyn Log>, layout: Arc<Layout>, task: Task) -> Restoring {
        let partition = task.partition();
        Restoring {
            log,
            layout,
            partition,
            state: task.into_restored(),
            part: Part::Offsets,
        }
    }

    /// How far it is: from 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.part {
            Part::Offsets => 0.0,
            Part::Changelog(span) if span.end > span.start => {
                (span.position - span.start) as f64 / (span.end - span.start) as f64
            }
            _ => 1.0,
        }
    }

    /// The number of the task.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Goes on; waits at most so long for data. `store`: the local cache, asked once.
    /// [`Retry`](Failure::Retry): call again.
    pub fn step(&mut self, store: Option<&mut dyn Store>, wait: Duration) -> Result<Option<Restored>> {
        match &mut self.part {
            Part::Offsets => {
                let inputs: Vec<_> = (0..self.layout.inputs.len())
                    .map(|rank| (rank as TopicIx, self.partition))
                    .collect();
                self.state.offsets = self.log.committed(&inputs)?;
                let (start, end) = self.log.bounds(self.layout.changelog, self.partition)?;
                if self.state.meta.is_none() {
                    self.state.changelog = start;
                }
                if let Some(store) = store {
                    self.state.rows.track();
                    self.load(store, start, end)?;
                }
                let topic = self.layout.changelog;
                self.part = Part::Changelog(self.read(topic, self.state.changelog, end)?);
            }
            Part::Changelog(span) => {
                let state = &mut self.state;
                if span.read(wait, &mut |value| state.replay(value))? {
                    state.changelog = span.end;
                    let (start, end) = self.log.bounds(self.layout.journal, self.partition)?;
                    let follows = match &state.meta {
                        Some(meta) => meta.follows,
                        None => (end > start).then_some(end),
                    };
                    state.follows = follows;
                    self.part = match follows {
                        Some(end) => Part::Journal(self.read(self.layout.journal, start, end)?),
                        None => Part::Done,
                    };
                }
            }
            Part::Journal(span) => {
                let journal = &mut self.state.journal;
                let mut entry = |value: &[u8]| {
                    journal.push(Entry::decode(value).map_err(corrupted)?);
                    Ok(())
                };
                if span.read(wait, &mut entry)? {
                    self.part = Part::Done;
                }
            }
            Part::Done => {}
        }
        if !matches!(self.part, Part::Done) {
            return Ok(None);
        }
        let state = std::mem::take(&mut self.state);
        self.compare(&state)?;
        Ok(Some(state))
    }

    fn read(&self, topic: TopicIx, from: Offset, end: Offset) -> Result<Span> {
        let mut reader = self.log.reader(Duration::from_millis(100))?;
        reader.assign(topic, self.partition, from)?;
        Ok(Span {
            reader,
            topic,
            start: from,
            position: from,
            end,
        })
    }

    /// The group's offsets are sent in the transaction of the meta: they must agree.
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
        // A task that was never committed before this doubt has no offsets yet.
        let never = meta.last == StepKey::Start && state.offsets.iter().all(Option::is_none);
        for (rank, (input, offset)) in meta.inputs.iter().zip(&state.offsets).enumerate() {
            if *offset != Some(input.next) && !never {
                tracing::error!(
                    task = self.partition,
                    rank,
                    meta = input.next,
                    group = ?offset,
                    "the group's committed offset differs from the changelog's meta, which is right; was it reset by hand?"
                );
            }
        }
        Ok(())
    }
}

impl Span {
    /// Gives the values that have come. True: it is read to its end.
    fn read(&mut self, wait: Duration, value: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        if self.position >= self.end {
            return Ok(true);
        }
        let mut arrivals = vec![];
        // What has come before a failure does not come again.
        let polled = self.reader.poll(wait, &mut arrivals);
        for arrival in arrivals {
            match arrival {
                Arrival::Records(chunk) if chunk.topic == self.topic => {
                    for record in &chunk.records {
                        if let Some(bytes) = record.value
                            && record.offset < self.end
                        {
                            value(bytes.of(&chunk.bytes))?;
                        }
                        self.position = record.offset + 1;
                    }
                }
                Arrival::End { offset, .. } => self.position = self.position.max(offset),
                Arrival::OutOfRange { start, end, .. } => {
                    return Err(Failure::Corrupted(format!(
                        "position {} is not in the log any more: it holds {start} to {end}",
                        self.position
                    )));
                }
                Arrival::Records(_) => {}
            }
        }
        polled?;
        Ok(self.position >= self.end)
    }
}
