//! Queues, events and topics of librdkafka. Their owner destroys them.
//!
//! Rule: they are dropped before their client. The order of a struct's fields makes sure of that.

use super::client::{Client, c_string};
use super::kafka_error::{KafkaError, last_error, text};
use super::millis::millis;
use crate::error::{Failure, Result};
use rdkafka_sys::*;
use std::time::Duration;

/// A queue.
pub(super) struct Queue(pub *mut rd_kafka_queue_t);

// SAFETY: librdkafka's queues are thread-safe; what is read from them is owned by the reader.
unsafe impl Send for Queue {}

impl Queue {
    /// A new queue.
    pub fn new(client: &Client) -> Queue {
        // SAFETY: the client is live.
        Queue(unsafe { rd_kafka_queue_new(client.raw) })
    }

    /// The next event, if one comes within `wait`.
    pub fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is live; the event is ours.
        let raw = unsafe { rd_kafka_queue_poll(self.0, millis(wait)) };
        (!raw.is_null()).then_some(Event(raw))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { rd_kafka_queue_destroy(self.0) }
    }
}

/// An event from a queue.
pub(super) struct Event(pub *mut rd_kafka_event_t);

impl Event {
    /// One of the RD_KAFKA_EVENT_ constants.
    pub fn kind(&self) -> i32 {
        // SAFETY: the event is live.
        unsafe { rd_kafka_event_type(self.0) }
    }

    /// Fails if the event carries an error.
    pub fn check(&self) -> std::result::Result<(), KafkaError> {
        // SAFETY: the event is live, and the text as long as it is.
        unsafe {
            let code = rd_kafka_event_error(self.0);
            KafkaError::check(code).map_err(|fault| KafkaError {
                text: text(rd_kafka_event_error_string(self.0)),
                ..fault
            })
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { rd_kafka_event_destroy(self.0) }
    }
}

/// A client's handle of a topic.
pub(super) struct Topic(pub *mut rd_kafka_topic_t);

// SAFETY: librdkafka's topic handles are thread-safe.
unsafe impl Send for Topic {}

impl Topic {
    /// If not `compress`, its records are never compressed; otherwise the client's settings decide.
    pub fn new(client: &Client, name: &str, compress: bool) -> Result<Topic> {
        let name_of = c_string(name)?;
        let mut settings = std::ptr::null_mut();
        if !compress {
            let mut why = [0; 64];
            // SAFETY: the client is live; these are a copy of its topics' settings. Both strings end with 0, and the buffer's
            // size is its size.
            let set = unsafe {
                settings = rd_kafka_default_topic_conf_dup(client.raw);
                let (key, value) = (c"compression.codec".as_ptr(), c"none".as_ptr());
                rd_kafka_topic_conf_set(settings, key, value, why.as_mut_ptr(), why.len())
            };
            debug_assert_eq!(
                set,
                rd_kafka_conf_res_t::RD_KAFKA_CONF_OK,
                "a property that librdkafka has"
            );
        }
        // SAFETY: the client is live, the name ends with 0; null settings are the client's own; others are taken over.
        let raw = unsafe { rd_kafka_topic_new(client.raw, name_of.as_ptr(), settings) };
        if raw.is_null() {
            return Err(Failure::Fatal(format!("topic {name:?}: {}", last_error().text)));
        }
        Ok(Topic(raw))
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { rd_kafka_topic_destroy(self.0) }
    }
}
