//! An assigned partition, as its reader knows it.

use super::queue::Queue;
use crate::record::Offset;

/// The state of an assigned partition.
pub(super) struct AssignedPartition {
    pub queue: Queue,
    /// The next offset that may arrive.
    pub next: Offset,
    /// Whether it is paused, that is, not forwarded.
    pub held: bool,
    /// Whether something has arrived since it was assigned. Until then, librdkafka may still stop an earlier
    /// assignment, and that also ends the forwarding.
    pub settled: bool,
    /// The end that it was read to, if nothing has come since.
    pub ended: Option<Offset>,
    /// Whether its position is out of range and the caller was not told yet.
    pub out: bool,
}
