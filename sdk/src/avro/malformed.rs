//! What is said of bytes that are not a datum of the schema. One pointer, so that results stay small; what it points to
//! is made only when something is wrong.

use std::fmt;

/// Bytes that are no datum of the schema: which field, and what was expected there.
#[derive(Clone, PartialEq, Eq)]
pub struct Malformed(Box<Place>);

#[derive(Clone, PartialEq, Eq)]
struct Place {
    expected: &'static str,
    /// From the inside out: the names were met on the way back.
    path: Vec<&'static str>,
}

impl Malformed {
    /// `expected`: what should have been there, as in "true or false".
    #[cold]
    pub fn new(expected: &'static str) -> Self {
        Malformed(Box::new(Place {
            expected,
            path: Vec::new(),
        }))
    }

    /// The field (or at the outside the type) in which it was found.
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
