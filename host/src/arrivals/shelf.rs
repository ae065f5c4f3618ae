//! The shelf keeps fetched chunks until all of their records are processed.
//!
//! Rules:
//! - A chunk is kept exactly as long as one of its records waits. The kept bytes are counted by input.
//! - Memory is limited. If an input has more than the limit in memory, its next chunks go to a scratch file. They came
//!   last, so they are the furthest from being final. A chunk is read back as a whole when one of its records is
//!   planned. An input that is ahead of others is paused instead (`Arrivals::holds_back`), and what still arrives until
//!   then stays in memory.
//! - Chunks that were read back are counted separately, with the same limit for the whole task. Such a chunk is kept
//!   until its last record is processed, or until a batch begins with more than the limit read back. Then the oldest is
//!   dropped first; its copy is still in the file. A batch that has read back more than the limit reads back nothing
//!   more.
//! - So with n inputs a task holds at most (n + 2) * limit, one more chunk for each input, and what arrives of inputs
//!   ahead before they are paused.
//! - A scratch file that fails causes no loss of data. If a chunk can't be written, it stays in memory. If one can't be
//!   read, the task starts over, because the input log is the buffer, and does not use the file any more.

mod packed;
#[cfg(test)]
mod tests;

use crate::log::{Chunk, InputRecord};
use crate::record::Rank;
use crate::store::scratch::Scratch;
use packed::Packed;
use std::collections::VecDeque;

/// Index of a kept chunk. It is reused when the chunk is gone.
pub type ChunkSlot = u32;

/// How many slots are kept when nothing waits any more: 1,024 of about 170 bytes. The memory of more is freed.
const SLOTS_KEPT: usize = 1024;

/// The kept chunks of a task's inputs.
#[derive(Debug)]
pub struct Shelf {
    /// One for each kept chunk, and free ones. There is no limit on their number, because an input that is behind the
    /// others is never paused. A spilled chunk costs only its slot, about 170 bytes.
    slots: Vec<Kept>,
    free: Vec<ChunkSlot>,
    /// By rank.
    bytes: Vec<Bytes>,
    /// How many bytes an input may have in memory before its next chunk is spilled.
    limit: usize,
    scratch: Scratch,
    /// Chunks that were read back, oldest first. Their size is limited as the rules say.
    back: VecDeque<ChunkSlot>,
    back_bytes: usize,
    /// Bytes that were read back for the current batch.
    batch_bytes: usize,
    trust: Trust,
}

/// How far the scratch file can be trusted.
#[derive(Clone, Copy, Debug, Default)]
struct Trust {
    /// Whether a chunk can't be read back, so that the task must start over.
    lost: bool,
    /// Whether that has happened before, so that nothing is spilled any more.
    distrusted: bool,
    /// Whether the write failure was already logged.
    warned: bool,
}

#[derive(Debug, Default)]
struct Kept {
    /// Has no content while that is only in the file.
    chunk: Chunk,
    /// How many of its records wait.
    live: u32,
    /// Whether its content is only in the file.
    away: bool,
    /// Size of the content.
    bytes: usize,
    /// Its copy in the file, if it has one.
    packed: Option<Packed>,
}

/// Bytes of an input's chunks.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    kept: usize,
    /// The part of `kept` that is only in the scratch file.
    away: usize,
}

impl Shelf {
    /// A shelf for this many inputs. An input with more than `limit` bytes in memory is spilled.
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

    /// Adds a chunk with `live` waiting records, at least one. `ahead` says that its input will be paused if it exceeds
    /// its limit.
    pub fn add(&mut self, chunk: Chunk, live: u32, ahead: bool) -> ChunkSlot {
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
                self.slots.len() as ChunkSlot - 1
            }
        }
    }

    /// Begins a batch. Records of the last one must not be read any more.
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

    /// Brings a chunk into memory until the batch ends. Returns false if this batch can't have more, or if the chunk is
    /// [lost](Shelf::is_lost).
    #[inline]
    pub fn bring(&mut self, slot: ChunkSlot) -> bool {
        !self.slots[slot as usize].away || self.read(slot)
    }

    /// A record of a chunk in memory: see [`bring`](Shelf::bring).
    #[inline]
    pub fn record(&self, slot: ChunkSlot, index: u32) -> InputRecord<'_> {
        self.slots[slot as usize].chunk.record(index as usize)
    }

    /// Notes that a record of a chunk is processed.
    #[inline]
    pub fn done(&mut self, slot: ChunkSlot) {
        let kept = &mut self.slots[slot as usize];
        kept.live -= 1;
        if kept.live == 0 {
            self.remove(slot);
        }
    }

    /// Bytes of an input's chunks, in memory or in the file.
    pub fn bytes(&self, rank: Rank) -> usize {
        self.bytes[usize::from(rank)].kept
    }

    /// Bytes of these that are only in the file.
    pub fn spilled(&self, rank: Rank) -> usize {
        self.bytes[usize::from(rank)].away
    }

    /// Whether a chunk can't be read back, so that the inputs must be read again.
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

    fn remove(&mut self, slot: ChunkSlot) {
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
                tracing::warn!(topic = topic.0, partition = partition.0, %why, "records over epoch.buffer_bytes can't be spilled and stay in memory. Is the disk full (state.dir, or else the system's temporary folder)?");
            }
            Err(_) => {}
        }
    }

    #[cold]
    fn read(&mut self, slot: ChunkSlot) -> bool {
        if self.batch_bytes > self.limit || self.trust.lost {
            return false;
        }
        let kept = &mut self.slots[slot as usize];
        let Some(packed) = &kept.packed else { return false };
        if let Err(why) = packed.read(&self.scratch, &mut kept.chunk) {
            let Chunk { topic, partition, .. } = kept.chunk;
            tracing::error!(topic = topic.0, partition = partition.0, %why, "spilled records can't be read back: they are read again from the topic, and stay in memory from now on");
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
    /// Drops the content from memory. Its copy in the file stays.
    fn leave(&mut self) {
        self.away = true;
        self.chunk = Chunk {
            topic: self.chunk.topic,
            partition: self.chunk.partition,
            ..Chunk::default()
        };
    }
}
