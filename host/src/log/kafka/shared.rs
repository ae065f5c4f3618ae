//! What readers, producers and the member of one instance share.

use super::client::{Client, ClientKind, Settings};
use super::kafka_error::KafkaError;
use super::member::MemberClient;
use super::millis::millis;
use crate::error::Result;
use crate::log::Topics;
use crate::record::{Offset, Partition, TopicIx};
use parking_lot::{Mutex, MutexGuard};
use rdkafka_sys::*;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time-out of one query to the brokers: bounds, metadata, settings.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The broker aborts a transaction that is open for longer than this (`transaction.timeout.ms`).
pub(super) const TRANSACTION_TIMEOUT_MS: u64 = 10_000;

/// How late a broker may notice a transaction's time-out, because it only looks every 10 s.
const ABORT_SCAN: Duration = Duration::from_secs(10);

/// Added to the time after which a dangling transaction must be gone, for elections and slow brokers.
const SLACK: Duration = Duration::from_secs(10);

/// Settings of all clients. Librdkafka's defaults of 100 ms and 1 s would be stalls here.
pub(super) const COMMON: &[(&str, &str)] = &[
    // After a commit, the broker refuses the next transaction for some milliseconds, and that one begins at once.
    ("retry.backoff.ms", "5"),
    ("reconnect.backoff.ms", "20"),
    // Up to 3 s, so that dozens of connections don't keep asking a broker that stays away.
    ("reconnect.backoff.max.ms", "3000"),
    ("socket.nagle.disable", "true"),
    // A silent broker is noticed within the session time-out.
    ("socket.timeout.ms", "10000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
];

/// Prefetching: at most 16 MiB in a reader's queue, as much again for each paused partition, and one more fetch of 1
/// MiB for each partition. With polls of 60 ms, that allows a reader about 250 MB/s.
const FETCH: &[(&str, &str)] = &[
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "100000"),
    ("fetch.message.max.bytes", "1048576"),
    // The default of 1000 ms stalls a reader half of the time.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "50"),
];

/// A consumer that joins no group.
const ASSIGNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
];

/// What readers, producers and the member share.
pub(super) struct Shared {
    pub settings: Settings,
    pub topics: Topics,
    /// The topics' names for librdkafka.
    pub names: Vec<CString>,
    pub group: String,
    pub instance: String,
    /// The topic whose records are never compressed.
    pub plain: Option<TopicIx>,
    /// Raised at each change of assignment, before anyone hears of the change.
    pub assignment: AtomicU64,
    pub member: Mutex<Option<Arc<MemberClient>>>,
}

impl Shared {
    /// A consumer that joins no group. It still needs the group's id, in order to read its offsets.
    pub fn assigned(&self, isolation: &str) -> Result<Client> {
        let fixed = [
            &[("group.id", self.group.as_str()), ("isolation.level", isolation)],
            ASSIGNED,
        ]
        .concat();
        self.settings
            .client(ClientKind::Consumer, &[COMMON, FETCH].concat(), &fixed, 0)
    }

    /// First offset and end, at the client's isolation level.
    pub fn bounds(&self, client: &Client, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        let (mut low, mut high) = (0, 0);
        let name = &self.names[usize::from(topic)];
        // SAFETY: the client is live, the name ends with 0, both results are filled when it succeeds.
        let code = unsafe {
            let wait = millis(QUERY_TIMEOUT);
            rd_kafka_query_watermark_offsets(client.raw, name.as_ptr(), partition.0, &mut low, &mut high, wait)
        };
        let asked = || format!("bounds of {} [{partition}]", self.topics[usize::from(topic)]);
        KafkaError::check(code).map_err(|fault| client.failure(&asked(), &fault))?;
        Ok((Offset(low), Offset(high)))
    }

    /// The group member, if this process has joined.
    pub fn member(&self) -> MutexGuard<'_, Option<Arc<MemberClient>>> {
        self.member.lock()
    }

    /// Raises the assignment counter.
    pub fn raise(&self) {
        self.assignment.fetch_add(1, Ordering::SeqCst);
    }

    /// After this time, no dangling transaction can hold back offsets any more.
    pub fn dangling(&self) -> Duration {
        let open = self.settings.number("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
        Duration::from_millis(open) + ABORT_SCAN + SLACK
    }
}
