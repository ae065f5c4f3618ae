//! Reading partitions.
//!
//! Rule: only committed records arrive, and each partition's in the order of their offsets.

use super::chunk::Chunk;
use crate::error::Result;
use crate::record::{Offset, Partition, TopicIx};
use std::time::Duration;

/// What a reader delivers.
#[derive(Debug)]
pub enum Arrival {
    /// Fetched records.
    Records(Chunk),
    /// A proof that the partition's committed records ended here a moment ago. `offset` is the next fetch position, and
    /// everything below it has been delivered. It comes when the end is reached, and again at about the interval given
    /// to [`Log::reader`](super::Log::reader) while no more records come.
    End {
        topic: TopicIx,
        partition: Partition,
        offset: Offset,
    },
    /// The position is no longer in the log (retention), or not yet (the topic was created again).
    OutOfRange {
        topic: TopicIx,
        partition: Partition,
        start: Offset,
        end: Offset,
    },
}

/// Reads assigned partitions as data arrives. It never joins a group.
pub trait Reader: Send {
    /// Adds a partition, from this offset on. Delivers only committed records.
    fn assign(&mut self, topic: TopicIx, partition: Partition, from: Offset) -> Result<()>;
    /// Removes a partition. Nothing of it arrives afterwards.
    fn unassign(&mut self, topic: TopicIx, partition: Partition) -> Result<()>;
    /// Pauses or resumes a partition. Records that were already fetched may still arrive.
    fn pause(&mut self, topic: TopicIx, partition: Partition, paused: bool) -> Result<()>;
    /// Appends what has arrived. If nothing has, waits at most `wait`.
    fn poll(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()>;
}
