//! One thread of an instance: its tasks, its readers, one transactional producer, a sandbox for each version of the rules.
//!
//! Rules:
//! - Each doubt about a commit has one answer: recover from the log (`recover`).
//! - An epoch is open while the one before it is being committed; if that one fails, both are dropped.
//! - The loop owns no clock, no thread and no randomness: whoever drives it says what time it is. The same worker runs on
//!   Kafka, on the embedded log, and in the simulator.

mod beat;
mod close;
mod commit;
mod flush;
mod guests;
mod recover;
mod spent;
mod stopped;
mod telemetry;

use crate::config::{Config, OnDataLoss};
use crate::control::Number;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Log, Producer, Reader, Transaction};
use crate::metrics::{Metrics, Part};
use crate::record::{Millis, Partition, Rank, Stay};
use crate::registry::Schemas;
use crate::service::{Answer, Reply, Services};
use crate::store::Store;
use crate::task::restore::Restoring;
use crate::task::{Epoch, Guest, Layout, Orders, Sources, Status, Task};
use commit::Flight;
use flush::Flushes;
use spent::Spent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;

/// Batches of one task in a row, before the next task has its turn: 8 of 512 inputs are about 4 ms.
const BATCHES_A_TURN: usize = 8;

/// An epoch that waits for the one before it may grow to so many times its normal size; then its tasks wait.
const OVERFULL: usize = 2;

/// How often idleness, pauses and held records are looked at.
const CHORES_EVERY: Duration = Duration::from_millis(10);

/// How often the registry is asked again for a schema that records wait for.
const ASK_REGISTRY_EVERY: Duration = Duration::from_secs(1);

/// What time it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Monotonic.
    pub mono: Duration,
    /// Milliseconds since 1970.
    pub wall: Millis,
}

/// What a worker needs from outside.
pub struct Ports {
    /// The log.
    pub log: Arc<dyn Log>,
    /// A reader of it.
    pub reader: Box<dyn Reader>,
    /// Its producer.
    pub producer: Box<dyn Producer>,
    /// External services.
    pub services: Box<dyn Services>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Local state.
    pub store: Option<Box<dyn Store>>,
}

/// See the module.
pub struct Worker {
    layout: Arc<Layout>,
    pace: crate::config::Epoch,
    flush_bytes: u64,
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    producer: Box<dyn Producer>,
    services: Box<dyn Services>,
    store: Option<Box<dyn Store>>,
    sources: Sources,
    guests: Vec<Guest>,
    /// Which versions the tasks take.
    orders: Arc<Orders>,
    /// Deploys that no task takes a step by, and why: see `stopped`.
    stopped: BTreeMap<Number, String>,
    tasks: BTreeMap<Partition, Task>,
    /// Tasks that read the changelog again, after an ambiguous commit.
    restoring: Vec<Restoring>,
    epoch: Epoch,
    /// Memory of a transaction that is through, for the epoch after the open one.
    spare: Transaction,
    /// When the open epoch got its first step.
    opened: Option<Duration>,
    /// It was out of work since the open epoch began.
    rested: bool,
    /// The same of the epoch before.
    rests: bool,
    /// What the last commit took.
    took: Duration,
    /// The assignment counter that holds for the tasks at hand.
    assignment: u64,
    flight: Option<Flight>,
    /// The open epoch holds work of a lost task: it is dropped when the one in its commit is decided.
    stale: bool,
    /// Tasks whose readers are not assigned yet.
    unread: BTreeSet<Partition>,
    /// The producer must be renewed before anything else.
    renew: bool,
    closing: BTreeSet<Partition>,
    closed: Vec<Partition>,
    paused: BTreeSet<(Rank, Partition)>,
    flushes: Flushes,
    truncations: Vec<(Partition, i64)>,
    telemetry: Telemetry,
    spent: Spent,
    /// As of the last turn.
    now: Now,
    chores_at: Duration,
    registry_at: Duration,
    arrivals: Vec<Arrival>,
    replies: Vec<Reply>,
}

impl Worker {
    /// A worker without tasks.
    pub fn new(
        index: usize,
        config: &Config,
        layout: Arc<Layout>,
        orders: Arc<Orders>,
        ports: Ports,
        metrics: Arc<Metrics>,
    ) -> Worker {
        let assignment = ports.log.assignment();
        Worker {
            layout,
            pace: config.epoch.clone(),
            flush_bytes: config.state.flush_bytes,
            log: ports.log,
            reader: ports.reader,
            producer: ports.producer,
            services: ports.services,
            store: ports.store,
            sources: Sources::new(&config.inputs, ports.schemas),
            guests: vec![],
            orders,
            stopped: BTreeMap::new(),
            tasks: BTreeMap::new(),
            restoring: vec![],
            epoch: Epoch::default(),
            spare: Transaction::default(),
            opened: None,
            rested: false,
            rests: true,
            took: Duration::ZERO,
            assignment,
            flight: None,
            stale: false,
            unread: BTreeSet::new(),
            renew: false,
            closing: BTreeSet::new(),
            closed: vec![],
            paused: BTreeSet::new(),
            flushes: Flushes::default(),
            truncations: vec![],
            telemetry: Telemetry::new(metrics, index),
            spent: Spent::default(),
            now: Now::default(),
            chores_at: Duration::ZERO,
            registry_at: Duration::ZERO,
            arrivals: vec![],
            replies: vec![],
        }
    }

    /// Takes over a task, for this stay. `assignment`: the counter at which it became ours.
    pub fn open(&mut self, task: Task, stay: Stay, assignment: u64) -> Result<()> {
        self.assignment = assignment;
        let partition = task.partition();
        self.open_store(&task, stay)?;
        self.resume(task);
        // A commit at once: the group's offsets are this member's from now on.
        self.epoch.touched.insert(partition);
        Ok(())
    }

    /// Partitions have changed hands, but none of ours: what is open may be committed under this counter.
    pub fn reassigned(&mut self, assignment: u64) {
        self.assignment = assignment;
    }

    /// How its tasks stand.
    pub fn status(&self) -> Vec<Status> {
        self.tasks.values().map(|task| self.standing(task)).collect()
    }

    /// A task, for tests and queries.
    pub fn task(&mut self, partition: Partition) -> Option<&mut Task> {
        self.tasks.get_mut(&partition)
    }

    /// Changelogs that may be cut: task, and the offset before which nothing is needed. Drained.
    pub fn take_truncations(&mut self) -> Vec<(Partition, i64)> {
        std::mem::take(&mut self.truncations)
    }

    /// One round of the loop: waits for data at most `wait`, when there is nothing else to do. True: something was done.
    pub fn turn(&mut self, now: Now, wait: Duration) -> Result<bool> {
        self.now = now;
        self.spent.begin();
        let mut busy = self.decide(now, Duration::ZERO)?;
        if self.renew && !self.recover()? {
            return Ok(busy);
        }
        busy |= self.restore()?;
        self.read_again()?;
        let chores = now.mono >= self.chores_at;
        if chores {
            self.chores_at = now.mono + CHORES_EVERY;
        }
        self.spent.seam(Part::Commit);
        busy |= self.take_replies();
        if self.closing.is_empty() && !self.stale {
            self.obey(now);
            busy |= self.run_tasks(now);
        }
        self.spent.seam(Part::Steps);
        for guest in &mut self.guests {
            self.spent
                .shift(Part::Steps, Part::Rules, std::mem::take(&mut guest.spent));
        }
        self.seal_when_due(now);
        self.close_when_through();
        self.spent.seam(Part::Commit);
        let wait = if busy { Duration::ZERO } else { self.wait(now, wait) };
        let fetched = self.fetch(now, wait)?;
        self.rested |= !busy && !fetched;
        busy |= fetched;
        if chores {
            self.chores(now)?;
        }
        self.flush(now);
        self.spent.seam(Part::Other);
        Ok(busy)
    }

    /// As long as nothing has to be done but to wait for records.
    fn wait(&self, now: Now, wait: Duration) -> Duration {
        let commit = match (self.flight.is_some(), self.opened) {
            // How it ended comes without a wake-up.
            (true, _) => Duration::from_millis(1),
            (false, Some(opened)) => (opened + self.interval()).saturating_sub(now.mono),
            (false, None) => wait,
        };
        wait.min(commit)
    }

    fn fetch(&mut self, now: Now, wait: Duration) -> Result<bool> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let polled = self.reader.poll(wait, &mut arrivals);
        self.spent.seam(Part::Poll);
        let busy = !arrivals.is_empty();
        let mut failed = polled;
        for arrival in arrivals.drain(..) {
            let arrived = self.arrive(arrival, now);
            failed = failed.and(arrived);
        }
        self.arrivals = arrivals;
        self.spent.seam(Part::Arrive);
        failed?;
        Ok(busy)
    }

    fn arrive(&mut self, arrival: Arrival, now: Now) -> Result<()> {
        match arrival {
            Arrival::Records(chunk) => {
                let Some(task) = reading(&mut self.tasks, &self.unread, chunk.partition) else {
                    return Ok(());
                };
                if let Err(why) = task.arrive(chunk, &mut self.sources, now.wall, &mut self.epoch) {
                    tracing::warn!(%why, "records wait for their schema");
                }
                self.opened_now(now);
            }
            Arrival::End {
                topic,
                partition,
                offset,
            } => {
                if let Some(task) = reading(&mut self.tasks, &self.unread, partition) {
                    task.prove_end(topic, offset, now.mono);
                }
            }
            Arrival::OutOfRange {
                topic,
                partition,
                start,
                end,
            } => {
                let skip = self.layout.inputs[usize::from(topic)].on_data_loss == OnDataLoss::Skip;
                let at = self.tasks.get(&partition).map(|task| task.position(topic));
                if skip && at.is_some_and(|position| position < start) {
                    tracing::error!(
                        topic,
                        partition,
                        ?at,
                        start,
                        "records were lost to retention, and are skipped"
                    );
                    self.reader.unassign(topic, partition)?;
                    return self.reader.assign(topic, partition, start);
                }
                return Err(Failure::Fatal(format!(
                    "{}/{partition}: the next record to read is not in the topic any more (it holds {start} to {end}): \
                     retention has removed unprocessed records, or the topic was made anew. Nothing was committed beyond it. \
                     To go on with what is left, set on_data_loss = \"skip\" for this input",
                    self.layout.topics[usize::from(topic)]
                )));
            }
        }
        Ok(())
    }

    fn take_replies(&mut self) -> bool {
        self.services.replies(&mut self.replies);
        let busy = !self.replies.is_empty();
        for reply in self.replies.drain(..) {
            if let Some(task) = self.tasks.get_mut(&reply.task) {
                let ending = match reply.answer {
                    Answer::Body(body) => crate::journal::Ending::Body(body),
                    Answer::Absent => crate::journal::Ending::Absent,
                    Answer::Unavailable => crate::journal::Ending::Unavailable,
                };
                task.offer(reply.id, ending);
            }
        }
        busy
    }

    /// Tasks learn of new orders, between two steps.
    fn obey(&mut self, now: Now) {
        let moment = self.moment(now);
        for task in self.tasks.values_mut() {
            task.obey(&self.orders, &moment, &mut self.epoch);
        }
        self.opened_now(now);
    }

    fn run_tasks(&mut self, now: Now) -> bool {
        let mut busy = false;
        let mut trouble = None;
        for task in self.tasks.values_mut() {
            let (mut ran, mut left) = (false, true);
            for _ in 0..BATCHES_A_TURN {
                let deployed = task.deployed();
                if trouble.is_some() || self.stopped.contains_key(&deployed) {
                    break;
                }
                if self.flight.is_some() && self.epoch.bytes() > OVERFULL * self.pace.bytes {
                    break;
                }
                let guest = match guests::of(&mut self.guests, task.wiring(), &self.telemetry) {
                    Ok(guest) => guest,
                    Err(why) => {
                        tracing::error!(%why, "the rules can't be instantiated");
                        if self.orders.stops.contains(&deployed) {
                            trouble = Some((deployed, format!("the rules can't be instantiated: {why}")));
                        }
                        break;
                    }
                };
                left = task.run(guest, &mut self.sources, &mut self.epoch);
                if guest.faults.over() && self.orders.stops.contains(&deployed) {
                    trouble = Some((deployed, guest.faults.why()));
                }
                if !left {
                    break;
                }
                ran = true;
            }
            busy |= ran;
            let held = task.is_held_back();
            self.telemetry.held(task.partition(), held, now);
            self.telemetry.had_turn(task.partition(), ran, left || held, now);
        }
        self.opened_now(now);
        if let Some((deploy, why)) = trouble {
            self.stop(deploy, why);
        }
        busy
    }

    fn opened_now(&mut self, now: Now) {
        if !self.epoch.is_empty() && self.opened.is_none() {
            self.opened = Some(now.mono);
            self.rested = false;
        }
    }

    fn chores(&mut self, now: Now) -> Result<()> {
        for (partition, task) in &mut self.tasks {
            task.note_stride(now.mono);
            if self.closing.is_empty() {
                task.beat(now.mono, now.wall, &mut self.epoch);
            }
            if task.take_resumed() {
                for question in task.questions() {
                    self.services.ask(question);
                }
            }
            for rank in 0..self.layout.inputs.len() as Rank {
                let pause = task.holds_back(rank);
                let place = (rank, *partition);
                if pause != self.paused.contains(&place) {
                    self.reader.pause(rank, *partition, pause)?;
                    if pause {
                        self.paused.insert(place);
                    } else {
                        self.paused.remove(&place);
                    }
                }
            }
        }
        if now.mono >= self.registry_at {
            self.registry_at = now.mono + ASK_REGISTRY_EVERY;
            for task in self.tasks.values_mut().filter(|task| task.waits_for_schema()) {
                if let Err(why) = task.retry_schemas(&mut self.sources, now.wall, &mut self.epoch) {
                    tracing::warn!(%why, "records still wait for their schema");
                }
            }
        }
        self.telemetry
            .look(now, &mut self.tasks, &self.stopped, &mut self.spent);
        self.opened_now(now);
        self.find_lost();
        guests::forget(&mut self.guests, &self.tasks);
        Ok(())
    }
}

/// A task whose readers are assigned where it stands.
fn reading<'a>(
    tasks: &'a mut BTreeMap<Partition, Task>,
    unread: &BTreeSet<Partition>,
    partition: Partition,
) -> Option<&'a mut Task> {
    if unread.contains(&partition) {
        None
    } else {
        tasks.get_mut(&partition)
    }
}
