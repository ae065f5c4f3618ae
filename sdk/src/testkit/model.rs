//! The test kit's model of state: an ordered map, and reads of it.

use crate::shared::Reader;
use crate::wire::{Batch, Cell, Found, Question, Read, Span};
use std::cell::Cell as Count;
use std::collections::BTreeMap;

/// (key, store, entry) -> (datum, expiry).
pub(super) type State = BTreeMap<(Vec<u8>, u16, Vec<u8>), (Vec<u8>, i64)>;

/// Answers `get-many` with the state as it was before the batch.
pub(super) struct Model<'m> {
    pub batch: &'m Batch,
    pub state: &'m State,
    pub calls: Count<u64>,
    pub misses: &'m Count<u64>,
}

impl Reader for Model<'_> {
    fn get_many(&self, reads: &[Read], bytes: &[u8]) -> Found {
        if self.calls.replace(self.calls.get() + 1) > 0 {
            self.misses.set(self.misses.get() + reads.len() as u64);
        }
        let mut found = Found {
            cells: Vec::new(),
            bytes: Vec::new(),
        };
        for (of, read) in reads.iter().enumerate() {
            let input = &self.batch.inputs[read.of as usize];
            let key = input.key.of(&self.batch.bytes);
            let (entry, after) = (read.entry.of(bytes), read.after.of(bytes));
            let limit = if read.what == Question::Entry {
                1
            } else {
                read.limit as usize
            };
            let from = (key.to_vec(), read.store, entry.to_vec());
            let entries = self
                .state
                .range(from..)
                .take_while(|((held, store, name), _)| held == key && *store == read.store && name.starts_with(entry));
            let entries = entries.filter(|((_, _, name), (_, expires))| {
                let asked = match read.what {
                    Question::Entry => name == entry,
                    Question::Page => true,
                    Question::PageAfter => &name[..] > after,
                };
                asked && input.time < *expires
            });
            for ((_, _, name), (value, expires)) in entries.take(limit) {
                found.cells.push(Cell {
                    of: of as u32,
                    entry: Span::append(&mut found.bytes, name),
                    value: Span::append(&mut found.bytes, value),
                    expires: *expires,
                });
            }
        }
        found
    }
}
