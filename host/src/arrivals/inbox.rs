//! One input partition of a task: how far it is read, its clock, and which of its records are not processed yet.
//!
//! Rule: the input log is the buffer. The committed offset is that of the first unprocessed record, together with the clock
//! as it was just before that record. So reading again from there computes the same effective times.

use crate::record::journal::Verdict;
use crate::record::watermark::{Clock, Placed};
use crate::record::{Millis, Offset};
use crate::state::meta::InputMeta;
use std::collections::VecDeque;
use std::time::Duration;

/// Entries that `unprocessed` may have room for after a backlog, whatever is in it: 65,536 of 32 bytes are 2 MiB. Beyond that it
/// keeps room for at most four times what it holds.
const ROOM_KEPT: usize = 1 << 16;

/// One input partition of a task.
#[derive(Debug)]
pub struct Inbox {
    out_of_orderness: Millis,
    clock: Clock,
    /// The next offset that may arrive.
    position: Offset,
    /// How far it was read before the last restart: nothing new is decided below.
    read_before: Offset,
    /// By position. There is at most one for each position that was reached since the committed offset, so there are no more of
    /// them than of `unprocessed`, and of transaction markers.
    heartbeats: Vec<(Offset, Millis)>,
    /// The first of `heartbeats` that the clock has not been given yet.
    next_heartbeat: usize,
    /// By offset. Those before the committed offset are dropped at each seal, so there are no more of them than of `unprocessed`.
    /// All of them stand in the meta.
    verdicts: Vec<(Offset, Verdict)>,
    /// From the first unprocessed record on: all that have arrived, in offset order. It has no bound of its own: it is 32 bytes
    /// for each record that waits, and an input that waits for others is paused by its bytes (`epoch.buffer_bytes`).
    unprocessed: VecDeque<Entry>,
    /// Ticket of the first of `unprocessed`.
    base: Ticket,
    at_end: Option<AtEnd>,
}

#[derive(Debug)]
struct Entry {
    offset: Offset,
    /// The clock just before it.
    before: Clock,
    done: bool,
}

/// The partition is read to its end. Both times are monotonic.
#[derive(Clone, Copy, Debug)]
struct AtEnd {
    /// The first proof of it.
    since: Duration,
    /// The last proof of it.
    proved: Duration,
}

/// A record's number among all that have arrived in its inbox since the last restart.
pub type Ticket = u64;

impl Inbox {
    /// As the meta says. Reading must start at [`position`](Inbox::position).
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

    /// True while it reads again what was read before the last restart. Nothing new is decided meanwhile.
    pub fn catching_up(&self) -> bool {
        self.position < self.read_before
    }

    /// True for a record that was read before the last restart: what was decided about it then still holds. The position can't
    /// tell: offsets have gaps, so the first new record may arrive while the position is still below `read_before`.
    #[inline]
    pub fn was_read(&self, offset: Offset) -> bool {
        offset < self.read_before
    }

    /// The watermark.
    #[inline]
    pub fn watermark(&self) -> Millis {
        self.clock.watermark(self.out_of_orderness)
    }

    /// The verdict that was given about a record, if any.
    #[inline]
    pub fn verdict(&self, offset: Offset) -> Option<&Verdict> {
        if self.verdicts.is_empty() {
            return None;
        }
        let index = self.verdicts.partition_point(|(at, _)| *at < offset);
        let (at, verdict) = self.verdicts.get(index)?;
        (*at == offset).then_some(verdict)
    }

    /// Keeps a verdict that was given just now, about the record that arrives next.
    pub fn judge(&mut self, offset: Offset, verdict: Verdict) {
        assert!(
            !self.was_read(offset),
            "a verdict about a record that was read before would change what is decided"
        );
        self.verdicts.push((offset, verdict));
    }

    /// A record arrives. It is placed in event time, after the heartbeats that stand before it. `time`: none if it can't be read.
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
        self.unprocessed.push_back(Entry {
            offset,
            before,
            done: false,
        });
        self.position = offset + 1;
        self.at_end = None;
        (placed, ticket)
    }

    /// A record has come that can't arrive yet. So the partition is not silent.
    pub fn is_not_silent(&mut self) {
        self.at_end = None;
    }

    /// Gives the clock all heartbeats up to this position.
    #[inline]
    fn apply_heartbeats(&mut self, position: Offset) {
        while let Some(&(at, time)) = self.heartbeats.get(self.next_heartbeat)
            && at <= position
        {
            self.clock.beat(time);
            self.next_heartbeat += 1;
        }
    }

    /// Takes a proof, given at monotonic `now`, that the log ends at `end`. The end lies behind the last record where a
    /// transaction marker comes last.
    pub fn prove_end(&mut self, end: Offset, now: Duration) {
        if end < self.position {
            // Older than what has arrived since.
            return;
        }
        // A proof is told after all records before it, so everything up to here has arrived.
        self.position = end;
        self.apply_heartbeats(end);
        self.at_end = Some(AtEnd {
            since: self.at_end.map_or(now, |at_end| at_end.since),
            proved: now,
        });
    }

    /// True when it is read to its end, nothing has come for `idle_after`, and the last proof of that is no older.
    pub fn is_idle(&self, idle_after: Duration, now: Duration) -> bool {
        !self.catching_up()
            && self.at_end.is_some_and(|at_end| {
                now.saturating_sub(at_end.since) >= idle_after && now.saturating_sub(at_end.proved) <= idle_after
            })
    }

    /// Moves the watermark without a record. Returns the position, with which the heartbeat must be journaled.
    pub fn beat(&mut self, time: Millis) -> Offset {
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
        self.clock.beat(time);
        position
    }

    /// A record is processed.
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

    /// What a restart needs. Forgets heartbeats and verdicts before the first unprocessed record.
    pub fn meta(&mut self) -> InputMeta {
        let next = self.next();
        let clock = self.unprocessed.front().map_or(self.clock, |first| first.before);
        let passed = self.heartbeats.partition_point(|(at, _)| *at < next);
        self.heartbeats.drain(..passed);
        // The clock has been given all heartbeats before `next`, because the records before it have arrived.
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
