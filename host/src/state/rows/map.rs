//! Sorted maps of cells: for a row that is too large for a page, and for what an epoch has changed in such a row.
//!
//! Rule: a whole map is a complete row. A map that is not whole lies over another one and has only what its epoch
//! wrote: a cell, or `None` for a deleted one.

use super::StoreEntry;
use crate::record::{FOREVER, Millis};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;

type Cells = BTreeMap<Box<[u8]>, Option<OwnedCell>>;

/// A cell that owns its value.
struct OwnedCell {
    schema: u16,
    expires: Millis,
    value: Box<[u8]>,
}

impl OwnedCell {
    fn cell(&self) -> StoreEntry<'_> {
        StoreEntry {
            schema: self.schema,
            expires: self.expires,
            value: &self.value,
        }
    }
}

/// What a cell costs in a B-tree besides its bytes. Entry and value are allocated separately.
const CELL_COST: usize = 80;

pub struct Map {
    pub key: Box<[u8]>,
    /// Whether it is a complete row. If so, the layers below don't matter.
    pub whole: bool,
    /// Cells by store, sorted.
    stores: Vec<(u16, Cells)>,
    /// Bytes of entries and values.
    live: usize,
    cells: usize,
    /// Number of writes since it was last pruned.
    writes: usize,
    soonest: Millis,
}

/// What a map knows about an entry.
pub enum MapEntry<'a> {
    Cell(StoreEntry<'a>),
    Gone,
    /// Look in the layer below.
    Unknown,
}

impl Map {
    /// All entries of a row.
    pub fn whole(key: &[u8]) -> Self {
        Self::new(key, true)
    }

    /// What an epoch has changed in a row.
    pub fn changes(key: &[u8]) -> Self {
        Self::new(key, false)
    }

    fn new(key: &[u8], whole: bool) -> Self {
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

    /// No entry expires before this time.
    pub fn soonest(&self) -> Millis {
        self.soonest
    }

    /// The size that it would have as a page.
    pub fn page_cost(&self) -> usize {
        super::page::empty_cost(&self.key) + self.live + self.cells * super::page::cost(&[], &[])
    }

    /// Approximate memory in use.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.live + self.cells * CELL_COST
    }

    pub fn get(&self, store: u16, entry: &[u8]) -> MapEntry<'_> {
        match self.store(store).and_then(|cells| cells.get(entry)) {
            Some(Some(held)) => MapEntry::Cell(held.cell()),
            Some(None) => MapEntry::Gone,
            None if self.whole => MapEntry::Gone,
            None => MapEntry::Unknown,
        }
    }

    pub fn put(&mut self, store: u16, entry: &[u8], cell: StoreEntry<'_>) {
        self.soonest = self.soonest.min(cell.expires);
        self.set(
            store,
            entry,
            Some(OwnedCell {
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

    /// Takes over the changes of an epoch.
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

    /// Drops expired entries, if enough was written since the last time to pay for it.
    pub fn prune_when_paid(&mut self, now: Millis) {
        if self.writes >= self.cells / 2 + 64 {
            self.prune(now);
        }
    }

    /// Drops expired entries.
    pub fn prune(&mut self, now: Millis) {
        if now < self.soonest {
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

    /// All cells, sorted, as (store, entry, cell).
    pub fn each(&self) -> impl Iterator<Item = (u16, &[u8], StoreEntry<'_>)> {
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

    fn set(&mut self, store: u16, entry: &[u8], held: Option<OwnedCell>) {
        self.set_owned(store, entry.into(), held);
    }

    fn set_owned(&mut self, store: u16, entry: Box<[u8]>, held: Option<OwnedCell>) {
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

/// Visits the cells of a store in layers of maps (newest first), merged and sorted by entry, from `from` on, until
/// `visit` returns false.
pub fn merged<'a>(
    layers: &[&'a Map],
    store: u16,
    from: Bound<&[u8]>,
    visit: &mut dyn FnMut(&'a [u8], StoreEntry<'a>) -> bool,
) {
    let range = |map: &&'a Map| Some(map.store(store)?.range::<[u8], _>((from, Bound::Unbounded)).peekable());
    let mut ranges: Vec<Peekable<_>> = layers.iter().filter_map(range).collect();
    while let Some(entry) = ranges.iter_mut().filter_map(|r| r.peek().map(|cell| &**cell.0)).min() {
        // The newest layer with this entry decides.
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

/// The stores of all layers, sorted.
pub fn stores(layers: &[&Map]) -> Vec<u16> {
    let mut stores: Vec<u16> = layers.iter().flat_map(|map| map.stores.iter().map(|s| s.0)).collect();
    stores.sort_unstable();
    stores.dedup();
    stores
}
