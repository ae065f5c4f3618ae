//! Where a record stands in its task's order.

/// Where a record stands in the task's order: unique, and it sorts as the records were processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Effective time: milliseconds since 1970.
    pub time: i64,
    /// Rank of the input in the pipeline's file.
    pub rank: u16,
    /// Offset in the partition.
    pub offset: u64,
}
