//! The error for bytes that are not a datum of the schema. It is one pointer, so that results stay small, and allocates
//! only when something is wrong.

use std::fmt;

/// Bytes that are not a datum of the schema: in which field, and what was expected there.
#[derive(Clone, PartialEq, Eq)]
pub struct Malformed(Box<Place>);

#[derive(Clone, PartialEq, Eq)]
struct Place {
    expected: &'static str,
    /// Innermost name first.
    path: Vec<&'static str>,
}

impl Malformed {
    /// `expected` is what should have been there, as in "true or false".
    #[cold]
    pub fn new(expected: &'static str) -> Self {
        Malformed(Box::new(Place {
            expected,
            path: Vec::new(),
        }))
    }

    /// Adds the field (or, outermost, the type) that the error is in.
    #[cold]
    pub fn at(mut self, name: &'static str) -> Self {
        self.0.path.push(name);
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.path.iter().rev().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { "." })?;
        }
        let sep = if self.0.path.is_empty() { "" } else { ": " };
        write!(f, "{sep}expected {}", self.0.expected)
    }
}

impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Malformed({self})")
    }
}

impl std::error::Error for Malformed {}
