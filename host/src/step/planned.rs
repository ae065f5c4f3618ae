//! A planned step: what happens in it, and why it is refused, if it is.
//!
//! Rule: a plan is only a plan. Before a step is taken, it must still be the next one.

use crate::metrics::DeadLetterReason;
use crate::record::journal::LookupEnding;
use crate::record::{Millis, StepKey};
use crate::state::TaskState;
use crate::state::lookups::LookupName;

/// A step of the current batch.
pub struct PlannedStep<R, M> {
    /// What happens in it.
    pub what: StepInput<R>,
    /// What the port notes about it.
    pub mark: M,
    /// Its event time.
    pub time: Millis,
    /// The hash of its key.
    pub hash: u64,
    /// Its index among the inputs of the call, if the rules see it.
    pub input: Option<u32>,
    /// Why it is refused, if it is.
    pub refused: Option<Refusal>,
}

/// What happens in a step.
pub enum StepInput<R> {
    /// A record, identified by the port's handle.
    Record(R),
    /// A timer is due.
    Timer(StepKey),
    /// A lookup has ended.
    Reply {
        /// Which lookup.
        name: LookupName,
        /// The id of its question.
        id: Box<[u8]>,
        /// How it ended.
        ending: LookupEnding,
    },
    /// Nothing in this task. In the other task, this timer, or a reply; every timer up to it comes first.
    Elsewhere(Option<StepKey>),
}

impl<R, M> PlannedStep<R, M> {
    /// A step that is not refused so far.
    pub fn new(what: StepInput<R>, mark: M, time: Millis) -> PlannedStep<R, M> {
        PlannedStep {
            what,
            mark,
            time,
            hash: 0,
            input: None,
            refused: None,
        }
    }

    /// Whether it is still the next step.
    pub(super) fn is_next(&self, state: &TaskState) -> bool {
        let first = state.timers().first();
        match &self.what {
            // A record comes before a timer of the same time.
            StepInput::Record(_) => first.is_none_or(|timer| self.time <= timer.time()),
            StepInput::Timer(due) => first == Some(due),
            StepInput::Reply { id, .. } => state.lookups().find(id).is_some(),
            StepInput::Elsewhere(Some(due)) => first.is_none_or(|timer| timer > due),
            StepInput::Elsewhere(None) => true,
        }
    }
}

/// What refuses the only input of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A trap, which depends on the clock.
    Trap,
    /// Effects that can't be applied.
    Effects,
}

/// Why an input is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub kind: DeadLetterReason,
    /// For people to read.
    pub why: String,
}
