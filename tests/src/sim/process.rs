//! A place where an instance runs again and again: it starts, its supervisor has its turns, and it ends.
//!
//! Rule: an instance may end only for one of these reasons: it was told to, it died in a call, a version does not fit
//! it, or it has waited for a worker until its deadline.

use super::instance::{Life, Parts};
use super::mortal::{Fuse, Mortal};
use super::patience::Patience;
use super::service::Desk;
use super::versions::Bench;
use super::world::{World, Wrong};
use pelton::error::Failure;
use pelton::instance::command::Claim;
use pelton::log::Log;
use pelton::record::Offset;
use pelton::store::memory::Disk;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A place where an instance runs again and again.
pub(super) struct Process {
    pub name: String,
    pub workers: usize,
    pub workers_ever: usize,
    pub disk: Option<Disk>,
    /// The version in its file.
    pub file: usize,
    /// How often a compilation gets its turn when it could.
    pub compiles: f64,
    /// How often the thread of its control topic gets its turn when it could.
    pub carries: f64,
    /// How often its supervisor gets its turn when it could.
    pub supervises: f64,
    /// How often the thread that cuts changelogs gets its turn when it could.
    pub cuts: f64,
    pub bench: Bench,
    /// Decides when it dies in a call.
    pub fuse: Fuse,
    pub life: Option<Life>,
    pub frozen_until: Duration,
    /// By worker.
    pub stuck_until: [Duration; 2],
    /// Restores whose question is not answered before this time.
    pub hung: BTreeMap<Claim, Duration>,
    pub patience: Patience,
    /// By rank and partition: where the inputs ended when it started.
    pub ends: Vec<Vec<Offset>>,
}

impl Process {
    /// The number of current restores.
    pub fn restores(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.instance.restores())
    }

    /// Whether a restore still waits for the answer to a question.
    pub fn is_hung(&self, index: usize, now: Duration) -> bool {
        let claim = self.life.as_ref().map(|life| life.instance.restoring(index).0);
        let until = claim.and_then(|claim| self.hung.get(&claim));
        until.is_some_and(|until| *until > now)
    }

    /// Moves a restore on. Returns false if it can only wait. Nothing of a task that is open may change on the disk.
    pub fn restore(&mut self, index: usize) -> Result<bool, Wrong> {
        let Some(life) = &mut self.life else { return Ok(false) };
        let (claim, _) = life.instance.restoring(index);
        let records = || self.disk.as_ref().map(|disk| disk.records(claim.partition));
        let (before, open) = (records(), life.instance.task(claim.partition).is_some());
        let goes_on = life.instance.restore(index);
        match open && records() != before {
            true => Err(format!(
                "the restore for {claim:?} has changed what is stored of a task that is open"
            )),
            false => Ok(goes_on),
        }
    }
}

impl World {
    pub(super) fn supervise(&mut self, number: usize) -> Result<(), Wrong> {
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else { return Ok(()) };
        let now = self.clock.now();
        let before = life.instance.awaits();
        let ended = life.instance.supervise(now);
        process.patience.step(now, &life.instance.awaits());
        self.check_closed(number, &before)?;
        let process = &mut self.processes[number];
        let failure = ended.as_ref().and_then(|ended| ended.as_ref().err());
        if process.patience.judge(failure)? {
            self.report.deadlines += 1;
            self.kill(number);
            return Ok(());
        }
        match ended {
            None => {}
            Some(Ok(())) => {
                process.life = None;
                if self.trace {
                    println!("{:?} instance {number} has left", self.clock.now());
                }
            }
            // Fenced twice in a row. A real process ends, without cleaning up.
            Some(Err(Failure::Fenced(_))) => self.kill(number),
            Some(Err(why)) => self.ended(number, &why)?,
        }
        Ok(())
    }

    /// Starts a process if it is down.
    pub(super) fn start(&mut self, number: usize) -> Result<(), Wrong> {
        let process = &mut self.processes[number];
        if process.life.is_some() {
            return Ok(());
        }
        let mut config = self.config.clone();
        config.instance.clone_from(&process.name);
        config.workers = process.workers;
        let topics = self.layout.topics.clone();
        let log = Arc::new(self.cluster.instance(topics, &config.name, &process.name)) as Arc<dyn Log>;
        let parts = Parts {
            layout: self.layout.clone(),
            bench: process.bench.clone(),
            file: process.file,
            log: Arc::new(Mortal::new(log, &process.fuse)),
            schemas: self.schemas.clone(),
            disk: process.disk.clone(),
            desks: (0..config.workers)
                .map(|_| Desk::new(self.dice.fork(), self.plan.steady))
                .collect(),
            config,
        };
        if self.trace {
            println!("{:?} instance {number} starts", self.clock.now());
        }
        match Life::start(parts, process.workers_ever) {
            Ok(life) => {
                self.budgets.begin(number);
                process.life = Some(life);
                process.patience.forget();
                process.hung.clear();
                self.note_ends(number)?;
            }
            Err(Failure::Retry(_)) => {}
            Err(why) => self.ended(number, &why)?,
        }
        Ok(())
    }

    /// A process ends with this failure. Returns an error if it must not end that way.
    pub(super) fn ended(&mut self, number: usize, why: &Failure) -> Result<(), Wrong> {
        let process = &self.processes[number];
        let text = why.to_string();
        let refused = process.bench.has_refused() && text.contains("don't fit this instance");
        if process.fuse.is_dead() {
            self.report.fuses += 1;
        } else if !refused {
            return Err(format!("instance {} ends by itself: {why}", process.name));
        }
        if self.trace {
            println!("{:?} instance {number} ends: {why}", self.clock.now());
        }
        self.kill(number);
        Ok(())
    }
}
