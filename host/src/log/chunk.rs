//! Fetched records.
//!
//! Rule: they are never copied one by one. Whoever needs a record reads it in its chunk.

use crate::record::{Offset, Partition, Span, TopicIx};
use std::ops::Range;

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
