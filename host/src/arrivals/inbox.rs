//! An inbox: one input partition of a task. It knows how far the partition was read, its clock, and which records are
//! not processed.
//!
//! Rule: the input log is the buffer. The committed offset is that of the first unprocessed record. It is stored with
//! the clock as it was just before that record, so reading again from there gives the same effective times.

use crate::record::journal::Verdict;
use crate::record::watermark::{PartitionClock, Placed};
use crate::record::{Millis, Offset};
use crate::state::meta::InputMeta;
use std::collections::VecDeque;
use std::time::Duration;

/// Entries that `unprocessed` keeps room for after a backlog: 65,536 of 32 bytes are 2 MiB. Above that, it keeps room
/// for at most four times what it contains.
const ROOM_KEPT: usize = 1 << 16;

/// One input partition of a task.
#[derive(Debug)]
pub struct Inbox {
    out_of_orderness: Millis,
    clock: PartitionClock,
    /// The next offset that may arrive.
    position: Offset,
    /// How far the partition was read before the last restart. Nothing new is decided below this offset.
    read_before: Offset,
    /// By position. There is at most one for each position since the committed offset, so they are no more than
    /// `unprocessed` and the transaction markers.
    heartbeats: Vec<(Offset, Millis)>,
    /// Index of the first of `heartbeats` that the clock has not seen yet.
    next_heartbeat: usize,
    /// By offset. Those before the committed offset are dropped at each seal, so there are no more of them than of
    /// `unprocessed`. All of them are in the meta.
    verdicts: Vec<(Offset, Verdict)>,
    /// All records from the first unprocessed one on, in offset order. There is no limit for them: each takes 32 bytes,
    /// and an input that is ahead of others is paused when it exceeds `epoch.buffer_bytes`.
    unprocessed: VecDeque<InboxEntry>,
    /// Ticket of the first of `unprocessed`.
    base: Ticket,
    at_end: Option<AtEnd>,
}

#[derive(Debug)]
struct InboxEntry {
    offset: Offset,
    /// The clock just before the record.
    before: PartitionClock,
    done: bool,
}

/// Proofs that the partition was read to its end, as monotonic times.
#[derive(Clone, Copy, Debug)]
struct AtEnd {
    /// The first proof.
    since: Duration,
    /// The last proof.
    proved: Duration,
}

/// A record's number among all that have arrived since the last restart.
pub type Ticket = u64;

impl Inbox {
    /// Starts as the meta says. Reading must begin at [`position`](Inbox::position).
    pub fn new(out_of_orderness: Millis, meta: &InputMeta) -> Inbox {
        debug_assert!(meta.verdicts.is_sorted_by_key(|(offset, _)| *offset));
        Inbox {
            out_of_orderness,
            clock: meta.clock,
            position: meta.next,
            read_before: meta.read,
            heartbeats: meta.heartbeats.clone(),
            next_heartbeat: 0,
            verdicts: meta.verdicts.clone(),
            unprocessed: VecDeque::new(),
            base: 0,
            at_end: None,
        }
    }

    /// The next offset that may arrive.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Whether it still reads what was read before the last restart. Until then, nothing new is decided.
    pub fn catching_up(&self) -> bool {
        self.position < self.read_before
    }

    /// Whether a record was read before the last restart, so that earlier decisions about it stand. `position` can't
    /// tell, because offsets have gaps: the first new record may arrive while the position is still below
    /// `read_before`.
    #[inline]
    pub fn was_read(&self, offset: Offset) -> bool {
        offset < self.read_before
    }

    /// How far event time has come in this partition.
    #[inline]
    pub fn watermark(&self) -> Millis {
        self.clock.watermark(self.out_of_orderness)
    }

    /// The verdict about a record, if there is one.
    #[inline]
    pub fn verdict(&self, offset: Offset) -> Option<&Verdict> {
        if self.verdicts.is_empty() {
            return None;
        }
        let index = self.verdicts.partition_point(|(at, _)| *at < offset);
        let (at, verdict) = self.verdicts.get(index)?;
        (*at == offset).then_some(verdict)
    }

    /// Keeps a new verdict about the record that arrives next.
    pub fn judge(&mut self, offset: Offset, verdict: Verdict) {
        assert!(
            !self.was_read(offset),
            "a verdict about a record that was read before would change what is decided"
        );
        self.verdicts.push((offset, verdict));
    }

    /// Takes a record and places it in event time, after the heartbeats before it. `time` is `None` if the record can't
    /// be read.
    #[inline]
    pub fn arrive(&mut self, offset: Offset, time: Option<Millis>) -> (Placed, Ticket) {
        assert!(
            offset >= self.position,
            "offset {offset} came twice or out of order, at {}",
            self.position
        );
        self.apply_heartbeats(offset);
        let before = self.clock;
        let placed = self.clock.place(time, self.out_of_orderness);
        let ticket = self.base + self.unprocessed.len() as u64;
        self.unprocessed.push_back(InboxEntry {
            offset,
            before,
            done: false,
        });
        self.position = offset.next();
        self.at_end = None;
        (placed, ticket)
    }

    /// Notes that a record has come, although it can't arrive yet. So the partition is not silent.
    pub fn is_not_silent(&mut self) {
        self.at_end = None;
    }

    /// Applies all heartbeats up to this position to the clock.
    #[inline]
    fn apply_heartbeats(&mut self, position: Offset) {
        while let Some(&(at, time)) = self.heartbeats.get(self.next_heartbeat)
            && at <= position
        {
            self.clock.apply_heartbeat(time);
            self.next_heartbeat += 1;
        }
    }

    /// Takes a proof that the log ended at `end` at the monotonic time `now`. If a transaction marker comes last, the
    /// end is after the last record.
    pub fn prove_end(&mut self, end: Offset, now: Duration) {
        if end < self.position {
            // The proof is older than the last records.
            return;
        }
        // A proof comes after all records before it, so everything up to here has arrived.
        self.position = end;
        self.apply_heartbeats(end);
        self.at_end = Some(AtEnd {
            since: self.at_end.map_or(now, |at_end| at_end.since),
            proved: now,
        });
    }

    /// Whether nothing has come for `idle_after` at the end of the partition, by a proof that is not older than that.
    pub fn is_idle(&self, idle_after: Duration, now: Duration) -> bool {
        !self.catching_up()
            && self.at_end.is_some_and(|at_end| {
                now.saturating_sub(at_end.since) >= idle_after && now.saturating_sub(at_end.proved) <= idle_after
            })
    }

    /// Advances the watermark without a record. Returns the position, which must be journaled with the heartbeat.
    pub fn apply_heartbeat(&mut self, time: Millis) -> Offset {
        assert!(
            !self.catching_up(),
            "a heartbeat at a position that was read before would change what is decided"
        );
        let position = self.position;
        match self.heartbeats.last_mut() {
            Some(last) if last.0 == position => last.1 = last.1.max(time),
            _ => self.heartbeats.push((position, time)),
        }
        self.next_heartbeat = self.heartbeats.len();
        self.clock.apply_heartbeat(time);
        position
    }

    /// Marks a record as processed.
    #[inline]
    pub fn done(&mut self, ticket: Ticket) {
        let index = (ticket - self.base) as usize;
        self.unprocessed[index].done = true;
        if index == 0 {
            while self.unprocessed.front().is_some_and(|first| first.done) {
                self.unprocessed.pop_front();
                self.base += 1;
            }
        }
    }

    /// The committed offset: that of the first unprocessed record, or else the position.
    fn next(&self) -> Offset {
        self.unprocessed.front().map_or(self.position, |first| first.offset)
    }

    /// What a restart needs to know. Drops heartbeats and verdicts before the first unprocessed record.
    pub fn meta(&mut self) -> InputMeta {
        let next = self.next();
        let clock = self.unprocessed.front().map_or(self.clock, |first| first.before);
        let passed = self.heartbeats.partition_point(|(at, _)| *at < next);
        self.heartbeats.drain(..passed);
        // The clock has seen all heartbeats before `next`, because the records before it have arrived.
        self.next_heartbeat -= passed.min(self.next_heartbeat);
        self.verdicts.retain(|(offset, _)| *offset >= next);
        if self.unprocessed.capacity() > ROOM_KEPT.max(4 * self.unprocessed.len()) {
            self.unprocessed.shrink_to(ROOM_KEPT.max(2 * self.unprocessed.len()));
        }
        InputMeta {
            next,
            clock,
            heartbeats: self.heartbeats.clone(),
            verdicts: self.verdicts.clone(),
            read: self.position.max(self.read_before),
        }
    }
}
