//! The delivery reports of one transaction.

use super::kafka_error::KafkaError;
use crate::record::Offset;
use rdkafka_sys::rd_kafka_message_t;
use rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// The deliveries of one transaction.
#[derive(Default)]
pub(super) struct Deliveries {
    /// For each slot, the offset after its last delivered record. Each message carries its slot.
    pub next: Vec<Offset>,
    /// The first failure.
    pub failed: Option<String>,
}

impl Deliveries {
    /// Called for each message from librdkafka's C code, so it must not panic.
    #[inline]
    pub fn report(&mut self, message: &rd_kafka_message_t) {
        if message.err != RD_KAFKA_RESP_ERR_NO_ERROR {
            self.failed.get_or_insert_with(|| KafkaError::of(message.err).text);
        } else if let Some(next) = self.next.get_mut(message._private as usize) {
            *next = (*next).max(Offset(message.offset).next());
        }
    }
}
