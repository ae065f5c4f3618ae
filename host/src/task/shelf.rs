//! Where fetched chunks stand until all of their records are processed.
//!
//! Rule: a chunk is kept exactly as long as a record of it waits; the bytes kept are counted by input.

use crate::log::{Chunk, Fetched};
use crate::record::Rank;

/// See the module.
#[derive(Debug, Default)]
pub struct Shelf {
    places: Vec<Place>,
    free: Vec<u32>,
    bytes: Vec<usize>,
}

#[derive(Debug, Default)]
struct Place {
    chunk: Chunk,
    rank: Rank,
    /// Records of it that wait.
    live: u32,
}

impl Shelf {
    /// Takes a chunk of which `live` records wait; returns its place.
    pub fn add(&mut self, rank: Rank, chunk: Chunk, live: u32) -> u32 {
        if live == 0 {
            return u32::MAX;
        }
        if self.bytes.len() <= usize::from(rank) {
            self.bytes.resize(usize::from(rank) + 1, 0);
        }
        self.bytes[usize::from(rank)] += chunk.bytes.len();
        let place = Place { chunk, rank, live };
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

    /// A record, and the chunk that it is in.
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
            self.bytes[usize::from(at.rank)] -= at.chunk.bytes.len();
            at.chunk = Chunk::default();
            self.free.push(place);
        }
    }

    /// Bytes of an input that are kept.
    pub fn bytes(&self, rank: Rank) -> usize {
        self.bytes.get(usize::from(rank)).copied().unwrap_or(0)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Shelf::default();
    }
}
