//! The versions of the rules on one worker: which of them its tasks must run, an instance of each that is running, and
//! the deploys that have exceeded their budget.
//!
//! Rules:
//! - There is one instance of each version that some task runs, and no others.
//! - When a deploy exceeds its budget, its tasks take no more steps with it until the control topic says what happens
//!   to it. The open epoch is dropped, so that the rules that replace it process those inputs again.

use super::telemetry::Telemetry;
use crate::binding::{BudgetExceeded, Sources, Status};
use crate::deploy::RulesSchedule;
use crate::fault::fault;
use crate::record::{Number, Partition};
use crate::rules::Trap;
use crate::step::Guest;
use crate::task::{Epoch, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The versions that a worker's tasks run.
#[derive(Default)]
pub struct Versions {
    /// What the control topic says: which deploy applies from when on, which ones are withdrawn, and which ones stop
    /// when they exceed their budget.
    schedule: Arc<RulesSchedule>,
    instances: Vec<Guest>,
    /// Deploys that no task takes steps with, and why.
    stopped: BTreeMap<Number, String>,
    /// The deploy that has exceeded its budget in this turn, and how.
    exceeded: Option<(Number, String)>,
}

/// The result of running a batch.
pub enum BatchResult {
    /// Steps were taken, and there may be more.
    Ran,
    /// Nothing was left to do.
    NothingLeft,
    /// There may be work, but the rules can't run.
    NoRules,
}

impl Versions {
    /// Which deploy applies from when on.
    pub fn schedule(&self) -> &Arc<RulesSchedule> {
        &self.schedule
    }

    /// Sets a new schedule. Deploys that it withdraws, or allows to go on, are no longer stopped.
    pub fn set_schedule(&mut self, schedule: Arc<RulesSchedule>) {
        self.stopped.retain(|deploy, _| schedule.stops.contains(deploy));
        self.schedule = schedule;
    }

    /// Whether tasks may take steps with this deploy.
    pub fn may_run(&self, deploy: Number) -> bool {
        self.exceeded.is_none() && !self.is_stopped(deploy)
    }

    /// Whether this deploy has exceeded its budget.
    pub fn is_stopped(&self, deploy: Number) -> bool {
        self.stopped.contains_key(&deploy)
    }

    /// Runs one batch of a task with the version that its next step needs.
    pub fn run(
        &mut self,
        task: &mut Task,
        sources: &mut Sources,
        epoch: &mut Epoch,
        telemetry: &Telemetry,
    ) -> BatchResult {
        let deploy = task.deployed();
        let may_stop = self.schedule.stops.contains(&deploy);
        let guest = match self.instance(task, telemetry) {
            Ok(guest) => guest,
            Err(why) => {
                tracing::error!(%why, "the rules can't be instantiated");
                if may_stop {
                    self.exceeded = Some((deploy, format!("the rules can't be instantiated: {why}")));
                }
                return BatchResult::NoRules;
            }
        };
        let ran = task.run(guest, sources, epoch);
        if may_stop && guest.faults.over() && !fault!("budget-ignored") {
            self.exceeded = Some((deploy, guest.faults.why()));
        }
        if ran {
            BatchResult::Ran
        } else {
            BatchResult::NothingLeft
        }
    }

    /// The instance of a task's version. Created when it is first needed.
    fn instance(&mut self, task: &Task, telemetry: &Telemetry) -> Result<&mut Guest, Trap> {
        let index = match self.find(task) {
            Some(index) => index,
            None => {
                let guest = Guest::new(task.wiring().clone())?;
                telemetry.instantiated(guest.made_in);
                self.instances.push(guest);
                self.instances.len() - 1
            }
        };
        Ok(&mut self.instances[index])
    }

    fn find(&self, task: &Task) -> Option<usize> {
        let mut instances = self.instances.iter();
        instances.position(|guest| Arc::ptr_eq(&guest.wiring, task.wiring()))
    }

    /// If a deploy has exceeded its budget since the last call, stops it and returns true. The open epoch must then be
    /// dropped.
    pub fn stop_exceeded(&mut self) -> bool {
        let Some((deploy, why)) = self.exceeded.take() else {
            return false;
        };
        tracing::error!(deploy, why, "a deploy has exceeded its budget; its tasks stop");
        self.stopped.insert(deploy, why);
        true
    }

    /// Adds to a task's status whether its rules are over a budget, and why.
    pub fn add_trouble(&self, task: &Task, status: &mut Status) {
        let stopped = self.stopped.get(&status.rules.deployed).map(|why| BudgetExceeded {
            why: why.clone(),
            stopped: true,
        });
        let over = || {
            let guest = self.find(task).map(|index| &self.instances[index])?;
            guest.faults.over().then(|| BudgetExceeded {
                why: guest.faults.why(),
                stopped: false,
            })
        };
        status.rules.trouble = stopped.or_else(over);
    }

    /// The CPU time that the rules have used since the last call.
    pub fn take_spent(&mut self) -> Duration {
        let spent = |guest: &mut Guest| std::mem::take(&mut guest.spent);
        self.instances.iter_mut().map(spent).sum()
    }

    /// Drops the instances of versions that no task runs any more.
    pub fn forget_unused(&mut self, tasks: &BTreeMap<Partition, Task>) {
        let runs = |guest: &Guest| tasks.values().any(|task| Arc::ptr_eq(task.wiring(), &guest.wiring));
        self.instances.retain(runs);
    }
}
