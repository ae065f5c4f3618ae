//! The member's client, and its identity in the group.

use super::client::Client;
use rdkafka_sys::*;
use std::ffi::CStr;

/// The member's client. Only [`KafkaGroup`](super::group::KafkaGroup) reads its events. Every producer's gate reads its identity.
pub(super) struct MemberClient {
    pub client: Client,
}

/// The member's identity in the group at one moment.
pub(super) struct Identity(pub *mut rd_kafka_consumer_group_metadata_t);

impl MemberClient {
    /// Asks librdkafka's own thread, so that the answer is not older than this call.
    pub fn identity(&self) -> Option<Identity> {
        // SAFETY: the client is live.
        let raw = unsafe { rd_kafka_consumer_group_metadata(self.client.raw) };
        (!raw.is_null()).then_some(Identity(raw))
    }

    /// Whether its partitions may already belong to another member.
    pub fn is_lost(&self) -> bool {
        // SAFETY: the client is live.
        unsafe { rd_kafka_assignment_lost(self.client.raw) != 0 }
    }
}

impl Identity {
    /// Whether it is a member of a generation. The broker would accept offsets without generation and member id.
    pub fn is_member(&self) -> bool {
        // SAFETY: live; the member id ends with 0.
        unsafe {
            rd_kafka_consumer_group_metadata_generation_id(self.0) >= 0
                && !CStr::from_ptr(rd_kafka_consumer_group_metadata_member_id(self.0)).is_empty()
        }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { rd_kafka_consumer_group_metadata_destroy(self.0) }
    }
}
