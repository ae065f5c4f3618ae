//! What the state is at the step at hand: the host's answers as of the batch's start, and over them the batch's writes.
//!
//! Rule: a read sees what it would see if every earlier step of the batch had been committed, and nothing of a step that
//! was rejected. Nothing depends on the order in which a hash table is walked.

mod name;

use crate::wire::Span;
use name::{Name, equal, same};

/// Set in [`Cell::on`] of a page: the entries that start with the name.
pub(crate) const PAGE: u32 = 1 << 16;

/// What is known of an entry. `seq` counts the batch's writes from 1; what the host answered has 0.
#[derive(Clone, Copy)]
pub(crate) enum Slot<'a> {
    /// Nothing is known: the host has to be asked.
    Unknown,
    /// It is not there; when the host said so: at the time of input `of`, and so for those behind it.
    Absent { seq: u32, of: u32 },
    /// It is there, if it is not expired.
    Held { value: &'a [u8], expires: i64, seq: u32 },
    /// As [`Slot::Held`], written in this batch and not read since: a piece of the effects' bytes.
    Written { value: Span, expires: i64, seq: u32 },
    /// The first page of a scan: so many of the found ones, as they were at the time of input `of`.
    Page { first: u32, len: u32, of: u32 },
}

impl Slot<'_> {
    /// The host has to be asked for input `of`. It leaves out what is expired at the time of the input that asks, so an
    /// answer to a later input, which has prefetched, says too little to an earlier one, which has not.
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

/// An entry, or a page, that this batch has to do with.
pub(crate) struct Cell<'a> {
    hash: u32,
    /// Store, and [`PAGE`].
    on: u32,
    key: Span,
    /// Entry, or what the entries of the page start with: a piece of [`Overlay::names`].
    pub(crate) name: Span,
    pub(crate) slot: Slot<'a>,
}

impl Cell<'_> {
    /// Is this the one? `names` are the overlay's.
    #[inline]
    fn is(&self, wanted: &Name<'_>, names: &[u8]) -> bool {
        self.hash == wanted.hash
            && self.on == wanted.on
            && same(self.key, wanted.key)
            && equal(self.name.of(names), wanted.name)
    }
}

/// `Clear` of a store's entries.
struct Clear {
    store: u16,
    key: Span,
    head: Span,
    seq: u32,
}

/// An entry that the host found.
#[derive(Clone, Copy)]
pub(crate) struct FoundEntry<'a> {
    pub(crate) entry: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) expires: i64,
}

/// A hash table of cells with its undo log.
#[derive(Default)]
pub(crate) struct Overlay<'a> {
    /// Open addressing with linear probing; index of the cell + 1. The length is a power of two, at least twice the cells.
    table: Vec<u32>,
    /// `table` is in use up to this mask: a small batch after a large one clears a small table.
    mask: usize,
    pub(crate) cells: Vec<Cell<'a>>,
    pub(crate) names: Vec<u8>,
    /// The entries of the pages.
    pub(crate) found: Vec<FoundEntry<'a>>,
    /// The cells that each step has named before the handlers run, one step after the other; and where each step's begin.
    named: Vec<u32>,
    begins: Vec<u32>,
    /// Those of the step at hand: it mostly comes back to them, and looks here before it hashes.
    own: std::ops::Range<usize>,
    /// Slots that the step at hand has changed, as they were before.
    undo: Vec<(u32, Slot<'a>)>,
    clears: Vec<Clear>,
    /// By store: the cells that this batch has written, some twice.
    written: Vec<Vec<u32>>,
    /// By store: how often something was put into it.
    puts: Vec<u32>,
    seq: u32,
}

/// Cells that the table is made for at first, for each input of the batch.
const CELLS_PER_INPUT: usize = 4;

impl<'a> Overlay<'a> {
    /// Forgets everything, keeps the memory.
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

    /// The cell of a name that was just appended to `names` from `start` on. A name that is known is taken off again.
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

    /// The slot as a read at `now` sees it: absent when it is expired or cleared.
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

    /// The entry was cleared after write number `seq`.
    fn cleared(&self, on: u32, key: Span, name: &[u8], seq: u32) -> bool {
        self.clears.iter().any(|clear| {
            u32::from(clear.store) == on
                && clear.seq > seq
                && same(clear.key, key)
                && name.starts_with(clear.head.of(&self.names))
        })
    }

    /// The step at hand writes a cell: a value, or none.
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

    /// The step at hand clears what starts with the name that was just appended to `names` from `start` on.
    pub(crate) fn clear(&mut self, store: u16, key: Span, start: usize) {
        self.seq += 1;
        self.clears.push(Clear {
            store,
            key,
            head: Span::since(&self.names, start),
            seq: self.seq,
        });
    }

    /// A step begins to name the state that it will need.
    #[inline]
    pub(crate) fn prefetching(&mut self) {
        let start = self.named.len();
        self.begins.push(start as u32);
        self.own = start..start;
    }

    /// The step at hand has named this.
    #[inline]
    pub(crate) fn prefetched(&mut self, cell: usize) {
        self.named.push(cell as u32);
        self.own.end = self.named.len();
    }

    /// The handler of step `of` begins: the cells that it has named are at hand.
    #[inline]
    pub(crate) fn handling(&mut self, of: usize) {
        let end = self.begins.get(of + 1).map_or(self.named.len(), |&end| end as usize);
        self.own = self.begins[of] as usize..end;
    }

    /// The step at hand begins; the writes of the one before it stand.
    #[inline]
    pub(crate) fn begin(&mut self) -> usize {
        self.undo.clear();
        self.clears.len()
    }

    /// Takes back everything since `begin`, which returned `clears`.
    pub(crate) fn rollback(&mut self, clears: usize) {
        for (cell, slot) in self.undo.drain(..).rev() {
            self.cells[cell as usize].slot = slot;
        }
        self.clears.truncate(clears);
    }

    /// How often something was put into a store.
    pub(crate) fn puts(&self, store: u16) -> u32 {
        self.puts[store as usize]
    }

    /// The batch's own entries that start with `head` and come behind `after`, in order; dead ones may be among them.
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

    /// An entry of the host's page still stands: not expired, not cleared, and not written in this batch.
    pub(crate) fn stands(&self, store: u16, key: Span, found: &FoundEntry, now: i64) -> bool {
        now < found.expires
            && !self.cleared(store.into(), key, found.entry, 0)
            && self
                .lookup(store.into(), key, found.entry)
                .is_none_or(|cell| self.cells[cell].slot.seq() == 0)
    }
}

/// An empty vector of another lifetime with the memory of the old one: `collect` reuses it, since the layout is the same.
pub(crate) fn recycle<A, B>(mut old: Vec<A>) -> Vec<B> {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    old.clear();
    old.into_iter().map(|_| unreachable!("it was cleared")).collect()
}
