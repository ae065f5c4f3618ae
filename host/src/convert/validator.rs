//! Is this datum a value of the schema?
//!
//! Rule: what passes here is read by every other program for the same schema, to its last byte.

use super::datum::{Cursor, Shapes};
use super::schema::{Ix, Schema};
use super::{Incompatible, MAX_DEPTH, Unreadable};

/// Checks datums against one schema.
#[derive(Debug)]
pub struct Validator {
    shapes: Shapes,
    root: Ix,
}

impl Validator {
    /// Compiles the check for this schema (Avro JSON).
    pub fn new(schema: &str) -> Result<Self, Incompatible> {
        let schema = Schema::parse(schema)?;
        Ok(Validator {
            shapes: Shapes::new(&schema),
            root: schema.root,
        })
    }

    /// Is it exactly one value, with nothing behind it?
    pub fn check(&self, datum: &[u8]) -> Result<(), Unreadable> {
        let mut cursor = Cursor::new(datum);
        self.shapes.walk::<true>(self.root, &mut cursor, MAX_DEPTH)?;
        cursor.end()
    }
}
