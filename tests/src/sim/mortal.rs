//! A process that can die within any call to the log: before it is made, or right behind it.
//!
//! Rule: what a call has done is done; everything after its death fails, as for a process that was killed.

use pelton::error::Result;
use pelton::log::embedded::Embedded;
use pelton::log::{Arrival, Group, Log, Membership, Outcome, Producer, Reader, TopicInfo, Transaction};
use pelton::record::{Offset, Partition, TopicIx};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a process dies; clones are of the same process.
#[derive(Clone)]
pub struct Fuse(Arc<Mutex<Inside>>);

struct Inside {
    cluster: Embedded,
    instance: String,
    /// So many calls are left, and whether the last of them is still made.
    left: Option<(usize, bool)>,
    dead: bool,
}

impl Fuse {
    /// Of a process that lives.
    pub fn new(cluster: &Embedded, instance: &str) -> Fuse {
        Fuse(Arc::new(Mutex::new(Inside {
            cluster: cluster.clone(),
            instance: instance.to_owned(),
            left: None,
            dead: false,
        })))
    }

    /// It dies within the call behind so many. `made`: the call is still made.
    pub fn light(&self, calls: usize, made: bool) {
        self.lock().left = Some((calls, made));
    }

    /// It goes on living.
    pub fn put_out(&self) {
        self.lock().left = None;
    }

    /// It is dead.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<R>(&self, call: impl FnOnce() -> R) -> R {
        let made = {
            let mut inside = self.lock();
            match &mut inside.left {
                Some((0, made)) => Some(*made),
                Some((calls, _)) => {
                    *calls -= 1;
                    None
                }
                None => None,
            }
        };
        if made == Some(false) {
            self.die();
        }
        let result = call();
        if made == Some(true) {
            self.die();
        }
        result
    }

    fn die(&self) {
        let mut inside = self.lock();
        inside.left = None;
        inside.dead = true;
        inside.cluster.kill(&inside.instance);
    }
}

/// What a mortal process calls.
pub struct Mortal<T> {
    inner: T,
    fuse: Fuse,
}

impl<T> Mortal<T> {
    /// The log, or a part of it, as the process calls it.
    pub fn new(inner: T, fuse: &Fuse) -> Mortal<T> {
        Mortal {
            inner,
            fuse: fuse.clone(),
        }
    }
}

impl Log for Mortal<Arc<dyn Log>> {
    fn cluster(&self) -> Result<String> {
        self.fuse.call(|| self.inner.cluster())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.fuse.call(|| self.inner.topic(name))
    }

    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        self.fuse.call(|| self.inner.create(name, partitions, config))
    }

    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        self.fuse.call(|| self.inner.bounds(topic, partition))
    }

    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>> {
        self.fuse.call(|| self.inner.committed(of))
    }

    fn truncate(&self, topic: TopicIx, partition: Partition, before: Offset) -> Result<()> {
        self.fuse.call(|| self.inner.truncate(topic, partition, before))
    }

    fn reader(&self, proofs: Duration) -> Result<Box<dyn Reader>> {
        let reader = self.fuse.call(|| self.inner.reader(proofs))?;
        Ok(Box::new(Mortal::new(reader, &self.fuse)))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        let producer = self.fuse.call(|| self.inner.producer(transactional_id))?;
        Ok(Box::new(Mortal::new(producer, &self.fuse)))
    }

    fn publisher(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        let producer = self.fuse.call(|| self.inner.publisher(transactional_id))?;
        Ok(Box::new(Mortal::new(producer, &self.fuse)))
    }

    fn join(&self) -> Result<Box<dyn Group>> {
        let group = self.fuse.call(|| self.inner.join())?;
        Ok(Box::new(Mortal::new(group, &self.fuse)))
    }

    fn assignment(&self) -> u64 {
        // It is in memory: no call.
        self.inner.assignment()
    }
}

impl Reader for Mortal<Box<dyn Reader>> {
    fn assign(&mut self, topic: TopicIx, partition: Partition, from: Offset) -> Result<()> {
        self.fuse.call(|| self.inner.assign(topic, partition, from))
    }

    fn unassign(&mut self, topic: TopicIx, partition: Partition) -> Result<()> {
        self.fuse.call(|| self.inner.unassign(topic, partition))
    }

    fn pause(&mut self, topic: TopicIx, partition: Partition, paused: bool) -> Result<()> {
        self.fuse.call(|| self.inner.pause(topic, partition, paused))
    }

    fn poll(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()> {
        self.fuse.call(|| self.inner.poll(wait, arrivals))
    }
}

impl Producer for Mortal<Box<dyn Producer>> {
    fn submit(&mut self, transaction: Transaction) {
        self.fuse.call(|| self.inner.submit(transaction));
    }

    fn outcome(&mut self, wait: Duration) -> Option<(Transaction, Outcome)> {
        self.fuse.call(|| self.inner.outcome(wait))
    }

    fn renew(&mut self) -> Result<()> {
        self.fuse.call(|| self.inner.renew())
    }
}

impl Group for Mortal<Box<dyn Group>> {
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>> {
        self.fuse.call(|| self.inner.poll(wait))
    }

    fn released(&mut self, partitions: &[Partition]) -> Result<()> {
        self.fuse.call(|| self.inner.released(partitions))
    }

    fn leave(&mut self) {
        self.fuse.call(|| self.inner.leave());
    }
}
