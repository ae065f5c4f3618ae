//! A change of state.

use crate::record::{Millis, StoreEntry};

/// One change that was read. It borrows from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The task's meta.
    Meta(&'a [u8]),
    /// The names with permanent ids.
    Names(&'a [u8]),
    /// An entry has this value from now on.
    Put {
        /// The key of its row.
        key: &'a [u8],
        /// The permanent id of its store.
        store: u16,
        /// Empty for a store with a single value.
        entry: &'a [u8],
        /// What it is.
        cell: StoreEntry<'a>,
    },
    /// An entry is deleted.
    Delete {
        /// The key of its row.
        key: &'a [u8],
        /// The permanent id of its store.
        store: u16,
        /// Empty for a store with a single value.
        entry: &'a [u8],
    },
    /// A timer is set.
    SetTimer {
        /// The key that it is for.
        key: &'a [u8],
        /// The time when it is due.
        at: Millis,
        /// The permanent id of its kind.
        kind: u16,
        /// The tag that it was set with.
        tag: &'a [u8],
    },
    /// A timer is not set any more: it fired, or was cancelled or replaced.
    CancelTimer {
        /// The key that it was for.
        key: &'a [u8],
        /// The time when it was due.
        at: Millis,
        /// The permanent id of its kind.
        kind: u16,
        /// The tag that it was set with.
        tag: &'a [u8],
    },
    /// A lookup is pending. It replaces one with the same key, lookup and tag.
    Ask {
        /// The key that asks.
        key: &'a [u8],
        /// The permanent id of the lookup.
        lookup: u16,
        /// The tag that it was asked with.
        tag: &'a [u8],
        /// The id of the question.
        id: &'a [u8],
        /// The rendered request.
        request: &'a [u8],
    },
    /// A lookup is not pending any more.
    Answered {
        /// The key that asked.
        key: &'a [u8],
        /// The permanent id of the lookup.
        lookup: u16,
        /// The tag that it was asked with.
        tag: &'a [u8],
    },
}
