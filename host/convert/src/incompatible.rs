//! Why a schema, or a pair of schemas, can't be used.

use std::fmt;

/// Why a schema can't be used, or why a reader's schema can't read what a writer's schema writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    path: String,
    why: String,
}

impl Incompatible {
    pub(super) fn new(path: &str, why: impl Into<String>) -> Self {
        Incompatible {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// The reason, without the path.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{}: {}", self.path, self.why)
        }
    }
}

impl std::error::Error for Incompatible {}

impl From<pelton_avro_schema::Invalid> for Incompatible {
    fn from(invalid: pelton_avro_schema::Invalid) -> Self {
        Incompatible::new(&invalid.place, invalid.what)
    }
}
