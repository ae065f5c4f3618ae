//! Direct access to the cluster, without the port, for the demo, tests and the simulator.

use super::Embedded;
use super::fate::{Fates, FetchLimits};
use super::partition::{FetchSize, Isolation, NewRecord, TxnEnding};
use super::state::ClusterState;
use super::txn::{Hold, Markers};
use crate::error::{Failure, Result};
use crate::log::{Chunk, Fetched};
use crate::record::{Offset, Partition, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// A record with memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The offset in its partition.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, or `None` if it is null.
    pub key: Option<Vec<u8>>,
    /// The value, or `None` if it is null.
    pub value: Option<Vec<u8>>,
    /// Headers, as (name, value).
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Owned {
    fn new(chunk: &Chunk, record: &Fetched) -> Owned {
        let bytes = |span: &Span| span.of(&chunk.bytes).to_vec();
        let headers = &chunk.headers[record.headers.start as usize..record.headers.end as usize];
        Owned {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.as_ref().map(bytes),
            value: record.value.as_ref().map(bytes),
            headers: headers
                .iter()
                .map(|(n, v)| (String::from_utf8_lossy(&bytes(n)).into_owned(), bytes(v)))
                .collect(),
        }
    }
}

/// Appends many records under one lock: see [`Embedded::appending`].
pub struct Appender<'a>(&'a mut ClusterState);

impl Appender<'_> {
    /// Appends a record outside of any transaction.
    pub fn append(&mut self, topic: &str, partition: Partition, record: NewRecord<'_>) -> Result<Offset> {
        self.0.append(self.0.topic(topic)?, partition, record, None)
    }
}

/// An open transaction of a producer outside of any group. If it is dropped without `end`, it stays open until its
/// time-out.
pub struct OpenTransaction {
    cluster: Embedded,
    hold: Hold,
}

impl OpenTransaction {
    /// Appends a record to the transaction. Returns `Fenced` if another producer has taken the id, or it has timed out.
    pub fn append(&self, topic: &str, partition: Partition, record: NewRecord<'_>) -> Result<Offset> {
        self.cluster.change(|state| {
            let topic = state.topic(topic)?;
            state
                .write(self.hold, topic, partition, record)
                .map_err(|why| Failure::Fenced(why.to_string()))
        })
    }

    /// Readers see its records from now on.
    pub fn commit(self) -> Result<()> {
        self.end(TxnEnding::Commit)
    }

    /// Nobody sees its records.
    pub fn abort(self) -> Result<()> {
        self.end(TxnEnding::Abort)
    }

    fn end(self, ending: TxnEnding) -> Result<()> {
        self.cluster.change(|state| {
            state
                .end(self.hold, ending, Markers::AtOnce)
                .map_err(|why| Failure::Fenced(why.to_string()))
        })
    }
}

/// The bounds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// The offset of the first record.
    pub start: Offset,
    /// The last stable offset: where the first open transaction begins, or else the end.
    pub stable: Offset,
    /// The high watermark.
    pub end: Offset,
}

impl Embedded {
    /// Creates a topic, unless it exists. Supported settings: `message.timestamp.type`, `max.message.bytes`,
    /// `retention.bytes`, `cleanup.policy`.
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        self.change(|state| state.create(name, partitions, config))
    }

    /// Deletes a topic and its records. If it is created again, it gets another id.
    pub fn delete_topic(&self, name: &str) {
        self.change(|state| state.delete(name));
    }

    /// Appends a record, and returns its offset.
    pub fn append(&self, topic: &str, partition: Partition, record: NewRecord<'_>) -> Result<Offset> {
        self.appending(|log| log.append(topic, partition, record))
    }

    /// Appends records to one partition, and returns their offsets. If one is refused, those before it stay.
    pub fn append_batch<'a>(
        &self,
        topic: &str,
        partition: Partition,
        records: impl IntoIterator<Item = NewRecord<'a>>,
    ) -> Result<Range<Offset>> {
        self.change(|state| {
            let topic = state.topic(topic)?;
            let first = state.log(topic, partition)?.bounds().end;
            for record in records {
                state.append(topic, partition, record, None)?;
            }
            Ok(first..state.log(topic, partition)?.bounds().end)
        })
    }

    /// Appends any number of records under one lock, which makes it fast. `write` must not call the cluster.
    pub fn appending<R>(&self, write: impl FnOnce(&mut Appender<'_>) -> R) -> R {
        self.change(|state| write(&mut Appender(state)))
    }

    /// Takes this transactional id for a producer outside of any group, aborts its open transaction, and opens a new
    /// one.
    pub fn transaction(&self, transactional_id: &str, timeout: Duration) -> Result<OpenTransaction> {
        let hold = self.change(|state| {
            let hold = state.take_id(transactional_id, timeout);
            state
                .begin(hold)
                .map(|()| hold)
                .map_err(|why| Failure::Fenced(why.to_string()))
        })?;
        Ok(OpenTransaction {
            cluster: self.clone(),
            hold,
        })
    }

    /// Everything in a partition.
    pub fn read_all(&self, topic: &str, partition: Partition, isolation: Isolation) -> Result<Vec<Owned>> {
        let state = self.lock();
        let log = state.log(state.topic(topic)?, partition)?;
        let mut chunk = Chunk::default();
        log.fetch(log.bounds().start, FetchSize::ALL, isolation, &mut chunk);
        Ok(chunk.records.iter().map(|record| Owned::new(&chunk, record)).collect())
    }

    /// The newest committed record of a partition.
    pub fn last(&self, topic: &str, partition: Partition) -> Result<Option<Owned>> {
        /// Long enough for the markers at the end of a partition: each transaction ends with one, also if it was
        /// aborted.
        const BACK: i64 = 64;
        let state = self.lock();
        let log = state.log(state.topic(topic)?, partition)?;
        let mut chunk = Chunk::default();
        let from = log.bounds().start.max(Offset(log.stable().0 - BACK));
        log.fetch(from, FetchSize::ALL, Isolation::Uncommitted, &mut chunk);
        Ok(chunk.records.last().map(|record| Owned::new(&chunk, record)))
    }

    /// The bounds of a partition.
    pub fn offsets(&self, topic: &str, partition: Partition) -> Result<PartitionOffsets> {
        let state = self.lock();
        let log = state.log(state.topic(topic)?, partition)?;
        Ok(PartitionOffsets {
            start: log.bounds().start,
            stable: log.stable(),
            end: log.bounds().end,
        })
    }

    /// The group's committed offsets, by (topic, partition). Offsets in open transactions are not included.
    pub fn group_offsets(&self, group: &str) -> BTreeMap<(String, Partition), Offset> {
        self.lock()
            .groups
            .get(group)
            .map(|group| group.offsets.clone())
            .unwrap_or_default()
    }

    /// Changes how large the records of a topic may be, as `kafka-configs` does with `max.message.bytes`.
    pub fn limit_records(&self, topic: &str, max_message_bytes: usize) -> Result<()> {
        self.change(|state| {
            let topic = state.topic(topic)?;
            state.topics[topic].max_message_bytes = max_message_bytes;
            Ok(())
        })
    }

    /// Removes records, as retention or DeleteRecords does.
    pub fn truncate(&self, topic: &str, partition: Partition, before: Offset) -> Result<()> {
        self.change(|state| truncate(state, topic, partition, before))
    }

    /// Removes an instance from its group, as a coordinator does with a member that it has not heard from for too long.
    pub fn evict(&self, instance: &str) {
        self.change(|state| state.evict(instance));
    }

    /// Fences an instance's member, as if another process had joined under its name.
    pub fn fence(&self, instance: &str) {
        self.change(|state| state.fence(instance));
    }

    /// Kills all current incarnations of an instance: their calls fail from now on. Their open transactions stay open,
    /// and the group keeps the member until it times out, is evicted, or joins again.
    pub fn kill(&self, instance: &str) {
        self.change(|state| {
            state
                .clients
                .iter_mut()
                .filter(|client| client.instance == instance)
                .for_each(|client| client.alive = false);
        });
    }

    /// Ends what has timed out. Every other call does this too; call it after advancing the clock.
    pub fn tick(&self) {
        self.change(|_| ());
    }

    /// Number of decided transactions' markers that are not written yet (see
    /// [`Fate::markers_late`](super::Fate::markers_late)).
    pub fn unsettled(&self) -> usize {
        self.lock().markers.len()
    }

    /// Writes the outstanding marker with this index, if there is one.
    pub fn settle(&self, index: usize) {
        self.change(|state| {
            if index < state.markers.len() {
                state.settle(index);
            }
        });
    }

    /// Lets the hook decide each transactional call from now on. `None` means that all succeed.
    pub fn set_fates(&self, fates: Option<Fates>) {
        self.change(|state| state.hooks.fates = fates);
    }

    /// Lets the hook limit each fetch from now on. `None` means no limits.
    pub fn set_limits(&self, limits: Option<FetchLimits>) {
        self.change(|state| state.hooks.limits = limits);
    }
}

/// Removes records as DeleteRecords does.
pub(super) fn truncate(state: &mut ClusterState, topic: &str, partition: Partition, before: Offset) -> Result<()> {
    let no = state.topic(topic)?;
    if state.topics[no].setting("cleanup.policy") == Some("compact") {
        return Err(Failure::Fatal(format!(
            "records of the compacted topic {topic} can't be deleted"
        )));
    }
    let log = state.log_mut(no, partition)?;
    if before > log.bounds().end {
        let end = log.bounds().end;
        return Err(Failure::Fatal(format!(
            "partition {partition} of {topic} ends at {end}, before {before}"
        )));
    }
    log.truncate(before);
    Ok(())
}
