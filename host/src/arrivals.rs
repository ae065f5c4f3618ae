//! Records of a task's inputs that have arrived and are not processed yet.
//!
//! Rules:
//! - A record enters by [`push`](Arrivals::push) and leaves by [`take`](Arrivals::take), in the order (effective time,
//!   rank, offset). In between, [`Waiting`] is its handle.
//! - Each partition's records get their effective times in offset order. If the schema of a record is not known yet,
//!   the partition waits at this record, and nothing is lost.
//! - What is decided here (verdicts, heartbeats) is returned to the caller, which must journal it in the open epoch.
//!
//! Its parts: `inbox` counts the records of a partition and has its clock; `reorder` sorts records; `shelf` keeps the
//! chunks that they are in.

mod inbox;
mod reorder;
mod shelf;
mod silence;
#[cfg(test)]
mod tests;
mod timing;
mod waiting;

pub use silence::{Demand, Heartbeat};
pub use waiting::Waiting;

use crate::binding::{Layout, Sources};
use crate::log::{Chunk, InputRecord};
use crate::record::journal::Verdict;
use crate::record::{Millis, NEVER, Offset, Partition, Rank, StepKey, murmur2};
use crate::state::meta::InputMeta;
use crate::store::scratch::Scratch;
use inbox::Inbox;
use reorder::ReorderBuffer;
use shelf::Shelf;
use silence::{InputProgress, Silence};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use timing::{Horizon, Timing, timing};

/// All records of a task that wait, from all inputs.
#[derive(Debug)]
pub struct Arrivals {
    partition: Partition,
    layout: Arc<Layout>,
    /// By rank.
    inboxes: Vec<Inbox>,
    order: ReorderBuffer,
    shelf: Shelf,
    /// By rank: chunks that wait for a schema. There is no limit for them, but the input is paused while there are any,
    /// so they are only what the reader had already fetched (for Kafka at most `queued.max.messages.kbytes`).
    held: Vec<VecDeque<HeldChunk>>,
    silence: Silence,
    /// The last step that was committed before a restart. Records up to it are processed.
    processed: StepKey,
    /// The placed records of the current chunk. Empty between calls.
    placed: Vec<Waiting>,
}

/// A chunk that waits for a schema.
#[derive(Debug)]
struct HeldChunk {
    chunk: Chunk,
    /// The first of its records that is not placed yet.
    from: usize,
}

/// The result of a push.
#[must_use = "verdicts are to be journaled"]
#[derive(Debug)]
pub struct Arrived {
    /// Rank of the input.
    pub rank: Rank,
    /// Verdicts about records that have no event time.
    pub verdicts: Vec<(Offset, Verdict)>,
    /// How many records have a key that belongs to another partition.
    pub foreign: u64,
    /// Why the other records wait, or `None` if all are placed.
    pub waits: Option<SchemaAwaited>,
}

/// Why records wait for their schema.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SchemaAwaited(pub String);

impl Arrivals {
    /// For the inputs of this partition. Call [`restart`](Arrivals::restart) before anything else.
    pub fn new(partition: Partition, layout: Arc<Layout>) -> Arrivals {
        let inputs = layout.inputs.len();
        let scratch = Scratch::new(layout.scratch.clone());
        Arrivals {
            partition,
            inboxes: vec![],
            order: ReorderBuffer::default(),
            shelf: Shelf::new(inputs, layout.buffer_bytes, scratch),
            held: (0..inputs).map(|_| VecDeque::new()).collect(),
            silence: Silence::default(),
            processed: StepKey::Start,
            placed: vec![],
            layout,
        }
    }

    /// Drops everything and starts at `inputs`, with the records after the step `processed`. The inputs must then be
    /// read from their [`position`](Arrivals::position) on.
    pub fn restart(&mut self, inputs: &[InputMeta], processed: StepKey) {
        self.inboxes = self
            .layout
            .inputs
            .iter()
            .zip(inputs)
            .map(|(input, meta)| Inbox::new(input.out_of_orderness, meta))
            .collect();
        self.order.clear();
        self.shelf.clear();
        self.held.iter_mut().for_each(VecDeque::clear);
        self.silence = Silence::default();
        self.processed = processed;
    }

    /// Takes a chunk of records. `wall` is the time of the wall clock.
    pub fn push(&mut self, chunk: Chunk, sources: &mut Sources, wall: Millis) -> Arrived {
        let rank = chunk.topic.rank();
        let held = &mut self.held[usize::from(rank)];
        if held.is_empty() {
            return self.place(HeldChunk { chunk, from: 0 }, sources, wall);
        }
        held.push_back(HeldChunk { chunk, from: 0 });
        Arrived::nothing(rank)
    }

    /// Tries again to place the first chunk of an input that waits for a schema. Returns `None` if there is none.
    pub fn retry(&mut self, rank: Rank, sources: &mut Sources, wall: Millis) -> Option<Arrived> {
        let held = self.held[usize::from(rank)].pop_front()?;
        Some(self.place(held, sources, wall))
    }

    /// Whether any record waits for a schema.
    pub fn waits_for_schema(&self) -> bool {
        self.held.iter().any(|held| !held.is_empty())
    }

    /// Takes a proof that an input's log ended at `end` at the monotonic time `now`.
    pub fn prove_end(&mut self, rank: Rank, end: Offset, now: Duration) {
        if self.held[usize::from(rank)].is_empty() {
            self.inboxes[usize::from(rank)].prove_end(end, now);
        }
    }

    /// Begins a batch. Records that were loaded for the last one must not be read any more.
    #[inline]
    pub fn begin_batch(&mut self) {
        self.shelf.begin();
    }

    /// The record at index `nth` of the waiting ones in their order, if its effective time is before `bound`. The bound
    /// must not be above the watermark.
    #[inline]
    pub fn peek(&mut self, bound: Millis, nth: usize) -> Option<Waiting> {
        // The bound may be lower than the last time. Then more records are sorted than are final.
        let first = self.order.ready(bound, nth + 1).get(nth).copied();
        first.filter(|waiting| waiting.time < bound)
    }

    /// Loads a record into memory until the batch ends. Returns false if this batch can load no more, or the record [is
    /// lost](Arrivals::is_lost).
    #[inline]
    pub fn load(&mut self, waiting: &Waiting) -> bool {
        self.shelf.bring(waiting.slot)
    }

    /// A record that was [loaded](Arrivals::load) for this batch.
    #[inline]
    pub fn record(&self, waiting: &Waiting) -> InputRecord<'_> {
        self.shelf.record(waiting.slot, waiting.index)
    }

    /// The verdict about a record, if there is one.
    pub fn verdict(&self, waiting: &Waiting) -> Option<&Verdict> {
        self.inboxes[usize::from(waiting.rank)].verdict(waiting.offset)
    }

    /// Removes a record because it is processed. It must be the first one.
    #[inline]
    pub fn take(&mut self, waiting: &Waiting) {
        let first = self.order.pop();
        assert!(
            first.is_some_and(|first| first.key() == waiting.key()),
            "records are processed in their order"
        );
        self.inboxes[usize::from(waiting.rank)].done(waiting.ticket);
        self.shelf.done(waiting.slot);
    }

    /// The smallest effective time of the waiting records, possibly up to 63 ms too low.
    pub fn earliest(&mut self) -> Option<Millis> {
        self.order.earliest()
    }

    /// Number of waiting records.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The watermark, which is the smallest one of the inputs.
    pub fn watermark(&self) -> Millis {
        self.inboxes.iter().map(Inbox::watermark).min().unwrap_or(NEVER)
    }

    /// The ranks of the inputs.
    pub fn ranks(&self) -> impl Iterator<Item = Rank> + Clone + use<> {
        Rank::all(self.inboxes.len())
    }

    /// The next offset that may arrive of an input.
    pub fn position(&self, rank: Rank) -> Offset {
        self.inboxes[usize::from(rank)].position()
    }

    /// Whether an input should be paused, because it waits for a schema, or because it exceeds its memory and is ahead
    /// of others. The slowest input is never paused, or nothing would go on: its excess is spilled instead.
    pub fn holds_back(&self, rank: Rank) -> bool {
        !self.held[usize::from(rank)].is_empty()
            || (self.shelf.bytes(rank) > self.layout.buffer_bytes && self.is_ahead(rank))
    }

    /// Bytes of an input's chunks that are kept, in memory or in the scratch file.
    pub fn buffered(&self, rank: Rank) -> usize {
        self.shelf.bytes(rank)
    }

    /// Bytes of these that are only in the scratch file.
    pub fn spilled(&self, rank: Rank) -> usize {
        self.shelf.spilled(rank)
    }

    /// Whether records in the scratch file are lost. Then no step can be taken, and the inputs must be read again.
    pub fn is_lost(&self) -> bool {
        self.shelf.is_lost()
    }

    /// What a restart needs to know of each input, by rank.
    pub fn meta(&mut self) -> Vec<InputMeta> {
        self.inboxes.iter_mut().map(Inbox::meta).collect()
    }

    /// Advances the watermarks of idle inputs: at once if that releases something, or otherwise once a second while
    /// something waits.
    #[must_use = "heartbeats are to be journaled"]
    pub fn idle_heartbeats(&mut self, now: Duration, demand: &Demand) -> Vec<Heartbeat> {
        if self.is_empty() && demand.timer.is_none() && demand.takeover.is_none() {
            return vec![];
        }
        let inputs: Vec<InputProgress> = self
            .inboxes
            .iter()
            .zip(&self.layout.inputs)
            .map(|(inbox, input)| InputProgress {
                watermark: inbox.watermark(),
                idle: inbox.is_idle(input.idle_after, now),
            })
            .collect();
        let (watermark, reached) = (self.watermark(), self.silence.reached(&inputs, now));
        if reached <= watermark {
            return vec![];
        }
        match demand.target(self.earliest(), watermark, reached) {
            Some(target) if target.urgent || self.silence.is_due(now) => {
                self.silence.heartbeat_sent(now);
                let idle = self.ranks().zip(inputs).filter(|(_, input)| input.idle);
                idle.filter_map(|(rank, _)| self.raise_watermark(rank, target.time))
                    .collect()
            }
            _ => vec![],
        }
    }

    /// Advances the watermark of every input to `target`, as if all had been idle until then. Does nothing while inputs
    /// are read again after a restart.
    #[must_use = "heartbeats are to be journaled"]
    pub fn heartbeats_up_to(&mut self, target: Millis) -> Vec<Heartbeat> {
        if self.inboxes.iter().any(Inbox::catching_up) {
            return vec![];
        }
        self.ranks()
            .filter_map(|rank| self.raise_watermark(rank, target))
            .collect()
    }

    fn raise_watermark(&mut self, rank: Rank, time: Millis) -> Option<Heartbeat> {
        let inbox = &mut self.inboxes[usize::from(rank)];
        (inbox.watermark() < time).then(|| Heartbeat {
            rank,
            position: inbox.apply_heartbeat(time),
            time,
        })
    }

    fn is_ahead(&self, rank: Rank) -> bool {
        self.inboxes[usize::from(rank)].watermark() > self.watermark()
    }

    /// Gives the records of a chunk their effective times, up to the first one whose event time is not known yet.
    fn place(&mut self, held: HeldChunk, sources: &mut Sources, wall: Millis) -> Arrived {
        let HeldChunk { chunk, from } = held;
        let rank = chunk.topic.rank();
        let mut arrived = Arrived::nothing(rank);
        let inbox = &mut self.inboxes[usize::from(rank)];
        let max_ahead = self.layout.inputs[usize::from(rank)].max_ahead;
        let mut stopped = None;
        for index in from..chunk.records.len() {
            let record = chunk.record(index);
            if record.offset() < inbox.position() {
                // It was fetched before a seek, or delivered again, so it was taken already.
                continue;
            }
            let time = match timing(inbox, record, sources.time(record), Horizon { wall, max_ahead }) {
                Timing::Known(time) => Some(time),
                Timing::Unreadable => None,
                Timing::Judged(verdict) => {
                    inbox.judge(record.offset(), verdict.clone());
                    arrived.verdicts.push((record.offset(), verdict));
                    None
                }
                Timing::Unknown(why) => {
                    inbox.is_not_silent();
                    arrived.waits = Some(SchemaAwaited(why));
                    stopped = Some(index);
                    break;
                }
            };
            if let Some(key) = record.key()
                && murmur2::partition(key, self.layout.partitions) != self.partition
            {
                arrived.foreign += 1;
            }
            let (placed, ticket) = inbox.arrive(record.offset(), time);
            let waiting = Waiting {
                time: placed.time,
                offset: record.offset(),
                ticket,
                slot: 0,
                index: index as u32,
                rank,
                late: placed.late,
                unreadable: time.is_none(),
            };
            if waiting.step() <= self.processed {
                // It is processed already, and only the clock needed it again.
                inbox.done(ticket);
            } else {
                self.placed.push(waiting);
            }
        }
        self.silence.end();
        self.keep(chunk, stopped);
        arrived
    }

    /// Keeps a chunk for its placed records, and for those from `stopped` on.
    fn keep(&mut self, chunk: Chunk, stopped: Option<usize>) {
        let held = &mut self.held[usize::from(chunk.topic)];
        match stopped {
            Some(from) if self.placed.is_empty() => return held.push_front(HeldChunk { chunk, from }),
            // The chunk is kept twice until the schema is known. That is rare: the registry must be away when a schema
            // is first seen.
            Some(from) => held.push_front(HeldChunk {
                chunk: chunk.clone(),
                from,
            }),
            None if self.placed.is_empty() => return,
            None => {}
        }
        // An input that is ahead is paused once it exceeds its memory, so it need not be spilled.
        let ahead = self.is_ahead(chunk.topic.rank());
        let slot = self.shelf.add(chunk, self.placed.len() as u32, ahead);
        for waiting in self.placed.drain(..) {
            self.order.push(Waiting { slot, ..waiting });
        }
    }
}

impl Arrived {
    fn nothing(rank: Rank) -> Arrived {
        Arrived {
            rank,
            verdicts: vec![],
            foreign: 0,
            waits: None,
        }
    }
}
