//! Writing back: the committed rows that the store has not got as they are.
//!
//! Rule: a row is dirty from the commit that changed it until a slice has taken it. A flush takes slices in the order of
//! the hashes until all that was dirty at its start is taken; what is committed meanwhile may be in it or not, and is dirty
//! for the next one if a slice had taken it before. So, once a flush is through, the store holds every row at least as it
//! was at its start.

use super::*;
use crate::record::Span;
use crate::state::delta::Delta;

/// Rows that a slice looks at; most are clean. 16,384 cold slots are about 0.3 ms.
const LOOKS: usize = 16 * 1024;

/// Committed rows on their way to the store, in the order of their hashes.
#[derive(Debug)]
pub struct Dirty {
    /// One record a row: its entries as `Put`; a row without entries is gone.
    records: Delta,
    rows: Vec<(u64, Span)>,
    keys: Vec<u8>,
}

impl Default for Dirty {
    fn default() -> Self {
        Self::new()
    }
}

impl Dirty {
    /// None.
    pub fn new() -> Self {
        Self {
            records: Delta::whole(),
            rows: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Size, about.
    pub fn bytes(&self) -> usize {
        self.records.bytes() + self.keys.len()
    }

    /// True: there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forgets all; keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.rows.clear();
        self.keys.clear();
    }

    /// Each row: (hash, key, its record; none: the row is gone).
    pub fn rows(&self) -> impl Iterator<Item = (u64, &[u8], Option<&[u8]>)> {
        let rows = self.rows.iter().zip(self.records.records());
        rows.map(|((hash, key), record)| (*hash, key.of(&self.keys), Some(record).filter(|r| r.len() > 1)))
    }

    fn begin(&mut self, hash: u64, key: &[u8]) {
        self.rows.push((hash, Span::append(&mut self.keys, key)));
        self.records.cut();
    }
}

impl Rows {
    /// From now on, rows know what a store has not got. Call it before the first commit, when there is a store.
    pub fn track(&mut self) {
        self.tracked = true;
    }

    /// The store has all rows as they are: after a load.
    pub fn mark_clean(&mut self) {
        for slot in 1..self.rows.len() as u32 {
            self.clean(slot);
        }
        self.flushed = 0;
    }

    /// The store has no row: when it was wiped, because a flush had failed. A flush under way begins anew.
    pub fn mark_dirty(&mut self) {
        for row in &mut self.rows {
            if self.tracked && row.committed.is_some() && row.flags & DIRTY == 0 {
                row.flags |= DIRTY;
                self.dirty += 1;
            }
        }
        self.flushed = 0;
    }

    /// The next slice of a flush: dirty rows as they are committed, about `budget` bytes, without what is expired at `now` (a
    /// committed time). True: the flush has all its rows.
    pub fn take_dirty(&mut self, budget: usize, now: Millis, into: &mut Dirty) -> bool {
        let goal = into.bytes() + budget;
        let (mut last, mut next, mut looks, mut taken) = (None, 0, 0, Vec::new());
        let mut ahead = self.index.from(self.flushed).skip(AHEAD);
        for (tag, slot) in self.index.from(self.flushed) {
            // Rows of one tag are taken together: the tag is all that is remembered. The first is always taken, so that a
            // slice gets on, and tag 0 is never where the next one begins: 0 says that the flush is through.
            if last.is_some_and(|last| last != tag) && (into.bytes() >= goal || looks >= LOOKS) {
                next = tag;
                break;
            }
            if let Some((_, slot)) = ahead.next() {
                prefetch(&raw const self.rows[slot as usize]);
            }
            last = Some(tag);
            looks += 1;
            if self.rows[slot as usize].flags & DIRTY != 0 {
                self.write_row(slot, now, into);
                taken.push(slot);
            }
        }
        drop(ahead);
        taken.iter().for_each(|&slot| self.clean(slot));
        self.flushed = next;
        next == 0
    }

    fn write_row(&self, slot: u32, now: Millis, into: &mut Dirty) {
        let row = &self.rows[slot as usize];
        let key = self.key(Slot(slot));
        into.begin(row.hash, key);
        let mut write = |store, entry: &[u8], cell: Cell<'_>| {
            if now < cell.expires {
                into.records.put(key, store, entry, cell);
            }
        };
        match row.committed.map() {
            Some(map) => self
                .map(map)
                .each()
                .for_each(|(store, entry, cell)| write(store, entry, cell)),
            None => {
                let page = self.arena.block(row.committed.0);
                for place in 0..page::count(page) {
                    let (store, entry, cell) = page::at_place(page, place);
                    write(store, entry, cell);
                }
            }
        }
    }

    /// The store knows the row as it is. One without entries may go with the next commit.
    fn clean(&mut self, slot: u32) {
        let row = &mut self.rows[slot as usize];
        if row.flags & DIRTY != 0 {
            row.flags &= !DIRTY;
            self.dirty -= 1;
            if self.has_nothing(self.rows[slot as usize].committed) {
                self.stale.push(slot);
            }
        }
    }
}
