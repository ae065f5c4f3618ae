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

/// Number of a partition; also the number of its task. One that was read is never negative.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
#[repr(transparent)]
pub struct Partition(pub i32);

/// A number from outside that can't be a partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no partition {0}")]
pub struct NegativePartition(i32);

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

impl Partition {
    /// The partition at this index of a topic's partitions.
    #[inline]
    pub fn at(index: usize) -> Partition {
        Partition(index as i32)
    }

    /// All partitions of a topic that has this many.
    pub fn all(partitions: i32) -> impl Iterator<Item = Partition> + Clone + use<> {
        (0..partitions).map(Partition)
    }

    /// Its index into a topic's partitions. That of a negative number is beyond them all.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
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

impl TryFrom<i32> for Partition {
    type Error = NegativePartition;

    #[inline]
    fn try_from(number: i32) -> Result<Partition, NegativePartition> {
        match number {
            0.. => Ok(Partition(number)),
            _ => Err(NegativePartition(number)),
        }
    }
}

impl From<Partition> for i32 {
    #[inline]
    fn from(partition: Partition) -> i32 {
        partition.0
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

/// The plain number, because texts list the numbers of tasks.
impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Partition {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// In JSON, in texts and in logs.
    #[test]
    fn a_partition_is_its_plain_number() {
        let partition = Partition(3);
        assert_eq!(serde_json::to_string(&partition).unwrap(), "3");
        assert_eq!(serde_json::from_str::<Partition>("3").unwrap(), partition);
        assert_eq!(format!("{partition} {:?}", [partition]), "3 [3]");
    }

    #[test]
    fn a_negative_partition_from_outside_is_refused() {
        let refused = serde_json::from_str::<Partition>("-1").unwrap_err();
        assert!(refused.to_string().contains("there is no partition -1"), "{refused}");
        assert_eq!(Partition::try_from(-1), Err(NegativePartition(-1)));
    }
}
