//! One life of the instance on the stage: from its start to a stop or a crash.
//!
//! Rule: it does what the pipeline's supervisor and the worker's thread do, in the same order, in one thread.

use super::{Stage, TURN};
use crate::config::Config;
use crate::error::{Failure, Result};
use crate::log::embedded::Instance;
use crate::log::{Group, Log, Membership};
use crate::pipeline::control::checks::compare;
use crate::pipeline::control::compile::declared;
use crate::pipeline::transactional_id;
use crate::record::{Millis, NEVER, Partition};
use crate::store::Store;
use crate::store::memory::Disk;
use crate::task::restore::Restoring;
use crate::task::{Layout, Orders, Prepare, Task, Wiring};
use crate::worker::{Now, Ports, Worker};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// More turns than a stop takes.
const LAST_TURNS: u32 = 1000;

/// See the module.
pub(super) struct Life {
    pub worker: Worker,
    log: Arc<Instance>,
    group: Box<dyn Group>,
    owned: Vec<Partition>,
}

/// Rules that may take over: see [`Stage::prepare`].
pub struct Prepared {
    pub(super) wiring: Arc<Wiring>,
    component: Vec<u8>,
    settings: Value,
}

fn fatal<T>(why: impl Into<String>) -> Result<T> {
    Err(Failure::Fatal(why.into()))
}

impl Stage {
    /// Starts an instance, where none runs.
    pub fn start(&mut self) -> Result<()> {
        if self.life.is_some() {
            return fatal("the instance runs already");
        }
        let config = &self.setup.config;
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &config.name, &config.instance);
        let log = Arc::new(log);
        // A process that gets no answer ends, and is started again.
        let producer = loop {
            match log.producer(&transactional_id(config, 0)) {
                Err(Failure::Retry(_)) => {}
                made => break made?,
            }
        };
        // How often ends of partitions are proved: four times within the shortest `idle_after`.
        let shortest = config.inputs.iter().map(|input| input.idle_after).min();
        let ports = Ports {
            log: log.clone(),
            reader: log.reader(shortest.unwrap_or_default() / 4)?,
            producer,
            services: match &self.setup.services {
                Some(services) => services(),
                None => self.script.services(),
            },
            schemas: self.setup.schemas.clone(),
            store: self.disk_store().map(|store| Box::new(store) as Box<dyn Store>),
        };
        let (layout, orders) = (self.layout.clone(), self.orders.clone());
        self.life = Some(Life {
            worker: Worker::new(0, config, layout, orders, ports, self.metrics.clone()),
            group: log.join()?,
            log,
            owned: vec![],
        });
        Ok(())
    }

    fn disk_store(&self) -> Option<crate::store::memory::Memory> {
        self.setup.disk.as_ref().map(Disk::store)
    }

    /// The process is killed: what is open is lost; of what its disk has not flushed, nothing survives.
    pub fn crash(&mut self) {
        self.crash_keeping(&mut |_| 0);
    }

    /// As [`crash`](Stage::crash); of `n` unflushed writes of its disk, the first `keep(n)` survive.
    pub fn crash_keeping(&mut self, keep: &mut dyn FnMut(usize) -> usize) {
        self.cluster.kill(&self.setup.config.instance);
        self.life = None;
        if let Some(disk) = &self.setup.disk {
            disk.crash(keep);
        }
    }

    /// Stops it, as SIGTERM does, if it runs: the open epoch is committed.
    pub fn stop(&mut self) -> Result<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let owned = std::mem::take(&mut life.owned);
        life.worker.close(&owned, life.log.assignment());
        for _ in 0..LAST_TURNS {
            self.clock.advance(TURN);
            let now = self.now();
            let life = self.life()?;
            life.worker.turn(now, Duration::ZERO)?;
            if life.worker.is_empty() {
                life.group.released(&owned)?;
                life.group.leave();
                self.life = None;
                return Ok(());
            }
        }
        fatal("the instance does not stop")
    }

    /// New rules, or new settings, checked as a deploy does. Err: refused, why; the old ones run on.
    pub fn prepare(&mut self, component: &[u8], settings: Value) -> Result<Prepared> {
        let wiring = Arc::new(self.setup.wire(component, &settings).map_err(Failure::Fatal)?);
        let earlier: Vec<_> = self.declared.iter().map(Arc::as_ref).collect();
        let findings = compare(&earlier, &declared(&wiring), false).into_iter();
        let errors = findings.filter(|finding| finding.error);
        let errors: Vec<String> = errors
            .map(|finding| format!("{} {}", finding.what, finding.why))
            .collect();
        if !errors.is_empty() {
            return fatal(errors.join("\n"));
        }
        for partition in 0..self.setup.partitions {
            let task = self.life.as_mut().and_then(|life| life.worker.task(partition));
            task.map_or(Ok(()), |task| task.accepts(&wiring))
                .map_err(Failure::Fatal)?;
        }
        Ok(Prepared {
            wiring,
            component: component.to_vec(),
            settings,
        })
    }

    /// They take over from where the tasks are.
    pub fn activate(&mut self, prepared: Prepared) -> Result<()> {
        let mut last = NEVER;
        for partition in 0..self.setup.partitions {
            let running = self
                .life
                .as_mut()
                .and_then(|life| life.worker.task(partition)?.last_time());
            let time = match self.life {
                Some(_) => running,
                None => self.rebuilt(partition)?.last_time(),
            };
            last = last.max(time.unwrap_or(NEVER));
        }
        self.activate_at(prepared, if last == NEVER { NEVER } else { last + 1 });
        Ok(())
    }

    /// They take over from this event time on, to which no task has come yet.
    pub fn activate_at(&mut self, prepared: Prepared, at: Millis) {
        let Prepared {
            wiring,
            component,
            settings,
        } = prepared;
        if wiring.rules.version() != self.wiring.rules.version() {
            let mut orders = Orders::clone(&self.orders);
            orders.commit(at, wiring.clone());
            orders.prepare = None;
            self.order(orders);
            self.declared.push(declared(&wiring));
        }
        self.wiring = wiring;
        self.setup.component = component;
        self.setup.config.rules.settings = settings;
    }

    /// They shall take over from now on, which nobody has decided yet: each task says from where on it holds.
    pub fn hold(&mut self, prepared: &Prepared) {
        let mut orders = Orders::clone(&self.orders);
        let (wiring, version) = (prepared.wiring.clone(), prepared.wiring.rules.version().0);
        orders.wirings.insert(version, wiring);
        orders.prepare = Some(Prepare {
            number: orders.decided + 1,
            version,
            at: None,
            drop_timers: false,
        });
        self.order(orders);
    }

    /// Another file for the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) -> Result<()> {
        if self.life.is_some() {
            return fatal("the instance runs: stop it first");
        }
        change(&mut self.setup.config);
        self.layout = Arc::new(Layout::new(&self.setup.config, self.setup.partitions));
        self.let_loose();
        Ok(())
    }

    /// The worker of the running instance.
    pub fn worker(&mut self) -> Result<&mut Worker> {
        Ok(&mut self.life()?.worker)
    }

    pub(super) fn life(&mut self) -> Result<&mut Life> {
        let none = || Failure::Fatal("no instance runs: start it first".into());
        self.life.as_mut().ok_or_else(none)
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    /// A turn of the supervisor, and one of the worker. True: something was done. Err: the instance has ended, why.
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
        let mut busy = false;
        let life = self.life()?;
        match life.group.poll(Duration::ZERO)? {
            Some(Membership::Assigned(partitions)) => {
                busy = true;
                let assignment = life.log.assignment();
                life.worker.reassigned(assignment);
                for partition in partitions {
                    let task = self.restore(partition)?;
                    let life = self.life()?;
                    life.worker.open(task, assignment)?;
                    life.owned.push(partition);
                }
            }
            Some(other) => return fatal(format!("nobody else is there: {other:?}")),
            None => {}
        }
        let changelog = self.layout.changelog;
        busy |= self.play();
        let life = self.life()?;
        busy |= life.worker.turn(now, Duration::ZERO)?;
        for (partition, before) in life.worker.take_truncations() {
            life.log.truncate(changelog, partition, before)?;
        }
        Ok(busy)
    }

    fn restore(&mut self, partition: Partition) -> Result<Task> {
        let log = self.life()?.log.clone();
        let mut store = self.disk_store();
        let mut restoring = Restoring::begin(log.clone(), self.layout.clone(), partition);
        let restored = loop {
            let store = store.as_mut().map(|store| store as &mut dyn Store);
            match restoring.step(store, Duration::ZERO) {
                Ok(Some(restored)) => break restored,
                Ok(None) => {}
                // An open transaction holds it back, until its time-out.
                Err(Failure::Retry(_)) => self.clock.advance(Duration::from_secs(1)),
                Err(other) => return Err(other),
            }
        };
        let ranks = 0..self.layout.inputs.len() as u16;
        let starts = ranks.map(|rank| Ok(log.bounds(rank, partition)?.0));
        let starts = starts.collect::<Result<Vec<_>>>()?;
        Task::open(partition, self.layout.clone(), self.orders.clone(), restored, &starts)
    }

    /// The task as the changelog alone rebuilds it, beside the running one.
    pub(super) fn rebuilt(&self, partition: Partition) -> Result<Task> {
        let name = "a reader of the state";
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &self.setup.config.name, name);
        let log: Arc<dyn Log> = Arc::new(log);
        let mut restoring = Restoring::begin(log, self.layout.clone(), partition);
        let restored = loop {
            if let Some(restored) = restoring.step(None, Duration::ZERO)? {
                break restored;
            }
        };
        let starts = vec![0; self.layout.inputs.len()];
        Task::open(partition, self.layout.clone(), self.orders.clone(), restored, &starts)
    }
}
