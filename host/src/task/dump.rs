//! What a task holds, for tests and queries.
//!
//! Rule: nothing changes by looking, and nothing that has expired by the last step is shown.

use super::Task;
use crate::delta::{self, Change, Delta};
use crate::record::{Millis, StepKey};
use crate::sweep::Cursor;

/// An entry of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Whose it is.
    pub key: Vec<u8>,
    /// Name of the store.
    pub store: String,
    /// Name of the entry; empty where the store holds one value a key.
    pub entry: Vec<u8>,
    /// When it is gone; [`crate::record::FOREVER`]: never.
    pub expires: Millis,
    /// What the value was written in, Avro JSON.
    pub schema: String,
    /// The datum.
    pub value: Vec<u8>,
}

impl Task {
    /// Everything that the stores hold and that has not expired by the last step; sorted.
    pub fn dump(&mut self) -> Vec<Stored> {
        let mut delta = Delta::new();
        self.view
            .rows
            .sweep(&mut Cursor::new(), usize::MAX, self.last.time(), &mut delta);
        let mut cells = vec![];
        for change in delta.records().flat_map(delta::read) {
            if let Ok(Change::Put {
                key,
                store,
                schema,
                entry,
                expires,
                value,
            }) = change
            {
                cells.push(Stored {
                    key: key.to_vec(),
                    store: self.names.stores[usize::from(store)].clone(),
                    entry: entry.to_vec(),
                    expires,
                    schema: self.names.schemas[usize::from(schema)].clone(),
                    value: value.to_vec(),
                });
            }
        }
        cells.sort();
        cells
    }

    /// The timers that are set, in order.
    pub fn timers(&self) -> impl Iterator<Item = &StepKey> {
        self.timers.iter()
    }

    /// The name of a kind of timers.
    pub fn timer_name(&self, kind: u16) -> &str {
        self.names.timers.get(usize::from(kind)).map_or("?", String::as_str)
    }
}
