//! Writing transactions.
//!
//! Rule: a transaction is all or nothing. If its outcome is not known, that is said, and nothing else is assumed.

use crate::error::Result;
use crate::record::{Offset, Partition, Span, TopicIx};
use std::ops::Range;
use std::time::Duration;

/// A record to write.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Topic to write to.
    pub topic: TopicIx,
    /// Partition to write to; always explicit.
    pub partition: Partition,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Key, unless it is null.
    pub key: Option<Span>,
    /// Value, unless it is null.
    pub value: Option<Span>,
    /// Range of its headers in the transaction's headers.
    pub headers: Range<u32>,
}

/// Everything that one epoch writes. The producer owns its arena from `submit` until it gives it back.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The arena that the spans point into.
    pub bytes: Vec<u8>,
    /// Records, in the order in which they are written to each partition.
    pub records: Vec<Outgoing>,
    /// Headers, as (name, value).
    pub headers: Vec<(Span, Span)>,
    /// Input positions, which become the group's offsets. An empty list would fence nothing, so only a
    /// [`Log::publisher`](super::Log::publisher) may leave it empty.
    pub offsets: Vec<InputOffset>,
    /// The assignment counter ([`Log::assignment`](super::Log::assignment)) that the epoch began with.
    pub assignment: u64,
}

/// How far an input partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputOffset {
    /// Index of the topic.
    pub topic: TopicIx,
    /// The partition.
    pub partition: Partition,
    /// The offset of the next record to read.
    pub offset: Offset,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log. Contains where it ends, for each topic and partition that it wrote to.
    Committed(Vec<End>),
    /// It is certainly not in the log, for this reason. The producer can go on.
    Aborted(String),
    /// It is not known whether it is in the log, for this reason. [`Producer::renew`], then read the changelog to its end.
    Ambiguous(String),
}

/// Where a transaction ends in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Index of the topic.
    pub topic: TopicIx,
    /// The partition.
    pub partition: Partition,
    /// The offset after its last record there.
    pub offset: Offset,
}

/// A transactional producer: one transaction in flight, committed in the background.
pub trait Producer: Send {
    /// Begins, produces, drains deliveries, passes the gate (member alive, counter unchanged), sends offsets, commits.
    ///
    /// # Panics
    /// If a transaction is in flight.
    fn submit(&mut self, transaction: Transaction);
    /// How the transaction in flight ended, with its arena for reuse. `None` if it has not ended, or if there is none.
    fn outcome(&mut self, wait: Duration) -> Option<(Transaction, Outcome)>;
    /// Replaces the producer by a new one with the same transactional id. Whatever the old one left is finished or aborted, and the
    /// old one is fenced. Blocks. After [`Retry`](crate::error::Failure::Retry), call it again.
    fn renew(&mut self) -> Result<()>;
}
