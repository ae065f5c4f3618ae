//! The health that an instance reports about itself and its tasks.
//!
//! Rule: it is healthy as long as no task needs a person's help. A task does if it waits for other rules, if its restore
//! makes no progress, if its worker does not come back, or if nothing that it does can be committed.

use super::running::RunningInstance;
use super::tasks::{Doing, TaskActivity};
use crate::binding::{BudgetExceeded, Status};
use crate::clock::wall;
use crate::config::Config;
use crate::deploy::protocol::{Control, OverBudget};
use crate::http::{Health, TaskCondition, TaskHealth};
use crate::record::{Millis, NEVER, Partition};
use crate::rules::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// A task that commits nothing for this many seconds needs a look. A rebalance or an election is over before that.
const FAILING_AFTER: i64 = 10;

/// Whether its rules exceed a budget, so that it waits until a person deploys other rules.
fn waits_for_rules(status: &Status, control: &Control) -> bool {
    status.rules.trouble.is_some() && control.over_budget(status.rules.deployed) == OverBudget::Stop
}

/// What is wrong with its rules.
fn trouble(status: &Status, control: &Control) -> Option<String> {
    let BudgetExceeded { why, stopped } = status.rules.trouble.as_ref()?;
    let number = status.rules.deployed;
    let then = match (control.over_budget(number), stopped) {
        (OverBudget::Stop, _) => {
            "it was deployed one-way, so there is no way back; the task waits until you deploy other rules"
        }
        (OverBudget::Back, _) => "it is being withdrawn",
        (OverBudget::On, false) => "there is no version to go back to, so it keeps running",
        (OverBudget::On, true) => "the task continues with another version",
    };
    Some(format!("deploy {number} is at fault: {why}; {then}"))
}

/// What a task is doing now, and why somebody should look at it.
fn condition(activity: &TaskActivity, control: &Control, now: Millis) -> (TaskCondition, Option<String>) {
    let status = match &activity.now {
        Doing::Restores { .. } => return (TaskCondition::Restoring, activity.text()),
        Doing::Runs(status) => status,
    };
    if waits_for_rules(status, control) {
        return (TaskCondition::Stopped, trouble(status, control));
    }
    if let Some(silent) = activity.stuck_for() {
        let why = format!("its worker has not come back from a call for {} s", silent.as_secs());
        return (TaskCondition::Stuck, Some(why));
    }
    match &status.uncommitted {
        Some(uncommitted) => {
            let seconds = (now - uncommitted.since).max(0) / 1000;
            let why = format!(
                "nothing was committed for {seconds} s (tries: {}): {}; it goes on trying, and nothing is lost",
                uncommitted.epochs, uncommitted.why
            );
            let condition = match seconds >= FAILING_AFTER {
                true => TaskCondition::Failing,
                false => TaskCondition::Running,
            };
            (condition, Some(why))
        }
        None => (
            TaskCondition::Running,
            trouble(status, control).or_else(|| unstored(status)),
        ),
    }
}

fn unstored(status: &Status) -> Option<String> {
    let why = status.state.unstored.as_ref()?;
    Some(format!(
        "its state is not stored on this machine: {why}; nothing is lost, but the next restore is slow"
    ))
}

/// What the instance says about itself.
pub fn health(config: &Arc<Config>, running: &RunningInstance) -> Arc<dyn Fn() -> Health + Send + Sync> {
    let (tasks, view, config) = (running.tasks().clone(), running.view().clone(), config.clone());
    Arc::new(move || {
        let control = view.control();
        let lock = tasks.lock();
        let still: Vec<_> = (lock.iter().filter(|(_, activity)| activity.stands_still()))
            .map(|(task, _)| *task)
            .collect();
        let tasks: Vec<_> = lock
            .iter()
            .map(|(task, activity)| of_task(activity, *task, &config, &control))
            .collect();
        let trouble = trouble_of(&tasks, &still);
        let withdrawn = || {
            let (number, why) = control.unreplaced_withdrawal()?;
            Some(format!("deploy {number} was withdrawn: {why}"))
        };
        Health {
            ok: trouble.is_none(),
            pipeline: config.name.clone(),
            instance: config.instance.clone(),
            version: view
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
            message: trouble.or_else(withdrawn),
            tasks,
        }
    })
}

/// Why somebody should look at the instance, if so. `still` are tasks whose restore makes no progress.
fn trouble_of(tasks: &[TaskHealth], still: &[Partition]) -> Option<String> {
    if !still.is_empty() {
        return Some(format!("the restores of the tasks {still:?} make no progress"));
    }
    let these = |condition: TaskCondition| tasks.iter().filter(move |task| task.state == condition);
    let worst = [TaskCondition::Stopped, TaskCondition::Stuck, TaskCondition::Failing];
    let condition = worst.into_iter().find(|condition| these(*condition).next().is_some())?;
    let which: Vec<_> = these(condition).map(|task| task.partition).collect();
    let why = these(condition)
        .find_map(|task| task.message.clone())
        .unwrap_or_default();
    Some(match condition {
        TaskCondition::Stopped => format!("the tasks {which:?} wait for other rules; deploy them"),
        TaskCondition::Stuck => format!("the tasks {which:?} are stuck: {why}"),
        _ => format!("the tasks {which:?} fail: {why}"),
    })
}

fn of_task(activity: &TaskActivity, task: Partition, config: &Config, control: &Control) -> TaskHealth {
    let since = activity.since.duration_since(SystemTime::UNIX_EPOCH);
    let status = match &activity.now {
        Doing::Runs(status) => Some(status),
        Doing::Restores { .. } => None,
    };
    let names = config.inputs.iter().map(|input| input.name.clone());
    let (state, message) = condition(activity, control, wall());
    TaskHealth {
        partition: task,
        state,
        since: since.map_or(0, |since| since.as_millis() as i64),
        version: status.map(|status| Version(status.rules.version).to_string()),
        watermark: status.map(|status| status.watermark).filter(|time| *time != NEVER),
        position: status.map_or_else(BTreeMap::new, |status| {
            names.zip(status.positions.iter().copied()).collect()
        }),
        message,
    }
}
