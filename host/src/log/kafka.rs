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
mod fault;
mod group;
mod partitions;
mod producer;
mod queue;
mod reader;

use crate::error::{Failure, Result};
use crate::log::{Group, Log, Producer, Reader, TopicInfo, Topics};
use crate::record::{Offset, Partition, TopicIx};
use client::{Client, Kind, Settings, c_string};
use fault::Fault;
use group::Member;
use parking_lot::{Mutex, MutexGuard};
use partitions::Partitions;
use queue::millis;
use rdkafka_sys::*;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time-out of one query to the brokers: bounds, metadata, settings.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time-out of one attempt to read committed offsets, which the broker withholds while a transaction is open.
const COMMITTED_TRY: Duration = Duration::from_secs(3);

/// The broker aborts a transaction that is open for longer than this (`transaction.timeout.ms`).
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;

/// How late a broker may notice a transaction's time-out, because it only looks every 10 s.
const ABORT_SCAN: Duration = Duration::from_secs(10);

/// Added to the time after which a dangling transaction must be gone, for elections and slow brokers.
const SLACK: Duration = Duration::from_secs(10);

/// Settings of all clients. Librdkafka's defaults of 100 ms and 1 s would be stalls here.
const COMMON: &[(&str, &str)] = &[
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

/// A Kafka cluster, seen by one instance of one pipeline.
pub struct Kafka {
    shared: Arc<Shared>,
    /// Sees committed records and stable offsets. Also used for admin requests.
    committed: Client,
    /// Sees everything, so it knows the high watermarks.
    uncommitted: Client,
}

/// What readers, producers and the member share.
struct Shared {
    settings: Settings,
    topics: Topics,
    /// The topics' names for librdkafka.
    names: Vec<CString>,
    group: String,
    instance: String,
    /// The topic whose records are never compressed.
    plain: Option<TopicIx>,
    /// Raised at each change of assignment, before anyone hears of the change.
    assignment: AtomicU64,
    member: Mutex<Option<Arc<Member>>>,
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

impl Shared {
    /// A consumer that joins no group. It still needs the group's id, in order to read its offsets.
    fn assigned(&self, isolation: &str) -> Result<Client> {
        let fixed = [
            &[("group.id", self.group.as_str()), ("isolation.level", isolation)],
            ASSIGNED,
        ]
        .concat();
        self.settings
            .client(Kind::Consumer, &[COMMON, FETCH].concat(), &fixed, 0)
    }

    /// First offset and end, at the client's isolation level.
    fn bounds(&self, client: &Client, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        let (mut low, mut high) = (0, 0);
        let name = &self.names[usize::from(topic)];
        // SAFETY: the client is live, the name ends with 0, both results are filled when it succeeds.
        let code = unsafe {
            let wait = millis(QUERY_TIMEOUT);
            rd_kafka_query_watermark_offsets(client.raw, name.as_ptr(), partition, &mut low, &mut high, wait)
        };
        let asked = || format!("bounds of {} [{partition}]", self.topics[usize::from(topic)]);
        Fault::check(code).map_err(|fault| client.failure(&asked(), &fault))?;
        Ok((low, high))
    }

    /// The group member, if this process has joined.
    fn member(&self) -> MutexGuard<'_, Option<Arc<Member>>> {
        self.member.lock()
    }

    /// Raises the assignment counter.
    fn raise(&self) {
        self.assignment.fetch_add(1, Ordering::SeqCst);
    }

    /// After this time, no dangling transaction can hold back offsets any more.
    fn dangling(&self) -> Duration {
        let open = self.settings.number("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
        Duration::from_millis(open) + ABORT_SCAN + SLACK
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
                    *partition,
                    RD_KAFKA_OFFSET_INVALID as i64,
                );
            }
            // SAFETY: the client and the list are live.
            let code = unsafe { rd_kafka_committed(self.committed.raw, list.0, millis(COMMITTED_TRY)) };
            let fault = match Fault::check(code).and_then(|()| list.check()) {
                Ok(()) => {
                    let offsets = list.elements().iter().map(|element| element.offset);
                    return Ok(offsets.map(|offset| (offset >= 0).then_some(offset)).collect());
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
