//! One life of the stage's instance, from its start to a stop or a crash.
//!
//! Rule: its parts are those of production. Here they take turns in a fixed order on one thread.

use super::run::TURN;
use super::stage::Stage;
use crate::binding::{Layout, Wiring};
use crate::clock::Now;
use crate::config::Config;
use crate::deploy::checks::compare;
use crate::deploy::compile::declared;
use crate::deploy::{Prepare, RulesSchedule};
use crate::error::{Failure, Result};
use crate::instance::Stores;
use crate::instance::driven::DrivenInstance;
use crate::instance::environment::Environment;
use crate::instance::worker_runner::Round;
use crate::log::Log;
use crate::record::{Millis, NEVER, Offset, Partition};
use crate::store::memory::Disk;
use crate::task::Task;
use crate::task::restore::Restoring;
use crate::worker::Worker;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// More turns than a stop takes.
const LAST_TURNS: u32 = 1000;

/// How far the clock moves while a restore waits for an open transaction to time out.
const RESTORE_WAITS: Duration = Duration::from_secs(1);

/// Checked rules that can take over: see [`Stage::prepare`].
pub struct PreparedRules {
    pub(super) wiring: Arc<Wiring>,
    component: Vec<u8>,
    settings: Value,
}

fn fatal<T>(why: impl Into<String>) -> Result<T> {
    Err(Failure::Fatal(why.into()))
}

impl Stage {
    /// Starts an instance. Fails if one runs already.
    pub fn start(&mut self) -> Result<()> {
        if self.life.is_some() {
            return fatal("the instance runs already");
        }
        let config = Config {
            workers: 1,
            ..self.setup.config.clone()
        };
        let topics = self.layout.topics.clone();
        let log = self.cluster.instance(topics, &config.name, &config.instance);
        let environment = Environment {
            config: Arc::new(config),
            layout: self.layout.clone(),
            log: Arc::new(log),
            schemas: self.setup.schemas.clone(),
            stores: self.setup.disk.as_ref().map(stores),
            metrics: self.metrics.clone(),
        };
        // A process that gets no answer exits, and is started again.
        let producer = loop {
            match environment.producer(0) {
                Err(Failure::Retry(_)) => {}
                made => break made?,
            }
        };
        let services = match &self.setup.services {
            Some(services) => services(),
            None => self.script.services(),
        };
        let mut runner = environment.runner(0, producer, services)?;
        runner.worker_mut().set_schedule(self.deployed.schedule.clone());
        self.view.fix(self.deployed.schedule.clone());
        self.life = Some(DrivenInstance::start(environment, vec![runner], self.view.clone())?);
        Ok(())
    }

    /// Kills the process. It loses everything open, and everything that its disk has not flushed.
    pub fn crash(&mut self) {
        self.crash_keeping(&mut |_| 0);
    }

    /// Like [`crash`](Stage::crash), but of `n` unflushed writes of its disk, the first `keep(n)` survive.
    pub fn crash_keeping(&mut self, keep: &mut dyn FnMut(usize) -> usize) {
        self.cluster.kill(&self.setup.config.instance);
        self.life = None;
        if let Some(disk) = &self.setup.disk {
            disk.crash(keep);
        }
    }

    /// Stops the instance as SIGTERM does, if it runs: the open epoch is committed.
    pub fn stop(&mut self) -> Result<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        life.stop();
        for _ in 0..LAST_TURNS {
            self.clock.advance(TURN);
            let now = self.now();
            let life = self.life()?;
            life.member();
            if let Some(ended) = life.supervise(now.mono) {
                self.life = None;
                return ended;
            }
            life.work(0, now)?;
        }
        fatal("the instance does not stop")
    }

    /// Checks new rules or settings as a deploy does. Fails if they are refused; then the old ones keep running.
    pub fn prepare(&mut self, component: &[u8], settings: Value) -> Result<PreparedRules> {
        let wiring = Arc::new(
            self.setup
                .wire(component, &settings)
                .map_err(|why| Failure::Fatal(why.to_string()))?,
        );
        let earlier: Vec<_> = self.deployed.declared.iter().map(Arc::as_ref).collect();
        let findings = compare(&earlier, &declared(&wiring), false).into_iter();
        let errors = findings.filter(|finding| finding.error);
        let errors: Vec<String> = errors
            .map(|finding| format!("{} {}", finding.what, finding.why))
            .collect();
        if !errors.is_empty() {
            return fatal(errors.join("\n"));
        }
        for partition in Partition::all(self.setup.topics.partitions) {
            let task = self.life.as_ref().and_then(|life| life.task(partition));
            task.map_or(Ok(()), |task| task.accepts(&wiring))
                .map_err(|why| Failure::Fatal(why.to_string()))?;
        }
        Ok(PreparedRules {
            wiring,
            component: component.to_vec(),
            settings,
        })
    }

    /// Lets them take over where the tasks are now.
    pub fn activate(&mut self, prepared: PreparedRules) -> Result<()> {
        let mut last = NEVER;
        for partition in Partition::all(self.setup.topics.partitions) {
            let running = self.life.as_ref().and_then(|life| life.task(partition)?.last_time());
            let time = match self.life {
                Some(_) => running,
                None => self.rebuilt(partition)?.last_time(),
            };
            last = last.max(time.unwrap_or(NEVER));
        }
        self.activate_at(prepared, if last == NEVER { NEVER } else { last + 1 });
        Ok(())
    }

    /// Lets them take over at this event time, which no task may have reached.
    pub fn activate_at(&mut self, prepared: PreparedRules, at: Millis) {
        let PreparedRules {
            wiring,
            component,
            settings,
        } = prepared;
        if wiring.rules.version() != self.deployed.wiring.rules.version() {
            let mut schedule = RulesSchedule::clone(&self.deployed.schedule);
            schedule.commit(at, wiring.clone());
            schedule.prepare = None;
            self.set_schedule(schedule);
            self.deployed.declared.push(declared(&wiring));
        }
        self.deployed.wiring = wiring;
        self.setup.component = component;
        self.setup.config.rules.settings = settings;
    }

    /// Announces that they should take over now, without a decision: each task holds and says where.
    pub fn hold(&mut self, prepared: &PreparedRules) {
        let mut schedule = RulesSchedule::clone(&self.deployed.schedule);
        let (wiring, version) = (prepared.wiring.clone(), prepared.wiring.rules.version().0);
        schedule.wirings.insert(version, wiring);
        schedule.prepare = Some(Prepare {
            number: schedule.decided + 1,
            version,
            at: None,
            drop_timers: false,
        });
        self.set_schedule(schedule);
    }

    /// Changes the configuration for the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) -> Result<()> {
        if self.life.is_some() {
            return fatal("the instance runs: stop it first");
        }
        change(&mut self.setup.config);
        self.layout = Arc::new(Layout::new(&self.setup.config, self.setup.topics.partitions));
        self.setup.let_loose(&self.cluster);
        Ok(())
    }

    /// The worker of the running instance.
    pub fn worker(&mut self) -> Result<&mut Worker> {
        Ok(self.life()?.runner(0).worker_mut())
    }

    pub(super) fn life(&mut self) -> Result<&mut DrivenInstance> {
        let none = || Failure::Fatal("no instance runs: start it first".into());
        self.life.as_mut().ok_or_else(none)
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    /// Gives every part of the instance a turn. Returns whether anything was done. Fails if the instance has ended.
    pub fn turn(&mut self) -> Result<bool> {
        match self.try_turn() {
            Err(Failure::Retry(_)) => Ok(true),
            Err(other) => {
                self.crash();
                Err(other)
            }
            turned => turned,
        }
    }

    fn try_turn(&mut self) -> Result<bool> {
        let now = self.now();
        let mut busy = self.supervise()?;
        busy |= self.play();
        let life = self.life()?;
        busy |= life.work(0, now)? != Round::Idle;
        // Forwards what the worker wants truncated, as the supervisor's thread would.
        if let Some(ended) = life.supervise(now.mono) {
            return Err(why(ended));
        }
        while life.cut() {}
        Ok(busy)
    }

    /// Runs until nothing follows any more: no change of membership, no restore, no task that opens. Returns whether
    /// anything did.
    fn supervise(&mut self) -> Result<bool> {
        let mut busy = false;
        loop {
            let now = self.now().mono;
            let life = self.life()?;
            let heard = life.member().is_some();
            if let Some(ended) = life.supervise(now) {
                return Err(why(ended));
            }
            let restores = life.restores();
            let waits = (0..restores).rev().filter(|index| !life.restore(*index)).count();
            // Restores wait for an open transaction until its time-out.
            if waits > 0 {
                self.clock.advance(RESTORE_WAITS);
            }
            if !heard && restores == 0 {
                return Ok(busy);
            }
            busy = true;
        }
    }

    /// The task as the changelog alone rebuilds it, independent of the running one.
    pub(super) fn rebuilt(&self, partition: Partition) -> Result<Task> {
        let name = "a reader of the state";
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &self.setup.config.name, name);
        let log: Arc<dyn Log> = Arc::new(log);
        let mut restoring = Restoring::begin(log, self.layout.clone(), partition);
        let restored = loop {
            if let Some(restored) = restoring.step(Duration::ZERO)? {
                break restored;
            }
        };
        let starts = vec![Offset::ZERO; self.layout.inputs.len()];
        Task::open(
            partition,
            self.layout.clone(),
            self.deployed.schedule.clone(),
            restored,
            &starts,
        )
    }
}

/// Why the instance has ended although nobody has stopped it.
fn why(ended: Result<()>) -> Failure {
    let stopped = || Failure::Fatal("the instance has stopped".into());
    ended.err().unwrap_or_else(stopped)
}

/// The disk as a process that starts now sees it.
fn stores(disk: &Disk) -> Stores {
    let disk = disk.reopen();
    Arc::new(move || Box::new(disk.store()))
}
