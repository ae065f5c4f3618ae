//! The two ports of the stepper. The live task and the shadow each have their own.
//!
//! Rule: a port says where inputs come from and where effects go. It decides nothing about batches, the next step, or
//! which effects are applied.

use super::{Cause, PlannedStep, Refusal};
use crate::binding::Sources;
use crate::record::{Offset, Rank};
use crate::rules::{Effect, Effects, Header, Trap};
use crate::state::TaskState;
use crate::state::lookups::LookupName;
use crate::step::Guest;
use std::ops::Range;
use std::time::Duration;

/// Supplies the inputs of steps.
pub trait Inputs {
    /// The port's handle of a record.
    type Record;
    /// What else the port notes about a step.
    type Mark;

    /// The factor on the time limit for the first attempt of a call.
    const FIRST_PATIENCE: u32;

    /// Adds the next steps to an empty plan, in their order and at most `limit` of them.
    fn plan(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<PlannedStep<Self::Record, Self::Mark>>);

    /// The key of a record. Empty if it has none.
    fn key(&self, record: &Self::Record) -> &[u8];

    /// A record as the rules may see it.
    fn read(&self, record: &Self::Record, sources: &mut Sources) -> Result<RecordInput<'_>, Refusal>;

    /// Calls `each` with the name and value of each header of a record, in order.
    fn headers(&self, record: &Self::Record, each: impl FnMut(&[u8], &[u8]));

    /// The reason why this step is refused without a call, if it is known to trap.
    fn known_trap(&self, planned: &PlannedStep<Self::Record, Self::Mark>) -> Option<&str>;

    /// Notes that the step is taken. It is now the last one.
    fn take(&mut self, planned: &PlannedStep<Self::Record, Self::Mark>, state: &TaskState);
}

/// Takes the effects, except those that change the state.
pub trait Sink: Inputs {
    /// Called after each call of the rules.
    fn called(&mut self, call: &RulesCall<'_>, guest: &mut Guest);

    /// The only input of a call is refused.
    fn refused(
        &mut self,
        planned: &PlannedStep<Self::Record, Self::Mark>,
        cause: Cause,
        state: &TaskState,
        guest: &mut Guest,
    );

    /// An input is refused because one of its effects doesn't match its schema.
    fn fault(&mut self, why: &str, guest: &mut Guest);

    /// A batch with this many inputs is about to be applied.
    fn begin(&mut self, plan: &[PlannedStep<Self::Record, Self::Mark>], inputs: usize, guest: &mut Guest);

    /// The rest of the batch is dropped, because another step comes first now.
    fn cut(&mut self);

    /// Takes a record for an output.
    fn output(&mut self, output: &OutputRecord<'_>, guest: &Guest);

    /// Takes a lookup. Returns the id that its reply will have.
    fn ask(
        &mut self,
        question: &LookupQuestion<'_>,
        planned: &PlannedStep<Self::Record, Self::Mark>,
        guest: &Guest,
    ) -> Box<[u8]>;

    /// Adds to a counter.
    fn count(&mut self, counter: u16, by: u64);

    /// The effects of a step have been applied.
    fn done(
        &mut self,
        planned: &PlannedStep<Self::Record, Self::Mark>,
        made: &StepEffects<'_>,
        state: &TaskState,
        guest: &Guest,
    );

    /// The batch has been applied, up to these steps.
    fn end(&mut self, taken: &[PlannedStep<Self::Record, Self::Mark>], effects: &Effects);
}

/// A record as the rules may see it.
pub struct RecordInput<'a> {
    /// The rank of its input.
    pub rank: Rank,
    /// Its offset.
    pub offset: Offset,
    /// Whether it came late.
    pub late: bool,
    /// Its value, unless it is null.
    pub value: Option<&'a [u8]>,
}

/// A call of the rules.
pub struct RulesCall<'a> {
    /// The number of inputs in its batch.
    pub inputs: usize,
    /// The factor on its time limit.
    pub patience: u32,
    /// How long it took.
    pub took: Duration,
    /// How much CPU time it took.
    pub cpu: Duration,
    /// The trap that ended it, if there was one.
    pub trap: Option<&'a Trap>,
}

/// The effects of a step. Empty if the step is refused.
pub struct StepEffects<'a> {
    /// The effects of the whole batch.
    pub effects: &'a Effects,
    /// The range of this step's effects in them.
    pub range: Range<usize>,
}

/// A record that the rules send.
pub struct OutputRecord<'a> {
    /// Its effect.
    pub effect: &'a Effect,
    /// The index of this effect in the batch.
    pub index: usize,
    /// The effects of the whole batch.
    pub effects: &'a Effects,
    /// The key of the input.
    pub key: &'a [u8],
}

impl<'a> OutputRecord<'a> {
    /// The headers of the record. Verified effects have their headers in the order of the effects.
    pub fn headers(&self) -> impl Iterator<Item = &'a Header> + use<'a> {
        let (headers, index) = (&self.effects.headers, self.index);
        let first = headers.partition_point(|header| (header.of as usize) < index);
        headers[first..]
            .iter()
            .take_while(move |header| header.of as usize == index)
    }
}

/// A lookup that the rules ask.
pub struct LookupQuestion<'a> {
    /// How many lookups this step has asked before it.
    pub number: u32,
    /// The index of the lookup in the rules' description.
    pub lookup: u16,
    /// The lookup's name in the state.
    pub name: &'a LookupName,
    /// The rendered request.
    pub request: &'a [u8],
}
