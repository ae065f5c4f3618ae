//! One input partition of a task: how far it is read, its clock, and which of its records are not processed yet.
//!
//! Rule: the input log is the buffer. The committed offset is that of the first unprocessed record, with the clock as it was
//! just before it; so re-reading from there computes the same effective times again.

use crate::journal::Verdict;
use crate::meta::InputMeta;
use crate::record::{Millis, Offset};
use crate::watermark::{Clock, Placed};
use std::collections::VecDeque;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Inbox {
    out_of_orderness: Millis,
    clock: Clock,
    /// The next offset that may arrive.
    position: Offset,
    /// As far as the meta knew it at the last recovery: below it nothing new is decided.
    known: Offset,
    heartbeats: Vec<(Offset, Millis)>,
    /// The first of `heartbeats` that the clock has not got yet.
    beat: usize,
    verdicts: Vec<(Offset, Verdict)>,
    /// Records that arrived and are not processed, and processed ones between them.
    waiting: VecDeque<Waiting>,
    /// Number of the first of `waiting`.
    base: u64,
    quiet: Option<Quiet>,
}

#[derive(Debug)]
struct Waiting {
    offset: Offset,
    before: Clock,
    done: bool,
}

/// Nothing new since `since`; last proved at `proved`. Monotonic time.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    since: Duration,
    proved: Duration,
}

/// A record's place among the unprocessed of its partition.
pub type Ticket = u64;

impl Inbox {
    /// As the meta says. Reading must start at [`position`](Inbox::position).
    pub fn new(out_of_orderness: Millis, meta: &InputMeta) -> Inbox {
        Inbox {
            out_of_orderness,
            clock: meta.clock,
            position: meta.next,
            known: meta.read,
            heartbeats: meta.heartbeats.clone(),
            beat: 0,
            verdicts: meta.verdicts.clone(),
            waiting: VecDeque::new(),
            base: 0,
            quiet: None,
        }
    }

    /// The next offset that may arrive.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// True while it re-reads what was read before the last recovery: nothing new is decided then.
    pub fn catching_up(&self) -> bool {
        self.position < self.known
    }

    /// True for a record that was read before the last recovery: what was decided about it then holds. (Not by the position:
    /// offsets have gaps, so the first new record may arrive while the position is still below what is known.)
    #[inline]
    pub fn was_read(&self, offset: Offset) -> bool {
        offset < self.known
    }

    /// The watermark.
    #[inline]
    pub fn watermark(&self) -> Millis {
        self.clock.watermark(self.out_of_orderness)
    }

    /// The verdict about a record that was decided before.
    pub fn verdict(&self, offset: Offset) -> Option<&Verdict> {
        if self.verdicts.is_empty() {
            return None;
        }
        self.verdicts
            .iter()
            .find(|(at, _)| *at == offset)
            .map(|(_, verdict)| verdict)
    }

    /// A verdict just decided, about the record that arrives next.
    pub fn judge(&mut self, offset: Offset, verdict: Verdict) {
        self.verdicts.push((offset, verdict));
    }

    /// A record arrives: heartbeats before it count first, then it is placed. None as time: it can't be read.
    #[inline]
    pub fn arrive(&mut self, offset: Offset, time: Option<Millis>) -> (Placed, Ticket) {
        assert!(
            offset >= self.position,
            "offset {offset} came twice or out of order, at {}",
            self.position
        );
        self.advance(offset);
        let before = self.clock;
        let placed = self.clock.place(time, self.out_of_orderness);
        let ticket = self.base + self.waiting.len() as u64;
        self.waiting.push_back(Waiting {
            offset,
            before,
            done: false,
        });
        self.position = offset + 1;
        self.quiet = None;
        (placed, ticket)
    }

    /// Something came that can't arrive yet: it is no silence, and nothing is decided about the partition until then.
    pub fn heard(&mut self) {
        self.quiet = None;
    }

    /// Everything below `offset` was read, records or not (transaction markers take offsets too).
    #[inline]
    fn advance(&mut self, offset: Offset) {
        while let Some(&(at, time)) = self.heartbeats.get(self.beat)
            && at <= offset
        {
            self.clock.beat(time);
            self.beat += 1;
        }
    }

    /// A proof, at monotonic `now`, that the log ends at `end`.
    pub fn proved_end(&mut self, end: Offset, now: Duration) {
        if end < self.position {
            // Older than what has arrived since.
            return;
        }
        // What arrives in order is complete up to here: a proof of the end is told behind the records before it.
        self.position = end;
        self.advance(end);
        self.quiet = Some(Quiet {
            since: self.quiet.map_or(now, |quiet| quiet.since),
            proved: now,
        });
    }

    /// Read to its end, and nothing new for so long, by proofs that are no older than that.
    pub fn idle(&self, idle_after: Duration, now: Duration) -> bool {
        self.quiet.is_some_and(|quiet| {
            now.saturating_sub(quiet.since) >= idle_after && now.saturating_sub(quiet.proved) <= idle_after
        })
    }

    /// Read to its end when it was last asked.
    pub fn at_end(&self) -> bool {
        self.quiet.is_some()
    }

    /// Moves the watermark of an idle partition; to be journaled with the returned position.
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
        self.beat = self.heartbeats.len();
        self.clock.beat(time);
        position
    }

    /// A record is processed.
    #[inline]
    pub fn done(&mut self, ticket: Ticket) {
        let index = (ticket - self.base) as usize;
        self.waiting[index].done = true;
        if index == 0 {
            while self.waiting.front().is_some_and(|first| first.done) {
                self.waiting.pop_front();
                self.base += 1;
            }
        }
    }

    /// Number of records that arrived and are not processed.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().filter(|record| !record.done).count()
    }

    /// The committed offset: that of the first unprocessed record, else the read position.
    pub fn next(&self) -> Offset {
        self.waiting.front().map_or(self.position, |first| first.offset)
    }

    /// For the meta. Forgets what lies before the first unprocessed record.
    pub fn meta(&mut self) -> InputMeta {
        let next = self.next();
        let clock = self.waiting.front().map_or(self.clock, |first| first.before);
        let passed = self.heartbeats.partition_point(|(at, _)| *at < next);
        self.heartbeats.drain(..passed);
        // Those before `next` have arrived, so they were given to the clock.
        self.beat -= passed.min(self.beat);
        self.verdicts.retain(|(offset, _)| *offset >= next);
        InputMeta {
            next,
            clock,
            heartbeats: self.heartbeats.clone(),
            verdicts: self.verdicts.clone(),
            read: self.position.max(self.known),
        }
    }
}
