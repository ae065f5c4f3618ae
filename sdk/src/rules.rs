//! The trait that rules implement, and the types that their handlers get.

use crate::ctx::{Ctx, Reads};
use crate::declare::Declare;
use crate::entry::{BadParts, Parts};
use crate::settings::FromSettings;
use std::fmt::Display;

/// A set of rules. There is no `&mut self`, because everything that must be remembered belongs into a store.
#[diagnostic::on_unimplemented(message = "`{Self}` is no set of rules", label = "write `impl Rules for {Self}`")]
pub trait Rules: Sized + 'static {
    /// The `[rules.settings]` of the pipeline's file: `#[derive(Settings)]`, or `()`.
    type Settings: FromSettings;
    /// The input streams, one for each variant: `#[derive(Event)]`.
    type Event<'a>: Inputs<'a>;
    /// The kinds of timers, one for each variant, whose fields are the tag: `#[derive(Due)]`, or [`Never`].
    type Due<'a>: Timers<'a>;
    /// The lookups, one for each variant: `#[derive(Reply)]`, or [`Never`].
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

/// Why an input can't be handled. The reason is written to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject(String);

impl Reject {
    /// Rejects with this reason.
    pub fn new(reason: impl Display) -> Self {
        Reject(reason.to_string())
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for Reject {
    fn from(error: E) -> Self {
        Reject::new(error)
    }
}

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

/// A record's place in the task's order. It is unique, and sorts in the order in which records are processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Effective time: milliseconds since 1970.
    pub time: i64,
    /// Rank of the input, which is its place in the pipeline's file.
    pub rank: u16,
    /// Offset in its partition.
    pub offset: u64,
}

/// Why a lookup has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAnswer {
    /// The service answered that there is nothing.
    Absent,
    /// The service could not be reached, even with retries.
    Unavailable,
    /// The reply does not match the declared schema.
    Unreadable,
}

/// For rules without timers, or without lookups.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

/// A name and an Avro schema.
#[derive(Clone, Copy)]
pub struct Named {
    #[doc(hidden)]
    pub name: &'static str,
    #[doc(hidden)]
    pub schema: &'static str,
}

/// Implemented by `#[derive(Event)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which input streams there are",
    label = "write `#[derive(Event)]` on an enum with one variant an input stream"
)]
pub trait Inputs<'a>: Sized {
    #[doc(hidden)]
    const STREAMS: &'static [Named];
    /// `value` is `None` for a tombstone.
    #[doc(hidden)]
    fn decode(source: u16, value: Option<&'a [u8]>) -> Result<Self, Reject>;
}

/// Implemented by `#[derive(Due)]`, and by [`Never`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which timers there are",
    label = "write `#[derive(Due)]` on an enum with one variant a kind of timer, or use `pelton_sdk::Never`"
)]
pub trait Timers<'a>: Sized {
    #[doc(hidden)]
    const KINDS: &'static [&'static str];
    #[doc(hidden)]
    fn kind(&self) -> u16;
    #[doc(hidden)]
    fn tag(&self, out: &mut Vec<u8>);
    #[doc(hidden)]
    fn decode(kind: u16, tag: Parts<'a>) -> Result<Self, BadParts>;
}

/// The description of a lookup for decoding replies.
#[derive(Clone, Copy)]
pub struct Answers {
    #[doc(hidden)]
    pub name: &'static str,
    #[doc(hidden)]
    pub schema: &'static str,
    #[doc(hidden)]
    pub tag: fn(&mut String),
}

/// Implemented by `#[derive(Reply)]`, and by [`Never`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which lookups there are",
    label = "write `#[derive(Reply)]` on an enum with one variant a lookup, or use `pelton_sdk::Never`"
)]
pub trait Replies<'a>: Sized {
    #[doc(hidden)]
    const LOOKUPS: &'static [Answers];
    #[doc(hidden)]
    fn decode(source: u16, tag: Parts<'a>, answer: Result<&'a [u8], NoAnswer>) -> Result<Self, Reject>;
}

impl<'a> Timers<'a> for Never {
    const KINDS: &'static [&'static str] = &[];
    fn kind(&self) -> u16 {
        match *self {}
    }
    fn tag(&self, _: &mut Vec<u8>) {
        match *self {}
    }
    fn decode(_: u16, _: Parts<'a>) -> Result<Self, BadParts> {
        Err(BadParts::NONE)
    }
}

impl<'a> Replies<'a> for Never {
    const LOOKUPS: &'static [Answers] = &[];
    fn decode(_: u16, _: Parts<'a>, _: Result<&'a [u8], NoAnswer>) -> Result<Self, Reject> {
        Err(Reject::new("the rules have no lookups"))
    }
}
