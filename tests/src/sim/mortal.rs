//! A process that can die in any call to the log: before the call is made, or right after it. Some of its questions are not
//! answered.
//!
//! Rule: the effects of a call that was made stay. Every call after the death fails, as for a killed process.

use super::dice::Dice;
use parking_lot::{Mutex, MutexGuard};
use pelton::error::{Failure, Result};
use pelton::log::embedded::Embedded;
use pelton::log::{Arrival, Group, Log, Membership, Outcome, Producer, Reader, TopicInfo, Transaction};
use pelton::record::{Offset, Partition, TopicIx};
use std::sync::Arc;
use std::time::Duration;

/// Decides when a process dies. Clones belong to the same process.
#[derive(Clone)]
pub struct Fuse(Arc<Mutex<Inside>>);

struct Inside {
    cluster: Embedded,
    instance: String,
    /// How many calls are left, and whether the last one is still made.
    left: Option<(usize, bool)>,
    dead: bool,
    /// How often a question is not answered.
    silence: Option<(Dice, f64)>,
    /// The partitions that it has given back to the group, until somebody looks.
    released: Vec<Partition>,
}

impl Fuse {
    /// The fuse of a living process.
    pub fn new(cluster: &Embedded, instance: &str) -> Fuse {
        Fuse(Arc::new(Mutex::new(Inside {
            cluster: cluster.clone(),
            instance: instance.to_owned(),
            left: None,
            dead: false,
            silence: None,
            released: vec![],
        })))
    }

    /// The fuse of the process that runs in its place after its death.
    #[must_use]
    pub fn another(&self) -> Fuse {
        let (cluster, instance, silence) = {
            let mut inside = self.lock();
            (inside.cluster.clone(), inside.instance.clone(), inside.silence.take())
        };
        let fuse = Fuse::new(&cluster, &instance);
        fuse.lock().silence = silence;
        fuse
    }

    /// From now on this share of its questions is not answered.
    pub fn silence(&self, dice: Dice, share: f64) {
        self.lock().silence = Some((dice, share));
    }

    /// The partitions that it has given back to the group since the last call.
    pub fn take_released(&self) -> Vec<Partition> {
        std::mem::take(&mut self.lock().released)
    }

    /// Lets the process die in the call after this number of calls. `made` says whether that call is still made.
    pub fn light(&self, calls: usize, made: bool) {
        self.lock().left = Some((calls, made));
    }

    /// The process doesn't die after all, and all of its questions are answered.
    pub fn put_out(&self) {
        let mut inside = self.lock();
        inside.left = None;
        inside.silence = None;
    }

    /// Whether the process is dead.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock()
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

    fn ask<R>(&self, question: impl FnOnce() -> Result<R>) -> Result<R> {
        let unanswered = match &mut self.lock().silence {
            Some((dice, share)) => dice.chance(*share),
            None => false,
        };
        match unanswered {
            true => Err(Failure::Retry("nobody answers".to_owned())),
            false => self.call(question),
        }
    }

    fn die(&self) {
        let mut inside = self.lock();
        inside.left = None;
        inside.dead = true;
        inside.cluster.kill(&inside.instance);
    }
}

/// The log, or a part of it, as a mortal process calls it.
pub struct Mortal<T> {
    inner: T,
    fuse: Fuse,
}

impl<T> Mortal<T> {
    /// Wraps the log, or a part of it.
    pub fn new(inner: T, fuse: &Fuse) -> Mortal<T> {
        Mortal {
            inner,
            fuse: fuse.clone(),
        }
    }
}

impl Log for Mortal<Arc<dyn Log>> {
    fn cluster(&self) -> Result<String> {
        self.fuse.ask(|| self.inner.cluster())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.fuse.ask(|| self.inner.topic(name))
    }

    fn create(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        self.fuse.call(|| self.inner.create(name, partitions, config))
    }

    fn bounds(&self, topic: TopicIx, partition: Partition) -> Result<(Offset, Offset)> {
        self.fuse.ask(|| self.inner.bounds(topic, partition))
    }

    fn committed(&self, of: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>> {
        self.fuse.ask(|| self.inner.committed(of))
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
        // The assignment is in memory, so this is not a call.
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
        self.fuse.lock().released.extend(partitions);
        self.fuse.call(|| self.inner.released(partitions))
    }

    fn leave(&mut self) {
        self.fuse.call(|| self.inner.leave());
    }
}
