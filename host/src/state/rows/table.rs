//! The rows of a task, and how one is found and read.
//!
//! Rule: a row is read from its newest layer, unless it is asked for as committed.

use super::arena::Arena;
use super::index::Index;
use super::layer::{Layer, Row};
use super::map::{Map, MapEntry};
use super::maps::Maps;
use super::page;
use super::prefetch::prefetch;
use crate::record::{Millis, NEVER, StoreEntry};

/// A handle of a row. It is valid until the next commit or abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSlot(pub(super) u32);

impl RowSlot {
    /// A small number, as an index into tables for rows.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many cache lines of a page are worth prefetching: header, directory and the cells of an ordinary row.
const PAGE_LINES: usize = 8;

/// The state of one task.
pub struct Rows {
    pub(super) index: Index,
    /// By slot. Slot 0 is not used.
    pub(super) rows: Vec<Row>,
    /// Free slots. Like the arena, this table and `rows` never shrink.
    pub(super) free_rows: Vec<u32>,
    pub(super) arena: Arena,
    pub(super) maps: Maps,
    /// Slots with a layer in the open epoch, and in the sealed one.
    pub(super) opened: Vec<u32>,
    pub(super) sealed: Option<Vec<u32>>,
    /// Rows in which the sweep has found expired entries, and empty rows that the store has deleted.
    pub(super) stale: Vec<u32>,
    /// Time of the last committed step.
    pub(super) time: Millis,
    pub(super) tracked: bool,
    pub(super) dirty: usize,
    /// How far the current flush has come: the next tag.
    pub(super) flushed: u32,
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
            maps: Maps::default(),
            opened: Vec::new(),
            sealed: None,
            stale: Vec::new(),
            time: NEVER,
            tracked: false,
            dirty: 0,
            flushed: 0,
        }
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
    pub(super) fn prefetch_row(&self, slot: u32) {
        self.prefetch_layer(self.newest(slot), PAGE_LINES);
    }

    #[inline]
    pub(super) fn prefetch_layer(&self, layer: Layer, lines: usize) {
        if layer.is_some() && layer.map().is_none() {
            self.arena.prefetch(layer.0, lines);
        }
    }

    /// The row with this key, if there is one.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<RowSlot> {
        self.index
            .find(hash, |slot| *self.key(RowSlot(slot)) == *key)
            .map(RowSlot)
    }

    /// The key of a row.
    #[inline]
    pub fn key(&self, slot: RowSlot) -> &[u8] {
        let layer = self.newest(slot.0);
        match layer.map() {
            None => page::key(self.arena.block(layer.0)),
            Some(map) => &self.map(map).key,
        }
    }

    /// An entry, from the open epoch, else from the sealed one, else committed. The caller must check whether it has
    /// expired.
    #[inline]
    pub fn get(&self, slot: RowSlot, store: u16, entry: &[u8]) -> Option<StoreEntry<'_>> {
        let row = &self.rows[slot.0 as usize];
        self.get_in(&[row.open, row.sealed, row.committed], store, entry)
    }

    /// An entry as of the last commit.
    #[cfg(test)]
    pub fn get_committed(&self, slot: RowSlot, store: u16, entry: &[u8]) -> Option<StoreEntry<'_>> {
        self.get_in(&[self.rows[slot.0 as usize].committed], store, entry)
    }

    /// The number of rows, including those that are not committed yet.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory taken from the system, in bytes. It visits all maps, so it is only for metrics.
    pub fn bytes(&self) -> usize {
        self.arena.reserved() + self.index.bytes() + self.rows.capacity() * size_of::<Row>() + self.maps.bytes()
    }

    /// Size of the rows themselves, in bytes, without memory that is only reserved for more of them. It visits all maps.
    pub fn row_bytes(&self) -> usize {
        self.arena.used() + self.maps.bytes()
    }

    /// The number of committed rows that the store does not have as they are.
    #[cfg(test)]
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// The newest layer of a row.
    #[inline]
    pub(super) fn newest(&self, slot: u32) -> Layer {
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
    pub(super) fn map(&self, map: usize) -> &Map {
        self.maps.get(map)
    }

    #[inline]
    pub(super) fn get_in(&self, layers: &[Layer], store: u16, entry: &[u8]) -> Option<StoreEntry<'_>> {
        for layer in layers.iter().filter(|layer| layer.is_some()) {
            match layer.map().map(|map| self.map(map).get(store, entry)) {
                None => return page::get(self.arena.block(layer.0), store, entry),
                Some(MapEntry::Cell(cell)) => return Some(cell),
                Some(MapEntry::Gone) => return None,
                Some(MapEntry::Unknown) => {}
            }
        }
        None
    }

    /// The maps of a row, newest first, down to the first whole one. Empty if the row is a page or nothing.
    pub(super) fn maps_of(&self, layers: &[Layer]) -> Vec<&Map> {
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
}
