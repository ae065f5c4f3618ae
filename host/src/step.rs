//! Takes steps: the next inputs become a batch, the rules run on it, and their effects are applied input by input.
//!
//! One [`Stepper`] does this for the live task and for its shadow, so both accept the same effects. They differ only in
//! their ports: [`Inputs`], which supplies the inputs, and [`Sink`], which takes the effects.
//!
//! Rules:
//! - A batch holds the next inputs in step order. Planning takes nothing: a step that its batch doesn't complete is
//!   planned again.
//! - Before the effects of an input are applied, it must still be the next step. An earlier input of the batch may have
//!   set a timer that is due first, changed or cancelled a timer of the batch, or asked a lookup again. If so, the rest
//!   of the batch is dropped and planned again.
//! - All effects of an input are checked before the first one is applied.
//! - A trap costs no more than its own input: the batch is halved until the trapping input is alone. Then it runs again
//!   in a fresh instance with ten times the time limit, and is refused only if it traps there too.

mod batch;
mod check;
mod context;
mod faults;
mod guest;
mod planned;
mod ports;
mod tally;
#[cfg(test)]
mod tests;

pub use batch::BATCH_BYTES;
pub use context::Context;
pub use faults::Faults;
pub use guest::Guest;
pub use planned::{Cause, PlannedStep, Refusal, StepInput};
pub use ports::{Inputs, LookupQuestion, OutputRecord, RecordInput, RulesCall, Sink, StepEffects};
pub use tally::{CallTally, Tally};

use crate::metrics::{DeadLetterReason, cpu_time};
use crate::rules::{Action, Effects, Trap, verify};
use crate::state::EffectTarget;
use crate::state::lookups::Pending;
use batch::BatchBuilder;
use std::ops::Range;
use std::time::Instant;

/// The factor on the time limit for the second attempt of an input that trapped alone.
pub const PATIENCE: u32 = 10;

/// Takes steps, batch after batch. `R` and `M` are what the port keeps about a step.
pub struct Stepper<R, M> {
    batch: BatchBuilder,
    plan: Vec<PlannedStep<R, M>>,
    /// The most steps in the next batch. A trap halves it, and a success doubles it.
    limit: usize,
}

/// The result of a call.
enum Attempt {
    /// These effects are to be applied.
    Effects(Effects),
    /// The batch is planned again, with at most this many steps.
    Shorter(usize),
    /// The call's only input is refused.
    Refused(Cause, String),
}

impl<R, M> Default for Stepper<R, M> {
    fn default() -> Self {
        Stepper {
            batch: BatchBuilder::default(),
            plan: vec![],
            limit: 1,
        }
    }
}

impl<R, M> Stepper<R, M> {
    /// Forgets which rows it has seen, and takes at most `limit` steps next. For when other rules take over, or an
    /// epoch was dropped.
    pub fn restart(&mut self, limit: usize) {
        self.limit = limit;
        self.batch.forget();
    }

    /// Takes the next steps, at most one batch. Returns false if there are none now.
    pub fn step<P: Sink<Record = R, Mark = M>>(&mut self, cx: &mut Context<'_, P>) -> bool {
        self.plan.clear();
        cx.port.plan(cx.state, self.limit, &mut self.plan);
        if self.plan.is_empty() {
            return false;
        }
        self.batch.build(&mut self.plan, cx);
        match self.attempt(cx) {
            Attempt::Effects(effects) => self.apply(&effects, cx),
            Attempt::Shorter(limit) => self.limit = limit,
            Attempt::Refused(cause, why) => {
                self.refuse(cause, &why, cx);
                self.apply(&Effects::default(), cx);
            }
        }
        true
    }

    /// Runs the rules on the batch.
    fn attempt<P: Sink<Record = R, Mark = M>>(&mut self, cx: &mut Context<'_, P>) -> Attempt {
        let inputs = self.batch.len();
        if inputs == 0 {
            return Attempt::Effects(Effects::default());
        }
        match self.call(P::FIRST_PATIENCE, cx) {
            Ok(effects) => match verify(&effects, inputs, cx.guest.wiring.rules.description()) {
                Ok(()) => {
                    self.limit = (self.limit * 2).min(cx.guest.wiring.batch);
                    Attempt::Effects(effects)
                }
                // The inputs before the wrong one are fine. They are taken with the next batch, which ends before it.
                Err(wrong) if wrong.input > 0 => Attempt::Shorter(wrong.input),
                Err(_) if inputs > 1 => Attempt::Shorter(1),
                Err(wrong) => Attempt::Refused(Cause::Effects, wrong.what),
            },
            Err(_) if inputs > 1 => Attempt::Shorter(inputs / 2),
            Err(_) => self.second_attempt(cx),
        }
    }

    /// Runs the rules again on an input that trapped while it was alone.
    fn second_attempt<P: Sink<Record = R, Mark = M>>(&mut self, cx: &mut Context<'_, P>) -> Attempt {
        match self.call(PATIENCE, cx) {
            Ok(effects) if verify(&effects, 1, cx.guest.wiring.rules.description()).is_ok() => {
                Attempt::Effects(effects)
            }
            Ok(_) => {
                let why = "the rules returned effects that can't be applied";
                Attempt::Refused(Cause::Effects, why.to_owned())
            }
            Err(trap) => Attempt::Refused(Cause::Trap, trap.to_string()),
        }
    }

    fn call<P: Sink<Record = R, Mark = M>>(&mut self, patience: u32, cx: &mut Context<'_, P>) -> Result<Effects, Trap> {
        #[expect(
            clippy::disallowed_methods,
            reason = "for the metrics and the time budget of a version; what a step does depends on neither"
        )]
        let (before, cpu) = (Instant::now(), cpu_time());
        let result = match cx.guest.sandbox() {
            Ok(sandbox) => cx
                .state
                .call(|view| sandbox.process(self.batch.batch(), view, patience)),
            Err(trap) => Err(trap),
        };
        let call = RulesCall {
            inputs: self.batch.len(),
            patience,
            took: before.elapsed(),
            cpu: cpu_time().saturating_sub(cpu),
            trap: result.as_ref().err(),
        };
        cx.port.called(&call, cx.guest);
        result.inspect_err(|_| cx.guest.renew())
    }

    /// Refuses the only input of the call.
    fn refuse<P: Sink<Record = R, Mark = M>>(&mut self, cause: Cause, why: &str, cx: &mut Context<'_, P>) {
        for planned in &mut self.plan {
            if planned.input.take().is_some() {
                planned.refused = Some(Refusal {
                    kind: DeadLetterReason::Trap,
                    why: why.to_owned(),
                });
                cx.port.refused(planned, cause, cx.state, cx.guest);
            }
        }
    }

    /// Applies the effects of the planned steps in order, until one of them is no longer the next step.
    fn apply<P: Sink<Record = R, Mark = M>>(&mut self, effects: &Effects, cx: &mut Context<'_, P>) {
        cx.port.begin(&self.plan, self.batch.len(), cx.guest);
        let (mut next, mut taken) = (0, 0);
        for planned in &mut self.plan {
            if !planned.is_next(cx.state) {
                cx.port.cut();
                break;
            }
            let mut range = next..next;
            if let Some(input) = planned.input {
                range = range_of(effects, next, input);
                next = range.end;
                if let Err(refusal) = check::check(effects, range.clone(), &cx.guest.wiring) {
                    if refusal.kind == DeadLetterReason::Trap {
                        cx.port.fault(&refusal.why, cx.guest);
                    }
                    planned.refused = Some(refusal);
                    range = next..next;
                }
            }
            match &planned.what {
                StepInput::Timer(due) => cx.state.take_timer(due),
                StepInput::Reply { name, .. } => cx.state.take_lookup(name),
                StepInput::Record(_) | StepInput::Elsewhere(_) => {}
            }
            cx.port.take(planned, cx.state);
            let made = StepEffects { effects, range };
            apply_effects(&self.batch, planned, &made, cx);
            cx.port.done(planned, &made, cx.state, cx.guest);
            taken += 1;
        }
        cx.port.end(&self.plan[..taken], effects);
    }
}

/// The effects of an input. The first of them, if there is any, is at `start`.
fn range_of(effects: &Effects, start: usize, input: u32) -> Range<usize> {
    let rest = &effects.effects[start..];
    start..start + rest.iter().take_while(|effect| effect.of == input).count()
}

/// Applies the effects of a step. They have been checked.
fn apply_effects<P: Sink>(
    batch: &BatchBuilder,
    planned: &PlannedStep<P::Record, P::Mark>,
    made: &StepEffects<'_>,
    cx: &mut Context<'_, P>,
) {
    let bytes = &made.effects.bytes;
    let mut asked = 0;
    for index in made.range.clone() {
        let effect = &made.effects.effects[index];
        match effect.what {
            Action::Put | Action::Delete | Action::Clear | Action::SetTimer | Action::CancelTimer => {
                cx.state.apply(effect, bytes);
            }
            Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
                let key = batch.key(effect.of);
                let effects = made.effects;
                let output = OutputRecord {
                    effect,
                    index,
                    effects,
                    key,
                };
                cx.port.output(&output, cx.guest);
            }
            Action::Ask => {
                let mut request = vec![];
                let url = &cx.guest.wiring.lookups[usize::from(effect.on)].url;
                // The datum was checked just before.
                if url.render(effect.value.of(bytes), &mut request).is_err() {
                    continue;
                }
                let name = cx.state.lookup_of(EffectTarget::of(effect), effect.name.of(bytes));
                let question = LookupQuestion {
                    number: asked,
                    lookup: effect.on,
                    name: &name,
                    request: &request,
                };
                let id = cx.port.ask(&question, planned, cx.guest);
                let request = request.into();
                cx.state.ask(name, Pending { id, request });
                asked += 1;
            }
            Action::Count => cx.port.count(effect.on, effect.at.max(0) as u64),
            // The check has already refused this input.
            Action::Reject => {}
        }
    }
}
