//! Automatic withdrawal of a deploy.
//!
//! Rule: the decision follows from the tasks' status and from the topic. It is written again until it was read, and
//! once for each deploy.

use crate::binding::Status;
use crate::deploy::protocol::{Control, ControlRecord, Decision, OverBudget};

/// The decision that withdraws a deploy because it exceeds a budget in a task of this instance, if there is such a
/// deploy and it can be withdrawn.
pub fn decision(control: &Control, instance: &str, tasks: &[Status]) -> Option<ControlRecord> {
    let due = |task: &&Status| control.over_budget(task.rules.deployed) == OverBudget::Back;
    let mut over = tasks.iter().filter(due);
    let (task, why) = over.find_map(|task| Some((task, &task.rules.trouble.as_ref()?.why)))?;
    let (partition, number) = (task.partition, task.rules.deployed);
    let why = format!("instance '{instance}', task {partition}: {why}");
    let decision = Decision::Withdraw(why);
    Some(ControlRecord::Decision { number, decision })
}

/// Logs the withdrawn deploys, except for the first `logged`, which were logged before.
pub fn log_withdrawn(control: &Control, logged: usize) {
    for known in control.withdrawn().iter().skip(logged) {
        let why = control.known(known.number).map(|known| &known.state);
        let replacement = known.replacement.map(|replacement| replacement.number);
        tracing::error!(
            deploy = known.number,
            ?replacement,
            ?why,
            "deploy withdrawn; its tasks continue with another version"
        );
    }
}
