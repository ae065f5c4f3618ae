//! The words that every module uses: times, places, and the total order of steps.
//!
//! Rule: the steps of a task are taken in the order of their [`StepKey`], and nothing else decides that order.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Event time: milliseconds since 1970.
pub type Millis = i64;

/// Before every time: the watermark of a partition without records.
pub const NEVER: Millis = i64::MIN;

/// An expiry that never comes.
pub const FOREVER: Millis = i64::MAX;

/// Position in a partition of a log.
pub type Offset = i64;

/// Number of a partition; also the number of its task.
pub type Partition = i32;

/// Index into the pipeline's [`Topics`](crate::log::Topics).
pub type TopicIx = u16;

/// Rank of an input: its order in the config.
pub type Rank = u16;

/// Number of a deploy. The first one is 1.
pub type Number = u64;

/// A version of the rules: SHA-256 over component and settings.
pub type VersionId = [u8; 32];

/// One assignment of a partition to this process, from the moment it is assigned until it is closed. A later one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stay(pub u64);

/// One entry of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Id of the schema that the value was written with.
    pub schema: u16,
    /// Visible while now < expires.
    pub expires: Millis,
    /// Avro datum.
    pub value: &'a [u8],
}

/// A piece of a byte arena; the rules say it in the same way.
pub use crate::wit::Span;

impl Span {
    /// The bytes that it names.
    ///
    /// # Panics
    /// When it lies outside of `bytes`: spans of our own arenas never do; those of a guest are checked before.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }

    /// Appends to an arena.
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

/// Where a step stands in its task's total order.
///
/// Records by (effective time, rank, offset); timers by (due time, key, kind, tag), behind all records of the same time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepKey {
    /// Before every step.
    Start,
    /// A record.
    Record {
        /// Effective time.
        time: Millis,
        /// Rank of its input.
        rank: Rank,
        /// Its offset.
        offset: Offset,
    },
    /// A timer.
    Timer {
        /// Due time.
        time: Millis,
        /// Key it was set for.
        key: Box<[u8]>,
        /// Permanent id of its kind.
        kind: u16,
        /// As it was set.
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
