//! The refusal of an input.

use std::fmt::Display;

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
