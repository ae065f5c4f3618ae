//! The content of the control topic in the auditor's terms, and what must be true of it at the end.

use super::evidence::read;
use super::versions;
use super::world::{World, Wrong};
use crate::auditor::{self, Code, Decided, Deployed, Said};
use crate::told;
use pelton::deploy::protocol::DeployState;
use pelton::deploy::reader::ControlReader;
use std::time::Duration;

/// All of its committed records.
fn said(world: &World) -> Result<Vec<Said>, Wrong> {
    let records = read(world, world.layout.control, 0).into_iter();
    let records = records.map(|record| (record.key.unwrap_or_default(), record.value.unwrap_or_default()));
    told::control(records, |deploy| versions::of(&deploy.version).map(versions::does))
}

/// The outcome of the deploys so far.
pub fn decided(world: &World) -> Result<Decided, Wrong> {
    auditor::decide(&said(world)?, world.plan.partitions as usize)
}

/// Checks at the end that every deploy is decided, that every instance knows it, and that no task holds.
pub fn end(world: &mut World) -> Result<(), Wrong> {
    let decided = decided(world)?;
    if let Some(number) = decided.open {
        return Err(format!("deploy {number} is not decided at the end"));
    }
    let reader = ControlReader::begin(world.outside.clone(), world.layout.clone());
    let mut reader = reader.map_err(|why| why.to_string())?;
    reader.catch_up(Duration::ZERO).map_err(|why| why.to_string())?;
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
        return Err(format!(
            "the host says that these deploys hold: {is:?}, and they are {must:?}"
        ));
    }
    let cancelled = |number: &u64| {
        let known = control.known(*number);
        known.is_some_and(|known| matches!(known.state, DeployState::Cancelled(_)))
    };
    if let Some(number) = decided.cancelled.iter().find(|number| !cancelled(number)) {
        return Err(format!("deploy {number} is cancelled, and the host does not know it"));
    }
    let withdrawn = |deploy: &&Deployed| deploy.withdrawn.is_some();
    let plain = |deploy: &&Deployed| deploy.settings.code != Code::Fragile;
    if let Some(deploy) = decided.committed.iter().filter(withdrawn).find(plain) {
        return Err(format!("{deploy:?} was withdrawn, and its rules are never at fault"));
    }
    for process in &world.processes {
        let Some(life) = &process.life else { continue };
        if life.control() != control {
            let has = life.control();
            return Err(format!(
                "instance {} knows of {has:?}, and there is {control:?}",
                process.name
            ));
        }
        for status in life.instance.status() {
            if let Some(prepared) = status.prepared {
                return Err(format!("task {} holds at the end: {prepared:?}", status.partition));
            }
        }
    }
    let taken: Vec<_> = (0..world.plan.partitions).map(|task| control.taken(task)).collect();
    for (partition, taken) in taken.into_iter().enumerate() {
        let task = super::evidence::task(world, partition as i32)?;
        world.report.takeovers += task.takeovers.len() as u64;
        let journaled = task.takeovers.last().map_or(1, |takeover| takeover.number);
        if decided
            .committed
            .iter()
            .filter(withdrawn)
            .any(|deploy| deploy.number == journaled)
        {
            return Err(format!(
                "task {partition} ends with deploy {journaled}, which was withdrawn"
            ));
        }
        if taken != journaled {
            return Err(format!(
                "task {partition} says that it has taken over deploy {taken}, and by its journal that is {journaled}"
            ));
        }
    }
    world.check_budgets(&decided)?;
    let report = &mut world.report;
    report.withdrawn += decided.committed.iter().filter(withdrawn).count() as u64;
    report.committed += decided.committed.len() as u64 - 1;
    report.cancelled += decided.cancelled.len() as u64;
    report.refused += decided.refused;
    report.too_late += decided.too_late;
    Ok(())
}
