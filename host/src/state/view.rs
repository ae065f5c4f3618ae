//! The view of a task's state that the rules have during a call.
//!
//! Invariant: a read answers as of the start of the batch. It leaves out what has expired at the time of the asking
//! input, and it returns values in the schema that this version of the rules declares.

use crate::record::{Millis, Span};
use crate::state::rows::{RowSlot, Rows, ScanRange};
use crate::wit::StateReader;
use crate::wit::{Cell, Found, Question, Read};
use pelton_convert::Resolver;

/// The rows of a task, and the inputs of the batch that may read them. Only the state's own module can write through
/// it.
#[derive(Default)]
pub struct View {
    pub(super) rows: Rows,
    /// For each input of the batch: the row of its key, and its time.
    pub(super) inputs: Vec<(RowSlot, Millis)>,
    /// The permanent ids of each store and of the schema that it reads and writes, by the store's index in the rules'
    /// description.
    pub(super) stores: Vec<StoreIds>,
    /// Converters from stored values to the schema that a store declares, by the store's index and the id of the stored
    /// schema.
    pub(super) resolvers: Vec<((u16, u16), Resolver)>,
    /// Reads after the first call of a batch, by store. `reads` should have named them.
    pub(super) misses: Vec<u64>,
    /// Calls of this batch so far.
    pub(super) calls: u32,
}

/// The permanent ids of a store and of the schema it is written in.
#[derive(Clone, Copy, Debug)]
pub struct StoreIds {
    pub(super) store: u16,
    pub(super) schema: u16,
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

impl StateReader for View {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String> {
        self.calls += 1;
        let mut found = Found {
            cells: Vec::with_capacity(reads.len()).into(),
            bytes: Vec::with_capacity(reads.len() * 64),
        };
        for (of, read) in reads.iter().enumerate() {
            // The sandbox has checked that the inputs and stores exist, and that the spans are within the bytes.
            let (slot, now) = self.inputs[read.of as usize];
            let ids = self.stores[usize::from(read.store)];
            let entry = read.entry.of(bytes);
            if self.calls > 1 {
                self.misses[usize::from(read.store)] += 1;
            }
            match read.what {
                Question::Entry => {
                    let cell = self.rows.get(slot, ids.store, entry);
                    let Some(cell) = cell.filter(|cell| now < cell.expires) else {
                        continue;
                    };
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
                    let range = ScanRange {
                        store: ids.store,
                        prefix: entry,
                        after,
                        now,
                        limit: read.limit as usize,
                    };
                    self.rows.scan(slot, range, &mut |name, cell| match self.value(
                        read.store,
                        cell.schema,
                        cell.value,
                        out,
                    ) {
                        Ok(value) => cells.push(Cell {
                            of: of as u32,
                            entry: Span::append(out, name),
                            value,
                            expires: cell.expires,
                        }),
                        Err(why) => wrong = Some(why),
                    });
                    if let Some(why) = wrong {
                        return Err(why);
                    }
                }
            }
        }
        Ok(found)
    }
}
