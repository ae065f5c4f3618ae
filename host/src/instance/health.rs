//! The health that an instance reports about itself and its tasks.
//!
//! Rule: it is healthy as long as no task needs a person's help: other rules, or a restore that makes no progress.

use super::running::RunningInstance;
use super::tasks::{Doing, TaskActivity};
use crate::binding::{BudgetExceeded, Status};
use crate::config::Config;
use crate::deploy::protocol::{Control, OverBudget};
use crate::http::{Health, TaskCondition, TaskHealth};
use crate::record::{NEVER, Partition};
use crate::rules::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

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

/// What the instance says about itself.
pub fn health(config: &Arc<Config>, running: &RunningInstance) -> Arc<dyn Fn() -> Health + Send + Sync> {
    let (tasks, view, config) = (running.tasks().clone(), running.view().clone(), config.clone());
    Arc::new(move || {
        let control = view.control();
        let tasks = tasks.lock();
        let waiting =
            |standing: &TaskActivity| matches!(&standing.now, Doing::Runs(status) if waits_for_rules(status, &control));
        let waits: Vec<_> = tasks
            .iter()
            .filter(|(_, standing)| waiting(standing))
            .map(|(task, _)| *task)
            .collect();
        let message = match control.unreplaced_withdrawal() {
            _ if !waits.is_empty() => Some(format!("the tasks {waits:?} wait for other rules; deploy them")),
            Some((number, why)) => Some(format!("deploy {number} was withdrawn: {why}")),
            None => None,
        };
        let still: Vec<_> = (tasks.iter().filter(|(_, standing)| standing.stands_still()))
            .map(|(task, _)| *task)
            .collect();
        Health {
            ok: still.is_empty() && waits.is_empty(),
            pipeline: config.name.clone(),
            instance: config.instance.clone(),
            version: view
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
            message: match still.is_empty() {
                false => Some(format!("the restores of the tasks {still:?} make no progress")),
                true => message,
            },
            tasks: tasks
                .iter()
                .map(|(task, standing)| of_task(standing, *task, &config, &control))
                .collect(),
        }
    })
}

fn of_task(standing: &TaskActivity, task: Partition, config: &Config, control: &Control) -> TaskHealth {
    let since = standing.since.duration_since(SystemTime::UNIX_EPOCH);
    let status = match &standing.now {
        Doing::Runs(status) => Some(status),
        Doing::Restores { .. } => None,
    };
    let names = config.inputs.iter().map(|input| input.name.clone());
    TaskHealth {
        partition: task,
        state: match &standing.now {
            Doing::Runs(status) if waits_for_rules(status, control) => TaskCondition::Stopped,
            Doing::Runs(_) => TaskCondition::Running,
            Doing::Restores { .. } => TaskCondition::Restoring,
        },
        since: since.map_or(0, |since| since.as_millis() as i64),
        version: status.map(|status| Version(status.rules.version).to_string()),
        watermark: status.map(|status| status.watermark).filter(|time| *time != NEVER),
        position: status.map_or_else(BTreeMap::new, |status| {
            names.zip(status.positions.iter().copied()).collect()
        }),
        message: standing.text().or_else(|| trouble(status?, control)).or_else(|| {
            let why = status?.state.unstored.as_ref()?;
            Some(format!(
                "its state is not stored on this machine: {why}; nothing is lost, but the next restore is slow"
            ))
        }),
    }
}
