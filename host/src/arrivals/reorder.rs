//! Records that have arrived, in order of effective time, until the watermark passes them.
//!
//! Rule: records leave in the order (effective time, rank, offset), and only those with effective time < W. Releasing ten at
//! once or one at a time gives the same order: what arrives later has an effective time of at least W.
//!
//! A ring of buckets of 64 ms: 20-30 ns a record, where a heap takes 50-440. Records further ahead than the ring wait in a
//! sorted map of buckets. The bucket that W stands in is split once into its 64 milliseconds. So a record moves at most twice
//! after it was pushed, and a call in which nothing becomes final costs the same however many records wait.

#[cfg(test)]
mod tests;

use super::waiting::Waiting;
use crate::record::Millis;
use std::collections::{BTreeMap, VecDeque};

/// Width of a bucket, as a shift: 64 ms.
const BUCKET_SHIFT: u32 = 6;

/// Milliseconds of a bucket.
const BUCKET: usize = 1 << BUCKET_SHIFT;

/// Buckets of the ring: 8192 of 64 ms reach 524 s ahead, and cost 192 KiB empty.
const RING: usize = 8192;

/// Emptied lists that are kept for reuse. With [`KEPT_ENTRIES`] of 40 bytes each: 2.5 MiB at most.
const SPARE: usize = 64;

/// A list with more room than this is freed once it is empty. The lists of the split bucket keep 2.5 MiB too, at most.
const KEPT_ENTRIES: usize = 1024;

/// The ready list gives its room back above this, once it is empty: 16 batches of 512, or 320 KiB.
const KEPT_READY: usize = 8192;

/// The records of a task that wait, by effective time.
#[derive(Debug)]
pub struct ReorderBuffer {
    /// Final and sorted, to be taken from the front.
    ready: VecDeque<Waiting>,
    /// The bucket that the watermark stands in. No bucket before it holds anything.
    split: Split,
    /// Bucket number of the first of the ring.
    base: i64,
    ring: VecDeque<Vec<Waiting>>,
    /// Buckets that are not in the ring: further ahead than it reaches, or before its first.
    beyond: BTreeMap<i64, Vec<Waiting>>,
    /// Emptied buckets, to be filled again: see [`SPARE`].
    spare: Vec<Vec<Waiting>>,
    len: usize,
    /// The highest watermark so far: what arrives is not before it.
    passed: Millis,
    /// How often an entry was moved after it was pushed.
    #[cfg(test)]
    moves: usize,
}

/// A bucket, millisecond by millisecond.
#[derive(Debug, Default)]
struct Split {
    /// Number of the bucket; nothing is split before the first.
    bucket: Option<i64>,
    /// One list a millisecond, made at the first use.
    lists: Vec<Vec<Waiting>>,
    /// A bit for each list that is not empty.
    filled: u64,
}

impl Default for ReorderBuffer {
    fn default() -> Self {
        ReorderBuffer {
            ready: VecDeque::new(),
            split: Split::default(),
            base: 0,
            ring: VecDeque::new(),
            beyond: BTreeMap::new(),
            spare: vec![],
            len: 0,
            passed: Millis::MIN,
            #[cfg(test)]
            moves: 0,
        }
    }
}

impl ReorderBuffer {
    /// A record arrives. Its effective time is not before any watermark that [`ready`](ReorderBuffer::ready) was called with.
    #[inline]
    pub fn push(&mut self, entry: Waiting) {
        assert!(
            entry.time >= self.passed,
            "a record of {} arrived after the watermark {}",
            entry.time,
            self.passed
        );
        self.len += 1;
        let bucket = entry.time >> BUCKET_SHIFT;
        if self.split.bucket == Some(bucket) {
            return self.split.push(entry);
        }
        if self.ring.is_empty() {
            self.base = bucket;
        }
        let index = bucket.wrapping_sub(self.base);
        if bucket >= self.base && index < RING as i64 {
            let index = index as usize;
            while self.ring.len() <= index {
                self.ring.push_back(self.spare.pop().unwrap_or_default());
            }
            self.ring[index].push(entry);
        } else {
            self.beyond
                .entry(bucket)
                .or_insert_with(|| self.spare.pop().unwrap_or_default())
                .push(entry);
        }
    }

    /// Sorts what is final at watermark `w` into the ready ones, until there are `want` of them.
    pub fn ready(&mut self, w: Millis, want: usize) -> &VecDeque<Waiting> {
        self.passed = self.passed.max(w);
        if self.ready.is_empty() && self.ready.capacity() > KEPT_READY {
            self.ready = VecDeque::new();
        }
        while self.ready.len() < want {
            if let Some(time) = self.split.first() {
                if time >= w {
                    break;
                }
                self.release_millisecond(time);
                continue;
            }
            let Some(bucket) = self.first_bucket() else { break };
            let (start, last) = (bucket << BUCKET_SHIFT, bucket << BUCKET_SHIFT | (BUCKET as i64 - 1));
            if start >= w {
                break;
            }
            let entries = self.take_bucket(bucket);
            if last < w {
                self.release(entries);
            } else {
                self.split(bucket, entries);
            }
        }
        &self.ready
    }

    /// Takes the first ready one.
    #[inline]
    pub fn pop(&mut self) -> Option<Waiting> {
        let entry = self.ready.pop_front()?;
        self.len -= 1;
        Some(entry)
    }

    /// The smallest effective time that waits, by buckets: it may be up to 63 ms too low.
    pub fn earliest(&mut self) -> Option<Millis> {
        if let Some(first) = self.ready.front() {
            return Some(first.time);
        }
        self.split
            .first()
            .or_else(|| self.first_bucket().map(|bucket| bucket << BUCKET_SHIFT))
    }

    /// Number of records that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops everything: the task starts over.
    pub fn clear(&mut self) {
        *self = ReorderBuffer::default();
    }

    /// All of a bucket is final.
    fn release(&mut self, mut entries: Vec<Waiting>) {
        entries.sort_unstable_by_key(Waiting::key);
        self.count_moves(entries.len());
        self.ready.extend(entries.drain(..));
        self.keep(entries);
    }

    /// One millisecond of the split bucket is final.
    fn release_millisecond(&mut self, time: Millis) {
        let list = self.split.take(time);
        let moved = list.len();
        list.sort_unstable_by_key(|entry| (entry.rank, entry.offset));
        self.ready.extend(list.drain(..));
        if list.capacity() > KEPT_ENTRIES {
            *list = Vec::new();
        }
        self.count_moves(moved);
    }

    /// The watermark stands inside this bucket: from now on its milliseconds are released one by one.
    fn split(&mut self, bucket: i64, mut entries: Vec<Waiting>) {
        self.split.begin(bucket);
        self.count_moves(entries.len());
        for entry in entries.drain(..) {
            self.split.push(entry);
        }
        self.keep(entries);
    }

    /// Keeps an emptied list for its memory, within the bounds.
    fn keep(&mut self, list: Vec<Waiting>) {
        if self.spare.len() < SPARE && (1..=KEPT_ENTRIES).contains(&list.capacity()) {
            self.spare.push(list);
        }
    }

    /// The number of the first bucket that is not empty. Empty ones in front of it are dropped.
    fn first_bucket(&mut self) -> Option<i64> {
        while self.ring.front().is_some_and(Vec::is_empty) {
            if let Some(empty) = self.ring.pop_front() {
                self.keep(empty);
            }
            self.base += 1;
        }
        let ring = (!self.ring.is_empty()).then_some(self.base);
        let beyond = self.beyond.first_key_value().map(|(bucket, _)| *bucket);
        match (ring, beyond) {
            (Some(ring), Some(beyond)) => Some(ring.min(beyond)),
            (ring, beyond) => ring.or(beyond),
        }
    }

    fn take_bucket(&mut self, bucket: i64) -> Vec<Waiting> {
        let mut entries = self.beyond.remove(&bucket).unwrap_or_default();
        if !self.ring.is_empty() && bucket == self.base {
            let mut first = self.ring.pop_front().unwrap_or_default();
            self.base += 1;
            if entries.is_empty() {
                return first;
            }
            // The same bucket was beyond the ring once, and in it later.
            entries.append(&mut first);
            self.keep(first);
        }
        entries
    }

    #[inline]
    fn count_moves(&mut self, _moved: usize) {
        #[cfg(test)]
        {
            self.moves += _moved;
        }
    }
}

impl Split {
    /// Another bucket is split; the one before is empty.
    fn begin(&mut self, bucket: i64) {
        assert!(
            self.filled == 0,
            "a bucket was split while another one was not released"
        );
        self.bucket = Some(bucket);
        self.lists.resize_with(BUCKET, Vec::new);
    }

    fn push(&mut self, entry: Waiting) {
        let millisecond = (entry.time & (BUCKET as i64 - 1)) as usize;
        self.filled |= 1 << millisecond;
        self.lists[millisecond].push(entry);
    }

    /// The first millisecond that holds records.
    #[inline]
    fn first(&self) -> Option<Millis> {
        let bucket = self.bucket?;
        (self.filled != 0).then(|| (bucket << BUCKET_SHIFT) | i64::from(self.filled.trailing_zeros()))
    }

    /// The list of a millisecond, to be emptied.
    fn take(&mut self, time: Millis) -> &mut Vec<Waiting> {
        let millisecond = (time & (BUCKET as i64 - 1)) as usize;
        self.filled &= !(1 << millisecond);
        &mut self.lists[millisecond]
    }
}
