//! What a restore asks, and who finds it out.
//!
//! Rule: everything that may wait, for a broker or for a disk, is in [`Access::ask`], and nothing else is.

use super::Restored;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Log, Reader};
use crate::record::{Offset, Partition, Stay, TopicIx};
use crate::store::{Stamp, Store};
use std::sync::Arc;
use std::time::Duration;

/// The proofs of the end of a partition come this often: a restore that has read everything waits for one.
const PROOFS: Duration = Duration::from_millis(100);

/// What a restore must know before it can go on.
pub enum Question {
    /// The group's committed offsets of these.
    Offsets(Vec<(TopicIx, Partition)>),
    /// First offset and high watermark.
    Bounds(TopicIx, Partition),
    /// Opens the store: what its state stands for.
    Stamp,
    /// The ids of the cluster and of the topic of this name.
    Identity(String),
    /// Adds what is stored to this.
    Load(Box<Restored>),
    /// What is stored must go.
    Wipe,
    /// Records of the task's partition of a topic, from an offset on.
    Read(TopicIx, Offset),
}

/// The answer to the question of the same name.
pub enum Answer {
    /// By input. None: never committed.
    Offsets(Vec<Option<Offset>>),
    /// First offset and high watermark.
    Bounds(Offset, Offset),
    /// None: nothing is stored that can be used.
    Stamp(Option<Stamp>),
    /// See the question.
    Identity {
        /// Id of the cluster.
        cluster: String,
        /// Id of the topic; empty when there is none.
        topic: String,
    },
    /// With everything that is stored, or with part of it and why that is all.
    Loaded(Box<Restored>, Result<()>),
    /// See the question.
    Wiped,
    /// What has come; with a failure, what came before it.
    Read(Vec<Arrival>, Result<()>),
}

/// Answers the questions of one restore.
pub struct Access {
    log: Arc<dyn Log>,
    partition: Partition,
    store: Option<(Box<dyn Store>, Stay)>,
    reader: Option<Reading>,
}

/// A reader, and what it will bring next.
struct Reading {
    reader: Box<dyn Reader>,
    /// None: it has to be assigned first.
    next: Option<(TopicIx, Offset)>,
    /// What it is assigned to.
    topic: Option<TopicIx>,
}

impl Access {
    /// To the log alone.
    pub fn new(log: Arc<dyn Log>, partition: Partition) -> Access {
        Access {
            log,
            partition,
            store: None,
            reader: None,
        }
    }

    /// To the local store as well, for this stay.
    #[must_use]
    pub fn with_store(mut self, store: Option<Box<dyn Store>>, stay: Stay) -> Access {
        self.store = store.map(|store| (store, stay));
        self
    }

    /// Finds the answer, and waits for it; for records at most `wait`.
    pub fn ask(&mut self, question: Question, wait: Duration) -> Result<Answer> {
        Ok(match question {
            Question::Offsets(of) => Answer::Offsets(self.log.committed(&of)?),
            Question::Bounds(topic, partition) => {
                let (start, end) = self.log.bounds(topic, partition)?;
                Answer::Bounds(start, end)
            }
            Question::Stamp => {
                let partition = self.partition;
                let (store, stay) = self.store()?;
                Answer::Stamp(store.open(partition, stay)?)
            }
            Question::Identity(topic) => Answer::Identity {
                cluster: self.log.cluster()?,
                topic: self.log.topic(&topic)?.map(|info| info.id).unwrap_or_default(),
            },
            Question::Load(mut state) => {
                let partition = self.partition;
                let loaded = load(self.store()?.0, partition, &mut state);
                Answer::Loaded(state, loaded)
            }
            Question::Wipe => {
                let partition = self.partition;
                self.store()?.0.wipe(partition)?;
                Answer::Wiped
            }
            Question::Read(topic, from) => {
                let mut arrivals = vec![];
                let read = self.read(topic, from, wait, &mut arrivals);
                Answer::Read(arrivals, read)
            }
        })
    }

    /// Nothing is read for a while: lets go of what a reader costs.
    pub fn rest(&mut self) {
        self.reader = None;
    }

    fn store(&mut self) -> Result<(&mut (dyn Store + 'static), Stay)> {
        match &mut self.store {
            Some((store, stay)) => Ok((store.as_mut(), *stay)),
            None => Err(Failure::Fatal(
                "a restore without a store asked for stored state".into(),
            )),
        }
    }

    fn read(&mut self, topic: TopicIx, from: Offset, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()> {
        let reading = match &mut self.reader {
            Some(reading) => reading,
            none => none.insert(Reading {
                reader: self.log.reader(PROOFS)?,
                next: None,
                topic: None,
            }),
        };
        if reading.next != Some((topic, from)) {
            if let Some(before) = reading.topic.take() {
                reading.reader.unassign(before, self.partition)?;
            }
            reading.reader.assign(topic, self.partition, from)?;
            reading.topic = Some(topic);
            reading.next = Some((topic, from));
        }
        let polled = reading.reader.poll(wait, arrivals);
        for arrival in arrivals.iter() {
            let next = match arrival {
                Arrival::Records(chunk) if chunk.topic == topic => chunk.records.last().map(|last| last.offset + 1),
                Arrival::End { offset, .. } => Some(*offset),
                Arrival::OutOfRange { .. } => {
                    reading.next = None;
                    continue;
                }
                Arrival::Records(_) => None,
            };
            reading.next = reading
                .next
                .map(|(topic, at)| (topic, next.map_or(at, |next| next.max(at))));
        }
        polled
    }
}

/// Loads what is stored. The store is only a cache of the changelog, so whatever of it can't be read counts as damage, a format
/// of another version too: it is wiped, and the changelog says what holds.
fn load(store: &mut dyn Store, partition: Partition, state: &mut Restored) -> Result<()> {
    let mut wrong = None;
    let loaded = store.load(partition, &mut |change| {
        if wrong.is_none() {
            let why = state.apply(change).err();
            wrong = why.map(|why| Failure::Corrupted(why.to_string()));
        }
    });
    wrong.map_or(loaded, Err)
}
