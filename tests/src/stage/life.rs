//! One life of the instance on the stage: from its start to a stop or a crash.
//!
//! Rule: it does what the pipeline's supervisor and the worker's thread do, in the same order, in one thread.

use super::{Stage, compile};
use pelton::config::Config;
use pelton::error::{Failure, Result};
use pelton::log::embedded::Instance;
use pelton::log::{Group, Log, Membership};
use pelton::pipeline::transactional_id;
use pelton::record::Partition;
use pelton::store::Store;
use pelton::task::restore::Restoring;
use pelton::task::{Layout, Task, Wiring};
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
            self.wiring.clone(),
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

    /// New rules, or new settings, for the running instance. Err: refused, why; the old ones run on.
    pub fn deploy(&mut self, component: &[u8], settings: Value) -> std::result::Result<(), String> {
        let wiring = Arc::new(self.wire(component, &settings)?);
        self.worker().accepts(&wiring)?;
        self.worker().activate(wiring.clone());
        self.remember(component, settings, wiring);
        Ok(())
    }

    /// As [`deploy`](Stage::deploy); something happens between the question whether they are accepted, and the order.
    pub fn deploy_after(&mut self, component: &[u8], settings: Value, meanwhile: impl FnOnce(&mut Stage)) {
        let wiring = Arc::new(self.wire(component, &settings).expect("rules that fit"));
        self.worker().accepts(&wiring).expect("accepted");
        meanwhile(self);
        self.worker().activate(wiring.clone());
        self.remember(component, settings, wiring);
    }

    /// Other rules for the next start, as another file does.
    pub fn replace_rules(&mut self, component: &[u8], settings: Value) {
        assert!(self.life.is_none(), "it runs: deploy them");
        let wiring = self.wire(component, &settings).expect("rules that fit");
        self.remember(component, settings, Arc::new(wiring));
    }

    fn remember(&mut self, component: &[u8], settings: Value, wiring: Arc<Wiring>) {
        self.wiring = wiring;
        self.setup.component = component.to_vec();
        self.setup.config.rules.settings = settings;
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
        Task::open(partition, self.layout.clone(), self.wiring.clone(), restored, &starts)
    }
}
