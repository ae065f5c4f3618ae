//! A log in memory: a cluster within this process, with Kafka's semantics.
//!
//! Rule: it has one lock, no threads, and no clock of its own. What a call does is done when it returns. Where it
//! differs from Kafka, it is stricter: a member sends heartbeats only by polling, and nothing is ever compacted.
//!
//! [`Embedded`] is the cluster. Tests and the demo write and read through it directly. [`Embedded::instance`] is the
//! cluster behind the port, as one instance of a pipeline sees it.

mod clock;
mod direct;
mod fate;
mod group;
mod membership;
mod partition;
mod producer;
mod reader;
mod state;
#[cfg(test)]
mod tests;
mod transactions;

pub use clock::Clock;
pub use direct::{Appender, OpenTransaction, Owned};
pub use fate::{Call, Fate, Fates, Fetch, Limits, Truth, What};
pub use partition::{Isolation, Record};

use super::{Group, Log, Producer, Reader, TopicInfo, Topics};
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition, TopicIx};
use parking_lot::{Condvar, Mutex, MutexGuard};
use state::{Client, ClientNo, State};
use std::sync::Arc;
use std::time::Duration;

/// How long `committed` waits for an open transaction before it returns `Retry`.
const STABLE_WAIT: Duration = Duration::from_millis(100);

/// A cluster in memory. Clones share the same cluster.
#[derive(Clone)]
pub struct Embedded(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Embedded {
    /// An empty cluster. Local state that belongs to another `id` must be refused.
    pub fn new(id: &str, clock: Clock) -> Embedded {
        let state = Mutex::new(State::new(id.to_owned(), clock));
        Embedded(Arc::new(Shared {
            state,
            changed: Condvar::new(),
        }))
    }

    /// The cluster as one instance sees it. Each call creates a new incarnation of the instance. The first topic is the
    /// lead topic, whose partitions are shared among the group.
    pub fn instance(&self, topics: Topics, group: &str, instance: &str) -> Instance {
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
        Instance {
            cluster: self.clone(),
            topics,
            client,
        }
    }

    /// Locks the state, and lets time-outs happen first.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock();
        if state.tick() {
            self.0.changed.notify_all();
        }
        state
    }

    /// Makes a change that others may be waiting for.
    fn change<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = call(&mut state);
        if state.waiting > 0 {
            self.0.changed.notify_all();
        }
        result
    }

    /// Waits for a change or a time-out, but at most until the given time of the clock.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, until: Duration) -> MutexGuard<'a, State> {
        let until = state.next_timeout().map_or(until, |timeout| timeout.min(until));
        let wait = until.saturating_sub(state.clock.now());
        state.waiting += 1;
        self.0.changed.wait_for(&mut state, wait);
        state.waiting -= 1;
        if state.tick() {
            self.0.changed.notify_all();
        }
        state
    }
}

/// One incarnation of an instance of a pipeline.
pub struct Instance {
    cluster: Embedded,
    topics: Topics,
    client: ClientNo,
}

impl Instance {
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
    fn call<R>(&self, call: impl FnOnce(&mut State) -> Result<R>) -> Result<R> {
        self.cluster.change(|state| {
            state.alive(self.client)?;
            call(state)
        })
    }
}

impl Log for Instance {
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
        self.call(|state| Ok(state.log(state.topic(self.name(topic))?, partition)?.bounds()))
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
