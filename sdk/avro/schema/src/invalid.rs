//! The error of the parser.

use std::fmt;

/// What is wrong in a schema, and where: `Payment.amount: what is wrong, what to do`.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The path to the place: `.field`, `[]` for the items of an array, `{}` for the values of a map, and `(1)` for a branch of a
    /// union. Empty for the schema as a whole.
    pub place: String,
    /// The error at this place.
    pub what: String,
}

impl Invalid {
    pub(crate) fn new(place: &str, what: impl Into<String>) -> Self {
        Invalid {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.place.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.place, self.what)
    }
}
