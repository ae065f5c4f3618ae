//! Membership in the consumer group.
//!
//! Rule: a partition has one owner. It goes to another member only after its owner has released it or was thought dead.

use crate::error::Result;
use crate::record::Partition;
use std::time::Duration;

/// A change of this member's partitions of the lead topic (the input of rank 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// These partitions are ours from now on.
    Assigned(Vec<Partition>),
    /// Finish with these partitions, then call [`Group::released`].
    Revoked(Vec<Partition>),
    /// These partitions already belong to another member. Drop them without a commit, then call [`Group::released`].
    Lost(Vec<Partition>),
}

/// Membership in the consumer group. When the assignment changes, the assignment counter is raised before anything else.
pub trait Group: Send {
    /// The next change, or none within `wait`.
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>>;
    /// The revoked or lost partitions are closed, and other members may have them.
    fn released(&mut self, partitions: &[Partition]) -> Result<()>;
    /// Leaves the group.
    fn leave(&mut self);
}
