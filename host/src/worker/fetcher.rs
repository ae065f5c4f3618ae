//! Reads the input partitions of a worker's tasks, and gives each task what arrives for it.
//!
//! Rule: a task that opens, or goes back to its last commit, is read again from its own positions. Until its partitions
//! are assigned there, everything that arrives for it belongs to the earlier assignment and is dropped.

use super::epochs::Epochs;
use crate::binding::{Layout, Sources};
use crate::clock::Now;
use crate::config::OnDataLoss;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Reader};
use crate::record::{Offset, Partition, Rank};
use crate::task::{Epoch, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How often the registry is asked again for a schema that records wait for.
const ASK_REGISTRY_EVERY: Duration = Duration::from_secs(1);

/// The reader of a worker, and the state of each partition that it reads.
pub struct Fetcher {
    layout: Arc<Layout>,
    reader: Box<dyn Reader>,
    sources: Sources,
    /// Tasks whose partitions must be assigned first. Until then, nothing that arrives is theirs.
    unassigned: BTreeSet<Partition>,
    paused: BTreeSet<(Rank, Partition)>,
    ask_registry_at: Duration,
    /// The arrivals of the last poll. Empty between turns, and kept for its memory.
    arrivals: Vec<Arrival>,
}

impl Fetcher {
    /// Reads nothing until a task [starts](Fetcher::start).
    pub fn new(layout: Arc<Layout>, reader: Box<dyn Reader>, sources: Sources) -> Fetcher {
        Fetcher {
            layout,
            reader,
            sources,
            unassigned: BTreeSet::new(),
            paused: BTreeSet::new(),
            ask_registry_at: Duration::ZERO,
            arrivals: vec![],
        }
    }

    /// The decoders of the inputs, which all tasks of the worker share.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// Asks for the task to be read from its own positions. [`assign`](Fetcher::assign) does it.
    pub fn start(&mut self, task: Partition) {
        self.unassigned.insert(task);
    }

    /// Assigns the partitions of tasks that have started. A task stays on the list until all of its partitions are
    /// assigned, so a failed call is repeated.
    pub fn assign(&mut self, tasks: &BTreeMap<Partition, Task>) -> Result<()> {
        while let Some(partition) = self.unassigned.first().copied() {
            if let Some(task) = tasks.get(&partition) {
                for (rank, from) in task.positions() {
                    self.reader.unassign(rank.topic(), partition)?;
                    self.paused.remove(&(rank, partition));
                    self.reader.assign(rank.topic(), partition, from)?;
                }
            }
            self.unassigned.remove(&partition);
        }
        Ok(())
    }

    /// Stops reading for a task.
    pub fn stop(&mut self, task: Partition) {
        self.unassigned.remove(&task);
        for rank in Rank::all(self.layout.inputs.len()) {
            self.paused.remove(&(rank, task));
            if let Err(why) = self.reader.unassign(rank.topic(), task) {
                tracing::warn!(task = task.0, %why, "stopped reading a partition, but the reader still has it assigned");
            }
        }
    }

    /// Pauses the inputs that the task has buffered enough of, and resumes the others.
    pub fn pause_or_resume(&mut self, task: &Task) -> Result<()> {
        for rank in Rank::all(self.layout.inputs.len()) {
            let pause = task.holds_back(rank);
            let input = (rank, task.partition());
            if pause == self.paused.contains(&input) {
                continue;
            }
            self.reader.pause(rank.topic(), task.partition(), pause)?;
            if pause {
                self.paused.insert(input);
            } else {
                self.paused.remove(&input);
            }
        }
        Ok(())
    }

    /// Asks the registry again, now and then, for the schemas that records wait for.
    pub fn retry_schemas(&mut self, tasks: &mut BTreeMap<Partition, Task>, epoch: &mut Epoch, now: Now) {
        if now.mono < self.ask_registry_at {
            return;
        }
        self.ask_registry_at = now.mono + ASK_REGISTRY_EVERY;
        for task in tasks.values_mut().filter(|task| task.waits_for_schema()) {
            if let Err(why) = task.retry_schemas(&mut self.sources, now.wall, epoch) {
                tracing::warn!(task = task.partition().0, %why, "records still wait for their schema");
            }
        }
    }

    /// Waits for data, at most this long. Arrivals before an error are kept, and must be [delivered](Fetcher::deliver).
    pub fn poll(&mut self, wait: Duration) -> Result<()> {
        self.reader.poll(wait, &mut self.arrivals)
    }

    /// Whether the last poll brought anything.
    pub fn has_arrivals(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// Delivers everything that the last poll brought, even if something fails. Then it returns the first failure.
    pub fn deliver(&mut self, tasks: &mut BTreeMap<Partition, Task>, epochs: &mut Epochs, now: Now) -> Result<()> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let mut result = Ok(());
        for arrival in arrivals.drain(..) {
            let delivered = self.deliver_one(arrival, tasks, epochs, now);
            result = result.and(delivered);
        }
        self.arrivals = arrivals;
        result
    }

    fn deliver_one(
        &mut self,
        arrival: Arrival,
        tasks: &mut BTreeMap<Partition, Task>,
        epochs: &mut Epochs,
        now: Now,
    ) -> Result<()> {
        match arrival {
            Arrival::Records(chunk) => {
                if let Some(task) = self.assigned(tasks, chunk.partition) {
                    if let Err(why) = task.arrive(chunk, &mut self.sources, now.wall, epochs.open()) {
                        tracing::warn!(task = task.partition().0, %why, "records wait for their schema");
                    }
                    epochs.note_opened(now);
                }
                Ok(())
            }
            Arrival::End {
                topic,
                partition,
                offset,
            } => {
                if let Some(task) = self.assigned(tasks, partition) {
                    task.prove_end(topic.rank(), offset, now.mono);
                }
                Ok(())
            }
            Arrival::OutOfRange {
                topic,
                partition,
                start,
                end,
            } => {
                let rank = topic.rank();
                let position = tasks.get(&partition).map(|task| task.position(rank));
                self.out_of_range(rank, partition, position, start..end)
            }
        }
    }

    /// The task of a partition, unless its arrivals still belong to an earlier assignment.
    fn assigned<'a>(&self, tasks: &'a mut BTreeMap<Partition, Task>, partition: Partition) -> Option<&'a mut Task> {
        if self.unassigned.contains(&partition) {
            None
        } else {
            tasks.get_mut(&partition)
        }
    }

    /// The next record to read is not in the topic. Skips to the first one that is, if the input allows that.
    fn out_of_range(
        &mut self,
        rank: Rank,
        partition: Partition,
        position: Option<Offset>,
        log: Range<Offset>,
    ) -> Result<()> {
        let skip = self.layout.inputs[usize::from(rank)].on_data_loss == OnDataLoss::Skip;
        let topic = &self.layout.topics[usize::from(rank)];
        if skip && position.is_some_and(|position| position < log.start) {
            tracing::error!(
                topic,
                partition = partition.0,
                position = position.map(|position| position.0),
                start = log.start.0,
                "retention has removed records before they were processed: they are skipped"
            );
            self.reader.unassign(rank.topic(), partition)?;
            return self.reader.assign(rank.topic(), partition, log.start);
        }
        Err(Failure::Fatal(format!(
            "{topic}/{partition}: the next record to read is no longer in the topic (it holds {} to {}): retention has \
             removed unprocessed records, or the topic was deleted and created again. Nothing was committed beyond it. \
             To go on with what is left, set on_data_loss = \"skip\" for this input",
            log.start, log.end
        )))
    }
}
