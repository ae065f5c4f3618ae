//! Checks what the reports of shadows say.
//!
//! Rules:
//! - A shadow sees all that the live rules did in its time, and nothing twice.
//! - A shadow with the live rules does the same as they do. If only its label differs, only its outputs differ.
//! - A shadow with rules that trap has trapped exactly on the inputs that make them trap.
//! - The control topic says that a shadow runs in a task only if it does.
//!
//! Whether a shadow changes anything outside needs no check of its own: outputs and state are compared with an auditor that
//! knows nothing of shadows.

use super::evidence;
use super::versions;
use super::world::World;
use crate::auditor::{
    self, Code, Event, Expected, Millis, NEVER, Parameters, Refusal, Settings, StepKey, StepWhat, Task,
};
use anyhow::{Context, Result, anyhow, bail};
use pelton::deploy::reader::ControlReader;
use pelton::record::Partition;
use pelton::shadow::{Counts, ShadowReport, ShadowState};
use std::time::Duration;

/// Compares the reports of a task's shadow with what the task has done.
pub fn look(world: &World, partition: Partition, task: &Task, expected: &Expected) -> Result<()> {
    for process in &world.processes {
        let trial = process.life.as_ref().and_then(|life| life.shadow());
        let Some(trial) = trial else { continue };
        let Some(report) = trial.reports().remove(&partition) else {
            continue;
        };
        let version = versions::of(&trial.plan.wiring.rules.version().0).context("a shadow that nobody has begun")?;
        let trial = Trial {
            task,
            expected,
            parameters: &evidence::parameters(world)?,
            rules: &versions::does(version),
            report: &report,
        };
        let wrong = |why: anyhow::Error| {
            anyhow!(
                "the shadow {:?} on instance {}: {why}: {report:#?}",
                trial.rules,
                process.name
            )
        };
        trial.compare().map_err(wrong)?;
    }
    Ok(())
}

/// Checks at the end what the control topic says about the last shadow.
pub fn end(world: &mut World) -> Result<()> {
    let reader = ControlReader::begin(world.outside.clone(), world.layout.clone());
    let mut reader = reader?;
    reader.catch_up(Duration::ZERO)?;
    let shadows = reader.control().shadows();
    world.report.shadows += shadows.count();
    let Some(last) = shadows.last() else { return Ok(()) };
    for (partition, report) in &last.tasks {
        world.report.shadowed += report.seen.steps;
        let of = |name: &str| world.processes.iter().find(|process| process.name == name);
        let life = of(&report.instance).and_then(|process| process.life.as_ref());
        let trial = life.and_then(|life| life.shadow());
        let runs =
            trial.is_some_and(|trial| trial.plan.number == last.number() && trial.reports().contains_key(partition));
        if report.standing == ShadowState::Running && last.over.is_none() && !runs {
            bail!("task {partition} has no shadow, and the control topic says that it has one: {report:#?}");
        }
    }
    Ok(())
}

/// A shadow in a task.
struct Trial<'a> {
    task: &'a Task,
    expected: &'a Expected,
    parameters: &'a Parameters,
    rules: &'a Settings,
    report: &'a ShadowReport,
}

impl Trial<'_> {
    fn compare(&self) -> Result<()> {
        let Some(to) = self.report.to else {
            return Ok(());
        };
        let from = self.report.from.unwrap_or(NEVER);
        let within = |step: &&StepKey| (from..=to).contains(&step.time);
        let mut live = self.expected.steps.iter().filter(within);
        let Some(first) = live.next() else { return Ok(()) };
        let number = self.task.deploy_of(&self.parameters.deploys, first);
        // Near a take-over it is not known on which side of it the shadow was.
        if live.any(|step| self.task.deploy_of(&self.parameters.deploys, step) != number) {
            return Ok(());
        }
        // A reply belongs to the time of the step before it. The shadow's own timers may have passed that when it comes.
        let sent = self.expected.outputs.iter();
        let outputs = sent.map(|output| (output.step.time, !output.looked_up));
        let seen = &self.report.seen;
        between("outputs", live_of(&seen.outputs), outputs, (from, to))?;
        let traps = self
            .won()
            .filter(|_| self.rules.code == Code::Fragile)
            .map(|time| (time, true));
        between("traps", seen.traps, traps, (from, to))?;
        self.compare_rules(&self.parameters.settings(number))
    }

    /// Compares what the shadow did with these live rules.
    fn compare_rules(&self, live: &Settings) -> Result<()> {
        let seen = &self.report.seen;
        let relabelled = Settings {
            label: live.label.clone(),
            ..self.rules.clone()
        };
        let outputs = seen.outputs;
        let right = match () {
            () if self.rules == live => seen.differ() == 0 && seen.unanswered == 0,
            () if relabelled == *live => {
                seen.differ() == outputs.different && outputs.same == 0 && seen.unanswered == 0
            }
            () => true,
        };
        right
            .then_some(())
            .with_context(|| format!("it does something else than {live:?}"))
    }

    /// The times of the records on which fragile rules trap.
    fn won(&self) -> impl Iterator<Item = Millis> {
        let refused = |rank: u16, offset: i64| {
            let mut letters = self.expected.dead_letters.iter();
            letters.any(|letter| {
                let place = letter.place;
                (place.rank, place.offset) == (rank, offset) && letter.refusal != Refusal::Trapped
            })
        };
        let won = move |step: &&StepKey| {
            let StepWhat::Record { rank, offset } = step.what else {
                return false;
            };
            let mut records = self.task.partitions[usize::from(rank)].iter();
            let record = records.find(|record| record.offset == offset);
            let value = record.and_then(|record| record.value.as_deref());
            let event = value.and_then(|value| auditor::read(self.parameters.format, usize::from(rank), value));
            let won = matches!(event, Some(Event::Money(money)) if money.kind == "win");
            won && !refused(rank, offset)
        };
        self.expected.steps.iter().filter(won).map(|step| step.time)
    }
}

/// How many of them the live rules made.
fn live_of(counts: &Counts) -> u64 {
    counts.same + counts.different + counts.missing
}

/// Checks that as many were seen as there are at these times within a span. What is at its edges, and what is not sure to
/// come in the order of time, may have been seen or not.
fn between(what: &str, seen: u64, times: impl Iterator<Item = (Millis, bool)>, span: (Millis, Millis)) -> Result<()> {
    let (from, to) = span;
    let times: Vec<_> = times.filter(|(time, _)| (from..=to).contains(time)).collect();
    let least = times
        .iter()
        .filter(|(time, sure)| *sure && *time > from && *time < to)
        .count() as u64;
    match (least..=times.len() as u64).contains(&seen) {
        true => Ok(()),
        false => Err(anyhow!(
            "it has seen {seen} {what}, and there were {least} to {}",
            times.len()
        )),
    }
}
