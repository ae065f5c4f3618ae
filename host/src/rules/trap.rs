//! Traps: how a call ends that does not return.
//!
//! Rule: a trap says which limit or fault it was. Its text can go into a dead letter: it is one line of limited length.

use std::fmt;

/// Maximum length of a trap's text in bytes. It goes into a header of the dead letter.
const MAX_TEXT: usize = 2048;

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// The rules themselves: a panic, an assertion, an overflow.
    Panic,
    /// The time limit. It depends on the clock, so the same call may succeed the next time.
    Time,
    /// The memory limit, or more returned data than the host accepts.
    Memory,
    /// Calls were nested too deep.
    Stack,
    /// State could not be read, or the rules have asked for something that does not exist.
    Host,
    /// Any other fault.
    Other,
    /// Nothing was called, because the sandbox has trapped before.
    Dead,
}

/// A call that did not return. Its sandbox is dead, and none of its effects count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// What ended it.
    pub kind: TrapKind,
    /// What happened, in one line.
    pub text: String,
}

impl Trap {
    pub(super) fn new(kind: TrapKind, text: impl fmt::Display) -> Trap {
        let mut text = text.to_string().replace(['\n', '\r'], " ");
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        Trap { kind, text }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TrapKind::Panic => "panic",
            TrapKind::Time => "time limit",
            TrapKind::Memory => "memory limit",
            TrapKind::Stack => "stack limit",
            TrapKind::Host => "refused by the host",
            TrapKind::Other => "fault",
            TrapKind::Dead => "dead sandbox",
        };
        write!(f, "{kind}: {}", self.text)
    }
}

impl std::error::Error for Trap {}
