//! One life of the instance on the stage: from its start to a stop or a crash.
//!
//! Rule: it does what the pipeline's supervisor and the worker's thread do, in the same order, in one thread.

use super::{Millis, START, Stage, compile};
use pelton::config::Config;
use pelton::error::{Failure, Result};
use pelton::log::embedded::Instance;
use pelton::log::{Group, Log, Membership};
use pelton::pipeline::transactional_id;
use pelton::record::Partition;
use pelton::store::Store;
use pelton::task::restore::Restoring;
use pelton::task::{Layout, Orders, Task, Wiring};
use pelton::worker::{Now, Ports, Worker};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub struct Life {
    pub worker: Worker,
    log: Arc<Instance>,
    group: Box<dyn Group>,
    owned: Vec<Partition>,
}

impl Stage {
    /// Starts an instance, where none runs.
    pub fn start(&mut self) {
        assert!(self.life.is_none(), "it runs already");
        let config = &self.setup.config;
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &config.name, &config.instance);
        let log = Arc::new(log);
        // A process that gets no answer ends, and is started again.
        let producer = loop {
            match log.producer(&transactional_id(config, 0)) {
                Ok(producer) => break producer,
                Err(Failure::Retry(_)) => {}
                Err(other) => panic!("no producer: {other}"),
            }
        };
        let ports = Ports {
            log: log.clone(),
            reader: log.reader(self.proofs()).expect("a reader"),
            producer,
            services: match &self.setup.services {
                Some(services) => services(),
                None => self.script.services(),
            },
            schemas: Some(self.setup.schemas.clone()),
            store: self
                .setup
                .disk
                .as_ref()
                .map(|disk| Box::new(disk.store()) as Box<dyn Store>),
        };
        let worker = Worker::new(
            0,
            config,
            self.layout.clone(),
            self.orders.clone(),
            ports,
            self.metrics.clone(),
        );
        self.life = Some(Life {
            worker,
            group: log.join().expect("a group"),
            log,
            owned: vec![],
        });
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

    /// Stops it, as SIGTERM does, if it runs; and starts it.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
        self.settle();
    }

    /// Stops it, as SIGTERM does: the open epoch is committed.
    pub fn stop(&mut self) {
        let Some(life) = &mut self.life else { return };
        let owned = std::mem::take(&mut life.owned);
        life.worker.close(&owned, life.log.assignment());
        for _ in 0..1000 {
            self.clock.advance(super::TURN);
            let now = self.now();
            let Some(life) = &mut self.life else { return };
            life.worker.turn(now, Duration::ZERO).expect("it only stops");
            if life.worker.is_empty() {
                life.group.released(&owned).expect("a group");
                life.group.leave();
                self.life = None;
                return;
            }
        }
        panic!("it does not stop");
    }

    /// Other rules, or other settings, from where the tasks are. Err: refused, why; the old ones run on.
    pub fn deploy(&mut self, component: &[u8], settings: Value) -> std::result::Result<(), String> {
        let last = (0..self.setup.partitions).filter_map(|partition| self.worker().task(partition)?.last_time());
        let at = last.max().map_or(i64::MIN, |time| time + 1);
        self.commit(component, settings, at)
    }

    /// As [`deploy`](Stage::deploy), from this event time on.
    pub fn deploy_at(&mut self, component: &[u8], settings: Value, at: Millis) -> std::result::Result<(), String> {
        self.commit(component, settings, START + at)
    }

    fn commit(&mut self, component: &[u8], settings: Value, at: i64) -> std::result::Result<(), String> {
        let wiring = Arc::new(self.wire(component, &settings)?);
        if wiring.rules.version() == self.wiring.rules.version() {
            return Ok(());
        }
        for partition in 0..self.setup.partitions {
            if let Some(task) = self.worker().task(partition) {
                task.accepts(&wiring)?;
            }
        }
        let mut orders = Orders::clone(&self.orders);
        orders.commit(at, wiring.clone());
        self.orders = Arc::new(orders);
        let orders = self.orders.clone();
        self.worker().order(orders);
        self.wiring = wiring;
        self.setup.component = component.to_vec();
        self.setup.config.rules.settings = settings;
        Ok(())
    }

    /// The settings of the rules.
    pub fn settings(&self) -> Value {
        self.setup.config.rules.settings.clone()
    }

    fn wire(&self, component: &[u8], settings: &Value) -> std::result::Result<Wiring, String> {
        let rules = compile(component, settings, self.limits())?;
        let outputs = self.output_partitions();
        let schemas = Some(self.setup.schemas.as_ref());
        Wiring::new(rules, &self.setup.config, schemas, &outputs)
            .map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    /// Another file for the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        assert!(self.life.is_none(), "it runs: stop it first");
        change(&mut self.setup.config);
        self.layout = Arc::new(Layout::new(&self.setup.config, self.setup.partitions));
        self.let_loose();
    }

    /// The worker.
    pub fn worker(&mut self) -> &mut Worker {
        &mut self.life.as_mut().expect("it runs").worker
    }

    /// A turn of the supervisor, and one of the worker. True: something was done. Err: the instance has ended, why.
    pub fn turn(&mut self) -> Result<bool> {
        let turned = self.try_turn();
        match turned {
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
        let life = self.life.as_mut().expect("it runs");
        match life.group.poll(Duration::ZERO)? {
            Some(Membership::Assigned(partitions)) => {
                busy = true;
                let assignment = life.log.assignment();
                life.worker.reassigned(assignment);
                for partition in partitions {
                    let task = self.restore(partition)?;
                    let life = self.life.as_mut().expect("it runs");
                    life.worker.open(task, assignment)?;
                    life.owned.push(partition);
                }
            }
            Some(other) => panic!("nobody else is there: {other:?}"),
            None => {}
        }
        let life = self.life.as_mut().expect("it runs");
        busy |= life.worker.turn(now, Duration::ZERO)?;
        for (partition, before) in life.worker.take_truncations() {
            life.log.truncate(self.layout.changelog, partition, before)?;
        }
        Ok(busy)
    }

    fn restore(&mut self, partition: Partition) -> Result<Task> {
        let life = self.life.as_ref().expect("it runs");
        let mut store = self.setup.disk.as_ref().map(pelton::store::memory::Disk::store);
        let mut restoring = Restoring::begin(life.log.clone(), self.layout.clone(), partition);
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
        let starts = ranks
            .map(|rank| Ok(life.log.bounds(rank, partition)?.0))
            .collect::<Result<Vec<_>>>()?;
        Task::open(partition, self.layout.clone(), self.orders.clone(), restored, &starts)
    }
}
