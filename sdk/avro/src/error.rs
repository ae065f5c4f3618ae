//! Errors of the generator.

use std::path::Path;
use std::{fmt, io};

/// Why the code can't be generated, like `schemas/x.avsc: Payment.amount: what is wrong, what to do`.
#[derive(thiserror::Error, Clone, PartialEq, Eq)]
pub struct Error {
    file: String,
    /// Path of types and fields. Empty for the file as a whole.
    place: String,
    what: String,
}

impl Error {
    pub(crate) fn new(file: &str, place: &str, what: String) -> Self {
        Error {
            file: file.into(),
            place: place.into(),
            what,
        }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Error::new(&path.display().to_string(), "", error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sep = if self.place.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{sep}{}", self.file, self.place, self.what)
    }
}

/// The same as `Display`, because build scripts use `unwrap`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
