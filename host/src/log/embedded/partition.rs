//! One partition: records in segments, offsets, and what a read-committed reader may see.
//!
//! Rule: an offset is used once, for a record or for the marker that ends a transaction. The last stable offset is the
//! first offset of the oldest open transaction, or else the high watermark. A committed reader sees nothing from there
//! on. Below it, it sees all records that were not aborted, in offset order.

use crate::log::{Chunk, Fetched};
use crate::record::{Offset, Span};
use std::collections::VecDeque;
use std::ops::Range;

/// Size of a segment, in bytes of records. Positions in it fit into u32.
const SEGMENT: usize = 1 << 20;

/// Length that means a null key or value.
const NULL: u32 = u32::MAX;

/// Index of a transactional producer in the cluster.
pub(super) type ProducerNo = u32;

/// A record to append.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// The key, or `None` if it is null.
    pub key: Option<&'a [u8]>,
    /// The value, or `None` if it is null.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970. Topics with append time ignore it.
    pub timestamp: i64,
    /// Headers, as (name, value). Names are UTF-8.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

impl NewRecord<'_> {
    /// Its size as a broker would count it, give or take a few bytes.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

#[derive(Debug, Default)]
struct Segment {
    /// The records without gaps between them: key, value, name and value of each header.
    bytes: Vec<u8>,
    entries: Vec<IndexEntry>,
    /// Lengths of the name and value of each header.
    headers: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct IndexEntry {
    offset: Offset,
    timestamp: i64,
    /// Position of its first byte in the segment.
    at: u32,
    /// Length of the key, or `NULL`.
    key: u32,
    /// Length of the value, or `NULL`.
    value: u32,
    /// Index of its first header in the segment.
    headers: u32,
    /// The producer, if it was written in a transaction.
    producer: Option<ProducerNo>,
    aborted: bool,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TxnEnding {
    /// Readers see its records.
    Commit,
    /// Nobody sees its records.
    Abort,
}

/// What a reader sees of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Only what is committed, up to the first open transaction.
    Committed,
    /// Also what is open or aborted.
    Uncommitted,
}

/// How much one fetch brings.
#[derive(Clone, Copy)]
pub(super) struct FetchSize {
    /// Most records.
    pub records: usize,
    /// About this many bytes, but at least one record.
    pub bytes: usize,
}

impl FetchSize {
    /// Everything. Positions in a chunk are u32.
    pub const ALL: FetchSize = FetchSize {
        records: usize::MAX,
        bytes: u32::MAX as usize,
    };
}

/// The log of one partition.
#[derive(Debug, Default)]
pub(super) struct PartitionLog {
    /// First offset that is still in the log.
    start: Offset,
    /// High watermark.
    end: Offset,
    segments: VecDeque<Segment>,
    /// Open transactions, with the offset of their first record here. At most one for each producer.
    open: Vec<(ProducerNo, Offset)>,
}

impl PartitionLog {
    /// First offset that is still in the log, and the high watermark.
    pub fn bounds(&self) -> Range<Offset> {
        self.start..self.end
    }

    /// Last stable offset: where a committed reader must stop.
    pub fn stable(&self) -> Offset {
        let open = self.open.iter().map(|(_, first)| *first).min().unwrap_or(self.end);
        open.max(self.start)
    }

    /// Bytes of all records in the log.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes.len()).sum()
    }

    /// Appends a record, in its producer's transaction if there is one.
    pub fn append(&mut self, record: NewRecord<'_>, producer: Option<ProducerNo>) -> Offset {
        let offset = self.end;
        let size = record.size();
        if self
            .segments
            .back()
            .is_none_or(|last| last.bytes.len() + size > SEGMENT && !last.entries.is_empty())
        {
            self.segments.push_back(Segment::default());
        }
        if let Some(producer) = producer
            && !self.open.iter().any(|(open, _)| *open == producer)
        {
            self.open.push((producer, offset));
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.entries.push(IndexEntry {
                offset,
                timestamp: record.timestamp,
                at: segment.bytes.len() as u32,
                key: record.key.map_or(NULL, |key| key.len() as u32),
                value: record.value.map_or(NULL, |value| value.len() as u32),
                headers: segment.headers.len() as u32,
                producer,
                aborted: false,
            });
            segment.bytes.extend_from_slice(record.key.unwrap_or_default());
            segment.bytes.extend_from_slice(record.value.unwrap_or_default());
            for (name, value) in record.headers {
                segment.headers.push((name.len() as u32, value.len() as u32));
                segment.bytes.extend_from_slice(name);
                segment.bytes.extend_from_slice(value);
            }
        }
        self.end = self.end.next();
        offset
    }

    /// Writes the marker that ends the producer's open transaction, if it has one here.
    pub fn end_transaction(&mut self, producer: ProducerNo, ending: TxnEnding) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == producer) else {
            return;
        };
        let (_, first) = self.open.swap_remove(at);
        if ending == TxnEnding::Abort {
            let segment = self.segment_of(first);
            for segment in self.segments.iter_mut().skip(segment) {
                let from = segment.entries.partition_point(|entry| entry.offset < first);
                for entry in &mut segment.entries[from..] {
                    entry.aborted |= entry.producer == Some(producer);
                }
            }
        }
        self.end = self.end.next();
    }

    /// Removes all records before an offset.
    pub fn truncate(&mut self, before: Offset) {
        debug_assert!(before <= self.end, "the log ends at {}", self.end);
        self.start = self.start.max(before);
        while self
            .segments
            .front()
            .is_some_and(|first| first.entries.last().is_none_or(|last| last.offset < self.start))
        {
            self.segments.pop_front();
        }
    }

    /// Removes the oldest segments while more than `bytes` are left. Unstable records stay.
    pub fn retain(&mut self, bytes: usize) {
        let mut size = self.size();
        while self.segments.len() > 1 {
            let first = self.segments[0].bytes.len();
            let next = self.segments[1].entries.first().map_or(self.end, |entry| entry.offset);
            if size - first < bytes || next > self.stable() {
                return;
            }
            size -= first;
            self.segments.pop_front();
            self.start = self.start.max(next);
        }
    }

    /// Appends records to a chunk, from an offset on. Returns where to go on.
    pub fn fetch(&self, from: Offset, size: FetchSize, isolation: Isolation, chunk: &mut Chunk) -> Offset {
        let FetchSize { records, bytes } = size;
        let dirty = isolation == Isolation::Uncommitted;
        let end = if dirty { self.end } else { self.stable() };
        let (had, full) = (chunk.records.len(), chunk.bytes.len() + bytes);
        let mut position = from.max(self.start);
        for segment in self.segments.iter().skip(self.segment_of(position)) {
            let mut next = segment.entries.partition_point(|entry| entry.offset < position);
            while next < segment.entries.len() && segment.entries[next].offset < end {
                if segment.entries[next].aborted && !dirty {
                    next += 1;
                    continue;
                }
                // Consecutive records are copied in one go.
                let run = next;
                let mut taken = chunk.bytes.len();
                while let Some(entry) = segment.entries.get(next)
                    && entry.offset < end
                    && (dirty || !entry.aborted)
                    && chunk.records.len() - had + (next - run) < records
                    && (taken < full || (run == next && chunk.records.len() == had))
                {
                    next += 1;
                    taken += segment.end_of(next - 1) - entry.at as usize;
                }
                if run == next {
                    return position;
                }
                segment.copy(run, next, chunk);
                position = segment.entries[next - 1].offset.next();
            }
        }
        position.max(end)
    }

    /// Index of the first segment that may contain the offset.
    fn segment_of(&self, offset: Offset) -> usize {
        self.segments
            .partition_point(|segment| segment.entries.last().is_some_and(|last| last.offset < offset))
    }
}

impl Segment {
    /// The end of an entry's bytes.
    fn end_of(&self, entry: usize) -> usize {
        self.entries
            .get(entry + 1)
            .map_or(self.bytes.len(), |next| next.at as usize)
    }

    /// Appends the entries `from..to` to a chunk.
    fn copy(&self, from: usize, to: usize, chunk: &mut Chunk) {
        let first = self.entries[from].at as usize;
        let base = chunk.bytes.len();
        chunk.bytes.extend_from_slice(&self.bytes[first..self.end_of(to - 1)]);
        chunk.records.reserve(to - from);
        for index in from..to {
            let entry = &self.entries[index];
            let mut at = (base + entry.at as usize - first) as u32;
            let mut piece = |len: u32| {
                let span = Span { start: at, len };
                at += len;
                span
            };
            let key = (entry.key != NULL).then(|| piece(entry.key));
            let value = (entry.value != NULL).then(|| piece(entry.value));
            let headers_end = self
                .entries
                .get(index + 1)
                .map_or(self.headers.len(), |next| next.headers as usize);
            let headers = chunk.headers.len() as u32;
            for (name, value) in &self.headers[entry.headers as usize..headers_end] {
                chunk.headers.push((piece(*name), piece(*value)));
            }
            chunk.records.push(Fetched {
                offset: entry.offset,
                timestamp: entry.timestamp,
                append_time: false,
                key,
                value,
                headers: headers..chunk.headers.len() as u32,
            });
        }
    }
}
