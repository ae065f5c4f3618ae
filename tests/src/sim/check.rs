//! The checks: of the committed state at any moment, and of everything at the end.
//!
//! Rules:
//! - Outputs and dead letters are those of the auditor, who sees only the committed inputs and the committed journal.
//! - The changelog, read from its start, rebuilds the state that the auditor expects. It is also the state that the
//!   task has in memory.

use super::evidence::{self, Evidence};
use super::lines::same;
use super::outcomes;
use super::state;
use super::topics;
use super::trials;
use super::world::World;
use crate::auditor::{self, Expected};
use crate::translate;
use anyhow::{Context, Error, Result, anyhow, bail};
use pelton::error::Failure;
use pelton::log::embedded::Owned;
use pelton::record::{Offset, Partition, StepKey};
use pelton::service::LookupId;
use pelton::state::lookups;
use pelton::task::Task;
use pelton::task::restore::Restoring;
use std::time::Duration;

/// The most steps of a restore that has nothing to wait for.
const RESTORE_STEPS: usize = 10_000;

/// Compares what a task has committed so far. Returns false if a transaction is open, because then nothing can be read.
pub fn look(world: &mut World, partition: Partition) -> Result<bool> {
    match world.cluster.unsettled() {
        0 => world.with_beginnings(partition, |world| look_from(world, partition)),
        _ => Ok(false),
    }
}

/// The same, for the beginning that is assumed.
fn look_from(world: &mut World, partition: Partition) -> Result<bool> {
    let Some(rebuilt) = rebuild(world, partition)? else {
        return Ok(false);
    };
    let mut task = evidence::task(world, partition)?;
    match translate::step(&rebuilt.committed().last)? {
        // Nothing can be due before the first step.
        None if rebuilt.timers().next().is_none() && rebuilt.dump().is_empty() => return Ok(true),
        None => bail!("task {partition} has state, and has taken no step"),
        until => task.until = until,
    }
    let expected = audited(world, &task).map_err(|why| of_task(partition, why))?;
    check_state(&rebuilt, &expected, "rebuilt from the changelog").map_err(|why| of_task(partition, why))?;
    check_offsets(world, &rebuilt)?;
    let evidence = Evidence::of(world, partition)?;
    evidence
        .check(&expected, false)
        .map_err(|why| of_task(partition, why))?;
    trials::look(world, partition, &task, &expected).map_err(|why| of_task(partition, why))?;
    Ok(true)
}

/// Compares everything at the end.
pub fn end(world: &mut World) -> Result<()> {
    for partition in Partition::all(world.plan.partitions) {
        world.with_beginnings(partition, |world| end_from(world, partition))?;
    }
    evidence::nothing_else(world)?;
    outcomes::end(world)?;
    trials::end(world)?;
    world.report.fingerprint = topics::fingerprint(world);
    Ok(())
}

/// Checks a task at the end, for the beginning that is assumed.
fn end_from(world: &mut World, partition: Partition) -> Result<()> {
    let rebuilt = match rebuild(world, partition)? {
        Some(rebuilt) => rebuilt,
        None => bail!("task {partition}: its changelog can't be read at the end"),
    };
    let task = evidence::task(world, partition)?;
    let expected = audited(world, &task).map_err(|why| of_task(partition, why))?;
    let evidence = Evidence::of(world, partition)?;
    evidence.check(&expected, true).map_err(|why| of_task(partition, why))?;
    check_state(&rebuilt, &expected, "rebuilt from the changelog").map_err(|why| of_task(partition, why))?;
    check_offsets(world, &rebuilt)?;
    let wrong = || format!("task {partition} is open nowhere");
    let open = world.task(partition).with_context(wrong)?;
    check_state(open, &expected, "in memory").map_err(|why| of_task(partition, why))?;
    if open.committed() != rebuilt.committed() {
        let (open, rebuilt) = (open.committed(), rebuilt.committed());
        bail!("task {partition}: its meta is {open:?}, in the changelog {rebuilt:?}");
    }
    trials::look(world, partition, &task, &expected).map_err(|why| of_task(partition, why))?;
    world.report.outputs += expected.outputs.len() as u64;
    world.report.dead_letters += expected.dead_letters.len() as u64;
    world.report.journaled += evidence.journaled;
    Ok(())
}

/// What a task must have done according to its inputs. Checks that its journal agrees.
fn audited(world: &World, task: &auditor::Task) -> Result<Expected> {
    let parameters = evidence::parameters(world)?;
    let expected = auditor::audit(task, &parameters);
    auditor::compare_journal(task, &expected, &parameters)?;
    Ok(expected)
}

fn of_task(partition: Partition, why: Error) -> Error {
    anyhow!("task {partition}: {why}")
}

/// A task, rebuilt from its changelog alone. `None` if a transaction is open in it.
fn rebuild(world: &World, partition: Partition) -> Result<Option<Task>> {
    let mut restoring = Restoring::begin(world.outside.clone(), world.layout.clone(), partition);
    for _ in 0..RESTORE_STEPS {
        match restoring.step(Duration::ZERO) {
            Ok(None) => {}
            Ok(Some(restored)) => {
                let starts = vec![Offset::ZERO; world.config.inputs.len()];
                let (layout, schedule) = (world.layout.clone(), world.all_versions());
                let task = Task::open(partition, layout, schedule, restored, &starts);
                return task.map(Some).map_err(|why| anyhow!("task {partition}: {why}"));
            }
            Err(Failure::Retry(_)) => return Ok(None),
            Err(why) => bail!("task {partition} can't be restored: {why}"),
        }
        let offsets = topics::offsets(world, world.layout.changelog, partition);
        if offsets.stable < offsets.end {
            return Ok(None);
        }
    }
    Err(anyhow!("task {partition}: its restore does not end"))
}

/// Checks that asked questions are pending in committed state: their ids are in the changelog.
pub fn are_committed(world: &World, asked: Vec<(Partition, LookupId)>) -> Result<()> {
    // Checks only one of them, because reading a changelog is slow.
    let Some((partition, id)) = asked.into_iter().next() else {
        return Ok(());
    };
    let holds = |record: &Owned| {
        let value = record.value.as_deref().unwrap_or_default();
        value.windows(id.len()).any(|window| window == &*id)
    };
    if topics::read(world, world.layout.changelog, partition)
        .iter()
        .rev()
        .any(holds)
    {
        return Ok(());
    }
    // An instance that the group considers dead asks again what the task's new owner has done with, and cut off.
    match lookups::asked_by(&id) {
        Some(asked) if has_committed(world, partition, &asked.step)? => Ok(()),
        _ => Err(anyhow!("task {partition} has asked {id:?}, and has not committed that")),
    }
}

/// Whether a task has committed this step. Also true if nobody can tell now, because a transaction is open in it.
fn has_committed(world: &World, partition: Partition, step: &StepKey) -> Result<bool> {
    Ok(rebuild(world, partition)?.is_none_or(|task| task.committed().last >= *step))
}

/// Checks stores, timers, pending lookups and the last step.
fn check_state(task: &Task, expected: &Expected, which: &str) -> Result<()> {
    let last = translate::step(&task.committed().last)?;
    if last.as_ref() != expected.steps.last() {
        bail!(
            "{which}, its last step is {last:?}, and must be {:?}",
            expected.steps.last()
        );
    }
    let is = state::state_of(task)?;
    let must = state::state_expected(expected);
    same(&format!("{which}, its state"), &is, &must)
}

/// Checks that the group's offsets are those of the meta.
fn check_offsets(world: &World, task: &Task) -> Result<()> {
    let offsets = world.cluster.group_offsets(&world.config.name);
    for (input, meta) in world.config.inputs.iter().zip(&task.committed().inputs) {
        let place = (input.topic.clone(), task.partition());
        // Without any commit, both are missing.
        if offsets.get(&place).is_some_and(|offset| *offset != meta.next) {
            bail!(
                "the group's offset of {place:?} is {:?}, the meta's {}",
                offsets.get(&place),
                meta.next
            );
        }
    }
    Ok(())
}
