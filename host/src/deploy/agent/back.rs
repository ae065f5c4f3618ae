//! Automatic withdrawal of a deploy.
//!
//! Rule: the decision follows from the tasks' status and from the topic. It is written again until it was read, and
//! once for each deploy.

use super::DeployAgent;
use crate::binding::Status;
use crate::deploy::protocol::{Decision, Record, Way};
use crate::record::Number;
use std::collections::BTreeSet;

impl DeployAgent {
    /// The decision that withdraws a deploy because it exceeds a budget, if there is such a deploy and it can be
    /// withdrawn.
    pub(super) fn back(&self, tasks: &[Status]) -> Option<Record> {
        let due = |task: &&Status| self.control.way_back(task.deployed) == Way::Back;
        let mut over = tasks.iter().filter(due);
        let (task, why) = over.find_map(|task| Some((task, &task.trouble.as_ref()?.0)))?;
        let (instance, partition, number) = (&self.parts.name.1, task.partition, task.deployed);
        let why = format!("instance '{instance}', task {partition}: {why}");
        let decision = Decision::Withdraw(why);
        Some(Record::Decision { number, decision })
    }

    /// The deploys whose tasks stop when they exceed a budget, because they can't be withdrawn.
    pub(super) fn stops(&self) -> BTreeSet<Number> {
        self.control.ways_back()
    }

    /// Logs the deploys that were withdrawn since the last schedule.
    pub(super) fn say_withdrawn(&self) {
        for known in self.control.withdrawn().iter().skip(self.schedule.withdrawn.len()) {
            let why = self.control.known(known.number).map(|known| &known.state);
            let instead = known.instead.map(|instead| instead.number);
            tracing::error!(
                deploy = known.number,
                ?instead,
                ?why,
                "deploy withdrawn; its tasks continue with another version"
            );
        }
    }
}
