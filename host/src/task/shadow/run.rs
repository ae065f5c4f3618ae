//! A shadow takes its steps.
//!
//! Rules:
//! - They are taken as the live task takes its own: a batch's effects input by input, each only while it is still the next; all
//!   effects of an input are checked first; a trap costs the input that stands alone.
//! - Time is event time. The limit of a call is as long as that of the live task's second try, because the shadow's thread waits for
//!   the others: only what does not end is a trap by time.

use super::compare::{Comparison, Made};
use super::feed::Begin;
use super::steps::{Planned, What};
use super::tape::{self, Tape, What as Live};
use super::trial::Trial;
use crate::control::shadow::{Report, Standing};
use crate::lookups::Lookups;
use crate::meta::Names;
use crate::metrics::cpu_time;
use crate::record::{FOREVER, Millis, NEVER, Partition, Span, StepKey};
use crate::rules::{Action, Batch, Effects, verify};
use crate::task::view::View;
use crate::task::{Guest, Ids, Sources};
use crate::timers::Timers;
use std::ops::Range;

/// How much longer than the live task's first try a call may take.
const PATIENCE: u32 = 10;

/// See the module.
pub struct Shadow {
    pub(super) guest: Guest,
    pub(super) sources: Sources,
    pub(super) view: View,
    pub(super) timers: Timers,
    pub(super) lookups: Lookups,
    pub(super) names: Names,
    pub(super) ids: Ids,
    pub(super) batch: Batch,
    pub(super) plan: Vec<Planned>,
    /// By slot: where its key stands in the batch of this number.
    pub(super) spans: Vec<(u64, Span)>,
    pub(super) batch_number: u64,
    pub(super) limit: usize,
    /// Ids of lookups that nobody answers.
    pub(super) orphans: Vec<Box<[u8]>>,
    /// Time of the last step.
    pub(super) last: Millis,
    /// The last step of the live task, replies left out: they stand behind it.
    pub(super) live: StepKey,
    /// No step of this time or a later one; none: the first one says.
    ends: Option<Millis>,
    duration: Millis,
    pub(super) compare: Comparison,
}

impl Shadow {
    /// Of a task, from here on.
    pub fn new(task: Partition, trial: &Trial, begin: Begin) -> Result<Shadow, String> {
        let mut names = begin.names;
        let mut view = View::default();
        let guest = Guest::new(trial.wiring.clone()).map_err(|trap| trap.to_string())?;
        let ids = Ids::bind(&trial.wiring, &mut names, &mut view);
        let (mut timers, mut lookups) = (Timers::default(), Lookups::default());
        for timer in begin.timers {
            if let StepKey::Timer { time, key, kind, tag } = timer {
                timers.set(&key, kind, &tag, time, i64::MIN);
            }
        }
        for (name, pending) in begin.lookups {
            lookups.ask(name, pending);
        }
        let last = begin.last.time();
        let ends = (begin.last != StepKey::Start).then(|| last.saturating_add(trial.duration));
        let mut shadow = Shadow {
            guest,
            sources: Sources::new(&trial.inputs, trial.schemas.clone()),
            view,
            timers,
            lookups,
            ids,
            batch: Batch::default(),
            plan: vec![],
            spans: vec![],
            batch_number: 0,
            limit: 1,
            orphans: vec![],
            last,
            live: begin.last,
            ends,
            duration: trial.duration,
            compare: Comparison::new(task, trial, begin.live),
            names,
        };
        shadow.compare.report.from = shadow.ends.map(|_| last);
        shadow.commit();
        Ok(shadow)
    }

    /// What is seen so far.
    pub fn report(&self) -> &Report {
        &self.compare.report
    }

    /// Memory of its state.
    pub fn bytes(&self) -> usize {
        self.view.rows.bytes()
    }

    /// Takes the steps of a committed epoch of the live task.
    pub fn play(&mut self, tape: &Tape) {
        for image in &tape.rows {
            let key = image.key.of(&tape.images);
            let slot = self.view.rows.slot(image.hash, key);
            for cell in &tape.cells[image.cells.start as usize..image.cells.end as usize] {
                let (entry, value) = (cell.entry.of(&tape.images), cell.value.of(&tape.images));
                let rows = &mut self.view.rows;
                rows.put(slot, cell.store, cell.schema, entry, value, cell.expires);
            }
        }
        if let Some(first) = tape.steps.first() {
            self.compare.report.from.get_or_insert(first.time);
            let ends = first.time.saturating_add(self.duration);
            self.ends.get_or_insert(ends);
        }
        let ends = self.ends.unwrap_or(FOREVER);
        // Times never go back.
        let end = tape.steps.partition_point(|step| step.time < ends);
        let until = match end < tape.steps.len() {
            true => NEVER,
            false => tape.until.min(ends),
        };
        let mut at = 0;
        loop {
            self.plan(tape, at, end, until);
            if self.plan.is_empty() {
                break;
            }
            at = self.step(tape, at);
        }
        // What is asked by these in turn ends with the next epoch.
        let mut unanswered = std::mem::take(&mut self.orphans);
        loop {
            unanswered.retain(|id| self.lookups.find(id).is_some());
            if unanswered.is_empty() {
                break;
            }
            self.plan_unanswered(&unanswered);
            self.step(tape, at);
        }
        let seen = &mut self.compare.report.seen;
        seen.live_nanos += tape.nanos;
        seen.live_inputs += tape.inputs;
        if end < tape.steps.len() || tape.until >= ends {
            self.compare.report.standing = Standing::Through;
        }
        self.commit();
    }

    fn commit(&mut self) {
        self.view.rows.seal();
        self.view.rows.commit(self.last);
        self.timers.seal();
        self.timers.commit();
        self.lookups.seal();
        self.lookups.commit();
    }

    /// Takes what is planned, or the first half of it. Where the tape goes on.
    fn step(&mut self, tape: &Tape, at: usize) -> usize {
        self.build(tape);
        if self.batch.inputs.is_empty() {
            return self.apply(tape, at, &Effects::default());
        }
        let (inputs, before) = (self.batch.inputs.len(), cpu_time());
        let result = match self.guest.sandbox() {
            Ok(sandbox) => sandbox.process(&self.batch, &mut self.view, PATIENCE),
            Err(trap) => Err(trap),
        };
        let seen = &mut self.compare.report.seen;
        seen.shadow_nanos += cpu_time().saturating_sub(before).as_nanos() as u64;
        seen.shadow_inputs += inputs as u64;
        let result = result.map_err(|trap| {
            self.guest.renew();
            (trap.to_string(), 0)
        });
        let checked =
            result.and_then(
                |effects| match verify(&effects, inputs, self.guest.wiring.rules.description()) {
                    Ok(()) => Ok(effects),
                    Err(wrong) => Err((wrong.what, wrong.input)),
                },
            );
        match checked {
            Ok(effects) => {
                self.limit = (self.limit * 2).min(self.guest.wiring.batch);
                self.apply(tape, at, &effects)
            }
            Err((_, good)) if good > 0 => {
                self.limit = good;
                at
            }
            Err(_) if inputs > 1 => {
                self.limit = (inputs / 2).max(1);
                at
            }
            Err((why, _)) => {
                for planned in &mut self.plan {
                    if planned.input.take().is_some() {
                        self.compare.trapped(planned, tape, &self.names, &why);
                        planned.dead = why.clone();
                    }
                }
                self.apply(tape, at, &Effects::default())
            }
        }
    }

    /// Applies the effects of the planned steps, in order, until one is not next any more. Where the tape goes on.
    fn apply(&mut self, tape: &Tape, mut at: usize, effects: &Effects) -> usize {
        let mut plan = std::mem::take(&mut self.plan);
        let mut from = 0;
        for planned in &mut plan {
            if !self.still_next(planned, tape) {
                break;
            }
            let mut range = from..from;
            if let Some(input) = planned.input {
                while effects.effects.get(range.end).is_some_and(|effect| effect.of == input) {
                    range.end += 1;
                }
                from = range.end;
                if let Err(why) = self.check(effects, range.clone()) {
                    planned.dead = why;
                    range = from..from;
                }
            }
            if let Some(reject) = effects.effects[range.clone()]
                .first()
                .filter(|effect| effect.what == Action::Reject)
            {
                planned.dead = String::from_utf8_lossy(reject.value.of(&effects.bytes)).into_owned();
                range = from..from;
            }
            self.last = self.last.max(planned.time);
            self.take(planned, tape);
            self.effects(planned, tape, effects, range.clone());
            let made = Made {
                effects,
                range,
                dead: &planned.dead,
            };
            self.compare.step(planned, tape, &self.names, made);
            if let Some(live) = planned.live {
                at = live + 1;
            }
        }
        self.plan = plan;
        at
    }

    fn still_next(&self, planned: &Planned, tape: &Tape) -> bool {
        let first = self.timers.first();
        let live = planned.live.map(|live| &tape.steps[live]);
        match &planned.what {
            What::Record => first.is_none_or(|timer| planned.time <= timer.time()),
            What::Timer(step) => first == Some(step),
            What::Reply { id, .. } => self.lookups.find(id).is_some(),
            What::Nothing => match live.and_then(|live| tape::timer_of(live, tape)) {
                Some(due) => first.is_none_or(|timer| *timer > due),
                None => true,
            },
        }
    }

    /// The step is taken: it is gone from where it waited.
    fn take(&mut self, planned: &Planned, tape: &Tape) {
        match &planned.what {
            What::Timer(StepKey::Timer { key, kind, tag, .. }) => _ = self.timers.take(key, *kind, tag),
            What::Reply { name, .. } => _ = self.lookups.take(name),
            _ => {}
        }
        let Some(step) = planned.live.map(|live| &tape.steps[live]) else {
            return;
        };
        match &step.what {
            Live::Record { rank, offset, .. } => {
                self.live = StepKey::Record {
                    time: step.time,
                    rank: *rank,
                    offset: *offset,
                }
            }
            Live::Timer { .. } => self.live = tape::timer_of(step, tape).unwrap_or(StepKey::Start),
            Live::Reply { .. } => {}
        }
    }

    /// Are the datums of an input's effects what they should be?
    fn check(&self, effects: &Effects, range: Range<usize>) -> Result<(), String> {
        let wiring = &self.guest.wiring;
        for effect in &effects.effects[range] {
            let (valid, what) = match effect.what {
                Action::Send | Action::SendKeyed => (&wiring.outputs[usize::from(effect.on)].valid, "output"),
                Action::Ask => (&wiring.lookups[usize::from(effect.on)].valid, "request"),
                _ => continue,
            };
            valid
                .check(effect.value.of(&effects.bytes))
                .map_err(|e| format!("the rules made an {what} that is not of its schema: {e}"))?;
        }
        Ok(())
    }
}
