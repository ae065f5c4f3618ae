//! A shadow of a task: it takes the steps of the live task's tapes, and its own timers between them.
//!
//! Rule: it uses the live task's stepper (see [`stepper`](crate::step)), so it refuses whatever the live task would
//! refuse. It has its own state, and its time is event time.

use super::compare::Comparison;
use super::feed::Begin;
use super::playback::{Playback, PlaybackPosition, TapePart};
use super::tape::Tape;
use super::trial::Trial;
use crate::binding::Sources;
use crate::record::{FOREVER, Millis, NEVER, Partition, StepKey, StoreEntry};
use crate::rules::Trap;
use crate::shadow::{ShadowReport, ShadowState};
use crate::state::TaskState;
use crate::state::delta::Change;
use crate::step::{Context, Guest, Stepper};

/// The shadow of one task.
pub struct TaskShadow {
    guest: Guest,
    sources: Sources,
    state: TaskState,
    stepper: Stepper<usize, Option<usize>>,
    place: PlaybackPosition,
    /// It takes no step at or after this time. Unknown until the first step, if the task had none before.
    ends: Option<Millis>,
    duration: Millis,
    compare: Comparison,
}

impl TaskShadow {
    /// The shadow of a task that begins here.
    pub fn new(task: Partition, trial: &Trial, begin: Begin) -> Result<TaskShadow, Trap> {
        let guest = Guest::new(trial.plan.wiring.clone())?;
        let state = TaskState::copied(begin.names, &begin.timers, begin.lookups);
        let last = begin.last.time();
        let ends = (begin.last != StepKey::Start).then(|| last.saturating_add(trial.plan.duration));
        let mut shadow = TaskShadow {
            guest,
            sources: Sources::new(&trial.plan.inputs, trial.plan.schemas.clone()),
            state,
            stepper: Stepper::default(),
            place: PlaybackPosition {
                last,
                live: begin.last,
                orphans: vec![],
            },
            ends,
            duration: trial.plan.duration,
            compare: Comparison::new(task, trial, begin.live),
        };
        shadow.state.bind(trial.plan.wiring.rules.description());
        shadow.compare.report.from = shadow.ends.map(|_| last);
        shadow.commit();
        Ok(shadow)
    }

    /// The results so far.
    pub fn report(&self) -> &ShadowReport {
        &self.compare.report
    }

    /// Memory of its state in bytes.
    pub fn bytes(&self) -> usize {
        self.state.rows().bytes()
    }

    /// Takes the steps of a committed epoch of the live task.
    pub fn play(&mut self, tape: &Tape) {
        for image in &tape.rows {
            let key = image.key.of(&tape.images);
            for cell in &tape.cells[image.cells.start as usize..image.cells.end as usize] {
                let put = Change::Put {
                    key,
                    store: cell.store,
                    entry: cell.entry.of(&tape.images),
                    cell: StoreEntry {
                        schema: cell.schema,
                        expires: cell.expires,
                        value: cell.value.of(&tape.images),
                    },
                };
                // Only names can be unreadable, and rows have none.
                _ = self.state.replay(put);
            }
        }
        if let Some(first) = tape.steps.first() {
            self.compare.report.from.get_or_insert(first.time);
            let ends = first.time.saturating_add(self.duration);
            self.ends.get_or_insert(ends);
        }
        let ends = self.ends.unwrap_or(FOREVER);
        // The times of steps never go back.
        let end = tape.steps.partition_point(|step| step.time < ends);
        let until = match end < tape.steps.len() {
            true => NEVER,
            false => tape.until.min(ends),
        };
        self.take_steps(tape, TapePart::Steps { at: 0, end, until });
        // Questions that follow from these answers are answered with the next epoch.
        let orphans = std::mem::take(&mut self.place.orphans);
        self.take_steps(tape, TapePart::Unanswered(orphans));
        let seen = &mut self.compare.report.seen;
        seen.live_nanos += tape.calls.cpu_nanos;
        seen.live_inputs += tape.calls.inputs;
        if end < tape.steps.len() || tape.until >= ends {
            self.compare.report.standing = ShadowState::Through;
        }
        self.commit();
    }

    fn take_steps(&mut self, tape: &Tape, part: TapePart) {
        let mut port = Playback::new(tape, part, &mut self.place, &mut self.compare);
        let mut context = Context {
            state: &mut self.state,
            guest: &mut self.guest,
            sources: &mut self.sources,
            port: &mut port,
        };
        while self.stepper.step(&mut context) {}
    }

    fn commit(&mut self) {
        self.state.commit_unlogged(self.place.last);
    }
}
