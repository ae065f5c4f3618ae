//! How a call ends when it does not return.
//!
//! Rule: a trap says which limit or fault it was; its text is fit for a dead letter (one line, bounded).

use std::fmt;

/// Longest text of a trap, in bytes: it goes into a header of the dead letter.
const MAX_TEXT: usize = 2048;

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The rules gave up by themselves: a panic, an assertion, an overflow.
    Panic,
    /// The time limit. It depends on the clock: the same call may go through.
    Time,
    /// The memory limit, or more data returned than the host takes.
    Memory,
    /// Calls nested too deep.
    Stack,
    /// State could not be read, or the rules have asked for something that is not there.
    Host,
    /// Any other fault.
    Other,
    /// Nothing happened: the sandbox has trapped before.
    Dead,
}

/// A call that did not return. Its sandbox is dead, its inputs are untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// What ended it.
    pub kind: Kind,
    /// One line.
    pub text: String,
}

impl Trap {
    pub(super) fn new(kind: Kind, text: impl fmt::Display) -> Trap {
        let mut text = text.to_string().replace(['\n', '\r'], " ");
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        Trap { kind, text }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Panic => "panic",
            Kind::Time => "time limit",
            Kind::Memory => "memory limit",
            Kind::Stack => "stack limit",
            Kind::Host => "refused by the host",
            Kind::Other => "fault",
            Kind::Dead => "dead sandbox",
        };
        write!(f, "{kind}: {}", self.text)
    }
}

impl std::error::Error for Trap {}
