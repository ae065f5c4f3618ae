//! The data that all steps of a batch share: the batch, the source of state, and their work.
//!
//! Rule: a value that was read stays valid until the end of the batch, even after a write.

use crate::arena::Arena;
use crate::declared::Declared;
use crate::overlay::{FoundEntry, Slot};
use crate::reject::Reject;
use crate::wire::{Action, Batch, Found, Read};
use crate::work::Work;
use std::cell::RefCell;
use std::fmt::Display;

/// Where state is read from: the host, or its model in the test kit.
pub trait Reader {
    /// The import `get-many` of the WIT package.
    fn get_many(&self, reads: &[Read], bytes: &[u8]) -> Found;
}

/// The data that all steps of a batch share.
pub(crate) struct Shared<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) arena: &'a Arena,
    pub(crate) reader: &'a dyn Reader,
    pub(crate) declared: &'a Declared,
    pub(crate) work: RefCell<Work<'a>>,
}

impl<'a> Shared<'a> {
    /// Makes the call for everything that is wanted.
    pub(crate) fn ask(&self) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        if work.reads.is_empty() {
            return;
        }
        let found = self.reader.get_many(&work.reads, &work.overlay.names);
        let bytes = self.arena.adopt(found.bytes);
        for cell in &found.cells {
            let asked = &mut work.overlay.cells[work.asked[cell.of as usize] as usize];
            let (value, expires) = (cell.value.of(bytes), cell.expires);
            match &mut asked.slot {
                Slot::Page { first, len, .. } => {
                    if *len == 0 {
                        *first = work.overlay.found.len() as u32;
                    }
                    *len += 1;
                    let entry = cell.entry.of(bytes);
                    work.overlay.found.push(FoundEntry { entry, value, expires });
                }
                slot => *slot = Slot::Held { value, expires, seq: 0 },
            }
        }
        work.reads.clear();
        work.asked.clear();
    }

    /// The current value of an entry.
    #[inline]
    pub(crate) fn get(&self, store: u16, name: impl Fn(&mut Vec<u8>)) -> Option<&'a [u8]> {
        let mut work = self.work.borrow_mut();
        let cell = work.cell(store.into(), &name);
        let now = work.now;
        if !work.overlay.visible(cell, now).is_unknown(work.of) {
            return self.value(&mut work, cell);
        }
        work.want(store.into(), name);
        drop(work);
        self.ask();
        let mut work = self.work.borrow_mut();
        self.value(&mut work, cell)
    }

    /// The value of a known cell. A value that the batch has written is copied, so that it stays readable.
    #[inline]
    pub(crate) fn value(&self, work: &mut Work<'a>, cell: usize) -> Option<&'a [u8]> {
        match work.overlay.visible(cell, work.now) {
            Slot::Held { value, .. } => Some(value),
            Slot::Written { value, expires, seq } => {
                let value = self.arena.copy(value.of(&work.effects.bytes));
                work.overlay.cells[cell].slot = Slot::Held { value, expires, seq };
                Some(value)
            }
            _ => None,
        }
    }

    /// Whether an entry exists now.
    #[inline]
    pub(crate) fn has(&self, store: u16, name: impl Fn(&mut Vec<u8>)) -> bool {
        {
            let mut work = self.work.borrow_mut();
            let cell = work.cell(store.into(), &name);
            match work.overlay.visible(cell, work.now) {
                Slot::Held { .. } | Slot::Written { .. } => return true,
                slot if slot.is_unknown(work.of) => {}
                _ => return false,
            }
        }
        self.get(store, name).is_some()
    }

    /// Writes an entry, for `ttl` milliseconds or for ever.
    #[inline]
    pub(crate) fn put(
        &self,
        store: u16,
        ttl: Option<i64>,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        let cell = work.cell(store.into(), name);
        let expires = ttl.map_or(i64::MAX, |ttl| work.now.saturating_add(ttl));
        let (effects, entry) = (&mut work.effects.bytes, work.overlay.cells[cell].name);
        effects.reserve(entry.len as usize);
        let names = std::mem::take(&mut work.overlay.names);
        let value = work.emit(
            Action::Put,
            store,
            expires,
            |out| out.extend_from_slice(entry.of(&names)),
            value,
        );
        work.overlay.names = names;
        work.overlay.write(cell, store, Some((value, expires)));
    }

    /// Removes an entry.
    #[inline]
    pub(crate) fn delete(&self, store: u16, name: impl FnOnce(&mut Vec<u8>)) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        let cell = work.cell(store.into(), name);
        let entry = work.overlay.cells[cell].name;
        let names = std::mem::take(&mut work.overlay.names);
        work.emit(
            Action::Delete,
            store,
            0,
            |out| out.extend_from_slice(entry.of(&names)),
            |_| (),
        );
        work.overlay.names = names;
        work.overlay.write(cell, store, None);
    }

    /// Removes every entry that begins with `head`.
    pub(crate) fn clear(&self, store: u16, head: impl Fn(&mut Vec<u8>)) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        work.emit(Action::Clear, store, 0, &head, |_| ());
        let start = work.overlay.names.len();
        head(&mut work.overlay.names);
        work.overlay.clear(store, work.key, start);
    }

    /// The decoded value. If it can't be decoded, the step is rejected.
    #[inline]
    pub(crate) fn read<T, E: Display>(&self, store: u16, decoded: Result<T, E>) -> Option<T> {
        match decoded {
            Ok(value) => Some(value),
            Err(error) => {
                let name = &self.declared.stores[store as usize].name;
                self.work
                    .borrow_mut()
                    .fail(Reject::new(format_args!("state `{name}` can't be read: {error}")));
                None
            }
        }
    }
}
