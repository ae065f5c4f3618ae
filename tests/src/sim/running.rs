//! An instance runs: it starts, its supervisor has its turns, and it ends.
//!
//! Rule: an instance may end only for one of these reasons: it was told to, it died in a call, a version does not fit
//! it, or it has waited for a worker until its deadline.

use super::instance::{Life, Parts};
use super::mortal::Mortal;
use super::service::Desk;
use super::world::World;
use anyhow::{Result, bail};
use pelton::error::Failure;
use pelton::log::Log;
use std::sync::Arc;

impl World {
    pub(super) fn supervise(&mut self, number: usize) -> Result<()> {
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
    pub(super) fn start(&mut self, number: usize) -> Result<()> {
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
    pub(super) fn ended(&mut self, number: usize, why: &Failure) -> Result<()> {
        let process = &self.processes[number];
        let text = why.to_string();
        let refused = process.bench.has_refused() && text.contains("don't fit this instance");
        if process.fuse.is_dead() {
            self.report.fuses += 1;
        } else if !refused {
            bail!("instance {} ends by itself: {why}", process.name);
        }
        if self.trace {
            println!("{:?} instance {number} ends: {why}", self.clock.now());
        }
        self.kill(number);
        Ok(())
    }

    /// Kills a process. Its memory is lost, and so is some of what its disk had not flushed.
    pub(super) fn kill(&mut self, number: usize) {
        let process = &mut self.processes[number];
        self.cluster.kill(&process.name);
        process.fuse = process.fuse.another();
        if process.life.take().is_some()
            && let Some(disk) = &process.disk
        {
            let dice = &mut self.dice;
            disk.crash(&mut |writes| dice.below(writes + 1));
            // It may come back with another number of workers. Its disk knows how many there were.
            process.workers = dice.between(1..=2) as usize;
            process.workers_ever = process.workers_ever.max(process.workers);
        }
    }
}
