//! A batch of records for the control topic.
//!
//! Rule: it is written completely or not at all. If the outcome is in doubt, the topic shows it.

use crate::binding::Layout;
use crate::deploy::protocol::{CHUNK_BYTES, ControlRecord, Key};
use crate::log::{Outgoing, Transaction};
use crate::record::{Millis, Partition, Span};

/// Records that are written in one transaction.
#[derive(Default)]
pub struct ControlBatch {
    transaction: Transaction,
}

impl ControlBatch {
    /// Adds a record. [`ControlRecord::key`] explains the `nonce`.
    pub fn record(&mut self, layout: &Layout, record: &ControlRecord, nonce: &[u8; 16], wall: Millis) {
        self.put(layout, &record.key(nonce), Some(&record.value()), wall);
    }

    /// Adds a component, in chunks.
    pub fn component(&mut self, layout: &Layout, hash: &[u8; 32], component: &[u8], wall: Millis) {
        for (number, piece) in component.chunks(CHUNK_BYTES).enumerate() {
            self.put(layout, &Key::chunk(hash, number as u32), Some(piece), wall);
        }
    }

    /// Removes a component with this size in bytes.
    pub fn remove(&mut self, layout: &Layout, hash: &[u8; 32], bytes: u64, wall: Millis) {
        for number in 0..bytes.div_ceil(CHUNK_BYTES as u64) {
            self.put(layout, &Key::chunk(hash, number as u32), None, wall);
        }
    }

    fn put(&mut self, layout: &Layout, key: &[u8], value: Option<&[u8]>, wall: Millis) {
        let Transaction { bytes, records, .. } = &mut self.transaction;
        let key = Some(Span::append(bytes, key));
        let value = value.map(|value| Span::append(bytes, value));
        records.push(Outgoing {
            topic: layout.control,
            partition: Partition(0),
            timestamp: wall.max(0),
            key,
            value,
            headers: 0..0,
        });
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.transaction.records.is_empty()
    }

    /// The transaction for a [publisher](crate::log::Log::publisher).
    pub fn transaction(self) -> Transaction {
        self.transaction
    }
}
