//! How often a worker has begun to run each deploy, because each time has a budget of its own.
//!
//! Rule: a worker begins to run a deploy when one of its tasks runs it and none has before, and again after none of its tasks
//! ran it any more.

use pelton::instance::driven::DrivenInstance;
use std::collections::{BTreeMap, BTreeSet};

/// What workers have begun to run.
#[derive(Default)]
pub struct Budgets {
    /// The deploys that run now, by process and worker.
    running: BTreeMap<(usize, usize), BTreeSet<u64>>,
    /// How often a worker has begun to run a deploy.
    begun: BTreeMap<u64, usize>,
}

impl Budgets {
    /// A process starts, so its workers have counted nothing yet.
    pub fn begin(&mut self, process: usize) {
        self.running.retain(|(of, _), _| *of != process);
    }

    /// Notes which deploys the workers of a process run.
    pub fn note(&mut self, process: usize, instance: &DrivenInstance) {
        for (index, runner) in instance.runners().enumerate() {
            let deploys: BTreeSet<_> = runner
                .worker()
                .status()
                .iter()
                .map(|status| status.rules.deployed)
                .collect();
            let before = self.running.entry((process, index)).or_default();
            for deploy in deploys.difference(before) {
                *self.begun.entry(*deploy).or_default() += 1;
            }
            *before = deploys;
        }
    }

    /// How often a worker has begun to run this deploy.
    pub fn begun(&self, deploy: u64) -> usize {
        self.begun.get(&deploy).copied().unwrap_or_default()
    }
}
