//! A worker with its commands: one round of its loop, without the thread that drives it.
//!
//! Rule: reports about a task carry the stay that the task was opened for, so that the end of one stay is never taken
//! for the end of the next.
#![warn(clippy::disallowed_methods)] // It is driven: its caller says what time it is.

use super::command::{Claim, Command};
use super::supervisor::SupervisorEvent;
use super::tasks::Tasks;
use crate::clock::Now;
use crate::error::{Failure, Result};
use crate::fault::fault;
use crate::record::{Partition, Stay};
use crate::worker::Worker;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a worker reports the status of its tasks.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// How often a lasting problem, such as a missing broker, is logged.
pub const LOG_EVERY: Duration = Duration::from_secs(10);

/// The result of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Something was done.
    Busy,
    /// There was nothing to do.
    Idle,
    /// The log does not answer. The same round may succeed later.
    Unreachable,
}

/// A worker with its commands.
pub struct WorkerRunner {
    worker: Worker,
    /// The stays of the tasks that it must close.
    closing: BTreeMap<Partition, Stay>,
    /// Tasks that are closed, but not reported yet.
    closed: Vec<Claim>,
    /// When it last reported the status of its tasks.
    reported: Duration,
    /// When it last logged that the log does not answer.
    logged: Option<Duration>,
}

impl WorkerRunner {
    /// A worker without tasks.
    pub fn new(worker: Worker) -> WorkerRunner {
        WorkerRunner {
            worker,
            closing: BTreeMap::new(),
            closed: vec![],
            reported: Duration::ZERO,
            logged: None,
        }
    }

    /// The worker, to look at its tasks.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The worker itself, for tests and scenarios.
    pub fn worker_mut(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// Executes a command.
    pub fn execute(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Open(task, stay, assignment) => self.worker.open(*task, stay, assignment)?,
            Command::Reassigned(assignment) => self.worker.reassigned(assignment),
            Command::SetSchedule(schedule) => self.worker.set_schedule(schedule),
            Command::Close(claims, assignment) => {
                let partitions = self.expect(&claims);
                self.worker.close(&partitions, assignment);
                if fault!("closed-before-decided") {
                    self.closing.clear();
                    self.closed.extend(claims);
                }
            }
            Command::Lose(claims, assignment) => {
                let partitions = self.expect(&claims);
                self.worker.lose(&partitions, assignment);
            }
        }
        // This is done at once, because the next command may be about the next stay of the same partition.
        self.take_closed();
        Ok(())
    }

    /// Runs a round of the worker's loop, and adds what must be reported.
    pub fn turn(
        &mut self,
        now: Now,
        wait: Duration,
        tasks: &Tasks,
        events: &mut Vec<SupervisorEvent>,
    ) -> Result<Round> {
        let round = match self.worker.turn(now, wait) {
            Ok(true) => Round::Busy,
            Ok(false) => Round::Idle,
            Err(Failure::Retry(why)) => {
                if self.logged.is_none_or(|at| now.mono - at >= LOG_EVERY) {
                    self.logged = Some(now.mono);
                    tracing::warn!(%why, "a call to the log failed; trying again");
                }
                Round::Unreachable
            }
            Err(other) => return Err(other),
        };
        self.take_closed();
        if !self.closed.is_empty() {
            self.closed.iter().for_each(|claim| tasks.gone(claim.partition));
            events.push(SupervisorEvent::Closed(std::mem::take(&mut self.closed)));
        }
        let cuts = self.worker.take_truncations().into_iter();
        events.extend(cuts.map(|(partition, before)| SupervisorEvent::Truncate(partition, before)));
        if now.mono - self.reported >= STATUS_EVERY {
            self.reported = now.mono;
            self.worker.status().into_iter().for_each(|status| tasks.runs(status));
            for (partition, read) in self.worker.restoring() {
                tasks.restores(partition, read, None);
            }
        }
        Ok(round)
    }

    fn expect(&mut self, claims: &[Claim]) -> Vec<Partition> {
        let closing = claims.iter().map(|claim| (claim.partition, claim.stay));
        self.closing.extend(closing);
        claims.iter().map(|claim| claim.partition).collect()
    }

    fn take_closed(&mut self) {
        for partition in self.worker.take_closed() {
            // A task that must close and is then dropped may be closed twice. The second time is not reported.
            if let Some(stay) = self.closing.remove(&partition) {
                self.closed.push(Claim { partition, stay });
            }
        }
    }
}
