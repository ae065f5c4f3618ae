//! Checks how many inputs a deploy has cost, against its budget.
//!
//! Rules:
//! - Each worker counts separately, from when it begins to run a version until none of its tasks runs it. So each time that
//!   a worker begins to run a deploy, it commits at most as many traps as the budget allows.
//! - A deploy that tasks may have gone back to is not withdrawn, whatever it costs.

use super::evidence;
use super::world::{World, Wrong};
use crate::auditor::{Decided, Deployed};
use std::collections::{BTreeMap, BTreeSet};

/// A window of this many inputs covers every input of a run.
const LONG: u64 = 1_000_000;

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
}

impl World {
    /// Notes which deploys the workers of a process run.
    pub(super) fn note_deploys(&mut self, number: usize) {
        let Some(life) = &self.processes[number].life else {
            return;
        };
        for (index, seat) in life.instance.seats().enumerate() {
            let deploys: BTreeSet<_> = seat.worker().status().iter().map(|status| status.deployed).collect();
            let before = self.budgets.running.entry((number, index)).or_default();
            for deploy in deploys.difference(before) {
                *self.budgets.begun.entry(*deploy).or_default() += 1;
            }
            *before = deploys;
        }
    }

    /// Checks at the end that no deploy has cost more than it may.
    pub(super) fn check_budgets(&self, decided: &Decided) -> Result<(), Wrong> {
        let (budget, window) = self.plan.budget;
        // In a replay the traps come from the journal, and nobody counts them.
        if window < LONG || self.acted == 0 {
            return Ok(());
        }
        let mut cost = BTreeMap::<u64, usize>::new();
        let parameters = evidence::parameters(self)?;
        for partition in 0..self.plan.partitions {
            let task = evidence::task(self, partition)?;
            for step in &task.trapped {
                *cost.entry(task.deploy_of(&parameters.deploys, step)).or_default() += 1;
            }
        }
        let may_replace = |number: u64| {
            let withdrawn = |deploy: &Deployed| deploy.withdrawn.is_some() && deploy.number > number;
            decided.committed.iter().any(withdrawn)
        };
        for (number, cost) in cost {
            let begun = self.budgets.begun.get(&number).copied().unwrap_or_default();
            if cost > budget * begun && !may_replace(number) {
                return Err(format!(
                    "deploy {number} has cost {cost} inputs; its budget is {budget}, and workers have begun to run it {begun} times"
                ));
            }
        }
        Ok(())
    }
}
