//! What a set of rules is: the trait, and what its handlers are given.

use crate::ctx::{Ctx, Reads};
use crate::declare::Declare;
use crate::entry::{BadParts, Parts};
use crate::settings::FromSettings;
use std::fmt::Display;

/// A set of rules. It has no `&mut self`: what must be remembered belongs into a store.
#[diagnostic::on_unimplemented(message = "`{Self}` is no set of rules", label = "write `impl Rules for {Self}`")]
pub trait Rules: Sized + 'static {
    /// From the `[rules.settings]` of the pipeline's file; `#[derive(Settings)]`, or `()`.
    type Settings: FromSettings;
    /// One variant an input stream: `#[derive(Event)]`.
    type Event<'a>: Inputs<'a>;
    /// One variant a kind of timer, its fields are the tag: `#[derive(Due)]`, or [`Never`].
    type Due<'a>: Timers<'a>;
    /// One variant a lookup: `#[derive(Reply)]`, or [`Never`].
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

/// Why an input can't be handled: the reason that is written to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject(String);

impl Reject {
    /// With this reason.
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

/// Where a record stands in the task's order: unique, and it sorts as the records were processed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Effective time: milliseconds since 1970.
    pub time: i64,
    /// Rank of the input in the pipeline's file.
    pub rank: u16,
    /// Offset in the partition.
    pub offset: u64,
}

/// Why a lookup has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAnswer {
    /// The service says that there is nothing.
    Absent,
    /// It could not be reached; what can be tried again was.
    Unavailable,
    /// Its reply is not of the declared schema.
    Unreadable,
}

/// No timers, or no lookups.
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
    /// `value`: none for a tombstone.
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

/// A lookup as the replies see it.
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
