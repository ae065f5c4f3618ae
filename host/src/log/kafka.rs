//! The log on Apache Kafka, by librdkafka.
//!
//! Rules: readers see committed records only and never join the group; the one member is subscribed to the topic of rank 0
//! and fetches nothing; a transaction is committed only behind the gate (`commit`). No call waits for ever: each has a
//! time-out, named here, and a broker that is away is [`Failure::Retry`], told with its address.
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
use partitions::Partitions;
use queue::millis;
use rdkafka_sys::*;
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For one question to the brokers: bounds, metadata, settings.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// For one try to read committed offsets, which the broker holds back while a transaction is open.
const COMMITTED_TRY: Duration = Duration::from_secs(3);

/// Transactions that nobody ends are aborted by the broker after so long (`transaction.timeout.ms`).
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;

/// How late a broker may notice a transaction's time-out (its scan for them runs every 10 s).
const ABORT_SCAN: Duration = Duration::from_secs(10);

/// Beyond the last moment at which a dangling transaction is gone: elections, a slow broker.
const SLACK: Duration = Duration::from_secs(10);

/// What all clients share. Librdkafka's defaults of 100 ms and 1 s are stalls here: see each.
const COMMON: &[(&str, &str)] = &[
    // A commit is followed at once by the next transaction, which the broker refuses for some milliseconds.
    ("retry.backoff.ms", "5"),
    ("reconnect.backoff.ms", "20"),
    // A broker that stays away is asked less and less often, by some dozens of connections; those of the others stand.
    ("reconnect.backoff.max.ms", "3000"),
    ("socket.nagle.disable", "true"),
    // Notice a broker that has gone silent within the session time-out.
    ("socket.timeout.ms", "10000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
];

/// Prefetched data: 16 MiB in a reader's queue, and as much for each paused partition, whose queue is its own; and per
/// partition one more fetch of 1 MiB, at most. 32 MiB a reader lets 250 MB/s through with polls of 60 ms.
const FETCH: &[(&str, &str)] = &[
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "100000"),
    ("fetch.message.max.bytes", "1048576"),
    // The default of 1000 ms stalls a reader for half of the time.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "50"),
];

/// A consumer that joins nothing.
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
    /// Sees committed records and stable offsets; also asks the admin questions.
    committed: Client,
    /// Sees everything: high watermarks.
    uncommitted: Client,
}

/// What readers, producers and the member share.
struct Shared {
    settings: Settings,
    topics: Topics,
    /// The same names for librdkafka.
    names: Vec<CString>,
    group: String,
    instance: String,
    /// Its records are never compressed.
    plain: Option<TopicIx>,
    /// Raised at each change of assignment, before it is told.
    assignment: AtomicU64,
    member: Mutex<Option<Arc<Member>>>,
}

impl Kafka {
    /// A cluster by librdkafka's `properties` (`bootstrap.servers`, security, tuning), for the pipeline `group` and its
    /// process `instance`. Topic 0 is the lead, whose partitions are the group's. Connects in the background:
    /// [`Failure::Fatal`] only for properties that are wrong or not allowed (see [`properties::refused`]).
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

    /// Records of this topic are not compressed, whatever the properties say. Before anything is made of it.
    ///
    /// # Panics
    /// When a reader, a producer or a member of it is there.
    pub fn plain(mut self, topic: TopicIx) -> Kafka {
        let shared = Arc::get_mut(&mut self.shared).expect("nobody else has it: see the panics");
        shared.plain = Some(topic);
        self
    }

    fn name(&self, topic: TopicIx) -> &str {
        &self.shared.topics[topic as usize]
    }
}

impl Shared {
    /// A consumer that joins nothing. (It needs the group's id all the same, and can then read its offsets.)
    fn assigned(&self, isolation: &str) -> Result<Client> {
        let fixed = [
            &[("group.id", self.group.as_str()), ("isolation.level", isolation)],
            ASSIGNED,
        ]
        .concat();
        self.settings
            .client(Kind::Consumer, &[COMMON, FETCH].concat(), &fixed, 0)
    }

    /// First offset and end, as the client's isolation level sees it.
    fn bounds(&self, client: &Client, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        let (mut low, mut high) = (0, 0);
        let name = &self.names[topic as usize];
        // SAFETY: the client is live, the name ends with 0, both results are filled when it succeeds.
        let code = unsafe {
            let wait = millis(QUERY_TIMEOUT);
            rd_kafka_query_watermark_offsets(client.raw, name.as_ptr(), partition, &mut low, &mut high, wait)
        };
        let asked = || format!("bounds of {} [{partition}]", self.topics[topic as usize]);
        Fault::check(code).map_err(|fault| client.failure(&asked(), &fault))?;
        Ok((low, high))
    }

    /// The member of the group, if this process has joined.
    fn member(&self) -> MutexGuard<'_, Option<Arc<Member>>> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the assignment counter.
    fn raise(&self) {
        self.assignment.fetch_add(1, Ordering::SeqCst);
    }

    /// After so long, no dangling transaction can hold offsets back any more.
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
                    &self.shared.names[*topic as usize],
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
