//! The two ports of the stepper. The live task and a shadow each have their own.
//!
//! Rule: a port says where inputs come from and where effects go. It decides nothing about batches, about what is the next step,
//! or about which effects are applied.

use super::batch::RecordInput;
use super::{Planned, Refusal};
use crate::binding::Sources;
use crate::rules::{Effect, Effects, Header, Trap};
use crate::state::TaskState;
use crate::state::lookups::LookupName;
use crate::step::Guest;
use std::ops::Range;
use std::time::Duration;

/// Where the inputs of steps come from.
pub trait Inputs {
    /// The handle of a record.
    type Record;
    /// What else is noted of a step.
    type Mark;

    /// How much more than its time limit the first try of a call may take.
    const FIRST_PATIENCE: u32;

    /// Adds up to `limit` steps to an empty plan: those that come next, in their order.
    fn plan(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<Planned<Self::Record, Self::Mark>>);

    /// The key of a record; empty if it has none.
    fn key(&self, record: &Self::Record) -> &[u8];

    /// A record as the rules may see it.
    fn read(&self, record: &Self::Record, sources: &mut Sources) -> Result<RecordInput<'_>, Refusal>;

    /// Gives the headers of a record, name and value, in their order.
    fn headers(&self, record: &Self::Record, each: impl FnMut(&[u8], &[u8]));

    /// Why this step is refused without a call, if it is known to trap.
    fn known_trap(&self, planned: &Planned<Self::Record, Self::Mark>) -> Option<&str>;

    /// The step is taken: it is the last one now.
    fn take(&mut self, planned: &Planned<Self::Record, Self::Mark>, state: &TaskState);
}

/// Where effects go, except for those that change the state.
pub trait Sink: Inputs {
    /// The rules were called.
    fn called(&mut self, call: &Call<'_>, guest: &mut Guest);

    /// The one input of a call is refused. `trapped`: by a trap, which depends on the clock, and not by effects that can't be applied.
    fn refused(
        &mut self,
        planned: &Planned<Self::Record, Self::Mark>,
        trapped: bool,
        state: &TaskState,
        guest: &mut Guest,
    );

    /// An input is refused, because one of its effects is not of its schema.
    fn fault(&mut self, why: &str, guest: &mut Guest);

    /// A batch with this many inputs is about to be applied.
    fn begin(&mut self, plan: &[Planned<Self::Record, Self::Mark>], inputs: usize, guest: &mut Guest);

    /// The rest of the batch is not the next any more.
    fn cut(&mut self);

    /// A record for an output.
    fn output(&mut self, output: &Output<'_>, guest: &Guest);

    /// A lookup. Returns the id that its reply will have.
    fn ask(&mut self, question: &Question<'_>, planned: &Planned<Self::Record, Self::Mark>, guest: &Guest)
    -> Box<[u8]>;

    /// A counter goes up.
    fn count(&mut self, counter: u16, by: u64);

    /// The effects of a step are applied.
    fn done(&mut self, planned: &Planned<Self::Record, Self::Mark>, made: &Made<'_>, state: &TaskState, guest: &Guest);

    /// The batch is applied, as far as these steps.
    fn end(&mut self, taken: &[Planned<Self::Record, Self::Mark>], effects: &Effects);
}

/// A call of the rules.
pub struct Call<'a> {
    /// The inputs of its batch.
    pub inputs: usize,
    /// How much more than the time limit it might take.
    pub patience: u32,
    /// How long it took.
    pub took: Duration,
    /// How much CPU time it took.
    pub cpu: Duration,
    /// How it trapped, if it did.
    pub trap: Option<&'a Trap>,
}

/// The effects of a step: these of the batch. None if it is refused.
pub struct Made<'a> {
    /// Of the whole batch.
    pub effects: &'a Effects,
    /// Which of them.
    pub range: Range<usize>,
}

/// A record that the rules send.
pub struct Output<'a> {
    /// Its effect.
    pub effect: &'a Effect,
    /// The place of the effect in the batch's.
    pub index: usize,
    /// Of the whole batch.
    pub effects: &'a Effects,
    /// The key of the input.
    pub key: &'a [u8],
}

impl<'a> Output<'a> {
    /// The headers of the record. Verified effects have theirs in the order of the effects.
    pub fn headers(&self) -> impl Iterator<Item = &'a Header> + use<'a> {
        let (headers, index) = (&self.effects.headers, self.index);
        let first = headers.partition_point(|header| (header.of as usize) < index);
        headers[first..]
            .iter()
            .take_while(move |header| header.of as usize == index)
    }
}

/// A lookup that the rules ask.
pub struct Question<'a> {
    /// The lookups of this step before it.
    pub number: u32,
    /// The place of the lookup in the description.
    pub lookup: u16,
    /// Whose it is.
    pub name: &'a LookupName,
    /// The rendered request.
    pub request: &'a [u8],
}
