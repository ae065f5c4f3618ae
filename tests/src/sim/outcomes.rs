//! Checks at the end what has become of the deploys.
//!
//! Rules:
//! - Every deploy is decided, every instance knows how, and no task holds for one.
//! - Each worker counts separately, from when it begins to run a version until none of its tasks runs it. So each time that
//!   a worker begins to run a deploy, it commits at most as many traps as the budget allows.
//! - A deploy that tasks may have gone back to is not withdrawn, whatever it costs.

use super::decided::decided;
use super::evidence;
use super::world::World;
use crate::auditor::{Code, Decided, Deployed};
use anyhow::{Result, bail};
use pelton::deploy::protocol::DeployState;
use pelton::deploy::reader::ControlReader;
use pelton::record::Partition;
use std::collections::BTreeMap;
use std::time::Duration;

/// A window of this many inputs covers every input of a run.
const LONG: u64 = 1_000_000;

/// Checks at the end that every deploy is decided, that every instance knows it, and that no task holds.
pub fn end(world: &mut World) -> Result<()> {
    let decided = decided(world)?;
    if let Some(number) = decided.open {
        bail!("deploy {number} is not decided at the end");
    }
    let reader = ControlReader::begin(world.outside.clone(), world.layout.clone());
    let mut reader = reader?;
    reader.catch_up(Duration::ZERO)?;
    let control = reader.control();
    let is: Vec<_> = control
        .committed()
        .iter()
        .map(|deploy| (deploy.number, deploy.at))
        .collect();
    let holds = |deploy: &&Deployed| deploy.withdrawn.is_none();
    let must = decided.committed.iter().filter(holds);
    let must: Vec<_> = must.map(|deploy| (deploy.number, deploy.at)).collect();
    if is != must {
        bail!("the host says that these deploys hold: {is:?}, and they are {must:?}");
    }
    let cancelled = |number: &u64| {
        let known = control.known(*number);
        known.is_some_and(|known| matches!(known.state, DeployState::Cancelled(_)))
    };
    if let Some(number) = decided.cancelled.iter().find(|number| !cancelled(number)) {
        bail!("deploy {number} is cancelled, and the host does not know it");
    }
    let withdrawn = |deploy: &&Deployed| deploy.withdrawn.is_some();
    let plain = |deploy: &&Deployed| deploy.settings.code != Code::Fragile;
    if let Some(deploy) = decided.committed.iter().filter(withdrawn).find(plain) {
        bail!("{deploy:?} was withdrawn, and its rules are never at fault");
    }
    for process in &world.processes {
        let Some(life) = &process.life else { continue };
        if life.control() != control {
            let has = life.control();
            bail!("instance {} knows of {has:?}, and there is {control:?}", process.name);
        }
        for status in life.instance.status() {
            if let Some(prepared) = status.rules.prepared {
                bail!("task {} holds at the end: {prepared:?}", status.partition);
            }
        }
    }
    let partitions = Partition::all(world.plan.partitions);
    let taken: Vec<_> = partitions.map(|task| (task, control.taken(task))).collect();
    for (partition, taken) in taken {
        let task = evidence::task(world, partition)?;
        world.report.takeovers += task.takeovers.len() as u64;
        let journaled = task.takeovers.last().map_or(1, |takeover| takeover.number);
        if decided
            .committed
            .iter()
            .filter(withdrawn)
            .any(|deploy| deploy.number == journaled)
        {
            bail!("task {partition} ends with deploy {journaled}, which was withdrawn");
        }
        if taken != journaled {
            bail!(
                "task {partition} says that it has taken over deploy {taken}, and by its journal that is {journaled}"
            );
        }
    }
    check_budgets(world, &decided)?;
    let report = &mut world.report;
    report.withdrawn += decided.committed.iter().filter(withdrawn).count() as u64;
    report.committed += decided.committed.len() as u64 - 1;
    report.cancelled += decided.cancelled.len() as u64;
    report.refused += decided.refused;
    report.too_late += decided.too_late;
    Ok(())
}

/// Checks at the end that no deploy has cost more than it may.
fn check_budgets(world: &World, decided: &Decided) -> Result<()> {
    let (budget, window) = world.plan.budget;
    // In a replay the traps come from the journal, and nobody counts them.
    if window < LONG || world.acted == 0 {
        return Ok(());
    }
    let mut cost = BTreeMap::<u64, usize>::new();
    let parameters = evidence::parameters(world)?;
    for partition in Partition::all(world.plan.partitions) {
        let task = evidence::task(world, partition)?;
        for step in &task.trapped {
            *cost.entry(task.deploy_of(&parameters.deploys, step)).or_default() += 1;
        }
    }
    let may_replace = |number: u64| {
        let withdrawn = |deploy: &Deployed| deploy.withdrawn.is_some() && deploy.number > number;
        decided.committed.iter().any(withdrawn)
    };
    for (number, cost) in cost {
        let begun = world.budgets.begun(number);
        if cost > budget * begun && !may_replace(number) {
            bail!(
                "deploy {number} has cost {cost} inputs; its budget is {budget}, and workers have begun to run it {begun} times"
            );
        }
    }
    Ok(())
}
