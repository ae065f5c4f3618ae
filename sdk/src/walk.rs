//! A walk over the entries of a map. It merges the host's pages and the batch's own writes in the order of the entries.
//!
//! Rule: each call gives the smallest entry after the last one that exists at that moment, wherever pages end.

use crate::overlay::{FoundEntry, PAGE, Slot};
use crate::shared::Shared;
use crate::wire::{Question, Read, Span};
use crate::work::PAGE_LEN;

/// The state of a walk.
pub(crate) struct Walk<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) store: u16,
    key: Span,
    now: i64,
    of: u32,
    head: &'a [u8],
    last: Option<&'a [u8]>,
    /// The rest of the current page: a range of the overlay's found entries.
    page: std::ops::Range<usize>,
    /// Whether this is the last page.
    end: bool,
    /// The batch's own entries, of which those from `at` on are left. They were collected when the store had `puts`
    /// puts.
    ours: Vec<u32>,
    at: usize,
    puts: Option<u32>,
}

impl<'a> Walk<'a> {
    /// A walk over the entries of the current key that begin with `head`.
    pub(crate) fn new(shared: &'a Shared<'a>, store: u16, head: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut work = shared.work.borrow_mut();
        let on = u32::from(store) | PAGE;
        let cell = work.cell(on, head);
        let name = work.overlay.cells[cell].name;
        if work.overlay.cells[cell].slot.is_unknown(work.step().0) {
            let head = name.of(&work.overlay.names).to_vec();
            work.want(on, |out| out.extend_from_slice(&head));
            drop(work);
            shared.ask();
            work = shared.work.borrow_mut();
        }
        let (first, len) = match work.overlay.cells[cell].slot {
            Slot::Page { first, len, .. } => (first as usize, len as usize),
            _ => unreachable!("a page was asked for"),
        };
        let (of, now, key) = work.step();
        Walk {
            shared,
            store,
            key,
            now,
            of,
            head: shared.arena.copy(name.of(&work.overlay.names)),
            last: None,
            page: first..first + len,
            end: len < PAGE_LEN as usize,
            ours: Vec::new(),
            at: 0,
            puts: None,
        }
    }

    /// The next entry and its value.
    pub(crate) fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let theirs = self.theirs();
        let mut work = self.shared.work.borrow_mut();
        let puts = work.overlay.puts(self.store);
        if self.puts != Some(puts) {
            work.overlay
                .ours(self.store, self.key, self.head, self.last, &mut self.ours);
            (self.puts, self.at) = (Some(puts), 0);
        }
        while let Some(&cell) = self.ours.get(self.at) {
            let cell = cell as usize;
            let there = matches!(
                work.overlay.visible(cell, self.now),
                Slot::Held { seq: 1.., .. } | Slot::Written { .. }
            );
            let name = work.overlay.cells[cell].name.of(&work.overlay.names);
            if !there {
                self.at += 1;
                continue;
            }
            if theirs.as_ref().is_some_and(|theirs| theirs.entry < name) {
                break;
            }
            let entry = self.shared.arena.copy(name);
            self.at += 1;
            self.last = Some(entry);
            return Some((entry, self.shared.value(&mut work, cell)?));
        }
        let theirs = theirs?;
        self.page.start += 1;
        self.last = Some(theirs.entry);
        Some((theirs.entry, theirs.value))
    }

    /// The host's next current entry. It stays the first one of the page.
    fn theirs(&mut self) -> Option<FoundEntry<'a>> {
        loop {
            let work = self.shared.work.borrow();
            while let Some(found) = work.overlay.found.get(self.page.clone()).and_then(|page| page.first()) {
                if work.overlay.stands(self.store, self.key, found, self.now) {
                    return Some(*found);
                }
                self.page.start += 1;
            }
            if self.end {
                return None;
            }
            drop(work);
            self.turn();
        }
    }

    /// Asks for the next page, because the current one was full and is used up.
    fn turn(&mut self) {
        let after = self.shared.work.borrow().overlay.found[self.page.end - 1].entry;
        let bytes = [self.head, after].concat();
        let head = Span::since(&bytes[..self.head.len()], 0);
        let read = Read {
            what: Question::PageAfter,
            store: self.store,
            of: self.of,
            entry: head,
            after: Span::since(&bytes, self.head.len()),
            limit: PAGE_LEN,
        };
        let answer = self.shared.reader.get_many(&[read], &bytes);
        let bytes = self.shared.arena.adopt(answer.bytes);
        let found = &mut self.shared.work.borrow_mut().overlay.found;
        let start = found.len();
        found.extend(answer.cells.iter().map(|cell| FoundEntry {
            entry: cell.entry.of(bytes),
            value: cell.value.of(bytes),
            expires: cell.expires,
        }));
        self.page = start..found.len();
        self.end = self.page.len() < PAGE_LEN as usize;
    }
}
