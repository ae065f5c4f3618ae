//! The handle of a record that has arrived and is not processed.
//!
//! Rule: this is all that a task keeps for such a record. [`Arrivals`](super::Arrivals) knows everything else.

use super::inbox::Ticket;
use super::shelf::ChunkSlot;
use crate::record::{Millis, Offset, Rank, StepKey};

/// A record that waits to be processed. It takes 40 bytes and may be copied. It is valid until the record is taken.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its effective time.
    pub(super) time: Millis,
    pub(super) offset: Offset,
    /// Its number in its inbox.
    pub(super) ticket: Ticket,
    /// Its chunk on the shelf.
    pub(super) slot: ChunkSlot,
    /// Its index in the chunk.
    pub(super) index: u32,
    pub(super) rank: Rank,
    pub(super) late: bool,
    pub(super) unreadable: bool,
}

impl Waiting {
    /// The effective time of the record.
    #[inline]
    pub fn time(&self) -> Millis {
        self.time
    }

    /// The rank of its input.
    #[inline]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The offset in its input partition.
    #[inline]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Whether it was late when it arrived.
    #[inline]
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Whether its event time could not be read, or was refused. Such a record becomes a dead letter at its place in
    /// the order.
    #[inline]
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The step that processes it.
    #[inline]
    pub fn step(&self) -> StepKey {
        let (time, rank, offset) = self.key();
        StepKey::Record { time, rank, offset }
    }

    /// The key that records are sorted by.
    #[inline]
    pub(super) fn key(&self) -> (Millis, Rank, Offset) {
        (self.time, self.rank, self.offset)
    }
}
