//! Where fetched chunks are kept until all of their records are processed.
//!
//! Rules:
//! - A chunk is kept exactly as long as one of its records waits. The bytes kept are counted by input.
//! - Memory is bounded. What arrives for an input whose chunks in memory are over the limit goes to a scratch file: it came last,
//!   so it is the furthest from being final. It is read back, whole, when one of its records is planned. An input ahead of the
//!   others is paused instead (`Arrivals::holds_back`); what arrives of it until then stays in memory.
//! - What was read back counts separately, up to the limit once more for the task. It is kept until its last record is
//!   processed, or until a batch begins and finds more than the limit read back: then the oldest goes first, whose copy is still
//!   in the file. A batch reads back nothing more once it has read back more than the limit.
//! - So with n inputs a task holds at most (n + 2) * limit, one chunk more for each input, and what arrives of inputs ahead
//!   before they are paused.
//! - A scratch file that fails costs no data. If a chunk can't be written, it stays in memory. If one can't be read, the task
//!   starts over, because the input log is the buffer; and it doesn't trust the file any more.

mod packed;
#[cfg(test)]
mod tests;

use crate::log::{Chunk, InputRecord};
use crate::record::Rank;
use crate::store::scratch::Scratch;
use packed::Packed;
use std::collections::VecDeque;

/// Where a chunk is kept: an index, given again once the chunk is gone.
pub type Slot = u32;

/// Slots that stay when nothing waits any more: 1,024 of some 170 bytes. Beyond that their memory is given back.
const SLOTS_KEPT: usize = 1024;

/// The chunks of a task's inputs.
#[derive(Debug)]
pub struct Shelf {
    /// One for each chunk that waits, and free ones. There is no bound on their number: an input that is behind the others is
    /// never paused. A spilled chunk costs its slot, some 170 bytes.
    slots: Vec<Kept>,
    free: Vec<Slot>,
    /// By rank.
    bytes: Vec<Bytes>,
    /// Bytes of an input in memory before its next chunk is spilled.
    limit: usize,
    scratch: Scratch,
    /// What was read back, the oldest first; bounded by the limit, see the rules.
    back: VecDeque<Slot>,
    back_bytes: usize,
    /// Bytes read back for the batch at hand.
    batch_bytes: usize,
    trust: Trust,
}

/// How far the scratch file can be relied on.
#[derive(Clone, Copy, Debug, Default)]
struct Trust {
    /// A chunk can't be read back: the task must start over.
    lost: bool,
    /// That has happened once: nothing is spilled any more.
    distrusted: bool,
    /// A failed write is in the log already.
    warned: bool,
}

#[derive(Debug, Default)]
struct Kept {
    /// Without content while that is only in the file.
    chunk: Chunk,
    /// How many of its records wait.
    live: u32,
    /// True while its content is only in the file.
    away: bool,
    /// Size of the content.
    bytes: usize,
    /// Its copy in the file.
    packed: Option<Packed>,
}

/// Bytes of an input.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    kept: usize,
    /// Those of `kept` that are in the scratch file only.
    away: usize,
}

impl Shelf {
    /// For so many inputs. What arrives for an input with more bytes than `limit` in memory is spilled.
    pub fn new(inputs: usize, limit: usize, scratch: Scratch) -> Shelf {
        Shelf {
            slots: vec![],
            free: vec![],
            bytes: vec![Bytes::default(); inputs],
            limit,
            scratch,
            back: VecDeque::new(),
            back_bytes: 0,
            batch_bytes: 0,
            trust: Trust::default(),
        }
    }

    /// Takes a chunk of which `live` records wait, at least one. `ahead`: its input will be paused if it is over its limit.
    pub fn add(&mut self, chunk: Chunk, live: u32, ahead: bool) -> Slot {
        assert!(live > 0, "a chunk is kept for the records of it that wait");
        let size = chunk.bytes.len();
        let of_input = &mut self.bytes[usize::from(chunk.topic)];
        let over = of_input.kept - of_input.away > self.limit;
        of_input.kept += size;
        let mut kept = Kept {
            chunk,
            live,
            away: false,
            bytes: size,
            packed: None,
        };
        if over && !ahead && !self.trust.distrusted {
            self.spill(&mut kept);
        }
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = kept;
                slot
            }
            None => {
                self.slots.push(kept);
                self.slots.len() as Slot - 1
            }
        }
    }

    /// A batch begins: no record that was brought for the last one is looked at any more.
    #[inline]
    pub fn begin(&mut self) {
        self.batch_bytes = 0;
        while self.back_bytes > self.limit
            && let Some(oldest) = self.back.pop_front()
        {
            let kept = &mut self.slots[oldest as usize];
            kept.leave();
            self.back_bytes -= kept.bytes;
            self.bytes[usize::from(kept.chunk.topic)].away += kept.bytes;
        }
    }

    /// Brings a chunk into memory until the batch ends. False: not for this batch any more, or it is [`lost`](Shelf::is_lost).
    #[inline]
    pub fn bring(&mut self, slot: Slot) -> bool {
        !self.slots[slot as usize].away || self.read(slot)
    }

    /// A record. Its chunk must be in memory: see [`bring`](Shelf::bring).
    #[inline]
    pub fn record(&self, slot: Slot, index: u32) -> InputRecord<'_> {
        self.slots[slot as usize].chunk.record(index as usize)
    }

    /// A record of a chunk is processed.
    #[inline]
    pub fn done(&mut self, slot: Slot) {
        let kept = &mut self.slots[slot as usize];
        kept.live -= 1;
        if kept.live == 0 {
            self.remove(slot);
        }
    }

    /// Bytes of an input that are kept, in memory or not.
    pub fn bytes(&self, rank: Rank) -> usize {
        self.bytes[usize::from(rank)].kept
    }

    /// Those of them that are in the scratch file only.
    pub fn spilled(&self, rank: Rank) -> usize {
        self.bytes[usize::from(rank)].away
    }

    /// True when a chunk can't be read back: the inputs must be read again.
    pub fn is_lost(&self) -> bool {
        self.trust.lost
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        (self.slots, self.free) = (vec![], vec![]);
        self.bytes.fill(Bytes::default());
        self.back.clear();
        self.back_bytes = 0;
        self.batch_bytes = 0;
        self.trust.lost = false;
        self.scratch.clear();
    }

    fn remove(&mut self, slot: Slot) {
        let gone = std::mem::take(&mut self.slots[slot as usize]);
        self.free.push(slot);
        let of_input = &mut self.bytes[usize::from(gone.chunk.topic)];
        of_input.kept -= gone.bytes;
        if let Some(packed) = gone.packed {
            self.scratch.free(packed.into_extent());
            if gone.away {
                of_input.away -= gone.bytes;
            } else {
                self.back_bytes -= gone.bytes;
                self.back.retain(|back| *back != slot);
            }
        }
        if self.free.len() == self.slots.len() && self.slots.len() > SLOTS_KEPT {
            (self.slots, self.free) = (vec![], vec![]);
        }
    }

    #[cold]
    fn spill(&mut self, kept: &mut Kept) {
        match Packed::write(&mut self.scratch, &kept.chunk) {
            Ok(packed) => {
                kept.packed = Some(packed);
                kept.leave();
                self.bytes[usize::from(kept.chunk.topic)].away += kept.bytes;
                self.trust.warned = false;
            }
            Err(why) if !self.trust.warned => {
                self.trust.warned = true;
                let Chunk { topic, partition, .. } = kept.chunk;
                tracing::warn!(topic, partition, %why, "records over epoch.buffer_bytes can't be spilled and stay in memory. Is the disk full (state.dir, or else the system's temporary folder)?");
            }
            Err(_) => {}
        }
    }

    #[cold]
    fn read(&mut self, slot: Slot) -> bool {
        if self.batch_bytes > self.limit || self.trust.lost {
            return false;
        }
        let kept = &mut self.slots[slot as usize];
        let Some(packed) = &kept.packed else { return false };
        if let Err(why) = packed.read(&self.scratch, &mut kept.chunk) {
            let Chunk { topic, partition, .. } = kept.chunk;
            tracing::error!(topic, partition, %why, "spilled records can't be read back: they are read again from the topic, and stay in memory from now on");
            self.trust.lost = true;
            self.trust.distrusted = true;
            return false;
        }
        kept.away = false;
        self.bytes[usize::from(kept.chunk.topic)].away -= kept.bytes;
        self.back.push_back(slot);
        self.back_bytes += kept.bytes;
        self.batch_bytes += kept.bytes;
        true
    }
}

impl Kept {
    /// Drops the content from memory; the copy in the file stays.
    fn leave(&mut self) {
        self.away = true;
        self.chunk = Chunk {
            topic: self.chunk.topic,
            partition: self.chunk.partition,
            ..Chunk::default()
        };
    }
}
