//! The questions that a restore asks, and their answers.
//!
//! Rule: everything that may wait for a broker or for a disk is in [`Access::ask`], and nowhere else.

use super::Restored;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Log, Reader};
use crate::record::{Offset, Partition, Stay, TopicIx};
use crate::store::{LocalStore, Stamp};
use std::sync::Arc;
use std::time::Duration;

/// How often the end of a partition must be proved. A restore that has read everything waits for such a proof.
const PROOFS: Duration = Duration::from_millis(100);

/// Something that a restore must know before it can continue.
pub enum RestoreQuestion {
    /// The group's committed offsets for these partitions.
    Offsets(Vec<(TopicIx, Partition)>),
    /// The first offset and the high watermark of a partition.
    Bounds(TopicIx, Partition),
    /// The stamp of the stored state. Opens the store.
    Stamp,
    /// The ids of the cluster, and of the topic with this name.
    Identity(String),
    /// This state, with everything that is stored added to it.
    Load(Box<Restored>),
    /// Asks to wipe what is stored.
    Wipe,
    /// Records of the task's partition of a topic, from this offset on.
    Read(TopicIx, Offset),
}

/// The answer to the question of the same name.
pub enum RestoreAnswer {
    /// By input. `None` for an input that was never committed.
    Offsets(Vec<Option<Offset>>),
    /// The first offset and the high watermark.
    Bounds(Offset, Offset),
    /// `None` if nothing usable is stored.
    Stamp(Option<Stamp>),
    /// The ids.
    Identity {
        /// The id of the cluster.
        cluster: String,
        /// The id of the topic. Empty if there is no such topic.
        topic: String,
    },
    /// The state with everything that is stored. After an error it holds only a part of that.
    Loaded(Box<Restored>, Result<()>),
    /// What was stored is wiped.
    Wiped,
    /// The records that have come. After an error, those that came before it.
    Read(Vec<Arrival>, Result<()>),
}

/// Answers the questions of one restore.
pub struct Access {
    log: Arc<dyn Log>,
    partition: Partition,
    store: Option<(Box<dyn LocalStore>, Stay)>,
    reader: Option<Reading>,
}

/// A reader, and what it will return next.
struct Reading {
    reader: Box<dyn Reader>,
    /// `None` if it has to be assigned first.
    next: Option<(TopicIx, Offset)>,
    /// The topic that it is assigned to.
    topic: Option<TopicIx>,
}

impl Access {
    /// Access to the log alone.
    pub fn new(log: Arc<dyn Log>, partition: Partition) -> Access {
        Access {
            log,
            partition,
            store: None,
            reader: None,
        }
    }

    /// Gives access to the local store as well, for this stay.
    #[must_use]
    pub fn with_store(mut self, store: Option<Box<dyn LocalStore>>, stay: Stay) -> Access {
        self.store = store.map(|store| (store, stay));
        self
    }

    /// Finds the answer, and waits for it. For records it waits at most `wait`.
    pub fn ask(&mut self, question: RestoreQuestion, wait: Duration) -> Result<RestoreAnswer> {
        Ok(match question {
            RestoreQuestion::Offsets(of) => RestoreAnswer::Offsets(self.log.committed(&of)?),
            RestoreQuestion::Bounds(topic, partition) => {
                let (start, end) = self.log.bounds(topic, partition)?;
                RestoreAnswer::Bounds(start, end)
            }
            RestoreQuestion::Stamp => {
                let partition = self.partition;
                let (store, stay) = self.store()?;
                RestoreAnswer::Stamp(store.open(partition, stay)?)
            }
            RestoreQuestion::Identity(topic) => RestoreAnswer::Identity {
                cluster: self.log.cluster()?,
                topic: self.log.topic(&topic)?.map(|info| info.id).unwrap_or_default(),
            },
            RestoreQuestion::Load(mut state) => {
                let partition = self.partition;
                let loaded = load(self.store()?.0, partition, &mut state);
                RestoreAnswer::Loaded(state, loaded)
            }
            RestoreQuestion::Wipe => {
                let partition = self.partition;
                self.store()?.0.wipe(partition)?;
                RestoreAnswer::Wiped
            }
            RestoreQuestion::Read(topic, from) => {
                let mut arrivals = vec![];
                let read = self.read(topic, from, wait, &mut arrivals);
                RestoreAnswer::Read(arrivals, read)
            }
        })
    }

    /// Drops the reader, because nothing will be read for a while.
    pub fn rest(&mut self) {
        self.reader = None;
    }

    fn store(&mut self) -> Result<(&mut (dyn LocalStore + 'static), Stay)> {
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
                Arrival::Records(chunk) if chunk.topic == topic => chunk.records.last().map(|last| last.offset.next()),
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

/// Loads the stored state. The store is only a cache of the changelog. So anything in it that can't be read counts as
/// damage, including the format of another version: the store is wiped, and the changelog is replayed.
fn load(store: &mut dyn LocalStore, partition: Partition, state: &mut Restored) -> Result<()> {
    let mut wrong = None;
    let loaded = store.load(partition, &mut |change| {
        if wrong.is_none() {
            let why = state.apply(change).err();
            wrong = why.map(|why| Failure::Corrupted(why.to_string()));
        }
    });
    wrong.map_or(loaded, Err)
}
