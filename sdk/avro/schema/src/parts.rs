//! Counts the parts that every value of a type has.
//!
//! Rule: a record does not contain itself other than through a union, an array or a map, and no value must have more than
//! [`MAX_PARTS`] parts.

use crate::invalid::Invalid;
use crate::schema::{Ix, Kind, Schema};

/// Maximum number of parts that every value of a type has (fields, their fields, and so on). Without it, a small schema could
/// nest empty records into a huge number of parts that take no bytes.
pub const MAX_PARTS: u64 = 1 << 16;

/// The number of parts of a record.
#[derive(Clone, Copy)]
pub enum Parts {
    Unknown,
    /// It is being counted.
    Open,
    Known(u64),
}

impl Schema {
    /// Checks the nodes that are not yet in `parts`, and finds those whose values can have no bytes.
    pub(crate) fn check_parts(&mut self, parts: &mut Vec<Parts>) -> Result<(), Invalid> {
        let first = parts.len();
        self.empty.resize(self.nodes.len(), false);
        parts.resize(self.nodes.len(), Parts::Unknown);
        // Nodes are in the order of the text, so a named type comes before its uses. The recursion is no deeper than the text.
        for ix in first..self.nodes.len() {
            self.count_parts(ix as Ix, parts)?;
        }
        Ok(())
    }

    fn count_parts(&mut self, ix: Ix, parts: &mut [Parts]) -> Result<u64, Invalid> {
        let (name, fields) = match self.kind(ix) {
            Kind::Record(name, fields) => (
                name.full.clone(),
                fields.iter().map(|field| field.node).collect::<Vec<_>>(),
            ),
            kind => {
                self.empty[ix as usize] = matches!(kind, Kind::Null | Kind::Fixed(_, 0));
                return Ok(1);
            }
        };
        match parts[ix as usize] {
            Parts::Open => {
                let what = "it contains itself other than through a union, an array or a map, so it has no values";
                return Err(Invalid::new(&name, what));
            }
            Parts::Known(known) => return Ok(known),
            Parts::Unknown => {}
        }
        parts[ix as usize] = Parts::Open;
        let mut sum = 1;
        let mut empty = true;
        for field in fields {
            sum += self.count_parts(field, parts)?;
            empty &= self.empty[field as usize];
        }
        if sum > MAX_PARTS {
            let what = format!("a value would have more than {MAX_PARTS} fields");
            return Err(Invalid::new(&name, what));
        }
        parts[ix as usize] = Parts::Known(sum);
        self.empty[ix as usize] = empty;
        Ok(sum)
    }
}
