//! Deltas: all state changes of one task in one epoch, packed into a few large records of the changelog.
//!
//! Rule: a delta is absolute. Each change says what an entry is from now on, not how it differs. So changes may be
//! applied again, and the last one wins. Records are read in the order in which they were written. Reading never
//! panics, whatever the bytes are: what can't be understood is [`Torn`].
//!
//! Format, version 1. A record is the version byte, followed by changes. A change is a head byte, followed by its
//! fields:
//!
//! ```text
//! head     bits 0-2 the kind · bit 3 the key is that of the previous keyed change in this record · bits 4-5 form of
//! the time
//! key      only when bit 3 is clear: bytes
//! time     form 0: six bytes, little-endian, signed · form 1: nothing, it is FOREVER · form 2: eight bytes
//! bytes    length, then as many bytes
//! numbers and lengths are LEB128 varints
//!
//! 0 meta      bytes                                   4 set timer     key time kind tag
//! 1 names     bytes                                   5 cancel timer  key time kind tag
//! 2 put       key time store schema entry value       6 ask           key lookup tag id request
//! 3 delete    key store entry                         7 answered      key lookup tag
//! ```

mod change;
mod code;
mod read;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use read::{Changes, Torn, read};

use crate::record::encoding::DELTA;
use crate::record::{FOREVER, Millis, StoreEntry};
use code::{
    ANSWERED, ASK, CANCEL_TIMER, DELETE, META, NAMES, PUT, SAME_KEY, SET_TIMER, SHORT_TIME, TIME_FOREVER, TIME_LONG,
    TIME_SHORT,
};

/// Maximum size of a record, unless a single change is larger. It leaves room for the record's header below the
/// broker's default limit of 1 MiB, and it is large enough that the cost of a record does not matter.
pub const RECORD_MAX: usize = 512 * 1024;

/// Upper limit for what a change takes besides its byte strings: head, time, two numbers of 16 bits and four lengths.
const FIELDS_MAX: usize = 1 + 8 + 2 * 3 + 4 * 10;

/// The delta of one task and epoch while it is written. It can be reused after [`clear`](Delta::clear).
#[derive(Debug)]
pub struct Delta {
    bytes: Vec<u8>,
    /// Records end before they reach this size.
    limit: usize,
    /// Where each record begins.
    starts: Vec<usize>,
    /// The key of the last keyed change in the last record.
    key: Option<(usize, usize)>,
}

impl Default for Delta {
    fn default() -> Self {
        Self::new()
    }
}

impl Delta {
    /// An empty delta.
    pub fn new() -> Self {
        Self {
            bytes: Vec::new(),
            limit: RECORD_MAX,
            starts: Vec::new(),
            key: None,
        }
    }

    /// An empty delta whose records end only at [`cut`](Delta::cut). The store uses it.
    pub fn whole() -> Self {
        Self {
            limit: usize::MAX,
            ..Self::new()
        }
    }

    /// Begins a new record.
    pub fn cut(&mut self) {
        self.starts.push(self.bytes.len());
        self.bytes.push(DELTA.newest);
        self.key = None;
    }

    /// Size of all records so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Removes all changes, but keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.key = None;
    }

    /// The records, in the order in which they must be produced.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.starts.iter().enumerate().map(|(i, &start)| {
            let end = self.starts.get(i + 1).copied().unwrap_or(self.bytes.len());
            &self.bytes[start..end]
        })
    }

    /// Writes a change of any kind.
    pub fn push(&mut self, change: Change<'_>) {
        match change {
            Change::Meta(bytes) => self.meta(bytes),
            Change::Names(bytes) => self.names(bytes),
            Change::Put {
                key,
                store,
                entry,
                cell,
            } => self.put(key, store, entry, cell),
            Change::Delete { key, store, entry } => self.delete(key, store, entry),
            Change::SetTimer { key, at, kind, tag } => self.set_timer(key, at, kind, tag),
            Change::CancelTimer { key, at, kind, tag } => self.cancel_timer(key, at, kind, tag),
            Change::Ask {
                key,
                lookup,
                tag,
                id,
                request,
            } => {
                self.room(key.len() + tag.len() + id.len() + request.len());
                self.keyed(ASK, key);
                self.number(u64::from(lookup));
                self.string(tag);
                self.string(id);
                self.string(request);
            }
            Change::Answered { key, lookup, tag } => self.answered(key, lookup, tag),
        }
    }

    /// Writes the task's meta, which must be the first change of a delta.
    pub fn meta(&mut self, meta: &[u8]) {
        self.room(meta.len());
        self.bytes.push(META);
        self.string(meta);
    }

    /// Writes the names with permanent ids.
    pub fn names(&mut self, names: &[u8]) {
        self.room(names.len());
        self.bytes.push(NAMES);
        self.string(names);
    }

    /// Writes the value of an entry.
    pub fn put(&mut self, key: &[u8], store: u16, entry: &[u8], cell: StoreEntry<'_>) {
        let StoreEntry { schema, expires, value } = cell;
        self.room(key.len() + entry.len() + value.len());
        self.timed(PUT, key, expires);
        self.number(u64::from(store));
        self.number(u64::from(schema));
        self.string(entry);
        self.string(value);
    }

    /// Writes that an entry is deleted.
    pub fn delete(&mut self, key: &[u8], store: u16, entry: &[u8]) {
        self.room(key.len() + entry.len());
        self.keyed(DELETE, key);
        self.number(u64::from(store));
        self.string(entry);
    }

    /// Writes that a timer is set.
    pub fn set_timer(&mut self, key: &[u8], at: Millis, kind: u16, tag: &[u8]) {
        self.room(key.len() + tag.len());
        self.timed(SET_TIMER, key, at);
        self.number(u64::from(kind));
        self.string(tag);
    }

    /// Writes that a timer is not set any more.
    pub fn cancel_timer(&mut self, key: &[u8], at: Millis, kind: u16, tag: &[u8]) {
        self.room(key.len() + tag.len());
        self.timed(CANCEL_TIMER, key, at);
        self.number(u64::from(kind));
        self.string(tag);
    }

    /// Writes that a lookup is not pending any more.
    pub fn answered(&mut self, key: &[u8], lookup: u16, tag: &[u8]) {
        self.room(key.len() + tag.len());
        self.keyed(ANSWERED, key);
        self.number(u64::from(lookup));
        self.string(tag);
    }

    /// Begins a new record if the change might not fit into the current one.
    #[inline]
    fn room(&mut self, strings: usize) {
        let open = self.bytes.len() - self.starts.last().copied().unwrap_or(0);
        if open == 0 || open + strings + FIELDS_MAX > self.limit {
            self.cut();
        }
        self.bytes.reserve(strings + FIELDS_MAX);
    }

    #[inline]
    fn timed(&mut self, kind: u8, key: &[u8], time: Millis) {
        let form = match time {
            FOREVER => TIME_FOREVER,
            _ if (-SHORT_TIME..SHORT_TIME).contains(&time) => TIME_SHORT,
            _ => TIME_LONG,
        };
        self.keyed(kind | form, key);
        match form {
            TIME_SHORT => self.bytes.extend_from_slice(&time.to_le_bytes()[..6]),
            TIME_LONG => self.bytes.extend_from_slice(&time.to_le_bytes()),
            _ => {}
        }
    }

    #[inline]
    fn keyed(&mut self, head: u8, key: &[u8]) {
        if let Some((start, end)) = self.key
            && self.bytes[start..end] == *key
        {
            self.bytes.push(head | SAME_KEY);
            return;
        }
        self.bytes.push(head);
        self.string(key);
        self.key = Some((self.bytes.len() - key.len(), self.bytes.len()));
    }

    #[inline]
    fn string(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}
