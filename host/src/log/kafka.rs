//! The log on Apache Kafka, through librdkafka.
//!
//! Rule: readers see only committed records and never join the group. The one group member is subscribed to the topic
//! of rank 0 and fetches nothing. A transaction is committed only after it has passed the gate (`commit`). No call
//! waits for ever: each has a time-out. A broker that is away is a [`Failure::Retry`] that says its address.
#![expect(
    clippy::disallowed_methods,
    reason = "librdkafka has threads and deadlines of its own"
)]

mod admin;
mod client;
mod commit;
mod copy;
mod deliveries;
mod group;
mod kafka_error;
mod member;
mod millis;
mod open;
mod partitions;
mod producer;
mod queue;
mod reader;
mod shared;
mod slot;

use crate::error::{Failure, Result};
use crate::log::{Group, Log, Producer, Reader, TopicInfo, Topics};
use crate::record::{Offset, Partition, TopicIx};
use client::{Client, Settings, c_string};
use kafka_error::KafkaError;
use millis::millis;
use parking_lot::Mutex;
use partitions::Partitions;
use rdkafka_sys::*;
use shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time-out of one attempt to read committed offsets, which the broker withholds while a transaction is open.
const COMMITTED_TRY: Duration = Duration::from_secs(3);

/// A Kafka cluster, seen by one instance of one pipeline.
pub struct Kafka {
    shared: Arc<Shared>,
    /// Sees committed records and stable offsets. Also used for admin requests.
    committed: Client,
    /// Sees everything, so it knows the high watermarks.
    uncommitted: Client,
}

impl Kafka {
    /// A cluster with librdkafka's `properties` (`bootstrap.servers`, security, tuning), seen by the process `instance`
    /// of the pipeline `group`. Topic 0 is the lead topic, whose partitions the group shares. It connects in the
    /// background, so it fails only on properties that are wrong or not allowed (see [`properties::refused`]).
    ///
    /// [`properties::refused`]: crate::config::properties::refused
    pub fn new(topics: Topics, properties: &[(String, String)], group: &str, instance: &str) -> Result<Kafka> {
        let shared = Shared {
            settings: Settings::new(properties)?,
            names: topics.iter().map(|name| c_string(name)).collect::<Result<_>>()?,
            topics,
            group: group.to_string(),
            instance: instance.to_string(),
            plain: None,
            assignment: AtomicU64::new(0),
            member: Mutex::new(None),
        };
        let committed = shared.assigned("read_committed")?;
        let uncommitted = shared.assigned("read_uncommitted")?;
        Ok(Kafka {
            shared: Arc::new(shared),
            committed,
            uncommitted,
        })
    }

    /// Never compresses records of this topic, whatever the properties say. Call it before anything is made of the
    /// cluster.
    ///
    /// # Panics
    /// If a reader, a producer or a member exists already.
    pub fn plain(mut self, topic: TopicIx) -> Kafka {
        let shared = Arc::get_mut(&mut self.shared).expect("nobody else has it: see the panics");
        shared.plain = Some(topic);
        self
    }

    fn name(&self, topic: TopicIx) -> &str {
        &self.shared.topics[usize::from(topic)]
    }
}

impl Log for Kafka {
    fn cluster(&self) -> Result<String> {
        admin::cluster(&self.committed)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        admin::topic(&self.committed, name)
    }

    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        admin::create(&self.committed, name, partitions, config)
    }

    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        self.shared.bounds(&self.uncommitted, topic, partition)
    }

    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + self.shared.dangling();
        loop {
            let mut list = Partitions::new(of.len());
            for (topic, partition) in of {
                list.add(
                    &self.shared.names[usize::from(*topic)],
                    partition.0,
                    RD_KAFKA_OFFSET_INVALID as i64,
                );
            }
            // SAFETY: the client and the list are live.
            let code = unsafe { rd_kafka_committed(self.committed.raw, list.0, millis(COMMITTED_TRY)) };
            let fault = match KafkaError::check(code).and_then(|()| list.check()) {
                Ok(()) => {
                    let offsets = list.elements().iter().map(|element| element.offset);
                    return Ok(offsets.map(|offset| (offset >= 0).then_some(Offset(offset))).collect());
                }
                Err(fault) => fault,
            };
            let failure = self.committed.failure("committed offsets", &fault);
            match failure {
                Failure::Retry(_) if Instant::now() < deadline => continue,
                Failure::Retry(text) => {
                    return Err(Failure::Retry(format!(
                        "{text} (an open transaction of a lost instance holds them back, or the brokers don't answer; \
                         waited {} s, longer than a transaction can stay open)",
                        self.shared.dangling().as_secs()
                    )));
                }
                failure => return Err(failure),
            }
        }
    }

    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()> {
        admin::truncate(&self.committed, self.name(topic), partition, before)
    }

    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>> {
        let client = self.shared.assigned("read_committed")?;
        Ok(Box::new(reader::KafkaReader::new(self.shared.clone(), client, proofs)))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        Ok(Box::new(producer::KafkaProducer::open(
            self.shared.clone(),
            transactional_id,
            true,
        )?))
    }

    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        Ok(Box::new(producer::KafkaProducer::open(
            self.shared.clone(),
            transactional_id,
            false,
        )?))
    }

    fn join(&self) -> Result<Box<dyn Group>> {
        Ok(Box::new(group::KafkaGroup::join(self.shared.clone())?))
    }

    fn assignment(&self) -> u64 {
        self.shared.assignment.load(Ordering::SeqCst)
    }
}
