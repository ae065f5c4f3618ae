//! Checks that a datum is a value of a schema.
//!
//! Rule: every other converter for the same schema can read what passes here, to its last byte.

use super::datum::{Cursor, Shapes};
use super::{Incompatible, MAX_DEPTH, Unreadable};
use pelton_avro_schema::{Ix, Schema};

/// Checks datums against one schema.
#[derive(Debug)]
pub struct Validator {
    shapes: Shapes,
    root: Ix,
}

impl Validator {
    /// Compiles a validator for this schema (Avro JSON).
    pub fn new(schema: &str) -> Result<Self, Incompatible> {
        let schema = Schema::parse(schema)?;
        Ok(Validator {
            shapes: Shapes::new(&schema),
            root: schema.root(),
        })
    }

    /// Whether the datum is exactly one value, with nothing after it.
    pub fn check(&self, datum: &[u8]) -> Result<(), Unreadable> {
        let mut cursor = Cursor::new(datum);
        self.shapes.walk::<true>(self.root, &mut cursor, MAX_DEPTH)?;
        cursor.end()
    }
}
