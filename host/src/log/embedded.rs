//! A log in memory: a cluster within this process, with Kafka's semantics.
//!
//! Rule: it has one lock, no threads, and no clock of its own. What a call does is done when it returns. Where it
//! differs from Kafka, it is stricter: a member sends heartbeats only by polling, and nothing is ever compacted.
//!
//! [`Embedded`] is the cluster. Tests and the demo write and read through it directly. [`Embedded::instance`] is the
//! cluster behind the port, as one instance of a pipeline sees it.

mod client;
mod clock;
mod cluster;
mod direct;
mod fate;
mod group;
mod members;
mod membership;
mod partition;
mod producer;
mod reader;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod transactions;
mod txn;

pub use clock::Clock;
pub use cluster::Embedded;
pub use direct::{Appender, OpenTransaction, Owned, PartitionOffsets};
pub use fate::{CallKind, Fate, Fates, FetchCall, FetchLimits, Truth, TxnCall};
pub use partition::{Isolation, NewRecord};

use super::{Group, Log, Producer, Reader, TopicInfo, Topics};
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition, TopicIx};
use client::{Client, ClientNo};
use state::ClusterState;
use std::time::Duration;

/// How long `committed` waits for an open transaction before it returns `Retry`.
const STABLE_WAIT: Duration = Duration::from_millis(100);

impl Embedded {
    /// The cluster as one instance sees it. Each call creates a new incarnation of the instance. The first topic is the
    /// lead topic, whose partitions are shared among the group.
    pub fn instance(&self, topics: Topics, group: &str, instance: &str) -> EmbeddedInstance {
        let client = self.change(|state| {
            state.clients.push(Client {
                group: group.to_owned(),
                instance: instance.to_owned(),
                alive: true,
                assignment: 0,
                member: None,
                joined: false,
                holds: Vec::new(),
                revoking: Vec::new(),
            });
            state.clients.len() - 1
        });
        EmbeddedInstance {
            cluster: self.clone(),
            topics,
            client,
        }
    }
}

/// One incarnation of an instance of a pipeline.
pub struct EmbeddedInstance {
    cluster: Embedded,
    topics: Topics,
    client: ClientNo,
}

impl EmbeddedInstance {
    fn name(&self, topic: TopicIx) -> &str {
        &self.topics[usize::from(topic)]
    }

    /// If `gated`, its transactions need a living group member.
    fn producing(&self, transactional_id: &str, gated: bool) -> Result<Box<dyn Producer>> {
        let (cluster, topics) = (self.cluster.clone(), self.topics.clone());
        let producer = producer::EmbeddedProducer::new(cluster, topics, self.client, transactional_id, gated)?;
        Ok(Box::new(producer))
    }

    /// Makes a call of this instance. It fails once the instance was killed.
    fn call<R>(&self, call: impl FnOnce(&mut ClusterState) -> Result<R>) -> Result<R> {
        self.cluster.change(|state| {
            state.alive(self.client)?;
            call(state)
        })
    }
}

impl Log for EmbeddedInstance {
    fn cluster(&self) -> Result<String> {
        self.call(|state| Ok(state.id.clone()))
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.call(|state| {
            let topic = state.names.get(name).map(|no| &state.topics[*no]);
            Ok(topic.map(|topic| TopicInfo {
                partitions: topic.partitions.len() as i32,
                id: topic.id.clone(),
                config: topic.config.clone(),
            }))
        })
    }

    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        self.call(|state| state.create(name, partitions, config))
    }

    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        self.call(|state| {
            let bounds = state.log(state.topic(self.name(topic))?, partition)?.bounds();
            Ok((bounds.start, bounds.end))
        })
    }

    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>> {
        let mut state = self.cluster.lock();
        let until = state.clock.now() + STABLE_WAIT;
        loop {
            state.alive(self.client)?;
            let group = &state.clients[self.client].group;
            let held = of
                .iter()
                .find(|(topic, p)| state.offset_pending(group, self.name(*topic), *p));
            let Some((topic, partition)) = held else {
                let offsets = state.groups.get(group).map(|group| &group.offsets);
                let offset = |(topic, p): &(TopicIx, Partition)| {
                    offsets.and_then(|offsets| offsets.get(&(self.name(*topic).to_owned(), *p)).copied())
                };
                return Ok(of.iter().map(offset).collect());
            };
            if state.clock.now() >= until || !state.clock.passes() {
                let topic = self.name(*topic);
                return Err(Failure::Retry(format!(
                    "an open transaction holds back the offset of {topic}, partition {partition}"
                )));
            }
            state = self.cluster.wait(state, until);
        }
    }

    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()> {
        self.call(|state| direct::truncate(state, self.name(topic), partition, before))
    }

    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>> {
        self.call(|_| Ok(()))?;
        Ok(Box::new(reader::EmbeddedReader::new(
            self.cluster.clone(),
            self.topics.clone(),
            self.client,
            proofs,
        )))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        self.producing(transactional_id, true)
    }

    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        self.producing(transactional_id, false)
    }

    fn join(&self) -> Result<Box<dyn Group>> {
        self.call(|state| {
            if std::mem::replace(&mut state.clients[self.client].joined, true) {
                return Err(Failure::Fatal("this instance has joined already".to_owned()));
            }
            state.join(self.client, self.name(TopicIx(0)));
            Ok(())
        })?;
        Ok(Box::new(group::EmbeddedGroup::new(
            self.cluster.clone(),
            self.topics.clone(),
            self.client,
        )))
    }

    fn assignment(&self) -> u64 {
        self.cluster.lock().clients[self.client].assignment
    }
}
