//! Follows a topic. Reads only committed records, as they come.

use super::Rig;
use pelton_tests::rig::Read;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

pub struct Tail {
    consumer: BaseConsumer,
    /// In the order they came. Within a partition this is the order of the offsets.
    pub records: Vec<Read>,
    /// The last error of the consumer, for people.
    trouble: Option<String>,
}

impl Tail {
    /// Reads from the topic's beginning.
    pub fn new(rig: &Rig, topic: &str) -> Tail {
        let mut config = rig.client();
        config
            .set("group.id", Rig::unique("tail"))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        let partitions = rig.partitions(topic).unwrap();
        assert!(
            partitions > 0,
            "the broker does not know {topic}: nothing would ever come"
        );
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        Tail {
            consumer,
            records: vec![],
            trouble: None,
        }
    }

    /// The same for a topic that is just being created.
    pub fn wait_for(rig: &Rig, topic: &str) -> Tail {
        super::eventually(topic, || rig.partitions(topic).is_ok_and(|count| count > 0));
        Tail::new(rig, topic)
    }

    /// Takes what comes within this time. Waits out the errors of a broker that is away.
    pub fn follow(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                Some(Ok(message)) => self.records.push(Read {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    timestamp: message.timestamp().to_millis().unwrap_or(-1),
                    headers: message.headers().map_or(vec![], |headers| {
                        headers
                            .iter()
                            .map(|header| (header.key.to_string(), header.value.unwrap_or_default().to_vec()))
                            .collect()
                    }),
                }),
                Some(Err(why)) => self.trouble = Some(why.to_string()),
                None if left.is_zero() => return,
                None => {}
            }
            if left.is_zero() {
                return;
            }
        }
    }

    /// Waits until there are this many records. `alive` is called now and then.
    pub fn until(&mut self, count: usize, patience: Duration, mut alive: impl FnMut()) {
        let deadline = Instant::now() + patience;
        while self.records.len() < count {
            alive();
            assert!(
                Instant::now() < deadline,
                "only {} records of {count} in {patience:?}; at {:?}, last error {:?}",
                self.records.len(),
                self.consumer.position(),
                self.trouble
            );
            self.follow(Duration::from_millis(20));
        }
    }
}
