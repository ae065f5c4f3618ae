//! The types that every module uses: times, positions, and the total order of steps.
//!
//! Rule: a task takes its steps in the order of their [`StepKey`], and nothing else decides that order.

use super::address::{Offset, Rank};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Event time: milliseconds since 1970.
pub type Millis = i64;

/// Earlier than every time: the watermark of a partition without records.
pub const NEVER: Millis = i64::MIN;

/// An expiry that never comes.
pub const FOREVER: Millis = i64::MAX;

/// Number of a deploy. The first one is 1.
pub type Number = u64;

/// A version of the rules: SHA-256 over component and settings.
pub type VersionId = [u8; 32];

/// One assignment of a partition to this process, from when it is assigned until it is closed. Later stays are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stay(pub u64);

/// One entry of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreEntry<'a> {
    /// The id of the schema that the value was written with.
    pub schema: u16,
    /// The entry is visible while now < expires.
    pub expires: Millis,
    /// An Avro datum.
    pub value: &'a [u8],
}

/// A range of bytes in an arena. The interface to the rules defines it.
pub use crate::wit::Span;

impl Span {
    /// The bytes in this range.
    ///
    /// # Panics
    /// If it is outside of `bytes`. Spans of our own arenas never are, and spans from a guest are checked before.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }

    /// Appends bytes to an arena.
    #[inline]
    pub fn append(arena: &mut Vec<u8>, bytes: &[u8]) -> Span {
        let start = arena.len() as u32;
        arena.extend_from_slice(bytes);
        Span {
            start,
            len: bytes.len() as u32,
        }
    }
}

/// A step's place in its task's total order.
///
/// Records are ordered by (effective time, rank, offset) and timers by (due time, key, kind, tag). At the same time,
/// timers come after records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepKey {
    /// Before every step.
    Start,
    /// A record.
    Record {
        /// The effective time of the record.
        time: Millis,
        /// The rank of its input.
        rank: Rank,
        /// Its offset.
        offset: Offset,
    },
    /// A timer.
    Timer {
        /// The time when it is due.
        time: Millis,
        /// The key that it was set for.
        key: Box<[u8]>,
        /// The permanent id of its kind.
        kind: u16,
        /// The tag that it was set with.
        tag: Box<[u8]>,
    },
}

impl StepKey {
    /// The time of the step.
    pub fn time(&self) -> Millis {
        match self {
            StepKey::Start => NEVER,
            StepKey::Record { time, .. } | StepKey::Timer { time, .. } => *time,
        }
    }
}

impl Ord for StepKey {
    fn cmp(&self, other: &Self) -> Ordering {
        use StepKey::*;
        match (self, other) {
            (Start, Start) => Ordering::Equal,
            (Start, _) => Ordering::Less,
            (_, Start) => Ordering::Greater,
            (
                Record { time, rank, offset },
                Record {
                    time: other_time,
                    rank: other_rank,
                    offset: other_offset,
                },
            ) => (time, rank, offset).cmp(&(other_time, other_rank, other_offset)),
            (
                Timer { time, key, kind, tag },
                Timer {
                    time: other_time,
                    key: other_key,
                    kind: other_kind,
                    tag: other_tag,
                },
            ) => (time, key, kind, tag).cmp(&(other_time, other_key, other_kind, other_tag)),
            (Record { time, .. }, Timer { time: other_time, .. }) => time.cmp(other_time).then(Ordering::Less),
            (Timer { time, .. }, Record { time: other_time, .. }) => time.cmp(other_time).then(Ordering::Greater),
        }
    }
}

impl PartialOrd for StepKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
