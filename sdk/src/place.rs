//! The place of a record in its task's order.

/// A record's place in the task's order. It is unique, and sorts in the order in which records are processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Effective time: milliseconds since 1970.
    pub time: i64,
    /// Rank of the input, which is its place in the pipeline's file.
    pub rank: u16,
    /// Offset in its partition.
    pub offset: u64,
}
