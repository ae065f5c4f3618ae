//! The inputs of rules: the variants of events, timers and replies, as the derives implement them.

use crate::entry::{BadParts, Parts};
use crate::reject::Reject;

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
