//! librdkafka's list of partitions with offsets.

use super::kafka_error::KafkaError;
use rdkafka_sys::*;
use std::ffi::CStr;

/// A list that this process owns.
pub(super) struct Partitions(pub *mut rd_kafka_topic_partition_list_t);

// SAFETY: a plain list on the heap, not shared.
unsafe impl Send for Partitions {}

impl Partitions {
    pub fn new(capacity: usize) -> Partitions {
        // SAFETY: has no preconditions.
        Partitions(unsafe { rd_kafka_topic_partition_list_new(capacity as i32) })
    }

    /// A list of one partition with an offset.
    pub fn one(topic: &CStr, partition: i32, offset: i64) -> Partitions {
        let mut list = Partitions::new(1);
        list.add(topic, partition, offset);
        list
    }

    pub fn add(&mut self, topic: &CStr, partition: i32, offset: i64) {
        // SAFETY: the list is ours; add copies the name and returns the new element, which is live until the next add.
        unsafe { (*rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition)).offset = offset }
    }

    /// The elements in their order.
    pub fn elements(&self) -> &[rd_kafka_topic_partition_t] {
        // SAFETY: `elems` has `cnt` elements; null only when there are none.
        unsafe {
            match (*self.0).cnt {
                0 => &[],
                count => std::slice::from_raw_parts((*self.0).elems, count as usize),
            }
        }
    }

    /// The first error of any element.
    pub fn check(&self) -> Result<(), KafkaError> {
        self.elements()
            .iter()
            .try_for_each(|element| KafkaError::check(element.err))
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { rd_kafka_topic_partition_list_destroy(self.0) }
    }
}
