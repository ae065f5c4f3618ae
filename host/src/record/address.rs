//! Where a record is: topic, partition and offset. An input has a rank, too.
//!
//! Rule: these numbers are types of their own, so that one can't be given for another. Each is stored as its plain number.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Position in a partition of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Offset(pub i64);

/// Number of a partition; also the number of its task.
pub type Partition = i32;

/// Index into the pipeline's [`Topics`](crate::log::Topics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TopicIx(pub u16);

/// An input's place in the configuration, which decides between records of the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Rank(pub u16);

impl Offset {
    /// The first offset of a partition.
    pub const ZERO: Offset = Offset(0);

    /// After all records.
    pub const MAX: Offset = Offset(i64::MAX);

    /// The offset after this one.
    #[inline]
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }

    /// How many offsets there are from an earlier one up to this one.
    #[inline]
    pub fn since(self, earlier: Offset) -> i64 {
        self.0 - earlier.0
    }
}

impl TopicIx {
    /// The topic at this index of the pipeline's topics.
    #[inline]
    pub fn at(index: usize) -> TopicIx {
        TopicIx(index as u16)
    }

    /// The rank of the input whose topic this is. Only the first topics are inputs.
    #[inline]
    pub fn rank(self) -> Rank {
        Rank(self.0)
    }
}

impl Rank {
    /// The rank of the input at this index of the configuration.
    #[inline]
    pub fn at(index: usize) -> Rank {
        Rank(index as u16)
    }

    /// The ranks of this many inputs.
    pub fn all(inputs: usize) -> impl Iterator<Item = Rank> + Clone + use<> {
        (0..inputs).map(Rank::at)
    }

    /// The topic of this input. The inputs are the first topics, by rank.
    #[inline]
    pub fn topic(self) -> TopicIx {
        TopicIx(self.0)
    }
}

impl From<TopicIx> for usize {
    #[inline]
    fn from(topic: TopicIx) -> usize {
        usize::from(topic.0)
    }
}

impl From<Rank> for usize {
    #[inline]
    fn from(rank: Rank) -> usize {
        usize::from(rank.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TopicIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
