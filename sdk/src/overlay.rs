//! The state at the current step: the host's answers, which are as of the batch's start, and over them the batch's
//! writes.
//!
//! Rule: a read sees the state as if every earlier step of the batch had been committed, without anything from rejected
//! steps. Nothing depends on the order of a hash table.

mod name;

use crate::wire::Span;
use name::{Name, equal, same};

/// Marks the [`Cell::on`] of a page, which is all entries that begin with the name.
pub(crate) const PAGE: u32 = 1 << 16;

/// What is known of an entry. `seq` numbers the batch's writes from 1. It is 0 for answers of the host.
#[derive(Clone, Copy)]
pub(crate) enum Slot<'a> {
    /// Nothing is known, so the host must be asked.
    Unknown,
    /// It does not exist. If the host said so (`seq` 0), that is true at the time of input `of` and later.
    Absent { seq: u32, of: u32 },
    /// It exists, unless it has expired.
    Held { value: &'a [u8], expires: i64, seq: u32 },
    /// Like [`Slot::Held`], but written by this batch and not read since. The value is a range in the effects' bytes.
    Written { value: Span, expires: i64, seq: u32 },
    /// The first page of a scan: a range of the found entries, as of the time of input `of`.
    Page { first: u32, len: u32, of: u32 },
}

impl Slot<'_> {
    /// Whether the host must be asked for input `of`. Its answer leaves out what has expired at the time of the asking
    /// input. So an answer for a later input, which has prefetched, is not complete enough for an earlier input.
    #[inline]
    pub(crate) fn is_unknown(&self, of: u32) -> bool {
        match *self {
            Slot::Unknown => true,
            Slot::Absent { seq: 0, of: asked } | Slot::Page { of: asked, .. } => asked > of,
            _ => false,
        }
    }

    pub(crate) fn seq(&self) -> u32 {
        match *self {
            Slot::Unknown | Slot::Page { .. } => 0,
            Slot::Absent { seq, .. } | Slot::Held { seq, .. } | Slot::Written { seq, .. } => seq,
        }
    }
}

/// An entry or a page that this batch uses.
pub(crate) struct Cell<'a> {
    hash: u32,
    /// The store, possibly with [`PAGE`].
    on: u32,
    key: Span,
    /// The name of the entry, or what the page's entries begin with. A range in [`Overlay::names`].
    pub(crate) name: Span,
    pub(crate) slot: Slot<'a>,
}

impl Cell<'_> {
    /// Whether this is the cell. `names` are the overlay's.
    #[inline]
    fn is(&self, wanted: &Name<'_>, names: &[u8]) -> bool {
        self.hash == wanted.hash
            && self.on == wanted.on
            && same(self.key, wanted.key)
            && equal(self.name.of(names), wanted.name)
    }
}

/// A `clear` of a store's entries.
struct Clear {
    store: u16,
    key: Span,
    head: Span,
    seq: u32,
}

/// An entry that the host has returned.
#[derive(Clone, Copy)]
pub(crate) struct FoundEntry<'a> {
    pub(crate) entry: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) expires: i64,
}

/// A hash table of cells, with an undo log.
#[derive(Default)]
pub(crate) struct Overlay<'a> {
    /// Open addressing with linear probing. Contains indexes of cells, plus 1. Its length is a power of two, at least
    /// twice the number of cells.
    table: Vec<u32>,
    /// The part of `table` that is in use. After a large batch, a small one only has to clear a small part.
    mask: usize,
    pub(crate) cells: Vec<Cell<'a>>,
    pub(crate) names: Vec<u8>,
    /// The entries of the pages.
    pub(crate) found: Vec<FoundEntry<'a>>,
    /// The cells that each step has announced before the handlers run, step by step; and where each step's cells begin.
    named: Vec<u32>,
    begins: Vec<u32>,
    /// The announced cells of the current step. It mostly uses these, so they are searched before the hash table.
    own: std::ops::Range<usize>,
    /// Slots that the current step has changed, with their old content.
    undo: Vec<(u32, Slot<'a>)>,
    clears: Vec<Clear>,
    /// For each store, the cells that this batch has written. A cell may be in it twice.
    written: Vec<Vec<u32>>,
    /// For each store, the number of puts.
    puts: Vec<u32>,
    seq: u32,
}

/// The table's initial number of cells for each input of the batch.
const CELLS_PER_INPUT: usize = 4;

impl<'a> Overlay<'a> {
    /// Empties it, but keeps the memory.
    pub(crate) fn recycle<'b>(self, inputs: usize, stores: usize) -> Overlay<'b> {
        let mut overlay = Overlay {
            table: self.table,
            mask: (inputs * CELLS_PER_INPUT * 2).next_power_of_two().max(64) - 1,
            cells: recycle(self.cells),
            names: self.names,
            found: recycle(self.found),
            named: self.named,
            begins: self.begins,
            own: 0..0,
            undo: recycle(self.undo),
            clears: self.clears,
            written: self.written,
            puts: self.puts,
            seq: 0,
        };
        overlay.names.clear();
        overlay.named.clear();
        overlay.begins.clear();
        overlay.clears.clear();
        overlay.written.resize_with(stores, Vec::new);
        overlay.written.iter_mut().for_each(Vec::clear);
        overlay.puts.clear();
        overlay.puts.resize(stores, 0);
        overlay.clear_table();
        overlay
    }

    fn clear_table(&mut self) {
        let size = self.mask + 1;
        if self.table.len() < size {
            self.table.resize(size, 0);
        }
        self.table[..size].fill(0);
    }

    /// The cell of the name that was just appended to `names` at `start`. A known name is removed from there again.
    #[inline]
    pub(crate) fn cell(&mut self, on: u32, key: Span, start: usize) -> usize {
        for &cell in &self.named[self.own.clone()] {
            let known = &self.cells[cell as usize];
            if known.on == on && equal(known.name.of(&self.names), &self.names[start..]) {
                self.names.truncate(start);
                return cell as usize;
            }
        }
        self.hashed(on, key, start)
    }

    fn hashed(&mut self, on: u32, key: Span, start: usize) -> usize {
        let wanted = Name::new(on, key, &self.names[start..]);
        let hash = wanted.hash;
        let mut at = hash as usize & self.mask;
        loop {
            match self.table[at] {
                0 => break,
                cell => {
                    if self.cells[cell as usize - 1].is(&wanted, &self.names) {
                        self.names.truncate(start);
                        return cell as usize - 1;
                    }
                }
            }
            at = (at + 1) & self.mask;
        }
        self.cells.push(Cell {
            hash,
            on,
            key,
            name: Span::since(&self.names, start),
            slot: Slot::Unknown,
        });
        self.table[at] = self.cells.len() as u32;
        if self.cells.len() * 2 > self.mask {
            self.grow();
        }
        self.cells.len() - 1
    }

    /// The cell of a name, if there is one.
    fn lookup(&self, on: u32, key: Span, name: &[u8]) -> Option<usize> {
        let wanted = Name::new(on, key, name);
        let mut at = wanted.hash as usize & self.mask;
        loop {
            match self.table[at] {
                0 => return None,
                cell if self.cells[cell as usize - 1].is(&wanted, &self.names) => return Some(cell as usize - 1),
                _ => at = (at + 1) & self.mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.mask = self.mask * 2 + 1;
        self.clear_table();
        for (index, cell) in self.cells.iter().enumerate() {
            let mut at = cell.hash as usize & self.mask;
            while self.table[at] != 0 {
                at = (at + 1) & self.mask;
            }
            self.table[at] = index as u32 + 1;
        }
    }

    /// The slot as a read at `now` sees it: absent if it has expired or was cleared.
    #[inline]
    pub(crate) fn visible(&self, cell: usize, now: i64) -> Slot<'a> {
        let cell = &self.cells[cell];
        let slot = cell.slot;
        if !self.clears.is_empty() && self.cleared(cell.on, cell.key, cell.name.of(&self.names), slot.seq()) {
            return Slot::Absent { seq: slot.seq(), of: 0 };
        }
        match slot {
            Slot::Held { expires, seq, .. } | Slot::Written { expires, seq, .. } if now >= expires => {
                Slot::Absent { seq, of: 0 }
            }
            slot => slot,
        }
    }

    /// Whether the entry was cleared after write number `seq`.
    fn cleared(&self, on: u32, key: Span, name: &[u8], seq: u32) -> bool {
        self.clears.iter().any(|clear| {
            u32::from(clear.store) == on
                && clear.seq > seq
                && same(clear.key, key)
                && name.starts_with(clear.head.of(&self.names))
        })
    }

    /// Writes a value to a cell, or removes it.
    #[inline]
    pub(crate) fn write(&mut self, cell: usize, store: u16, value: Option<(Span, i64)>) {
        self.seq += 1;
        let seq = self.seq;
        let slot = match value {
            Some((value, expires)) => {
                self.puts[store as usize] += 1;
                Slot::Written { value, expires, seq }
            }
            None => Slot::Absent { seq, of: 0 },
        };
        let old = std::mem::replace(&mut self.cells[cell].slot, slot);
        if old.seq() == 0 {
            self.written[store as usize].push(cell as u32);
        }
        self.undo.push((cell as u32, old));
    }

    /// Clears all entries that begin with the name that was just appended to `names` at `start`.
    pub(crate) fn clear(&mut self, store: u16, key: Span, start: usize) {
        self.seq += 1;
        self.clears.push(Clear {
            store,
            key,
            head: Span::since(&self.names, start),
            seq: self.seq,
        });
    }

    /// Begins the announcements of a step.
    #[inline]
    pub(crate) fn prefetching(&mut self) {
        let start = self.named.len();
        self.begins.push(start as u32);
        self.own = start..start;
    }

    /// Records that the current step has announced this cell.
    #[inline]
    pub(crate) fn prefetched(&mut self, cell: usize) {
        self.named.push(cell as u32);
        self.own.end = self.named.len();
    }

    /// Begins the handler of step `of`, with the cells that it has announced.
    #[inline]
    pub(crate) fn handling(&mut self, of: usize) {
        let end = self.begins.get(of + 1).map_or(self.named.len(), |&end| end as usize);
        self.own = self.begins[of] as usize..end;
    }

    /// Begins a step, so that the writes before it can't be undone any more.
    #[inline]
    pub(crate) fn begin(&mut self) -> usize {
        self.undo.clear();
        self.clears.len()
    }

    /// Undoes everything since `begin`, which returned `clears`.
    pub(crate) fn rollback(&mut self, clears: usize) {
        for (cell, slot) in self.undo.drain(..).rev() {
            self.cells[cell as usize].slot = slot;
        }
        self.clears.truncate(clears);
    }

    /// The number of puts into a store.
    pub(crate) fn puts(&self, store: u16) -> u32 {
        self.puts[store as usize]
    }

    /// The batch's own entries that begin with `head` and come after `after`, sorted. Some may have expired.
    pub(crate) fn ours(&self, store: u16, key: Span, head: &[u8], after: Option<&[u8]>, out: &mut Vec<u32>) {
        let name = |cell: &u32| self.cells[*cell as usize].name.of(&self.names);
        out.clear();
        out.extend(self.written[store as usize].iter().filter(|cell| {
            same(self.cells[**cell as usize].key, key)
                && name(cell).starts_with(head)
                && after.is_none_or(|after| name(cell) > after)
        }));
        out.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        out.dedup();
    }

    /// Whether an entry of a page is current: it has not expired, and this batch has neither cleared nor written it.
    pub(crate) fn stands(&self, store: u16, key: Span, found: &FoundEntry, now: i64) -> bool {
        now < found.expires
            && !self.cleared(store.into(), key, found.entry, 0)
            && self
                .lookup(store.into(), key, found.entry)
                .is_none_or(|cell| self.cells[cell].slot.seq() == 0)
    }
}

/// An empty vector of another lifetime that reuses the memory of `old`. `collect` reuses it because the layout is the
/// same.
pub(crate) fn recycle<A, B>(mut old: Vec<A>) -> Vec<B> {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    old.clear();
    old.into_iter().map(|_| unreachable!("it was cleared")).collect()
}
