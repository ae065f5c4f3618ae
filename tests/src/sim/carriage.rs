//! The thread of an instance that reads and writes the control topic, and those that compile.
//!
//! Rule: it does what `pipeline/threads.rs` does (`carry`), with the real carrier and the real board: no more and no less. A
//! compilation runs when the world says so.

use super::versions::Bench;
use pelton::config::Config;
use pelton::control::Control;
use pelton::error::{Failure, Result};
use pelton::log::Log;
use pelton::pipeline::control::board::Board;
use pelton::pipeline::control::carrier::{Carrier, Parts};
use pelton::pipeline::control::follow::Following;
use pelton::record::Partition;
use pelton::task::{Layout, Orders, Status};
use pelton::worker::Now;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Compilations that were started, and have not run yet.
type Jobs = Arc<Mutex<VecDeque<Box<dyn FnOnce() + Send>>>>;

/// See the module.
pub struct Carriage {
    carrier: Carrier,
    pub board: Board,
    jobs: Jobs,
    /// As the workers told last.
    told: BTreeMap<Partition, Status>,
}

impl Carriage {
    /// Of an instance that starts with the rules of its file.
    pub fn new(
        config: &Config,
        layout: &Arc<Layout>,
        log: &Arc<dyn Log>,
        bench: &Bench,
        file: usize,
    ) -> Result<Carriage> {
        let jobs = Jobs::default();
        let queue = jobs.clone();
        let carrier = Carrier::new(Parts {
            following: Following::begin(log.clone(), layout.clone())?,
            log: log.clone(),
            layout: layout.clone(),
            name: (config.name.clone(), config.instance.clone()),
            compile: bench.compile(),
            first: Some(bench.first(file)),
            limit: config.rules.deploy_limit,
            inputs: config.inputs.clone(),
            schemas: None,
            plays: false,
            start: Box::new(move |job| {
                queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
                Ok(())
            }),
        });
        Ok(Carriage {
            carrier,
            board: Board::default(),
            jobs,
            told: BTreeMap::new(),
        })
    }

    /// A round of the control thread; the orders, if they have changed. They must reach the workers before the board lets a
    /// task open: `tell` is called in between.
    pub fn step(&mut self, now: Now, tell: impl FnOnce(&Arc<Orders>)) -> Result<()> {
        let tasks: Vec<Status> = self.told.values().cloned().collect();
        match self.carrier.step(now, Duration::ZERO, &tasks, &self.board.wanted()) {
            Ok(changed) => {
                if changed {
                    tell(self.carrier.orders());
                }
                self.board.tell(&self.carrier);
                Ok(())
            }
            Err(Failure::Retry(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// One of the compilations runs. True: there was one.
    pub fn compile(&mut self) -> bool {
        let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        job.map(|job| job()).is_some()
    }

    /// How a task stands.
    pub fn runs(&mut self, status: Status) {
        self.told.insert(status.partition, status);
    }

    /// A task does not run here, or not now.
    pub fn gone(&mut self, partition: Partition) {
        self.told.remove(&partition);
    }

    /// What the instance knows of deploys.
    pub fn control(&self) -> &Control {
        self.carrier.control()
    }

    /// Nothing waits for a thread.
    pub fn is_settled(&self) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
