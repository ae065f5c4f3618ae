//! A producer's handle that is ready for transactions.
//!
//! Rule: the topics are dropped before the client.

use super::client::Client;
use super::kafka_error::{KafkaError, text};
use super::millis::millis;
use super::queue::Topic;
use super::shared::Shared;
use crate::error::Failure;
use crate::record::TopicIx;
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::collections::HashMap;
use std::time::Duration;
use thiserror::Error;

/// Why a topic can't be written to.
#[derive(Debug, Error)]
pub(super) enum TopicError {
    #[error(transparent)]
    NoHandle(#[from] Failure),
    #[error("metadata of {topic}: {why}")]
    NoMetadata { topic: String, why: KafkaError },
    #[error("topic {topic}: {why}")]
    Refused { topic: String, why: KafkaError },
}

/// A handle after `init_transactions`. The topics are dropped before the client.
pub(super) struct Open {
    pub topics: HashMap<TopicIx, (Topic, i32)>,
    pub client: Client,
}

impl Open {
    /// Makes the topic's handle and gets its number of partitions. That is done before the first record, because a
    /// transaction forgets records for a partition that librdkafka does not know yet.
    pub fn topic(&mut self, shared: &Shared, index: TopicIx, wait: Duration) -> Result<(), TopicError> {
        if self.topics.contains_key(&index) {
            return Ok(());
        }
        let name = &shared.topics[usize::from(index)];
        let topic = Topic::new(&self.client, name, shared.plain != Some(index))?;
        let mut metadata = std::ptr::null();
        // SAFETY: client and topic are live; what comes back is ours until it is destroyed, and has one topic, as asked.
        let partitions = unsafe {
            let code = rd_kafka_metadata(self.client.raw, 0, topic.0, &mut metadata, millis(wait));
            KafkaError::check(code).map_err(|why| TopicError::NoMetadata {
                topic: name.clone(),
                why,
            })?;
            let answer = &*(*metadata).topics;
            let result = KafkaError::check(answer.err).map(|()| answer.partition_cnt);
            rd_kafka_metadata_destroy(metadata);
            result.map_err(|why| TopicError::Refused {
                topic: name.clone(),
                why,
            })?
        };
        self.topics.insert(index, (topic, partitions));
        Ok(())
    }

    /// Why the handle can't be used any more, if so.
    pub fn fatal(&self) -> Option<String> {
        let mut why = [0; 512];
        // SAFETY: the client is live, the buffer has the length that is told, and a text that ends with 0.
        unsafe {
            match rd_kafka_fatal_error(self.client.raw, why.as_mut_ptr(), why.len()) {
                RD_KAFKA_RESP_ERR_NO_ERROR => None,
                _ => Some(text(why.as_ptr())),
            }
        }
    }
}
