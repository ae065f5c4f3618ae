//! The state of the cluster, under its lock: topics, clients, producers, groups.
//!
//! Rule: everything here is the immediate effect of a call. What has timed out is ended by the [`cluster`](super::cluster).

use super::client::{Client, ClientNo};
use super::clock::Clock;
use super::fate::{CallKind, Fate, FetchCall, Hooks, TxnCall};
use super::members::GroupState;
use super::partition::{NewRecord, PartitionLog, ProducerNo};
use super::topic::{Topic, TopicNo};
use super::txn::{Marker, TxnProducer};
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition};
use std::collections::{BTreeMap, HashMap};

pub(super) struct ClusterState {
    /// Id of the cluster.
    pub id: String,
    pub clock: Clock,
    /// Deleted topics stay here, but not in `names`.
    pub topics: Vec<Topic>,
    pub names: HashMap<String, TopicNo>,
    /// One for each incarnation of an instance. They are never removed, because indexes are handles. A process makes
    /// few.
    pub clients: Vec<Client>,
    /// One for each transactional id.
    pub producers: Vec<TxnProducer>,
    /// Indexes of producers by transactional id.
    pub ids: HashMap<String, ProducerNo>,
    /// Markers of decided transactions that are not written yet, oldest first.
    pub markers: Vec<Marker>,
    pub groups: BTreeMap<String, GroupState>,
    pub hooks: Hooks,
    /// Number of threads that wait for a change.
    pub waiting: usize,
    /// Number of member ids given so far.
    pub members: u64,
}

impl ClusterState {
    pub fn new(id: String, clock: Clock) -> ClusterState {
        ClusterState {
            id,
            clock,
            topics: Vec::new(),
            names: HashMap::new(),
            clients: Vec::new(),
            producers: Vec::new(),
            ids: HashMap::new(),
            markers: Vec::new(),
            groups: BTreeMap::new(),
            hooks: Hooks::default(),
            waiting: 0,
            members: 0,
        }
    }

    /// The index of the topic with this name.
    pub fn topic(&self, name: &str) -> Result<TopicNo> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| Failure::Fatal(format!("there is no topic {name}: create it")))
    }

    /// The log of a partition. Fails if the topic has no such partition.
    pub fn log(&self, topic: TopicNo, partition: Partition) -> Result<&PartitionLog> {
        let topic = &self.topics[topic];
        topic.partitions.get(partition.index()).ok_or_else(|| {
            let count = topic.partitions.len();
            Failure::Fatal(format!(
                "topic {} has no partition {partition}, only {count} of them",
                topic.name
            ))
        })
    }

    pub fn log_mut(&mut self, topic: TopicNo, partition: Partition) -> Result<&mut PartitionLog> {
        self.log(topic, partition)?;
        // `log` has checked both indexes.
        Ok(&mut self.topics[topic].partitions[partition.index()])
    }

    /// Creates a topic, unless it exists.
    pub fn create(&mut self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        if partitions < 1 {
            return Err(Failure::Fatal(format!(
                "topic {name} needs at least one partition, not {partitions}"
            )));
        }
        if !self.names.contains_key(name) {
            let no = self.topics.len();
            self.names.insert(name.to_owned(), no);
            self.topics
                .push(Topic::new(name, format!("{}-topic-{no}", self.id), partitions, config));
        }
        Ok(())
    }

    /// Deletes a topic, its records, and its group offsets. Its readers are then out of range.
    pub fn delete(&mut self, name: &str) {
        if let Some(no) = self.names.remove(name) {
            for log in &mut self.topics[no].partitions {
                *log = PartitionLog::default();
            }
            for group in self.groups.values_mut() {
                group.offsets.retain(|(topic, _), _| topic != name);
            }
        }
    }

    /// Appends a record, if it is not too large.
    pub fn append(
        &mut self,
        topic: TopicNo,
        partition: Partition,
        mut record: NewRecord<'_>,
        producer: Option<ProducerNo>,
    ) -> Result<Offset> {
        self.log(topic, partition)?;
        let Topic {
            name,
            append_time,
            max_message_bytes,
            retention_bytes,
            ..
        } = &self.topics[topic];
        if record.size() > *max_message_bytes {
            let size = record.size();
            return Err(Failure::Fatal(format!(
                "a record of {size} bytes is too large for topic {name}: raise max.message.bytes above {max_message_bytes}"
            )));
        }
        if *append_time {
            record.timestamp = self.clock.wall();
        }
        let retention = *retention_bytes;
        let log = &mut self.topics[topic].partitions[partition.index()];
        let offset = log.append(record, producer);
        if let Some(bytes) = retention {
            log.retain(bytes);
        }
        Ok(offset)
    }

    /// Fails if the client was killed.
    pub fn alive(&self, client: ClientNo) -> Result<()> {
        match self.clients[client].alive {
            true => Ok(()),
            false => Err(Failure::Fatal(format!(
                "instance {} was killed",
                self.clients[client].instance
            ))),
        }
    }

    /// What the hook decides for a call.
    pub fn fate(&mut self, transactional_id: &str, what: CallKind) -> Fate {
        let call = TxnCall { transactional_id, what };
        self.hooks.fates.as_mut().map_or(Fate::GOOD, |decide| decide(call))
    }

    /// The maximum number of records for a fetch.
    pub fn limit(&mut self, topic: TopicNo) -> usize {
        let topic = &self.topics[topic].name;
        self.hooks
            .limits
            .as_mut()
            .map_or(usize::MAX, |decide| decide(FetchCall { topic }))
    }
}
