//! Fields that come in any order, into the order of the schema, without memory of their own.
//!
//! Rule: a record's values are appended to `out` as they come, behind a table of their places; at the end they are put in
//! order behind that, and moved to where the table was. Whatever fails in between, the caller truncates `out`.

use super::{MAX_OUT, Unreadable};

/// Bytes of the table for one field: where its value starts and ends, counted from the table's start. 0: not there (no
/// value starts at 0, for the table does).
const ENTRY: usize = 8;

/// A record that is being gathered.
pub(super) struct Gather {
    base: usize,
    count: usize,
}

impl Gather {
    /// Begins a record of so many fields.
    #[inline]
    pub fn begin(count: usize, out: &mut Vec<u8>) -> Gather {
        let base = out.len();
        out.resize(base + count * ENTRY, 0);
        Gather { base, count }
    }

    /// Is the value of this field there?
    #[inline]
    pub fn has(&self, field: usize, out: &[u8]) -> bool {
        self.place(field, out).0 != 0
    }

    /// The value of this field is what was appended since `start`.
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
