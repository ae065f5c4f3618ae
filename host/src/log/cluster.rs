//! A cluster: its topics, and the readers, producers and members that are made of it.
//!
//! Rule: a call that can't be answered now returns [`Retry`](crate::error::Failure::Retry) after a time-out.

use super::group::Group;
use super::producer::Producer;
use super::reader::Reader;
use crate::error::Result;
use crate::record::{Offset, Partition, TopicIx};
use std::sync::Arc;
use std::time::Duration;

/// Names of the pipeline's topics, fixed at the start. A [`TopicIx`] is an index into it.
pub type Topics = Arc<[String]>;

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Number of partitions.
    pub partitions: i32,
    /// Id of the topic. A different one means that the topic was deleted and created again.
    pub id: String,
    /// Its settings, as far as they are known (`cleanup.policy`, `retention.ms`, ...).
    pub config: Vec<(String, String)>,
}

/// A cluster, seen by one instance of one pipeline.
pub trait Log: Send + Sync {
    /// Id of the cluster.
    fn cluster(&self) -> Result<String>;
    /// Information about a topic, if it exists.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>>;
    /// Creates a topic. Succeeds if it already exists.
    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()>;
    /// First offset and high watermark (uncommitted records included).
    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)>;
    /// The group's committed offsets, once no open transaction holds any back. `None` for an input that was never committed.
    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>>;
    /// Removes all records before an offset.
    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()>;
    /// A reader of committed records. `proofs` is how often the end of a partition is proved again ([`Arrival::End`](super::Arrival::End)).
    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>>;
    /// A producer. What an older producer with this id left open is aborted first (`init_transactions`).
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// A producer without a group member. Its transactions pass no gate and carry no offsets. It is for the control topic, where the
    /// order of the records decides, not who wrote them.
    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;
    /// Joins the pipeline's group, once.
    fn join(&self) -> Result<Box<dyn Group>>;
    /// The assignment counter, which is raised at each change of assignment before anyone hears of the change.
    fn assignment(&self) -> u64;
}
