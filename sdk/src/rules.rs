//! The trait that rules implement, and the types that their handlers get.

use crate::ctx::{Ctx, Reads};
use crate::declare::Declare;
use crate::inputs::{Inputs, Replies, Timers};
use crate::place::Place;
use crate::reject::Reject;
use crate::settings::FromSettings;

/// A set of rules. There is no `&mut self`, because everything that must be remembered belongs into a store.
#[diagnostic::on_unimplemented(message = "`{Self}` is no set of rules", label = "write `impl Rules for {Self}`")]
pub trait Rules: Sized + 'static {
    /// The `[rules.settings]` of the pipeline's file: `#[derive(Settings)]`, or `()`.
    type Settings: FromSettings;
    /// The input streams, one for each variant: `#[derive(Event)]`.
    type Event<'a>: Inputs<'a>;
    /// The kinds of timers, one for each variant, whose fields are the tag: `#[derive(Due)]`, or [`Never`](crate::Never).
    type Due<'a>: Timers<'a>;
    /// The lookups, one for each variant: `#[derive(Reply)]`, or [`Never`](crate::Never).
    type Reply<'a>: Replies<'a>;

    /// Declares stores, outputs, lookups and counters. Called once for each instance.
    fn new(settings: Self::Settings, declare: &mut Declare) -> Self;

    /// Announces what this step will read. This is a hint that makes batches faster and changes nothing else.
    fn reads<'a>(&self, step: &Step<'a, Self>, want: &mut Reads<'a>) {
        let _ = (step, want);
    }

    /// Handles an event.
    fn on_event<'a>(&self, ctx: &mut Ctx<'a>, record: Record<Self::Event<'a>>) -> Outcome;

    /// Handles a timer that is due.
    fn on_timer<'a>(&self, ctx: &mut Ctx<'a>, due: Self::Due<'a>) -> Outcome {
        let _ = (ctx, due);
        Err(Reject::new("the rules set a timer, but have no `on_timer`"))
    }

    /// Handles the end of a lookup.
    fn on_reply<'a>(&self, ctx: &mut Ctx<'a>, reply: Self::Reply<'a>) -> Outcome {
        let _ = (ctx, reply);
        Err(Reject::new("the rules ask a service, but have no `on_reply`"))
    }
}

/// An `Err` undoes the step and sends its input to the dead letters. `?` works with any error.
pub type Outcome = Result<(), Reject>;

/// A step that `reads` can look at.
pub enum Step<'a, R: Rules> {
    /// An event has come.
    Event(Record<R::Event<'a>>),
    /// A timer is due.
    Timer(R::Due<'a>),
    /// A lookup has ended.
    Reply(R::Reply<'a>),
}

/// An event, with how it came.
#[derive(Clone, Copy, Debug)]
pub struct Record<E> {
    /// The event.
    pub event: E,
    /// Whether it came after the watermark of its partition had passed its time.
    pub late: bool,
    /// Its place in the task's order.
    pub place: Place,
}
