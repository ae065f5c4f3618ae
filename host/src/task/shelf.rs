//! Where fetched chunks stand until all of their records are processed.
//!
//! Rule: a chunk is kept exactly as long as a record of it waits; the bytes kept are counted by input. Memory stays bounded:
//! what arrives for an input whose chunks in memory are over the limit goes to a scratch file. It came last, so it is the
//! furthest from being final. It is read back, whole, when one of its records is planned. An input ahead of the others is paused
//! instead (`Task::holds_back`); what comes of it until then stays in memory.
//!
//! Beside the limit of each input there is as much once more, for the task, for what was read back: it is kept until its
//! last record is processed, or until a batch begins that finds more than the limit read back; then the oldest of it goes
//! again (its copy in the file is still there). A batch ends when it has read back more than the limit. So the task holds, with
//! n inputs, at most (n + 2) * limit, a chunk for each of them, and what comes of those ahead before they are paused.
//!
//! A scratch file that fails costs no data. Not written: the chunk stays in memory. Not read: the task starts over, because
//! the input log is the buffer; and it does not trust the file any more.

mod packed;
#[cfg(test)]
mod tests;

use crate::log::{Chunk, Fetched};
use crate::record::Rank;
use crate::store::scratch::Scratch;
use packed::Packed;
use std::collections::VecDeque;

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    places: Vec<Place>,
    free: Vec<u32>,
    /// By rank.
    kept: Vec<Kept>,
    /// Bytes of an input in memory, before its next chunk is spilled.
    limit: usize,
    scratch: Scratch,
    /// Places of what was read back, the oldest first, and its bytes.
    back: VecDeque<u32>,
    back_bytes: usize,
    /// Bytes read back for this batch.
    batch_bytes: usize,
    /// A chunk can't be read back.
    lost: bool,
    /// It happened once.
    distrusted: bool,
    /// That it can't be written was said.
    warned: bool,
}

#[derive(Debug, Default)]
struct Place {
    /// Without content while it is away.
    chunk: Chunk,
    rank: Rank,
    /// Records of it that wait.
    live: u32,
    /// Its content is in the file only.
    away: bool,
    /// Of the content.
    bytes: usize,
    /// Its copy in the file.
    packed: Option<Packed>,
}

/// Bytes of an input.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    all: usize,
    away: usize,
}

impl Shelf {
    /// Spills what arrives for an input with more bytes than `limit` in memory.
    pub fn new(limit: usize, scratch: Scratch) -> Shelf {
        Shelf {
            places: vec![],
            free: vec![],
            kept: vec![],
            limit,
            scratch,
            back: VecDeque::new(),
            back_bytes: 0,
            batch_bytes: 0,
            lost: false,
            distrusted: false,
            warned: false,
        }
    }

    /// Takes a chunk of which `live` records wait; returns its place. `ahead`: its input is about to be paused.
    pub fn add(&mut self, rank: Rank, chunk: Chunk, live: u32, ahead: bool) -> u32 {
        if live == 0 {
            return u32::MAX;
        }
        if self.kept.len() <= usize::from(rank) {
            self.kept.resize(usize::from(rank) + 1, Kept::default());
        }
        let bytes = chunk.bytes.len();
        let kept = &mut self.kept[usize::from(rank)];
        let over = kept.all - kept.away > self.limit;
        kept.all += bytes;
        let mut place = Place {
            chunk,
            rank,
            live,
            away: false,
            bytes,
            packed: None,
        };
        if over && !ahead && !self.distrusted {
            self.spill(&mut place);
        }
        match self.free.pop() {
            Some(index) => {
                self.places[index as usize] = place;
                index
            }
            None => {
                self.places.push(place);
                self.places.len() as u32 - 1
            }
        }
    }

    /// The place that the next chunk gets.
    pub fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.places.len() as u32)
    }

    /// A batch begins: none of the records that [`bring`](Shelf::bring) brought for the last one is looked at any more.
    #[inline]
    pub fn begin(&mut self) {
        self.batch_bytes = 0;
        while self.back_bytes > self.limit
            && let Some(oldest) = self.back.pop_front()
        {
            let place = &mut self.places[oldest as usize];
            place.leave();
            self.back_bytes -= place.bytes;
            self.kept[usize::from(place.rank)].away += place.bytes;
        }
    }

    /// Brings a chunk into memory, until the batch ends. False: not for this batch, or it is [`lost`](Shelf::lost).
    #[inline]
    pub fn bring(&mut self, place: u32) -> bool {
        !self.places[place as usize].away || self.read(place)
    }

    /// A record, and the chunk that it is in. The chunk must be in memory: see [`bring`](Shelf::bring).
    #[inline]
    pub fn get(&self, place: u32, record: u32) -> (&Chunk, &Fetched) {
        let chunk = &self.places[place as usize].chunk;
        (chunk, &chunk.records[record as usize])
    }

    /// A record is processed.
    #[inline]
    pub fn done(&mut self, place: u32) {
        let at = &mut self.places[place as usize];
        at.live -= 1;
        if at.live == 0 {
            self.remove(place);
        }
    }

    /// Bytes of an input that are kept, in memory or not.
    pub fn bytes(&self, rank: Rank) -> usize {
        self.kept.get(usize::from(rank)).map_or(0, |kept| kept.all)
    }

    /// Those of them that are in the scratch file only.
    pub fn spilled(&self, rank: Rank) -> usize {
        self.kept.get(usize::from(rank)).map_or(0, |kept| kept.away)
    }

    /// True when a chunk can't be read back: the inputs must be read again.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.free.clear();
        self.kept.clear();
        self.back.clear();
        self.back_bytes = 0;
        self.batch_bytes = 0;
        self.lost = false;
        self.scratch.clear();
    }

    fn remove(&mut self, place: u32) {
        let at = std::mem::take(&mut self.places[place as usize]);
        self.free.push(place);
        let kept = &mut self.kept[usize::from(at.rank)];
        kept.all -= at.bytes;
        let Some(packed) = at.packed else { return };
        self.scratch.free(packed.into_extent());
        if at.away {
            kept.away -= at.bytes;
        } else {
            self.back_bytes -= at.bytes;
            self.back.retain(|back| *back != place);
        }
    }

    #[cold]
    fn spill(&mut self, place: &mut Place) {
        match Packed::write(&mut self.scratch, &place.chunk) {
            Ok(packed) => {
                place.packed = Some(packed);
                place.leave();
                self.kept[usize::from(place.rank)].away += place.bytes;
                self.warned = false;
            }
            Err(why) if !self.warned => {
                self.warned = true;
                let Chunk { topic, partition, .. } = place.chunk;
                tracing::warn!(topic, partition, %why, "records over epoch.buffer_bytes can't be spilled: they stay in memory. Is the disk full (state.dir, else the system's temporary folder)?");
            }
            Err(_) => {}
        }
    }

    #[cold]
    fn read(&mut self, place: u32) -> bool {
        if self.batch_bytes > self.limit || self.lost {
            return false;
        }
        let at = &mut self.places[place as usize];
        let Some(packed) = &at.packed else { return false };
        if let Err(why) = packed.read(&self.scratch, &mut at.chunk) {
            let Chunk { topic, partition, .. } = at.chunk;
            tracing::error!(topic, partition, %why, "spilled records can't be read back: they are read again from the topic, and stay in memory from now on");
            self.lost = true;
            self.distrusted = true;
            return false;
        }
        at.away = false;
        self.kept[usize::from(at.rank)].away -= at.bytes;
        self.back.push_back(place);
        self.back_bytes += at.bytes;
        self.batch_bytes += at.bytes;
        true
    }
}

impl Place {
    /// Its content goes; the copy in the file stays.
    fn leave(&mut self) {
        self.away = true;
        self.chunk = Chunk {
            topic: self.chunk.topic,
            partition: self.chunk.partition,
            ..Chunk::default()
        };
    }
}
