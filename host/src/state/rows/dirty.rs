//! Writing back: finds the committed rows that the store does not have as they are.
//!
//! Rule: a row is dirty from the commit that changed it until a slice has taken it. A flush takes slices in the order
//! of the hashes until it has taken all that was dirty at its start. Rows that are committed in the meantime may be in
//! it or not; a row that was taken before is dirty for the next flush. So at the end of a flush, the store has every
//! row as it was at the flush's start, or newer.

use super::layer::DIRTY;
use super::page;
use super::prefetch::{AHEAD, prefetch};
use super::table::{RowSlot, Rows};
use crate::record::{Millis, Span, StoreEntry};
use crate::state::delta::Delta;

/// How many rows a slice looks at. Most are clean. 16,384 cold slots take about 0.3 ms.
const LOOKS: usize = 16 * 1024;

/// Committed rows on their way to the store, in the order of their hashes.
#[derive(Debug)]
pub struct Dirty {
    /// One record for each row, with its entries as `Put`. A record without entries means that the row is deleted.
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
    /// No rows.
    pub fn new() -> Self {
        Self {
            records: Delta::whole(),
            rows: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Approximate size in bytes.
    pub fn bytes(&self) -> usize {
        self.records.bytes() + self.keys.len()
    }

    /// Each row, as (hash, key, record). The record is `None` if the row is deleted.
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
    /// Starts to keep track of dirty rows. Call it before the first commit if there is a store.
    pub fn track(&mut self) {
        self.tracked = true;
    }

    /// Marks all rows clean, because they were just loaded from the store.
    pub fn mark_clean(&mut self) {
        for slot in 1..self.rows.len() as u32 {
            self.clean(slot);
        }
        self.flushed = 0;
    }

    /// Marks all rows dirty, because the store was wiped after a failed flush. A flush under way starts again.
    pub fn mark_dirty(&mut self) {
        for row in &mut self.rows {
            if self.tracked && row.committed.is_some() && row.flags & DIRTY == 0 {
                row.flags |= DIRTY;
                self.dirty += 1;
            }
        }
        self.flushed = 0;
    }

    /// Takes the next slice of a flush: dirty rows as committed, about `budget` bytes, without entries that have
    /// expired at `now` (a committed time). Returns whether the flush is complete.
    pub fn take_dirty(&mut self, budget: usize, now: Millis, into: &mut Dirty) -> bool {
        let goal = into.bytes() + budget;
        let (mut last, mut next, mut looks, mut taken) = (None, 0, 0, Vec::new());
        let mut ahead = self.index.from(self.flushed).skip(AHEAD);
        for (tag, slot) in self.index.from(self.flushed) {
            // Rows with the same tag are taken together, because only the tag is remembered. The first tag is always
            // taken, so that every slice makes progress. So no slice ends at tag 0, which means that the flush is
            // complete.
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
        let key = self.key(RowSlot(slot));
        into.begin(row.hash, key);
        let mut write = |store, entry: &[u8], cell: StoreEntry<'_>| {
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

    /// Marks a row clean. If it is empty, the next commit may remove it.
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
