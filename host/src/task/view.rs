//! What the rules see of a task's state, for the length of one call.
//!
//! Rule: a read answers as of the batch's start, without what is expired at the asking input's time, in the schema that
//! the asking version of the rules declares.

use crate::convert::Resolver;
use crate::record::{Millis, Span};
use crate::rows::{Rows, Slot};
use crate::rules::{Cell, Found, Question, Read, State};

/// The rows of a task, and for the batch at hand who its inputs are.
#[derive(Default)]
pub struct View {
    /// The rows.
    pub rows: Rows,
    /// Of each input of the batch: its key's slot and its time.
    pub inputs: Vec<(Slot, Millis)>,
    /// By the index in the rules' description: permanent ids of the store and of the schema that it reads and writes.
    pub stores: Vec<StoreIds>,
    /// From schemas of stored values to those that stores declare, by (store, written with).
    pub resolvers: Vec<((u16, u16), Resolver)>,
    /// Calls after the first of a batch, by store: what `reads` should have named.
    pub misses: Vec<u64>,
    /// Calls of this batch.
    pub calls: u32,
}

/// Permanent ids of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreIds {
    /// Of its name.
    pub store: u16,
    /// Of its schema.
    pub schema: u16,
}

impl View {
    fn value(&self, store: u16, schema: u16, value: &[u8], out: &mut Vec<u8>) -> Result<Span, String> {
        let ids = self.stores[usize::from(store)];
        if schema == ids.schema {
            return Ok(Span::append(out, value));
        }
        let Some((_, resolver)) = self.resolvers.iter().find(|(pair, _)| *pair == (store, schema)) else {
            return Err(format!(
                "a stored value of schema {schema} can't be read by store {store}"
            ));
        };
        let start = out.len() as u32;
        resolver
            .convert(value, out)
            .map_err(|e| format!("a stored value of store {store}: {e}"))?;
        Ok(Span {
            start,
            len: out.len() as u32 - start,
        })
    }
}

impl State for View {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String> {
        self.calls += 1;
        let mut found = Found {
            cells: Vec::with_capacity(reads.len()).into(),
            bytes: Vec::with_capacity(reads.len() * 64),
        };
        for (of, read) in reads.iter().enumerate() {
            // The sandbox has checked that inputs and stores are there, and spans within the bytes.
            let (slot, now) = self.inputs[read.of as usize];
            let ids = self.stores[usize::from(read.store)];
            let entry = read.entry.of(bytes);
            if self.calls > 1 {
                self.misses[usize::from(read.store)] += 1;
            }
            match read.what {
                Question::Entry => {
                    let Some(cell) = self.rows.get(slot, ids.store, entry) else {
                        continue;
                    };
                    if now >= cell.expires {
                        continue;
                    }
                    let value = self.value(read.store, cell.schema, cell.value, &mut found.bytes)?;
                    let name = Span::append(&mut found.bytes, entry);
                    found.cells.push(Cell {
                        of: of as u32,
                        entry: name,
                        value,
                        expires: cell.expires,
                    });
                }
                Question::Page | Question::PageAfter => {
                    let after = match read.what {
                        Question::PageAfter => Some(read.after.of(bytes)),
                        _ => None,
                    };
                    let mut wrong = None;
                    let cells = &mut found.cells;
                    let out = &mut found.bytes;
                    self.rows.scan(
                        slot,
                        ids.store,
                        entry,
                        after,
                        now,
                        read.limit as usize,
                        &mut |name, cell| match self.value(read.store, cell.schema, cell.value, out) {
                            Ok(value) => {
                                let entry = Span::append(out, name);
                                cells.push(Cell {
                                    of: of as u32,
                                    entry,
                                    value,
                                    expires: cell.expires,
                                });
                            }
                            Err(why) => wrong = Some(why),
                        },
                    );
                    if let Some(why) = wrong {
                        return Err(why);
                    }
                }
            }
        }
        Ok(found)
    }
}
