//! What tests do with topics: create them, write to them, and read them to their end. It uses the rdkafka crate's
//! clients, so that Pelton's own port is not judged by itself.

use super::broker::Rig;
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time limit of one call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A record to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `None` means by the hash of the key.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// `None` means now.
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// A record with this key and these bytes.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Record {
        Record {
            key: Some(key.into()),
            value: Some(value.into()),
            ..Record::default()
        }
    }

    /// A record with this key and a JSON value.
    pub fn json(key: impl Into<Vec<u8>>, value: &serde_json::Value) -> Record {
        Record::new(key, value.to_string())
    }

    /// A record with this key and an Avro datum, with the registry's header.
    pub fn avro(key: impl Into<Vec<u8>>, id: u32, datum: &[u8]) -> Record {
        Record::new(key, [&[0], &id.to_be_bytes()[..], datum].concat())
    }

    /// The record, for this partition.
    pub fn at(mut self, partition: i32) -> Record {
        self.partition = Some(partition);
        self
    }

    /// The record, with this timestamp in milliseconds since 1970.
    pub fn time(mut self, timestamp: i64) -> Record {
        self.timestamp = Some(timestamp);
        self
    }

    /// The record, with one more header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Record {
        self.headers.push((name.to_string(), value.into()));
        self
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: i64,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Read {
    /// The value as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Commit,
    Abort,
    /// Not at all. The producer dies, with its records in the log.
    Death,
}

/// Keeps the first failed delivery.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.0.lock().get_or_insert(error.clone());
        }
    }
}

impl Rig {
    /// Removes a topic.
    pub fn delete(&self, topic: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let removed = runtime.block_on(admin.delete_topics(&[topic], &options))?;
        removed.into_iter().try_for_each(|one| match one {
            Ok(_) => Ok(()),
            Err((topic, code)) => bail!("topic {topic} can't be removed: {code}"),
        })
    }

    /// Creates a topic, and waits until the broker shows it. Until then the broker says that it has no partitions.
    pub fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            new = new.set(key, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let made =
            runtime.block_on(admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(TIMEOUT))))?;
        made.into_iter().try_for_each(|one| match one {
            Ok(_) => Ok(()),
            Err((topic, code)) => bail!("topic {topic} can't be made: {code}"),
        })?;
        let deadline = Instant::now() + TIMEOUT;
        while self.led(topic)? < partitions {
            if Instant::now() > deadline {
                bail!("topic {topic} was made, but the broker does not show it");
            }
        }
        Ok(())
    }

    /// The number of partitions that have a leader.
    fn led(&self, topic: &str) -> Result<i32> {
        let client: BaseConsumer = self.client().create()?;
        let metadata = client.fetch_metadata(Some(topic), TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions.filter(|partition| partition.leader() >= 0).count() as i32)
    }

    /// Creates a topic with a unique name. Returns the name.
    pub fn topic(&self, prefix: &str, partitions: i32) -> Result<String> {
        let name = Rig::unique(prefix);
        self.create(&name, partitions, &[])?;
        Ok(name)
    }

    /// Writes records in order, and waits until they are in the log.
    pub fn produce(&self, topic: &str, records: &[Record]) -> Result<()> {
        let writer = self.writer()?;
        writer.put(topic, records)?;
        writer.settle()
    }

    /// A client that stays open, for records that come bit by bit.
    pub fn writer(&self) -> Result<Writer> {
        let deliveries = Deliveries::default();
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("queue.buffering.max.messages", "1000000");
        Ok(Writer {
            producer: config.create_with_context(deliveries.clone())?,
            deliveries,
        })
    }

    /// Writes records in one transaction, with this ending. They are in the log in any case, visible or not.
    pub fn transaction(&self, id: &str, topic: &str, records: &[Record], ending: Ending) -> Result<()> {
        let producer: BaseProducer = self.client().set("transactional.id", id).create()?;
        producer.init_transactions(TIMEOUT)?;
        producer.begin_transaction()?;
        for record in records {
            producer.send(base(topic, record)).map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        match ending {
            Ending::Commit => producer.commit_transaction(TIMEOUT)?,
            Ending::Abort => producer.abort_transaction(TIMEOUT)?,
            Ending::Death => {}
        }
        Ok(())
    }

    /// All committed records of a topic up to its current high watermarks, in order of partition and offset. Waits for
    /// open transactions to end.
    pub fn read(&self, topic: &str) -> Result<Vec<Read>> {
        let mut records = Vec::new();
        self.visit(topic, None, true, &mut |record| records.push(record))?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// How many records after these offsets, by partition, were written to a topic but not committed. Waits for open
    /// transactions to end.
    pub fn aborted(&self, topic: &str, from: &[i64]) -> Result<usize> {
        // Records that come meanwhile are not counted.
        let ends = self.ends(topic)?;
        let counts = |record: &Read| usize::from(record.offset < ends[record.partition as usize]);
        let (mut committed, mut written) = (0, 0);
        self.visit(topic, Some(from), true, &mut |record| committed += counts(&record))?;
        self.visit(topic, Some(from), false, &mut |record| written += counts(&record))?;
        Ok(written - committed)
    }

    /// The high watermarks of a topic, by partition. They include what is not committed yet.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>> {
        let client: BaseConsumer = self.client().set("isolation.level", "read_uncommitted").create()?;
        let end = |partition| Ok(client.fetch_watermarks(topic, partition, TIMEOUT)?.1);
        (0..self.partitions(topic)?).map(end).collect()
    }

    /// Visits the records of a topic from these offsets, or from its start, up to its current high watermarks. Returns
    /// the high watermarks.
    fn visit(
        &self,
        topic: &str,
        from: Option<&[i64]>,
        committed: bool,
        take: &mut dyn FnMut(Read),
    ) -> Result<Vec<i64>> {
        let mut config = self.client();
        config
            .set("group.id", Rig::unique("rig-reader"))
            .set("enable.auto.commit", "false");
        let all: BaseConsumer = config.clone().set("isolation.level", "read_uncommitted").create()?;
        let isolation = if committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let reader: BaseConsumer = config.set("isolation.level", isolation).create()?;
        let mut list = TopicPartitionList::new();
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for partition in 0..self.partitions(topic)? {
            let (low, high) = all.fetch_watermarks(topic, partition, TIMEOUT)?;
            let begin = from.map_or(low, |from| from[partition as usize]);
            list.add_partition_offset(topic, partition, Offset::Offset(begin))?;
            begins.push(begin);
            ends.push(high);
        }
        reader.assign(&list)?;
        let deadline = Instant::now() + TIMEOUT * 4;
        let mut done = ends.iter().zip(&begins).all(|(end, begin)| end <= begin);
        while !done {
            if Instant::now() > deadline {
                bail!("{topic} can't be read to its end {ends:?}: at {:?}", reader.position()?);
            }
            match reader.poll(Duration::from_millis(20)) {
                Some(message) => {
                    let record = copied(&message?);
                    if record.offset < ends[record.partition as usize] {
                        take(record);
                    }
                }
                None => done = is_behind(&reader, topic, &begins, &ends)?,
            }
        }
        Ok(ends)
    }

    /// Number of partitions.
    pub fn partitions(&self, topic: &str) -> Result<i32> {
        let client: BaseConsumer = self.client().create()?;
        let metadata = client.fetch_metadata(Some(topic), TIMEOUT)?;
        let found = metadata.topics().first().with_context(|| format!("topic {topic}"))?;
        Ok(found.partitions().len() as i32)
    }

    /// The committed offsets of a group, by partition.
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        let client: BaseConsumer = self.client().set("group.id", group).create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, self.partitions(topic)? - 1);
        let committed = client.committed_offsets(list, TIMEOUT)?;
        Ok(committed
            .elements()
            .iter()
            .map(|element| element.offset().to_raw().filter(|raw| *raw >= 0))
            .collect())
    }
}

/// Writes to any topic. See [`Rig::writer`].
pub struct Writer {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Writer {
    /// Hands over records in order. Waits while too many are under way.
    pub fn put(&self, topic: &str, records: &[Record]) -> Result<()> {
        for record in records {
            let mut next = base(topic, record);
            while let Err((error, back)) = self.producer.send(next) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                self.producer.poll(Duration::from_millis(5));
                next = back;
            }
        }
        Ok(())
    }

    /// Waits until all records are in the log.
    pub fn settle(&self) -> Result<()> {
        self.producer.flush(TIMEOUT)?;
        match self.deliveries.0.lock().take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Whether the reader is at the ends or after them. Markers and aborted records count, because they move its position.
fn is_behind(reader: &BaseConsumer, topic: &str, begins: &[i64], ends: &[i64]) -> Result<bool> {
    let positions = reader.position()?;
    Ok(ends.iter().zip(begins).enumerate().all(|(partition, (end, begin))| {
        let position = positions
            .find_partition(topic, partition as i32)
            .map(|element| element.offset());
        end <= begin || matches!(position, Some(Offset::Offset(at)) if at >= *end)
    }))
}

fn base<'a>(topic: &'a str, record: &'a Record) -> BaseRecord<'a, [u8], [u8]> {
    let mut next = BaseRecord::to(topic);
    next.partition = record.partition;
    next.key = record.key.as_deref();
    next.payload = record.value.as_deref();
    next.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (name, value)| {
                headers.insert(Header {
                    key: name,
                    value: Some(value),
                })
            });
        next.headers = Some(headers);
    }
    next
}

fn copied(message: &impl Message) -> Read {
    let headers = message.headers().map(|headers| {
        let pairs = headers
            .iter()
            .map(|header| (header.key.to_string(), header.value.unwrap_or_default().to_vec()));
        pairs.collect()
    });
    Read {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        headers: headers.unwrap_or_default(),
    }
}
