//! The world of a run: the cluster, the clock and the instances.
//!
//! Rule: here is only what it consists of. Other files make it, let things happen in it, and check it.

use super::acts::Act;
use super::beginnings::Beginnings;
use super::budgets::Budgets;
use super::client::DeployClient;
use super::dice::Dice;
use super::plan::Plan;
use super::process::Process;
use super::report::Report;
use super::traffic::Arrival;
use super::versions::Bench;
use pelton::binding::Layout;
use pelton::clock::Now;
use pelton::config::Config;
use pelton::deploy::RulesSchedule;
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded};
use pelton::record::Partition;
use pelton::registry::Schemas;
use pelton::task::Task;
use std::collections::VecDeque;
use std::sync::Arc;

/// The world of one run.
pub struct World {
    pub plan: Plan,
    pub cluster: Embedded,
    pub layout: Arc<Layout>,
    /// Compiles for checks from the outside.
    pub bench: Bench,
    pub config: Config,
    pub report: Report,
    pub(super) dice: Dice,
    pub(super) clock: Clock,
    pub(super) schemas: Option<Arc<dyn Schemas>>,
    pub(super) processes: Vec<Process>,
    pub(super) traffic: VecDeque<Arrival>,
    /// The deploys that are still to come.
    pub(super) acts: VecDeque<Act>,
    /// The authors of the current deploys.
    pub(super) authors: Vec<DeployClient>,
    /// How many authors there were so far.
    pub(super) acted: usize,
    /// The log, for checks from the outside.
    pub outside: Arc<dyn Log>,
    pub(super) beginnings: Beginnings,
    pub(super) budgets: Budgets,
    pub(super) trace: bool,
}

impl World {
    pub(super) fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    /// All wired versions. They are needed to look at a task.
    pub(super) fn all_versions(&self) -> Arc<RulesSchedule> {
        let mut schedule = RulesSchedule::only(self.bench.wiring(self.plan.files[0]));
        for wiring in self.bench.wired() {
            schedule.wirings.insert(wiring.rules.version().0, wiring.clone());
        }
        Arc::new(schedule)
    }

    /// The task, on the instance that has it open.
    pub fn task(&self, partition: Partition) -> Option<&Task> {
        let mut lives = self.processes.iter().filter_map(|process| process.life.as_ref());
        lives.find_map(|life| life.instance.task(partition))
    }
}
