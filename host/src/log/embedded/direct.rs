//! Direct access to the cluster, past the port: for the demo, tests and the simulator.

use super::Embedded;
use super::fate::{Fates, Limits};
use super::partition::{Ending, FetchSize, Isolation, Record};
use super::state::State;
use super::transactions::{Hold, Markers};
use crate::error::{Failure, Result};
use crate::log::{Chunk, Fetched};
use crate::record::{Offset, Partition, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// A record on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Its offset.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// None: a null key.
    pub key: Option<Vec<u8>>,
    /// None: a null value.
    pub value: Option<Vec<u8>>,
    /// (name, value).
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
pub struct Appender<'a>(&'a mut State);

impl Appender<'_> {
    /// Appends a record, outside of any transaction.
    pub fn append(&mut self, topic: &str, partition: Partition, record: Record<'_>) -> Result<Offset> {
        self.0.append(self.0.topic(topic)?, partition, record, None)
    }
}

/// An open transaction of somebody who is not in any group; dropped without an end, it hangs until its time-out.
pub struct OpenTransaction {
    cluster: Embedded,
    hold: Hold,
}

impl OpenTransaction {
    /// Appends a record within it. Fenced: the id was taken again, or it has timed out.
    pub fn append(&self, topic: &str, partition: Partition, record: Record<'_>) -> Result<Offset> {
        self.cluster.change(|state| {
            let topic = state.topic(topic)?;
            state
                .write(self.hold, topic, partition, record)
                .map_err(Failure::Fenced)
        })
    }

    /// Readers see its records from now on.
    pub fn commit(self) -> Result<()> {
        self.end(Ending::Commit)
    }

    /// Nobody sees its records.
    pub fn abort(self) -> Result<()> {
        self.end(Ending::Abort)
    }

    fn end(self, ending: Ending) -> Result<()> {
        self.cluster
            .change(|state| state.end(self.hold, ending, Markers::AtOnce).map_err(Failure::Fenced))
    }
}

impl Embedded {
    /// Makes a topic; nothing when it is there. Known settings: `message.timestamp.type`, `max.message.bytes`,
    /// `retention.bytes`, `cleanup.policy`.
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        self.change(|state| state.create(name, partitions, config))
    }

    /// Deletes a topic with everything in it; made anew, it has another id.
    pub fn delete_topic(&self, name: &str) {
        self.change(|state| state.delete(name));
    }

    /// Appends a record.
    pub fn append(&self, topic: &str, partition: Partition, record: Record<'_>) -> Result<Offset> {
        self.appending(|log| log.append(topic, partition, record))
    }

    /// Appends records to one partition; returns their offsets. Those before one that is refused stay.
    pub fn append_batch<'a>(
        &self,
        topic: &str,
        partition: Partition,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<Range<Offset>> {
        self.change(|state| {
            let topic = state.topic(topic)?;
            let first = state.log(topic, partition)?.bounds().1;
            for record in records {
                state.append(topic, partition, record, None)?;
            }
            Ok(first..state.log(topic, partition)?.bounds().1)
        })
    }

    /// Appends any number of records under one lock, which is what makes it fast; `write` must not call the cluster.
    pub fn appending<R>(&self, write: impl FnOnce(&mut Appender<'_>) -> R) -> R {
        self.change(|state| write(&mut Appender(state)))
    }

    /// Opens a transaction of a producer that is in no group; its id is taken, and what was open under it is aborted.
    pub fn transaction(&self, transactional_id: &str, timeout: Duration) -> Result<OpenTransaction> {
        let hold = self.change(|state| {
            let hold = state.take_id(transactional_id, timeout);
            state.begin(hold).map(|()| hold).map_err(Failure::Fenced)
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
        log.fetch(log.bounds().0, FetchSize::ALL, isolation, &mut chunk);
        Ok(chunk.records.iter().map(|record| Owned::new(&chunk, record)).collect())
    }

    /// The newest committed record of a partition.
    pub fn last(&self, topic: &str, partition: Partition) -> Result<Option<Owned>> {
        /// A transaction of one record is followed by its marker; aborted ones by theirs.
        const BACK: Offset = 64;
        let state = self.lock();
        let log = state.log(state.topic(topic)?, partition)?;
        let mut chunk = Chunk::default();
        let from = log.bounds().0.max(log.stable() - BACK);
        log.fetch(from, FetchSize::ALL, Isolation::Uncommitted, &mut chunk);
        Ok(chunk.records.last().map(|record| Owned::new(&chunk, record)))
    }

    /// Start, last stable offset and high watermark of a partition.
    pub fn offsets(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset, Offset)> {
        let state = self.lock();
        let log = state.log(state.topic(topic)?, partition)?;
        Ok((log.bounds().0, log.stable(), log.bounds().1))
    }

    /// The group's committed offsets, by (topic, partition); what is in open transactions is not in it.
    pub fn group_offsets(&self, group: &str) -> BTreeMap<(String, Partition), Offset> {
        self.lock()
            .groups
            .get(group)
            .map(|group| group.offsets.clone())
            .unwrap_or_default()
    }

    /// Removes records as retention does, or DeleteRecords.
    pub fn truncate(&self, topic: &str, partition: Partition, before: Offset) -> Result<()> {
        self.change(|state| truncate(state, topic, partition, before))
    }

    /// Takes an instance out of its group, as a coordinator does that has not heard of it for too long.
    pub fn evict(&self, instance: &str) {
        self.change(|state| state.evict(instance));
    }

    /// Fences the member of an instance by its own name, as a coordinator does that was restarted, or that a rival has joined.
    pub fn fence(&self, instance: &str) {
        self.change(|state| state.fence(instance));
    }

    /// Kills all incarnations of an instance that there are: their calls fail from now on. What they have open dangles,
    /// and the group keeps the member until it times out, is evicted, or comes back.
    pub fn kill(&self, instance: &str) {
        self.change(|state| {
            state
                .clients
                .iter_mut()
                .filter(|client| client.instance == instance)
                .for_each(|client| client.alive = false);
        });
    }

    /// Ends what has timed out. Every other call does it too; this is for a clock that was moved.
    pub fn tick(&self) {
        self.change(|_| ());
    }

    /// Number of decisions whose markers are not written yet (see [`Fate::markers_late`](super::Fate::markers_late)).
    pub fn unsettled(&self) -> usize {
        self.lock().markers.len()
    }

    /// Writes the outstanding marker with this index; nothing when there is none.
    pub fn settle(&self, index: usize) {
        self.change(|state| {
            if index < state.markers.len() {
                state.settle(index);
            }
        });
    }

    /// From now on the hook decides each transactional call; none: everything succeeds.
    pub fn set_fates(&self, fates: Option<Fates>) {
        self.change(|state| state.fates = fates);
    }

    /// From now on the hook limits each fetch; none: no limits.
    pub fn set_limits(&self, limits: Option<Limits>) {
        self.change(|state| state.limits = limits);
    }
}

/// DeleteRecords.
pub(super) fn truncate(state: &mut State, topic: &str, partition: Partition, before: Offset) -> Result<()> {
    let no = state.topic(topic)?;
    if state.topics[no].setting("cleanup.policy") == Some("compact") {
        return Err(Failure::Fatal(format!(
            "records of the compacted topic {topic} can't be deleted"
        )));
    }
    let log = state.log_mut(no, partition)?;
    if before > log.bounds().1 {
        let end = log.bounds().1;
        return Err(Failure::Fatal(format!(
            "partition {partition} of {topic} ends at {end}, before {before}"
        )));
    }
    log.truncate(before);
    Ok(())
}
