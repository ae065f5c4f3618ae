//! State in memory: one row for each key. Uncommitted epochs are layers over it.
//!
//! Rule: committed rows are never written. An epoch writes to copies, made when it first touches a row, or a cell of a
//! large row. A commit swaps the copies in, and an abort drops them. At most two epochs are in flight: a sealed one
//! that is being committed, and an open one over it. An entry that has expired at the committed time is dropped when
//! its row is copied, swept or written back. All later steps are at or after that time, so none can see the difference.

mod arena;
mod cursor;
mod dirty;
mod epoch;
mod image;
mod index;
mod layer;
mod map;
mod maps;
mod page;
mod prefetch;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use cursor::Cursor;
pub use dirty::Dirty;
pub use table::{RowSlot, Rows};

use crate::record::{Millis, StoreEntry};
use layer::Layer;
use std::ops::Bound;

/// The name of [`hash`], for the meta. Another function would give another order.
pub const HASH: &str = "xxh3-64";

/// The hash of a key. It is fixed and unseeded, because rows are ordered by it on disk and in the sweep.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// Selects the entries of a row that a scan visits.
#[derive(Clone, Copy, Debug)]
pub struct ScanRange<'a> {
    /// Only entries of this store.
    pub store: u16,
    /// Only entries that begin with this.
    pub prefix: &'a [u8],
    /// Only entries after this one.
    pub after: Option<&'a [u8]>,
    /// Only entries with now < expires.
    pub now: Millis,
    /// At most this many entries.
    pub limit: usize,
}

impl Rows {
    /// Visits entries of a row, sorted by their bytes.
    #[inline]
    pub fn scan(&self, slot: RowSlot, range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], StoreEntry<'_>)) {
        let row = &self.rows[slot.0 as usize];
        self.scan_in(&[row.open, row.sealed, row.committed], range, visit);
    }

    /// Like [`scan`](Rows::scan), as of the last commit.
    #[cfg(test)]
    pub fn scan_committed(&self, slot: RowSlot, range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], StoreEntry<'_>)) {
        self.scan_in(&[self.rows[slot.0 as usize].committed], range, visit);
    }

    fn scan_in(&self, layers: &[Layer], range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], StoreEntry<'_>)) {
        let ScanRange {
            store,
            prefix,
            after,
            now,
            mut limit,
        } = range;
        let Some(top) = layers.iter().find(|layer| layer.is_some()).filter(|_| limit > 0) else {
            return;
        };
        if top.map().is_some() {
            let from = match after {
                Some(after) if after >= prefix => Bound::Excluded(after),
                _ => Bound::Included(prefix),
            };
            return map::merged(&self.maps_of(layers), store, from, &mut |entry, cell| {
                if !entry.starts_with(prefix) {
                    return false;
                }
                if now < cell.expires {
                    visit(entry, cell);
                    limit -= 1;
                }
                limit > 0
            });
        }
        let page = self.arena.block(top.0);
        let mut places = [0u16; page::CELLS_MAX];
        let mut found = 0;
        for place in 0..page::count(page) {
            let (of, entry, cell) = page::at_place(page, place);
            if of == store && now < cell.expires && entry.starts_with(prefix) && after.is_none_or(|after| after < entry)
            {
                places[found] = place as u16;
                found += 1;
            }
        }
        let places = &mut places[..found];
        places.sort_unstable_by_key(|&place| page::at_place(page, place as usize).1);
        for &place in places.iter().take(limit) {
            let (_, entry, cell) = page::at_place(page, place as usize);
            visit(entry, cell);
        }
    }
}
