//! A client of the cluster, which is one incarnation of an instance.

use crate::record::Partition;

/// Index of a client, which is one incarnation of an instance.
pub(super) type ClientNo = usize;

/// One incarnation of an instance, with what its client library would know.
pub(super) struct Client {
    pub group: String,
    pub instance: String,
    /// False once it was killed.
    pub alive: bool,
    /// The assignment counter.
    pub assignment: u64,
    /// Its member id and generation as it last heard them. `None` if it is not a member, or was lost.
    pub member: Option<(u64, i32)>,
    /// Whether it has joined and not left. A lost member joins again by itself.
    pub joined: bool,
    /// Partitions that it was told it has and that it has not released.
    pub holds: Vec<Partition>,
    /// Those of them that it was told to give back.
    pub revoking: Vec<Partition>,
}
