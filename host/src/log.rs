//! The port to the log: topics, readers, transactional producers, group membership.
//!
//! Two implementations with the same semantics: `kafka` (librdkafka) and `embedded` (in memory, in this process; the demo,
//! most tests and the simulator run on it). A transaction is all or nothing; readers see committed records only; whoever
//! has lost its assignment can't commit.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;

use crate::error::Result;
use crate::record::{Offset, Partition, Span, TopicIx};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The names of the pipeline's topics; a [`TopicIx`] is an index into it. Made once, at start.
pub type Topics = Arc<[String]>;

/// Records of one partition as they were fetched, in offset order, in one arena.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Which topic.
    pub topic: TopicIx,
    /// Which partition of it.
    pub partition: Partition,
    /// In offset order.
    pub records: Vec<Fetched>,
    /// (name, value) of headers.
    pub headers: Vec<(Span, Span)>,
    /// What the spans point into.
    pub bytes: Vec<u8>,
}

/// One fetched record.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp: milliseconds since 1970, -1 when it has none.
    pub timestamp: i64,
    /// True when the broker set the timestamp, at append.
    pub append_time: bool,
    /// None: a null key.
    pub key: Option<Span>,
    /// None: a null value.
    pub value: Option<Span>,
    /// Range of the chunk's headers.
    pub headers: Range<u32>,
}

/// A fetched record, with the chunk that it is in.
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
    /// Its topic.
    #[inline]
    pub fn topic(&self) -> TopicIx {
        self.chunk.topic
    }

    /// Its partition.
    #[inline]
    pub fn partition(&self) -> Partition {
        self.chunk.partition
    }

    /// Its offset.
    #[inline]
    pub fn offset(&self) -> Offset {
        self.fetched.offset
    }

    /// Its timestamp: milliseconds since 1970, -1 when it has none.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.fetched.timestamp
    }

    /// True when the broker set the timestamp, at append.
    #[inline]
    pub fn append_time(&self) -> bool {
        self.fetched.append_time
    }

    /// Its key, if it is not null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.fetched.key.map(|key| key.of(&self.chunk.bytes))
    }

    /// Its value, if it is not null.
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

/// What a reader has to tell.
#[derive(Debug)]
pub enum Arrival {
    /// Records.
    Records(Chunk),
    /// A proof that just now the partition's committed records ended here (the next fetch position): nothing is behind it
    /// that is not fetched yet, once everything below `offset` has arrived. It comes whenever the end is reached, and
    /// again and again, at about the interval that [`Log::reader`] was given, while the end stays reached.
    End {
        topic: TopicIx,
        partition: Partition,
        offset: Offset,
    },
    /// The position is not in the log any more (retention), or not yet (the topic was made anew).
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
    /// Where to.
    pub topic: TopicIx,
    /// Always an explicit partition.
    pub partition: Partition,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// None: a null key.
    pub key: Option<Span>,
    /// None: a null value.
    pub value: Option<Span>,
    /// Range of the transaction's headers.
    pub headers: Range<u32>,
}

/// Everything that one epoch writes. Its arena is not touched until the producer gives it back.
#[derive(Debug, Default)]
pub struct Transaction {
    /// What the spans point into.
    pub bytes: Vec<u8>,
    /// In this order, for each partition.
    pub records: Vec<Outgoing>,
    /// (name, value) of headers.
    pub headers: Vec<(Span, Span)>,
    /// Input positions: the group's offsets. Never empty (an empty list fences nothing), but of a [`Log::publisher`].
    pub offsets: Vec<(TopicIx, Partition, Offset)>,
    /// The assignment counter ([`Log::assignment`]) that the epoch began with.
    pub assignment: u64,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log. For each topic and partition that it wrote to: the offset after its last record.
    Committed(Vec<(TopicIx, Partition, Offset)>),
    /// For certain it is not in the log; the producer can go on. Why.
    Aborted(String),
    /// Nobody knows: [`Producer::renew`], then read the changelog to its end. Why.
    Ambiguous(String),
}

/// A transactional producer: one transaction in flight, committed in the background.
pub trait Producer: Send {
    /// Begins, produces, drains deliveries, passes the gate (member alive, counter unchanged), sends offsets, commits.
    ///
    /// # Panics
    /// When one is in flight.
    fn submit(&mut self, transaction: Transaction);
    /// How the one in flight ended, with its arena to be used again; none: not yet, or there is none.
    fn outcome(&mut self, wait: Duration) -> Option<(Transaction, Outcome)>;
    /// A new producer with the same transactional id: whatever the old one left is finished or aborted, and the old one
    /// fenced. Blocks; [`Retry`](crate::error::Failure::Retry) may be called again.
    fn renew(&mut self) -> Result<()>;
}

/// Reads assigned partitions, as data comes. It never joins a group.
pub trait Reader: Send {
    /// Adds a partition, from this offset on. Sees committed records only.
    fn assign(&mut self, topic: TopicIx, partition: Partition, from: Offset) -> Result<()>;
    /// Takes a partition away. Nothing of it arrives afterwards.
    fn unassign(&mut self, topic: TopicIx, partition: Partition) -> Result<()>;
    /// Holds a partition back, or lets it go on. What was fetched already may still arrive.
    fn pause(&mut self, topic: TopicIx, partition: Partition, paused: bool) -> Result<()>;
    /// Appends what has arrived; waits at most so long when nothing has.
    fn poll(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()>;
}

/// A change of this member's partitions of the lead topic (the input of rank 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// These are ours from now on.
    Assigned(Vec<Partition>),
    /// Finish with these, then call [`Group::released`].
    Revoked(Vec<Partition>),
    /// These are somebody else's already: drop them without a commit, then call [`Group::released`].
    Lost(Vec<Partition>),
}

/// Membership in the consumer group. The assignment counter is raised before anything else, whenever it changes.
pub trait Group: Send {
    /// The next change, or none within `wait`.
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>>;
    /// The revoked or lost partitions are closed: others may have them.
    fn released(&mut self, partitions: &[Partition]) -> Result<()>;
    /// Leaves the group.
    fn leave(&mut self);
}

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Number of partitions.
    pub partitions: i32,
    /// The topic's own id: another one means that it was deleted and made anew.
    pub id: String,
    /// Its settings, as far as they are known (`cleanup.policy`, `retention.ms`, ...).
    pub config: Vec<(String, String)>,
}

/// A cluster, seen by one instance of one pipeline.
pub trait Log: Send + Sync {
    /// Id of the cluster.
    fn cluster(&self) -> Result<String>;
    /// None: there is no such topic.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>>;
    /// Makes a topic. Ok when it is there already.
    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()>;
    /// First offset and high watermark (uncommitted records included).
    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)>;
    /// The group's committed offsets, once no open transaction holds others back. None: never committed.
    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>>;
    /// Removes all records before an offset.
    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()>;
    /// A reader of committed records. `proofs`: how often the end of a partition is proved anew ([`Arrival::End`]).
    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>>;
    /// A producer; what an older one with this id left open is aborted first (`init_transactions`).
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// A producer without a member behind it: its transactions pass no gate and carry no offsets. For the control topic, where
    /// the order of the records decides, and not who wrote them.
    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// Joins the pipeline's group, once.
    fn join(&self) -> Result<Box<dyn Group>>;
    /// The assignment counter: raised at each change of assignment, before the change is told.
    fn assignment(&self) -> u64;
}
