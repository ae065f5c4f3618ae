//! The reorder buffer: it sorts records by effective time until the watermark passes them.
//!
//! Rule: records leave in the order (effective time, rank, offset), and only if their effective time is before the
//! watermark W. It does not matter how many are released at once, because records that arrive later have an effective
//! time of at least W.
//!
//! It is a ring of buckets of 64 ms. That takes 20-30 ns for each record, where a heap takes 50-440. Records that are
//! further ahead than the ring wait in a sorted map of buckets. The bucket that contains W is split once into 64
//! milliseconds. So a record moves at most twice after it was pushed, and a call that releases nothing costs the same
//! however many records wait.

#[cfg(test)]
mod tests;

use super::waiting::Waiting;
use crate::record::Millis;
use std::collections::{BTreeMap, VecDeque};

/// Width of a bucket as a shift: 64 ms.
const BUCKET_SHIFT: u32 = 6;

/// Number of milliseconds in a bucket.
const BUCKET: usize = 1 << BUCKET_SHIFT;

/// Number of buckets in the ring. 8192 of 64 ms reach 524 s ahead, and take 192 KiB when empty.
const RING: usize = 8192;

/// How many empty lists are kept for reuse. With [`KEPT_ENTRIES`] of 40 bytes, that is at most 2.5 MiB.
const SPARE: usize = 64;

/// A list with more capacity than this is freed when it is empty. The lists of the split bucket also keep at most 2.5
/// MiB.
const KEPT_ENTRIES: usize = 1024;

/// An empty ready list with more capacity than this is freed: 16 batches of 512, or 320 KiB.
const KEPT_READY: usize = 8192;

/// A task's waiting records, sorted by effective time.
#[derive(Debug)]
pub struct ReorderBuffer {
    /// Sorted records that are final. They are taken from the front.
    ready: VecDeque<Waiting>,
    /// The bucket that contains the watermark. All buckets before it are empty.
    split: Split,
    /// Number of the ring's first bucket.
    base: i64,
    ring: VecDeque<Vec<Waiting>>,
    /// Buckets outside of the ring: further ahead, or before its first one.
    beyond: BTreeMap<i64, Vec<Waiting>>,
    /// Empty buckets for reuse: see [`SPARE`].
    spare: Vec<Vec<Waiting>>,
    len: usize,
    /// The highest watermark so far. Records must not arrive before it.
    passed: Millis,
    /// How many times an entry was moved after it was pushed.
    #[cfg(test)]
    moves: usize,
}

/// A bucket that is split into milliseconds.
#[derive(Debug, Default)]
struct Split {
    /// Number of the bucket, or `None` before the first split.
    bucket: Option<i64>,
    /// One list for each millisecond. They are made when first used.
    lists: Vec<Vec<Waiting>>,
    /// One bit for each list, set if it is not empty.
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
    /// Adds a record. Its effective time must not be before any watermark that [`ready`](ReorderBuffer::ready) was
    /// called with.
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

    /// Sorts final records (before the watermark `w`) into the ready list until it has `want` of them.
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

    /// Removes the first ready record.
    #[inline]
    pub fn pop(&mut self) -> Option<Waiting> {
        let entry = self.ready.pop_front()?;
        self.len -= 1;
        Some(entry)
    }

    /// The smallest effective time that waits. It is taken from a bucket, so it may be up to 63 ms too low.
    pub fn earliest(&mut self) -> Option<Millis> {
        if let Some(first) = self.ready.front() {
            return Some(first.time);
        }
        self.split
            .first()
            .or_else(|| self.first_bucket().map(|bucket| bucket << BUCKET_SHIFT))
    }

    /// Number of waiting records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops everything, because the task starts over.
    pub fn clear(&mut self) {
        *self = ReorderBuffer::default();
    }

    /// Releases a whole bucket.
    fn release(&mut self, mut entries: Vec<Waiting>) {
        entries.sort_unstable_by_key(Waiting::key);
        self.count_moves(entries.len());
        self.ready.extend(entries.drain(..));
        self.keep(entries);
    }

    /// Releases one millisecond of the split bucket.
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

    /// Splits a bucket because the watermark is inside of it. Its milliseconds are then released one by one.
    fn split(&mut self, bucket: i64, mut entries: Vec<Waiting>) {
        self.split.begin(bucket);
        self.count_moves(entries.len());
        for entry in entries.drain(..) {
            self.split.push(entry);
        }
        self.keep(entries);
    }

    /// Keeps an empty list for reuse, within the limits.
    fn keep(&mut self, list: Vec<Waiting>) {
        if self.spare.len() < SPARE && (1..=KEPT_ENTRIES).contains(&list.capacity()) {
            self.spare.push(list);
        }
    }

    /// The number of the first bucket that is not empty. Drops the empty ones before it.
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
            // The same bucket was first outside of the ring, and later in it.
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
    /// Begins another split bucket. The one before must be empty.
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

    /// The first millisecond that has records.
    #[inline]
    fn first(&self) -> Option<Millis> {
        let bucket = self.bucket?;
        (self.filled != 0).then(|| (bucket << BUCKET_SHIFT) | i64::from(self.filled.trailing_zeros()))
    }

    /// The list of a millisecond, which the caller must empty.
    fn take(&mut self, time: Millis) -> &mut Vec<Waiting> {
        let millisecond = (time & (BUCKET as i64 - 1)) as usize;
        self.filled &= !(1 << millisecond);
        &mut self.lists[millisecond]
    }
}
