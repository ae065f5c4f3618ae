//! The epoch: everything that a worker's tasks write between two commits.
//!
//! Rule: nothing of an epoch leaves the process before its transaction is committed. Outputs, journal and deltas are in
//! the transaction; questions and counts wait here.

use crate::log::{Outgoing, Transaction};
use crate::record::journal::JournalEntry;
use crate::record::{Partition, Span, TopicIx};
use crate::service::ServiceCall;
use std::collections::BTreeSet;

/// The open epoch of a worker.
#[derive(Debug, Default)]
pub struct Epoch {
    /// The transaction that will be committed.
    pub transaction: Transaction,
    /// The tasks that have something in it.
    pub touched: BTreeSet<Partition>,
    /// The questions to ask once it is committed.
    pub questions: Vec<ServiceCall>,
    /// Something waits for a record in it, so it is sealed as soon as possible.
    pub urgent: bool,
}

/// A record to write, in pieces.
pub struct Piece<'a> {
    /// The topic to write to.
    pub topic: TopicIx,
    /// The partition of that topic.
    pub partition: Partition,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key. `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// The two parts of the value. `None` is a null value.
    pub value: Option<[&'a [u8]; 2]>,
}

impl Epoch {
    /// Appends a record. [`header`](Epoch::header) adds headers to it.
    #[inline]
    pub fn write(&mut self, piece: Piece<'_>) {
        let transaction = &mut self.transaction;
        let headers = transaction.headers.len() as u32;
        let key = piece.key.map(|key| Span::append(&mut transaction.bytes, key));
        let value = piece.value.map(|[head, rest]| {
            let head = Span::append(&mut transaction.bytes, head);
            let rest = Span::append(&mut transaction.bytes, rest);
            Span {
                start: head.start,
                len: head.len + rest.len,
            }
        });
        transaction.records.push(Outgoing {
            topic: piece.topic,
            partition: piece.partition,
            timestamp: piece.timestamp,
            key,
            value,
            headers: headers..headers,
        });
    }

    /// Adds a header to the record written last.
    pub fn header(&mut self, name: &str, value: &[u8]) {
        let transaction = &mut self.transaction;
        let name = Span::append(&mut transaction.bytes, name.as_bytes());
        let value = Span::append(&mut transaction.bytes, value);
        transaction.headers.push((name, value));
        if let Some(last) = transaction.records.last_mut() {
            last.headers.end = transaction.headers.len() as u32;
        }
    }

    /// Journals one decision of a task.
    pub fn journal(&mut self, topic: TopicIx, task: Partition, timestamp: i64, entry: &JournalEntry) {
        let mut bytes = vec![];
        entry.encode(&mut bytes);
        self.write(Piece {
            topic,
            partition: task,
            timestamp,
            key: None,
            value: Some([&bytes, &[]]),
        });
        self.touched.insert(task);
    }

    /// The number of bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.transaction.bytes.len()
    }

    /// Whether no task has done anything in it.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// Starts a new, empty epoch in the memory of a transaction that is finished.
    pub fn reuse(&mut self, mut transaction: Transaction) {
        transaction.bytes.clear();
        transaction.records.clear();
        transaction.headers.clear();
        transaction.offsets.clear();
        *self = Epoch {
            transaction,
            ..Epoch::default()
        };
    }
}
