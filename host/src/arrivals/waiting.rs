//! The handle of a record that has arrived and is not processed yet.
//!
//! Rule: it is all that a task keeps of such a record. Everything else is asked of [`Arrivals`](super::Arrivals).

use super::inbox::Ticket;
use super::shelf::Slot;
use crate::record::{Millis, Offset, Rank, StepKey};

/// A record that waits to be processed. 40 bytes; copied freely, and only good until the record is taken.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Effective time.
    pub(super) time: Millis,
    pub(super) offset: Offset,
    /// Where its inbox counts it.
    pub(super) ticket: Ticket,
    /// Where the shelf keeps its chunk.
    pub(super) slot: Slot,
    /// Index of the record in the chunk.
    pub(super) index: u32,
    pub(super) rank: Rank,
    pub(super) late: bool,
    pub(super) unreadable: bool,
}

impl Waiting {
    /// Its effective time.
    #[inline]
    pub fn time(&self) -> Millis {
        self.time
    }

    /// The rank of its input.
    #[inline]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Its offset in its input partition.
    #[inline]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// True when it was behind its partition's watermark as it arrived.
    #[inline]
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// True when its event time could not be read, or was refused: it becomes a dead letter at its place in the order.
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

    /// What records are ordered by.
    #[inline]
    pub(super) fn key(&self) -> (Millis, Rank, Offset) {
        (self.time, self.rank, self.offset)
    }
}
