//! The content of a task's stores, for tests and queries.
//!
//! Invariant: looking changes nothing. Expired entries are not shown.

use super::TaskState;
use crate::record::Millis;
use crate::state::delta::{self, Change, Delta};

/// An entry of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpedEntry {
    /// The key it belongs to.
    pub key: Vec<u8>,
    /// The name of the store.
    pub store: String,
    /// The name of the entry. Empty in a store with a single value.
    pub entry: Vec<u8>,
    /// The time when it expires, or [`crate::record::FOREVER`].
    pub expires: Millis,
    /// The schema that the value was written with, as Avro JSON.
    pub schema: String,
    /// The datum.
    pub value: Vec<u8>,
}

impl TaskState {
    /// All entries of the stores that have not expired at `now`, sorted.
    pub fn dump(&self, now: Millis) -> Vec<DumpedEntry> {
        let mut delta = Delta::new();
        self.view.rows.write_all(now, &mut delta);
        let mut cells = vec![];
        for change in delta.records().flat_map(delta::read) {
            if let Ok(Change::Put {
                key,
                store,
                entry,
                cell,
            }) = change
            {
                cells.push(DumpedEntry {
                    key: key.to_vec(),
                    store: self.bookkeeping.names.stores[usize::from(store)].clone(),
                    entry: entry.to_vec(),
                    expires: cell.expires,
                    schema: self.bookkeeping.names.schemas[usize::from(cell.schema)].clone(),
                    value: cell.value.to_vec(),
                });
            }
        }
        cells.sort();
        cells
    }
}
