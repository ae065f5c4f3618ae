//! The buffer of a task: records that arrived, by effective time, until the watermark passes them.
//!
//! Rule: records leave in the order (effective time, rank, offset), and only those with effective time < W. Releasing ten at
//! once or one at a time gives the same order: what arrives later has an effective time of at least W.
//!
//! A ring of buckets of 64 ms: 20-30 ns a record, where a heap takes 50-440. What lies further ahead than the ring
//! waits in a sorted map of buckets.

use crate::inbox::Ticket;
use crate::record::{Millis, Offset, Rank, StepKey};
use std::collections::{BTreeMap, VecDeque};

/// Width of a bucket, as a shift: 64 ms.
const BUCKET_SHIFT: u32 = 6;

/// Buckets of the ring: 8192 of 64 ms reach 524 s ahead, and cost 192 KiB empty.
const RING: usize = 8192;

/// A record that waits.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Effective time.
    pub time: Millis,
    /// Its offset.
    pub offset: Offset,
    /// Its place in the inbox.
    pub ticket: Ticket,
    /// Index of its chunk in the task's shelf.
    pub chunk: u32,
    /// Index of the record in the chunk.
    pub record: u32,
    /// Rank of its input.
    pub rank: Rank,
    /// It came behind its partition's watermark.
    pub late: bool,
    /// It can't be read: a dead letter at its place.
    pub unreadable: bool,
}

impl Entry {
    #[inline]
    fn place(&self) -> (Millis, Rank, Offset) {
        (self.time, self.rank, self.offset)
    }

    /// Its step.
    #[inline]
    pub fn step(&self) -> StepKey {
        StepKey::Record {
            time: self.time,
            rank: self.rank,
            offset: self.offset,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Order {
    /// Final and sorted, to be taken from the front.
    ready: VecDeque<Entry>,
    /// Bucket number of the first of the ring.
    base: i64,
    ring: VecDeque<Vec<Entry>>,
    /// Buckets beyond the ring, and all of them while the ring is empty.
    beyond: BTreeMap<i64, Vec<Entry>>,
    /// Emptied buckets, to be filled again.
    spare: Vec<Vec<Entry>>,
    len: usize,
}

impl Order {
    /// A record arrives.
    #[inline]
    pub fn push(&mut self, entry: Entry) {
        self.len += 1;
        let bucket = entry.time >> BUCKET_SHIFT;
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
            self.beyond.entry(bucket).or_default().push(entry);
        }
    }

    /// Sorts what is final at watermark `w` into the ready ones, until there are `want` of them.
    pub fn ready(&mut self, w: Millis, want: usize) -> &VecDeque<Entry> {
        while self.ready.len() < want {
            let Some(bucket) = self.first_bucket() else { break };
            if bucket << BUCKET_SHIFT >= w {
                break;
            }
            let mut entries = self.take_bucket(bucket);
            if ((bucket + 1) << BUCKET_SHIFT) > w {
                // The watermark stands inside of this bucket: the rest stays.
                let (mut fin, rest): (Vec<_>, Vec<_>) = entries.drain(..).partition(|entry| entry.time < w);
                self.put_back(bucket, rest);
                fin.sort_unstable_by_key(Entry::place);
                let none = fin.is_empty();
                self.ready.extend(fin);
                self.spare.push(entries);
                if none {
                    break;
                }
            } else {
                entries.sort_unstable_by_key(Entry::place);
                self.ready.extend(entries.drain(..));
                self.spare.push(entries);
            }
        }
        &self.ready
    }

    /// Takes the first ready one.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.len -= 1;
        Some(entry)
    }

    /// The smallest effective time that waits, by buckets: it may be up to 63 ms too low.
    pub fn earliest(&mut self) -> Option<Millis> {
        if let Some(first) = self.ready.front() {
            return Some(first.time);
        }
        let bucket = self.first_bucket()?;
        Some(bucket << BUCKET_SHIFT)
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
        *self = Order::default();
    }

    /// The number of the first bucket that is not empty. Empty ones in front of it are dropped.
    fn first_bucket(&mut self) -> Option<i64> {
        while self.ring.front().is_some_and(Vec::is_empty) {
            self.spare.extend(self.ring.pop_front());
            self.base += 1;
        }
        let ring = (!self.ring.is_empty()).then_some(self.base);
        let beyond = self.beyond.first_key_value().map(|(bucket, _)| *bucket);
        match (ring, beyond) {
            (Some(ring), Some(beyond)) => Some(ring.min(beyond)),
            (ring, beyond) => ring.or(beyond),
        }
    }

    fn take_bucket(&mut self, bucket: i64) -> Vec<Entry> {
        let mut entries = self.beyond.remove(&bucket).unwrap_or_default();
        if !self.ring.is_empty() && bucket == self.base {
            let mut first = self.ring.pop_front().unwrap_or_default();
            self.base += 1;
            if entries.is_empty() {
                return first;
            }
            // The same bucket was beyond the ring once, and in it later.
            entries.append(&mut first);
            self.spare.push(first);
        }
        entries
    }

    fn put_back(&mut self, bucket: i64, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        if self.ring.is_empty() {
            self.base = bucket;
            self.ring.push_back(entries);
        } else if bucket + 1 == self.base && self.ring.len() < RING {
            self.base = bucket;
            self.ring.push_front(entries);
        } else {
            self.beyond.insert(bucket, entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(time: Millis, rank: Rank, offset: Offset) -> Entry {
        Entry {
            time,
            offset,
            ticket: 0,
            chunk: 0,
            record: 0,
            rank,
            late: false,
            unreadable: false,
        }
    }

    proptest! {
        /// However arrivals and releases interleave, the order is that of one sort.
        #[test]
        fn is_one_sort(steps in prop::collection::vec((0..4_u8, 0..2000_i64, 0..3_u16, 1..5_usize), 0..200), far in 0..3_i64) {
            let mut order = Order::default();
            let (mut pushed, mut popped) = (vec![], vec![]);
            let mut w = NEVER_BUT_SMALL;
            for (offset, (what, time, rank, many)) in steps.into_iter().enumerate() {
                if what < 3 {
                    let time = time * [1, 500, 100_000][far as usize];
                    let entry = entry(time.max(w), rank, offset as Offset);
                    pushed.push(entry.place());
                    order.push(entry);
                } else {
                    w = w.max(time);
                    order.ready(w, many);
                    for _ in 0..many {
                        popped.extend(order.pop().map(|entry| entry.place()));
                    }
                    prop_assert!(popped.iter().all(|place| place.0 < w));
                }
            }
            order.ready(Millis::MAX, usize::MAX);
            popped.extend(std::iter::from_fn(|| order.pop()).map(|entry| entry.place()));
            pushed.sort_unstable();
            prop_assert_eq!(popped, pushed);
            prop_assert!(order.is_empty());
        }
    }

    const NEVER_BUT_SMALL: Millis = -1000;
}
