//! Membership of the group, and what follows from it: tasks are restored and opened, or closed and released.
//!
//! Rules:
//! - A revoked partition is released only when its worker has said that the task is closed. No answer in time: the
//!   process ends, because only that stops the task for certain.
//! - Restores run beside the workers: the other tasks go on.
//! - Fenced means that somebody has joined by our instance id. After a restart of the broker that was this process itself,
//!   so it drops everything and joins again; fenced again soon, another process has the id, and this one ends.

use super::Stores;
use super::control::board::Board;
use super::health::Tasks;
use super::threads::{Command, Event, SAY_EVERY};
use crate::config::{Config, Start};
use crate::error::{Failure, Result};
use crate::log::{Group, Log, Membership};
use crate::metrics::Metrics;
use crate::record::{Offset, Partition, TopicIx};
use crate::task::restore::Restoring;
use crate::task::{Layout, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Each wait for a change of membership.
const POLL: Duration = Duration::from_millis(50);

/// Between two looks whether a task's version is there.
const VERSIONS: Duration = Duration::from_millis(5);

/// Restores of a task that may begin again, when the changelog was cut under them.
const RESTORES: u32 = 3;

/// A worker that does not close its tasks within this is stuck: beyond transaction time-outs and their retries.
const CLOSE_DEADLINE: Duration = Duration::from_secs(60);

/// The same when the process was told to stop: then whoever has told it waits, and a crash loses nothing. Below the 30 s
/// after which container platforms kill.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A member that is fenced twice within this has a rival by the same instance id: a broker's restart fences it once.
const RIVAL: Duration = Duration::from_secs(60);

/// See the module.
pub struct Supervisor {
    pub group: Box<dyn Group>,
    pub log: Arc<dyn Log>,
    pub layout: Arc<Layout>,
    pub config: Arc<Config>,
    /// The versions that tasks open with.
    pub board: Arc<Board>,
    pub metrics: Arc<Metrics>,
    pub tasks: Tasks,
    pub stores: Option<Stores>,
    pub commands: Vec<Sender<Command>>,
    pub events: Sender<Event>,
    pub inbox: Receiver<Event>,
    /// Restores under way: set when they are not wanted any more.
    pub restoring: BTreeMap<Partition, Arc<AtomicBool>>,
    /// When this member was fenced last.
    pub fenced: Option<Instant>,
    pub stop: Arc<AtomicBool>,
}

impl Supervisor {
    /// Runs until it is told to stop, or can't go on.
    pub fn run(mut self, workers: Vec<JoinHandle<()>>) -> Result<()> {
        let mut owned: Vec<Partition> = vec![];
        let result = self.serve(&mut owned);
        let result = match result {
            // Told to stop: every task finishes what it has open.
            Ok(()) => self.stop(&owned),
            failed => failed,
        };
        for worker in &self.commands {
            let _ = worker.send(Command::End);
        }
        if result.is_ok() {
            for worker in workers {
                let _ = worker.join();
            }
            let _ = self.group.released(&owned);
            self.group.leave();
        }
        result
    }

    fn serve(&mut self, owned: &mut Vec<Partition>) -> Result<()> {
        let mut said: Option<Instant> = None;
        let mut looked = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            if looked.elapsed() >= SAY_EVERY {
                looked = Instant::now();
                for (task, how) in self.tasks.restoring() {
                    tracing::warn!(task, "still restoring: {how}");
                }
            }
            match self.group.poll(POLL) {
                Ok(Some(Membership::Assigned(partitions))) => {
                    tracing::info!(?partitions, "assigned");
                    self.tell_all();
                    for partition in partitions {
                        owned.push(partition);
                        self.restore(partition)?;
                    }
                }
                Ok(Some(Membership::Revoked(partitions))) => {
                    tracing::info!(?partitions, "revoked");
                    owned.retain(|partition| !partitions.contains(partition));
                    self.close(&partitions, false)?;
                    self.group.released(&partitions)?;
                }
                Ok(Some(Membership::Lost(partitions))) => {
                    tracing::warn!(?partitions, "lost: this instance was thought dead");
                    owned.retain(|partition| !partitions.contains(partition));
                    self.close(&partitions, true)?;
                    self.group.released(&partitions)?;
                }
                Ok(None) => {}
                Err(Failure::Retry(why)) => {
                    if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                        said = Some(Instant::now());
                        tracing::warn!(%why, "the group can't be reached");
                    }
                    std::thread::sleep(POLL);
                }
                Err(Failure::Fenced(why)) => self.rejoin(&why, owned)?,
                Err(other) => return Err(other),
            }
            while let Ok(event) = self.inbox.try_recv() {
                self.handle(event)?;
            }
        }
        Ok(())
    }

    /// Everything of this membership is lost; a new one begins without it.
    fn rejoin(&mut self, why: &str, owned: &mut Vec<Partition>) -> Result<()> {
        if self.fenced.is_some_and(|at| at.elapsed() < RIVAL) {
            return Err(Failure::Fenced(format!(
                "{why}: twice within {} s, so another process runs as instance '{}' of '{}'; give each its own `instance`",
                RIVAL.as_secs(),
                self.config.instance,
                self.config.name
            )));
        }
        self.fenced = Some(Instant::now());
        tracing::warn!(%why, "fenced: this instance joins again");
        // The gate closes first; then what is open is dropped.
        self.group.leave();
        let gone = std::mem::take(owned);
        self.close(&gone, true)?;
        self.group = self.log.join()?;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<Vec<Partition>> {
        match event {
            Event::Closed(partitions) => return Ok(partitions),
            Event::Failed(failure) => return Err(failure),
            Event::Truncate(partition, before) => {
                if let Err(why) = self.log.truncate(self.layout.changelog, partition, before) {
                    // The next round of the sweep asks again.
                    tracing::warn!(task = partition, %why, "the changelog could not be cut");
                }
            }
            // Of an earlier stay: whoever had the task since may have committed more.
            Event::Restored(_, gone, _) if gone.load(Ordering::Acquire) => {}
            Event::Restored(partition, _, task) => {
                self.restoring.remove(&partition);
                let task = task?;
                tracing::info!(task = partition, "open");
                let _ = self.worker(partition).send(Command::Open(task, self.log.assignment()));
            }
        }
        Ok(vec![])
    }

    fn worker(&self, partition: Partition) -> &Sender<Command> {
        &self.commands[partition as usize % self.commands.len()]
    }

    fn tell_all(&self) {
        for worker in &self.commands {
            let _ = worker.send(Command::Reassigned(self.log.assignment()));
        }
    }

    /// Told to stop.
    fn stop(&mut self, owned: &[Partition]) -> Result<()> {
        let open = self.close_within(owned, false, STOP_DEADLINE)?;
        if open.is_empty() {
            return Ok(());
        }
        Err(Failure::Fatal(format!(
            "told to stop, but the open epoch of the tasks {open:?} could not be committed within {} s: are the brokers \
             away? Nothing is lost: the next start does it again",
            STOP_DEADLINE.as_secs()
        )))
    }

    /// Closes tasks, and waits until that is done.
    fn close(&mut self, partitions: &[Partition], lost: bool) -> Result<()> {
        let open = self.close_within(partitions, lost, CLOSE_DEADLINE)?;
        if open.is_empty() {
            return Ok(());
        }
        Err(Failure::Fatal(format!(
            "the tasks {open:?} were not closed within {CLOSE_DEADLINE:?}: the process ends, so that another one may have \
             them"
        )))
    }

    /// Closes tasks, and waits for it, but not longer than this. Those that are open still.
    fn close_within(&mut self, partitions: &[Partition], lost: bool, wait: Duration) -> Result<Vec<Partition>> {
        let assignment = self.log.assignment();
        let mut open: Vec<Partition> = vec![];
        for partition in partitions {
            match self.restoring.remove(partition) {
                Some(gone) => {
                    gone.store(true, Ordering::Release);
                    self.board.forget(*partition);
                    self.tasks.gone(*partition);
                }
                None => open.push(*partition),
            }
        }
        for (index, worker) in self.commands.iter().enumerate() {
            let count = self.commands.len();
            let its: Vec<Partition> = open.iter().copied().filter(|p| *p as usize % count == index).collect();
            let command = match (its.is_empty(), lost) {
                (true, _) => Command::Reassigned(assignment),
                (false, true) => Command::Lose(its, assignment),
                (false, false) => Command::Close(its, assignment),
            };
            let _ = worker.send(command);
        }
        let deadline = Instant::now() + wait;
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(event) = self.inbox.recv_timeout(left) else {
                return Ok(open);
            };
            let closed = self.handle(event)?;
            open.retain(|partition| !closed.contains(partition));
        }
        Ok(open)
    }

    fn restore(&mut self, partition: Partition) -> Result<()> {
        let gone = Arc::new(AtomicBool::new(false));
        self.restoring.insert(partition, gone.clone());
        let (log, layout, config) = (self.log.clone(), self.layout.clone(), self.config.clone());
        let ratio = self.metrics.task(partition).restored_ratio;
        let tasks = self.tasks.clone();
        let (board, stores, events) = (self.board.clone(), self.stores.clone(), self.events.clone());
        std::thread::Builder::new()
            .name(format!("restore-{partition}"))
            .spawn(move || {
                let mut store = stores.map(|stores| stores());
                let mut restoring = Restoring::begin(log.clone(), layout.clone(), partition);
                let mut begins = None;
                let mut restored = None;
                let mut again = RESTORES;
                let task = loop {
                    if gone.load(Ordering::Acquire) {
                        return;
                    }
                    let stepped = match (&begins, &restored) {
                        (None, _) => begin(&config, log.as_ref(), &layout, partition).map(|begin| {
                            begins = Some(begin);
                            None
                        }),
                        (Some(_), Some(_)) => Ok(restored.take()),
                        (Some(_), None) => {
                            let store = store.as_mut().map(|store| &mut **store as _);
                            restoring.step(store, POLL)
                        }
                    };
                    let why = match &stepped {
                        Err(Failure::Retry(why)) => Some(why.as_str()),
                        _ => None,
                    };
                    tasks.restores(partition, restoring.progress(), why, || !gone.load(Ordering::Acquire));
                    match stepped {
                        Ok(None) => {
                            ratio.set(restoring.progress());
                        }
                        Ok(Some(state)) => {
                            let (starts, end) = begins.clone().unwrap_or_default();
                            match board.opening(partition, end, state.meta.as_ref()) {
                                Ok(Some(orders)) => {
                                    break Task::open(partition, layout, orders, state, &starts).map(Box::new);
                                }
                                Ok(None) => {
                                    restored = Some(state);
                                    std::thread::sleep(VERSIONS);
                                }
                                Err(why) => break Err(why),
                            }
                        }
                        Err(Failure::Retry(why)) => {
                            tracing::warn!(task = partition, %why, "the restore waits");
                            std::thread::sleep(POLL);
                        }
                        // The one before us may cut the changelog while we read it: what is left is whole.
                        Err(Failure::Corrupted(why)) if again > 0 => {
                            tracing::warn!(task = partition, %why, "the restore begins again");
                            again -= 1;
                            restoring = Restoring::begin(log.clone(), layout.clone(), partition);
                        }
                        Err(other) => break Err(other),
                    }
                };
                let _ = events.send(Event::Restored(partition, gone, task));
            })
            .map(drop)
            .map_err(|e| Failure::Fatal(format!("no thread for a restore: {e}")))
    }
}

/// Where a task begins: see [`starts`]; and the end of the control topic, now that the task is assigned.
fn begin(config: &Config, log: &dyn Log, layout: &Layout, partition: Partition) -> Result<(Vec<Offset>, Offset)> {
    Ok((starts(config, log, partition)?, log.bounds(layout.control, 0)?.1))
}

/// Where the inputs of a task begin that has never committed, by rank.
pub fn starts(config: &Config, log: &dyn Log, partition: Partition) -> Result<Vec<Offset>> {
    let input = |(rank, input): (usize, &crate::config::Input)| {
        let (first, end) = log.bounds(rank as TopicIx, partition)?;
        Ok(match input.start {
            Start::Earliest => first,
            Start::Latest => end,
        })
    };
    config.inputs.iter().enumerate().map(input).collect()
}
