//! The port to the log: topics, readers, transactional producers, group membership.
//!
//! Two implementations have the same semantics: `kafka` (librdkafka), and `embedded` (in the memory of this process),
//! on which the demo, most tests and the simulator run. A transaction is all or nothing. Readers see only committed
//! records. A member that has lost its assignment can't commit.

mod chunk;
mod cluster;
pub mod embedded;
mod group;
#[cfg(feature = "kafka")]
pub mod kafka;
mod producer;
mod reader;

pub use chunk::{Chunk, Fetched, InputRecord};
pub use cluster::{Log, TopicInfo, Topics};
pub use group::{Group, Membership};
pub use producer::{End, InputOffset, Outcome, Outgoing, Producer, Transaction};
pub use reader::{Arrival, Reader};
