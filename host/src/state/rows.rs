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
mod map;
mod page;
#[cfg(test)]
mod tests;
mod walk;

pub use cursor::Cursor;
pub use dirty::Dirty;

use crate::record::{Cell, Millis, NEVER};
use arena::Arena;
use index::Index;
use map::{Known, Map};
use std::ops::Bound;

/// The name of [`hash`], for the meta. Another function would give another order.
pub const HASH: &str = "xxh3-64";

/// The hash of a key. It is fixed and unseeded, because rows are ordered by it on disk and in the sweep.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// A handle of a row. It is valid until the next commit or abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// A small number, as an index into tables for rows.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
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

/// Maximum size of a row in a page. A larger row is a map, because copying it would cost more than a tree.
const PAGE_MAX: usize = arena::BLOCK_MAX;
/// A map that has shrunk to this size becomes a page again. It is well below the limit, so that rows don't go back and
/// forth.
const PAGE_AGAIN: usize = PAGE_MAX / 2;
/// How many cache lines of a page are worth prefetching: header, directory and the cells of an ordinary row.
const PAGE_LINES: usize = 8;

/// A walk prefetches slots this many rows ahead, and the rows themselves half as many ahead.
const AHEAD: usize = 16;

/// A row in one layer: 0 for nothing, a page in the arena, or (with the top bit) a map.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Layer(u32);

const MAP: u32 = 1 << 31;

impl Layer {
    #[inline]
    fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline]
    fn map(self) -> Option<usize> {
        (self.0 & MAP != 0).then_some((self.0 & !MAP) as usize)
    }
}

/// The layers of a row, in 24 bytes.
#[derive(Clone, Copy, Default)]
struct Row {
    hash: u64,
    committed: Layer,
    sealed: Layer,
    open: Layer,
    /// A combination of [`USED`] and [`DIRTY`].
    flags: u32,
}

/// The slot belongs to a row.
const USED: u32 = 1;
/// The store does not have the current committed row.
const DIRTY: u32 = 2;

/// The state of one task.
pub struct Rows {
    index: Index,
    /// By slot. Slot 0 is not used.
    rows: Vec<Row>,
    /// Free slots. Like the arena, this table and `rows` never shrink.
    free_rows: Vec<u32>,
    arena: Arena,
    maps: Vec<Option<Box<Map>>>,
    free_maps: Vec<u32>,
    /// Slots with a layer in the open epoch, and in the sealed one.
    opened: Vec<u32>,
    sealed: Option<Vec<u32>>,
    /// Rows in which the sweep has found expired entries, and empty rows that the store has deleted.
    stale: Vec<u32>,
    /// Time of the last committed step.
    time: Millis,
    tracked: bool,
    dirty: usize,
    /// How far the current flush has come: the next tag.
    flushed: u32,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

impl Rows {
    /// State without rows.
    pub fn new() -> Self {
        Self {
            index: Index::new(),
            rows: vec![Row::default()],
            free_rows: Vec::new(),
            arena: Arena::new(),
            maps: Vec::new(),
            free_maps: Vec::new(),
            opened: Vec::new(),
            sealed: None,
            stale: Vec::new(),
            time: NEVER,
            tracked: false,
            dirty: 0,
            flushed: 0,
        }
    }

    /// Prefetches the line of the index where the search for this hash begins.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Prefetches all that a batch of up to about 512 rows needs. It works in three stages, so that the cache misses
    /// overlap.
    pub fn prefetch_all(&self, hashes: &[u64]) {
        hashes.iter().for_each(|&hash| self.index.prefetch(hash));
        let slot = |hash: &u64| self.index.find(*hash, |_| true);
        for slot in hashes.iter().filter_map(slot) {
            prefetch(&raw const self.rows[slot as usize]);
        }
        for slot in hashes.iter().filter_map(slot) {
            self.prefetch_row(slot);
        }
    }

    #[inline]
    fn prefetch_row(&self, slot: u32) {
        self.prefetch_layer(self.newest(slot), PAGE_LINES);
    }

    #[inline]
    fn prefetch_layer(&self, layer: Layer, lines: usize) {
        if layer.is_some() && layer.map().is_none() {
            self.arena.prefetch(layer.0, lines);
        }
    }

    /// Finds a row, or makes an empty one. A row that stays empty disappears with its epoch.
    pub fn slot(&mut self, hash: u64, key: &[u8]) -> Slot {
        if let Some(slot) = self.find(hash, key) {
            return slot;
        }
        let slot = self.free_rows.pop().unwrap_or_else(|| {
            self.rows.push(Row::default());
            (self.rows.len() - 1) as u32
        });
        let open = self.empty(key);
        self.rows[slot as usize] = Row {
            hash,
            open,
            flags: USED,
            ..Row::default()
        };
        self.opened.push(slot);
        self.index.insert(hash, slot);
        Slot(slot)
    }

    /// The row with this key, if there is one.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.index.find(hash, |slot| *self.key(Slot(slot)) == *key).map(Slot)
    }

    /// The key of a row.
    #[inline]
    pub fn key(&self, slot: Slot) -> &[u8] {
        let layer = self.newest(slot.0);
        match layer.map() {
            None => page::key(self.arena.block(layer.0)),
            Some(map) => &self.map(map).key,
        }
    }

    /// An entry, from the open epoch, else from the sealed one, else committed. The caller must check whether it has
    /// expired.
    #[inline]
    pub fn get(&self, slot: Slot, store: u16, entry: &[u8]) -> Option<Cell<'_>> {
        let row = &self.rows[slot.0 as usize];
        self.get_in(&[row.open, row.sealed, row.committed], store, entry)
    }

    /// An entry as of the last commit.
    pub fn get_committed(&self, slot: Slot, store: u16, entry: &[u8]) -> Option<Cell<'_>> {
        self.get_in(&[self.rows[slot.0 as usize].committed], store, entry)
    }

    /// Visits entries of a row, sorted by their bytes.
    #[inline]
    pub fn scan(&self, slot: Slot, range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], Cell<'_>)) {
        let row = &self.rows[slot.0 as usize];
        self.scan_in(&[row.open, row.sealed, row.committed], range, visit);
    }

    /// Like [`scan`](Rows::scan), as of the last commit.
    pub fn scan_committed(&self, slot: Slot, range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], Cell<'_>)) {
        self.scan_in(&[self.rows[slot.0 as usize].committed], range, visit);
    }

    /// The number of rows, including those that are not committed yet.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in use, in bytes. It visits all maps, so it is only for metrics.
    pub fn bytes(&self) -> usize {
        let maps: usize = self.maps.iter().flatten().map(|map| map.bytes()).sum();
        self.arena.reserved() + self.index.bytes() + self.rows.capacity() * size_of::<Row>() + maps
    }

    /// The number of committed rows that the store does not have as they are.
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// The newest layer of a row.
    #[inline]
    fn newest(&self, slot: u32) -> Layer {
        let row = &self.rows[slot as usize];
        if row.open.is_some() {
            row.open
        } else if row.sealed.is_some() {
            row.sealed
        } else {
            row.committed
        }
    }

    #[inline]
    fn map(&self, map: usize) -> &Map {
        self.maps[map]
            .as_ref()
            .expect("a layer names a map until it is dropped")
    }

    #[inline]
    fn get_in(&self, layers: &[Layer], store: u16, entry: &[u8]) -> Option<Cell<'_>> {
        for layer in layers.iter().filter(|layer| layer.is_some()) {
            match layer.map().map(|map| self.map(map).get(store, entry)) {
                None => return page::get(self.arena.block(layer.0), store, entry),
                Some(Known::Cell(cell)) => return Some(cell),
                Some(Known::Gone) => return None,
                Some(Known::No) => {}
            }
        }
        None
    }

    /// The maps of a row, newest first, down to the first whole one. Empty if the row is a page or nothing.
    fn maps_of(&self, layers: &[Layer]) -> Vec<&Map> {
        let mut maps = Vec::new();
        for map in layers
            .iter()
            .filter(|layer| layer.is_some())
            .map_while(|layer| layer.map())
        {
            maps.push(self.map(map));
            if self.map(map).whole {
                break;
            }
        }
        maps
    }

    fn scan_in(&self, layers: &[Layer], range: ScanRange<'_>, visit: &mut dyn FnMut(&[u8], Cell<'_>)) {
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

/// Prefetches a cache line. Any address is allowed, because it is only a hint.
#[inline]
fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = address;
}
