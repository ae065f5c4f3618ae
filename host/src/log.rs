//! The port to the log: topics, readers, transactional producers, group membership.
//!
//! Two implementations have the same semantics: `kafka` (librdkafka), and `embedded` (in the memory of this process),
//! on which the demo, most tests and the simulator run. A transaction is all or nothing. Readers see only committed
//! records. A member that has lost its assignment can't commit.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;

use crate::error::Result;
use crate::record::{Offset, Partition, Span, TopicIx};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Names of the pipeline's topics, fixed at the start. A [`TopicIx`] is an index into it.
pub type Topics = Arc<[String]>;

/// Fetched records of one partition, in offset order, in one arena.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Topic.
    pub topic: TopicIx,
    /// Partition of the topic.
    pub partition: Partition,
    /// Records, in offset order.
    pub records: Vec<Fetched>,
    /// Headers, as (name, value).
    pub headers: Vec<(Span, Span)>,
    /// The arena that the spans point into.
    pub bytes: Vec<u8>,
}

/// One fetched record.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its offset.
    pub offset: Offset,
    /// Timestamp in milliseconds since 1970, or -1 if the record has none.
    pub timestamp: i64,
    /// Whether the broker set the timestamp, at append.
    pub append_time: bool,
    /// Key, unless it is null.
    pub key: Option<Span>,
    /// Value, unless it is null.
    pub value: Option<Span>,
    /// Range of its headers in the chunk's headers.
    pub headers: Range<u32>,
}

/// A fetched record together with its chunk.
#[derive(Clone, Copy, Debug)]
pub struct InputRecord<'a> {
    chunk: &'a Chunk,
    fetched: &'a Fetched,
}

impl Chunk {
    /// The record at this index of `records`.
    #[inline]
    pub fn record(&self, index: usize) -> InputRecord<'_> {
        InputRecord {
            chunk: self,
            fetched: &self.records[index],
        }
    }
}

impl<'a> InputRecord<'a> {
    /// The topic that it is from.
    #[inline]
    pub fn topic(&self) -> TopicIx {
        self.chunk.topic
    }

    /// The partition that it is from.
    #[inline]
    pub fn partition(&self) -> Partition {
        self.chunk.partition
    }

    /// The offset in its partition.
    #[inline]
    pub fn offset(&self) -> Offset {
        self.fetched.offset
    }

    /// The timestamp in milliseconds since 1970, or -1 if it has none.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.fetched.timestamp
    }

    /// Whether the broker set the timestamp, at append.
    #[inline]
    pub fn append_time(&self) -> bool {
        self.fetched.append_time
    }

    /// The key, unless it is null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.fetched.key.map(|key| key.of(&self.chunk.bytes))
    }

    /// The value, unless it is null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.fetched.value.map(|value| value.of(&self.chunk.bytes))
    }

    /// Names and values of its headers, in order.
    #[inline]
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let InputRecord { chunk, fetched } = *self;
        let range = fetched.headers.start as usize..fetched.headers.end as usize;
        let header = move |(name, value): &(Span, Span)| (name.of(&chunk.bytes), value.of(&chunk.bytes));
        chunk.headers[range].iter().map(header)
    }
}

/// What a reader delivers.
#[derive(Debug)]
pub enum Arrival {
    /// Fetched records.
    Records(Chunk),
    /// A proof that the partition's committed records ended here a moment ago. `offset` is the next fetch position, and
    /// everything below it has been delivered. It comes when the end is reached, and again at about the interval given
    /// to [`Log::reader`] while no more records come.
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
    /// [`Log::publisher`] may leave it empty.
    pub offsets: Vec<(TopicIx, Partition, Offset)>,
    /// The assignment counter ([`Log::assignment`]) that the epoch began with.
    pub assignment: u64,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log. Contains the offset after its last record, for each topic and partition that it wrote to.
    Committed(Vec<(TopicIx, Partition, Offset)>),
    /// It is certainly not in the log, for this reason. The producer can go on.
    Aborted(String),
    /// It is not known whether it is in the log, for this reason. [`Producer::renew`], then read the changelog to its end.
    Ambiguous(String),
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

/// A change of this member's partitions of the lead topic (the input of rank 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// These partitions are ours from now on.
    Assigned(Vec<Partition>),
    /// Finish with these partitions, then call [`Group::released`].
    Revoked(Vec<Partition>),
    /// These partitions already belong to another member. Drop them without a commit, then call [`Group::released`].
    Lost(Vec<Partition>),
}

/// Membership in the consumer group. When the assignment changes, the assignment counter is raised before anything else.
pub trait Group: Send {
    /// The next change, or none within `wait`.
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>>;
    /// The revoked or lost partitions are closed, and other members may have them.
    fn released(&mut self, partitions: &[Partition]) -> Result<()>;
    /// Leaves the group.
    fn leave(&mut self);
}

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Number of partitions.
    pub partitions: i32,
    /// Id of the topic. A different one means that the topic was deleted and created again.
    pub id: String,
    /// Its settings, as far as they are known (`cleanup.policy`, `retention.ms`, ...).
    pub config: Vec<(String, String)>,
}

/// A cluster, seen by one instance of one pipeline.
pub trait Log: Send + Sync {
    /// Id of the cluster.
    fn cluster(&self) -> Result<String>;
    /// Information about a topic, if it exists.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>>;
    /// Creates a topic. Succeeds if it already exists.
    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()>;
    /// First offset and high watermark (uncommitted records included).
    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)>;
    /// The group's committed offsets, once no open transaction holds any back. `None` for an input that was never committed.
    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>>;
    /// Removes all records before an offset.
    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()>;
    /// A reader of committed records. `proofs` is how often the end of a partition is proved again ([`Arrival::End`]).
    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>>;
    /// A producer. What an older producer with this id left open is aborted first (`init_transactions`).
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// A producer without a group member. Its transactions pass no gate and carry no offsets. It is for the control topic, where the
    /// order of the records decides, not who wrote them.
    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// Joins the pipeline's group, once.
    fn join(&self) -> Result<Box<dyn Group>>;
    /// The assignment counter, which is raised at each change of assignment before anyone hears of the change.
    fn assignment(&self) -> u64;
}
