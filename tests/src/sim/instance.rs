//! One life of an instance: production's parts, driven by hand, on a log that fails and a service that answers whenever
//! it wants.
//!
//! Rule: nothing is decided here. The world decides who runs next.

use super::service::Desk;
use super::versions::Bench;
use parking_lot::Mutex;
use pelton::binding::Layout;
use pelton::clock::Now;
use pelton::config::Config;
use pelton::deploy::agent::{self, DeployAgent};
use pelton::deploy::protocol::Control;
use pelton::deploy::reader::ControlReader;
use pelton::deploy::view::DeployView;
use pelton::error::{Failure, Result};
use pelton::instance::Stores;
use pelton::instance::driven::DrivenInstance;
use pelton::instance::environment::Environment;
use pelton::instance::worker_runner::Round;
use pelton::log::Log;
use pelton::metrics::Metrics;
use pelton::registry::Schemas;
use pelton::shadow::{Player, Trial};
use pelton::store::memory::Disk;
use std::collections::VecDeque;
use std::sync::Arc;

/// Compilations that were requested but have not run yet.
type Jobs = Arc<Mutex<VecDeque<Box<dyn FnOnce() + Send>>>>;

/// Everything that an instance is made of.
pub struct Parts {
    pub config: Config,
    pub layout: Arc<Layout>,
    pub bench: Bench,
    /// The version in its file.
    pub file: usize,
    pub log: Arc<dyn Log>,
    pub schemas: Option<Arc<dyn Schemas>>,
    pub disk: Option<Disk>,
    /// One for each worker.
    pub desks: Vec<Desk>,
}

/// A running instance.
pub struct Life {
    pub instance: DrivenInstance,
    agent: DeployAgent,
    jobs: Jobs,
    pub desks: Vec<Desk>,
    /// Of the shadow that was there last.
    player: Option<Player>,
}

impl Life {
    /// Starts the workers and joins the group. Fails with [`Retry`](Failure::Retry) if the cluster does not answer; a
    /// real process would then end and be started again.
    pub fn start(parts: Parts, workers_ever: usize) -> Result<Life> {
        let jobs = Jobs::default();
        let agent = agent(&parts, &jobs)?;
        let Parts { config, log, .. } = parts;
        let environment = Environment {
            metrics: Arc::new(Metrics::of(&config)),
            config: Arc::new(config),
            layout: parts.layout,
            schemas: parts.schemas,
            stores: parts.disk.as_ref().map(stores),
            log,
        };
        for worker in environment.config.workers..workers_ever {
            drop(environment.producer(worker)?);
        }
        let desks = parts.desks.iter().enumerate();
        let runners = desks.map(|(index, desk)| environment.runner(index, environment.producer(index)?, desk.handle()));
        let runners = runners.collect::<Result<_>>()?;
        Ok(Life {
            instance: DrivenInstance::start(environment, runners, Arc::<DeployView>::default())?,
            agent,
            jobs,
            desks: parts.desks,
            player: None,
        })
    }

    /// One round of the control topic's thread.
    pub fn carry(&mut self, now: Now) -> Result<()> {
        match self.instance.carry(&mut self.agent, now) {
            Err(Failure::Retry(_)) => Ok(()),
            carried => carried,
        }
    }

    /// Runs one of the compilations. Returns whether there was one.
    pub fn compile(&self) -> bool {
        let job = self.jobs.lock().pop_front();
        job.map(|job| job()).is_some()
    }

    /// One round of the shadow's thread. Returns whether something was played.
    pub fn play(&mut self) -> bool {
        let Some(trial) = self.agent.shadow() else {
            self.player = None;
            return false;
        };
        let same = |player: &Player| Arc::ptr_eq(player.trial(), trial);
        if !self.player.as_ref().is_some_and(same) {
            self.player = Some(Player::new(trial.clone()));
        }
        self.player.as_mut().is_some_and(Player::play)
    }

    /// The shadow that runs in its tasks, if there is one.
    pub fn shadow(&self) -> Option<&Arc<Trial>> {
        self.agent.shadow()
    }

    /// One round of a worker's thread. Returns whether something was done.
    pub fn work(&mut self, index: usize, now: Now) -> Result<bool> {
        Ok(self.instance.work(index, now)? == Round::Busy)
    }

    /// What the instance knows about deploys.
    pub fn control(&self) -> &Control {
        self.agent.control()
    }

    /// Whether nothing but the work itself is going on.
    pub fn is_settled(&self) -> bool {
        let compiles = !self.jobs.lock().is_empty();
        self.instance.is_settled() && !compiles
    }

    /// Describes what it waits for, for people.
    pub fn describe(&self) -> String {
        let mut text = self.instance.describe();
        for desk in &self.desks {
            text += &format!("\n  {} questions at the service", desk.waiting());
        }
        for status in self.instance.status() {
            text += &format!("\n    {status:?}");
        }
        text
    }
}

/// The deploy agent of an instance that starts with the rules of its file.
fn agent(parts: &Parts, jobs: &Jobs) -> Result<DeployAgent> {
    let Parts {
        config, layout, log, ..
    } = parts;
    let queue = jobs.clone();
    Ok(DeployAgent::new(agent::AgentParts {
        reader: ControlReader::begin(log.clone(), layout.clone())?,
        log: log.clone(),
        layout: layout.clone(),
        pipeline: config.name.clone(),
        instance: config.instance.clone(),
        compile: parts.bench.compile(),
        first: Some(parts.bench.first(parts.file)),
        limit: config.rules.deploy_limit,
        inputs: config.inputs.clone(),
        schemas: parts.schemas.clone(),
        play: None,
        start: Box::new(move |job| {
            queue.lock().push_back(job);
            Ok(())
        }),
    }))
}

/// The disk, as the starting process sees it.
fn stores(disk: &Disk) -> Stores {
    let disk = disk.reopen();
    Arc::new(move || Box::new(disk.store()))
}
