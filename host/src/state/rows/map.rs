//! A map: a row that is too large for a page, as sorted maps of cells; or what an epoch has changed in one.
//!
//! Rule: a whole map is the row. One that is not whole lies over a map, and holds only what its epoch wrote: a cell, or
//! none for one that is gone.

use super::Cell;
use crate::record::{FOREVER, Millis};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;

type Cells = BTreeMap<Box<[u8]>, Option<Held>>;

/// A cell that owns its value.
struct Held {
    schema: u16,
    expires: Millis,
    value: Box<[u8]>,
}

impl Held {
    fn cell(&self) -> Cell<'_> {
        Cell {
            schema: self.schema,
            expires: self.expires,
            value: &self.value,
        }
    }
}

/// What a B-tree of such cells takes besides their bytes; with `value` and `entry` in blocks of their own.
const CELL_COST: usize = 80;

pub struct Map {
    pub key: Box<[u8]>,
    /// True: nothing below counts.
    pub whole: bool,
    /// By store, sorted.
    stores: Vec<(u16, Cells)>,
    /// Entries and values.
    live: usize,
    cells: usize,
    /// Writes since it was pruned.
    writes: usize,
    soonest: Millis,
}

/// What a map knows of an entry.
pub enum Known<'a> {
    Cell(Cell<'a>),
    Gone,
    /// Ask below.
    No,
}

impl Map {
    pub fn new(key: &[u8], whole: bool) -> Self {
        Self {
            key: key.into(),
            whole,
            stores: Vec::new(),
            live: 0,
            cells: 0,
            writes: 0,
            soonest: FOREVER,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// No entry expires before.
    pub fn soonest(&self) -> Millis {
        self.soonest
    }

    /// What it would take in a page.
    pub fn page_cost(&self) -> usize {
        super::page::empty_cost(&self.key) + self.live + self.cells * super::page::cost(&[], &[])
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.live + self.cells * CELL_COST
    }

    pub fn get(&self, store: u16, entry: &[u8]) -> Known<'_> {
        match self.store(store).and_then(|cells| cells.get(entry)) {
            Some(Some(held)) => Known::Cell(held.cell()),
            Some(None) => Known::Gone,
            None if self.whole => Known::Gone,
            None => Known::No,
        }
    }

    pub fn put(&mut self, store: u16, entry: &[u8], cell: Cell<'_>) {
        self.soonest = self.soonest.min(cell.expires);
        self.set(
            store,
            entry,
            Some(Held {
                schema: cell.schema,
                expires: cell.expires,
                value: cell.value.into(),
            }),
        );
    }

    pub fn delete(&mut self, store: u16, entry: &[u8]) {
        if self.whole {
            self.remove(store, entry);
        } else {
            self.set(store, entry, None);
        }
    }

    /// Takes over what an epoch has changed.
    pub fn merge(&mut self, changes: Map) {
        debug_assert!(self.whole && !changes.whole);
        self.soonest = self.soonest.min(changes.soonest);
        self.writes += changes.cells;
        for (store, cells) in changes.stores {
            for (entry, held) in cells {
                match held {
                    Some(held) => self.set_owned(store, entry, Some(held)),
                    None => self.remove(store, &entry),
                }
            }
        }
    }

    /// Drops what is expired, when enough was written to pay for it or when `force` says so.
    pub fn prune(&mut self, now: Millis, force: bool) {
        if now < self.soonest || !force && self.writes < self.cells / 2 + 64 {
            return;
        }
        self.writes = 0;
        let (mut live, mut count, mut soonest) = (0, 0, FOREVER);
        for (_, cells) in &mut self.stores {
            cells.retain(|entry, held| match held {
                Some(held) if now < held.expires => {
                    live += entry.len() + held.value.len();
                    count += 1;
                    soonest = soonest.min(held.expires);
                    true
                }
                _ => false,
            });
        }
        (self.live, self.cells, self.soonest) = (live, count, soonest);
    }

    /// Each cell: (store, entry, cell), sorted.
    pub fn each(&self) -> impl Iterator<Item = (u16, &[u8], Cell<'_>)> {
        self.stores.iter().flat_map(|(store, cells)| {
            cells
                .iter()
                .filter_map(|(entry, held)| Some((*store, &**entry, held.as_ref()?.cell())))
        })
    }

    fn store(&self, store: u16) -> Option<&Cells> {
        self.stores
            .binary_search_by_key(&store, |s| s.0)
            .ok()
            .map(|at| &self.stores[at].1)
    }

    fn set(&mut self, store: u16, entry: &[u8], held: Option<Held>) {
        self.set_owned(store, entry.into(), held);
    }

    fn set_owned(&mut self, store: u16, entry: Box<[u8]>, held: Option<Held>) {
        let at = self.stores.binary_search_by_key(&store, |s| s.0).unwrap_or_else(|at| {
            self.stores.insert(at, (store, Cells::new()));
            at
        });
        let len = entry.len();
        self.live += held.as_ref().map_or(0, |h| h.value.len());
        match self.stores[at].1.insert(entry, held) {
            Some(old) => self.live -= old.map_or(0, |h| h.value.len()),
            None => {
                self.live += len;
                self.cells += 1;
            }
        }
    }

    fn remove(&mut self, store: u16, entry: &[u8]) {
        if let Ok(at) = self.stores.binary_search_by_key(&store, |s| s.0)
            && let Some(old) = self.stores[at].1.remove(entry)
        {
            self.live -= entry.len() + old.map_or(0, |h| h.value.len());
            self.cells -= 1;
        }
    }
}

/// Walks over what layers of maps, newest first, hold of a store together, in the order of the entries, from `from` on,
/// until `visit` says false.
pub fn merged<'a>(
    layers: &[&'a Map],
    store: u16,
    from: Bound<&[u8]>,
    visit: &mut dyn FnMut(&'a [u8], Cell<'a>) -> bool,
) {
    let range = |map: &&'a Map| Some(map.store(store)?.range::<[u8], _>((from, Bound::Unbounded)).peekable());
    let mut ranges: Vec<Peekable<_>> = layers.iter().filter_map(range).collect();
    while let Some(entry) = ranges.iter_mut().filter_map(|r| r.peek().map(|cell| &**cell.0)).min() {
        // The newest layer that has it decides.
        let mut newest = None;
        for range in &mut ranges {
            if let Some((_, held)) = range.next_if(|cell| **cell.0 == *entry) {
                newest = newest.or(Some(held));
            }
        }
        if let Some(Some(held)) = newest
            && !visit(entry, held.cell())
        {
            return;
        }
    }
}

/// The stores that any of the layers has, in order.
pub fn stores(layers: &[&Map]) -> Vec<u16> {
    let mut stores: Vec<u16> = layers.iter().flat_map(|map| map.stores.iter().map(|s| s.0)).collect();
    stores.sort_unstable();
    stores.dedup();
    stores
}
