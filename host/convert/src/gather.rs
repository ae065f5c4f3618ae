//! Puts the fields of a record into the schema's order as they arrive in any order, with no buffer but `out`.
//!
//! Rule: `out` gets a table of positions, and after it the values as they come. At the end, the values are copied in
//! order and moved to where the table was. If anything fails in between, the caller truncates `out`.

use super::{MAX_OUT, Unreadable};

/// Size of a table entry: the start and end of the value, relative to the table's start. A start of 0 means that the
/// field has not come, because the table itself is at 0.
const ENTRY: usize = 8;

/// A record whose fields are being gathered.
pub(super) struct Gather {
    base: usize,
    count: usize,
}

impl Gather {
    /// Begins a record of `count` fields.
    #[inline]
    pub fn begin(count: usize, out: &mut Vec<u8>) -> Gather {
        let base = out.len();
        out.resize(base + count * ENTRY, 0);
        Gather { base, count }
    }

    /// Whether this field has come.
    #[inline]
    pub fn has(&self, field: usize, out: &[u8]) -> bool {
        self.place(field, out).0 != 0
    }

    /// Says that the value of this field is what was appended since `start`.
    #[inline]
    pub fn set(&self, field: usize, start: usize, out: &mut [u8]) -> Result<(), Unreadable> {
        if out.len() - self.base > MAX_OUT {
            return Err(Unreadable::new("the value becomes too large"));
        }
        let (from, to) = ((start - self.base) as u32, (out.len() - self.base) as u32);
        let at = self.base + field * ENTRY;
        out[at..at + 4].copy_from_slice(&from.to_le_bytes());
        out[at + 4..at + ENTRY].copy_from_slice(&to.to_le_bytes());
        Ok(())
    }

    /// Puts the fields in order. `missing` appends the value of a field that did not come.
    #[inline]
    pub fn end(
        self,
        out: &mut Vec<u8>,
        mut missing: impl FnMut(usize, &mut Vec<u8>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let mut expected = self.count * ENTRY;
        let in_order = (0..self.count).all(|field| {
            let (from, to) = self.place(field, out);
            let next = from == expected;
            expected = to;
            next
        });
        if in_order && self.base + expected == out.len() {
            let values = self.base + self.count * ENTRY;
            let len = out.len() - values;
            out.copy_within(values.., self.base);
            out.truncate(self.base + len);
            return Ok(());
        }
        let ordered = out.len();
        for field in 0..self.count {
            match self.place(field, out) {
                (0, _) => missing(field, out)?,
                (from, to) => out.extend_from_within(self.base + from..self.base + to),
            }
        }
        let len = out.len() - ordered;
        out.copy_within(ordered.., self.base);
        out.truncate(self.base + len);
        Ok(())
    }

    #[inline]
    fn place(&self, field: usize, out: &[u8]) -> (usize, usize) {
        let at = self.base + field * ENTRY;
        let number = |at: usize| u32::from_le_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]) as usize;
        (number(at), number(at + 4))
    }
}
