//! Counts the committed outputs as they come.
//!
//! Rule: no output is kept in memory.

use super::options::{PARTITIONS, PATIENCE};
use crate::rig::Rig;
use anyhow::{Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// Counts the committed outputs of a topic.
pub struct Outputs {
    consumer: BaseConsumer,
    count: usize,
}

impl Outputs {
    /// Counts from the beginning of the topic.
    pub fn of(rig: &Rig, topic: &str) -> Result<Outputs> {
        let mut config = rig.client();
        config
            .set("group.id", Rig::unique("soak-outputs"))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Outputs { consumer, count: 0 })
    }

    /// Waits until there are this many. `alive` is called now and then. It may take long, but there must be no long
    /// pause.
    pub fn until(&mut self, count: usize, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
        let mut last = Instant::now();
        while self.count < count {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(_)) => (self.count, last) = (self.count + 1, Instant::now()),
                // The broker is busy.
                Some(Err(_)) => {}
                None => alive()?,
            }
            ensure!(
                last.elapsed() < PATIENCE,
                "only {} outputs of {count}, and no other one in {PATIENCE:?}",
                self.count
            );
        }
        Ok(())
    }
}
