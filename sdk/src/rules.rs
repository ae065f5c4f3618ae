//! What a set of rules is: the trait, and what its handlers are given.

use crate::ctx::{Ctx, Reads};
use crate::declare::Declare;
use crate::inputs::{Inputs, Replies, Timers};
use crate::place::Place;
use crate::reject::Reject;
use crate::settings::FromSettings;

/// A set of rules. It has no `&mut self`: what must be remembered belongs into a store.
#[diagnostic::on_unimplemented(message = "`{Self}` is no set of rules", label = "write `impl Rules for {Self}`")]
pub trait Rules: Sized + 'static {
    /// From the `[rules.settings]` of the pipeline's file; `#[derive(Settings)]`, or `()`.
    type Settings: FromSettings;
    /// One variant an input stream: `#[derive(Event)]`.
    type Event<'a>: Inputs<'a>;
    /// One variant a kind of timer, its fields are the tag: `#[derive(Due)]`, or [`Never`](crate::Never).
    type Due<'a>: Timers<'a>;
    /// One variant a lookup: `#[derive(Reply)]`, or [`Never`](crate::Never).
    type Reply<'a>: Replies<'a>;

    /// Declares stores, outputs, lookups and counters. Called once an instance.
    fn new(settings: Self::Settings, declare: &mut Declare) -> Self;

    /// States what this step will want to read. A hint: it makes a batch faster, and changes nothing else.
    fn reads<'a>(&self, step: &Step<'a, Self>, want: &mut Reads<'a>) {
        let _ = (step, want);
    }

    /// An event came.
    fn on_event<'a>(&self, ctx: &mut Ctx<'a>, record: Record<Self::Event<'a>>) -> Outcome;

    /// A timer is due.
    fn on_timer<'a>(&self, ctx: &mut Ctx<'a>, due: Self::Due<'a>) -> Outcome {
        let _ = (ctx, due);
        Err(Reject::new("the rules set a timer, but have no `on_timer`"))
    }

    /// A lookup has ended.
    fn on_reply<'a>(&self, ctx: &mut Ctx<'a>, reply: Self::Reply<'a>) -> Outcome {
        let _ = (ctx, reply);
        Err(Reject::new("the rules ask a service, but have no `on_reply`"))
    }
}

/// `Err` undoes the step, and sends its input to the dead letters. `?` works on any error.
pub type Outcome = Result<(), Reject>;

/// What a step is about.
pub enum Step<'a, R: Rules> {
    /// An event came.
    Event(Record<R::Event<'a>>),
    /// A timer is due.
    Timer(R::Due<'a>),
    /// A lookup has ended.
    Reply(R::Reply<'a>),
}

/// An event and how it came.
#[derive(Clone, Copy, Debug)]
pub struct Record<E> {
    /// The event.
    pub event: E,
    /// It came behind its partition's watermark.
    pub late: bool,
    /// Where it stands in the task's order.
    pub place: Place,
}
