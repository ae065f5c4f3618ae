//! Epochs of rows: writing to the open one, sealing, committing, aborting.

use super::arena;
use super::layer::{DIRTY, Layer, MAP, Row, USED};
use super::map::Map;
use super::page;
use super::prefetch::{AHEAD, prefetch};
use super::table::{RowSlot, Rows};
use crate::record::{Millis, StoreEntry};

/// Maximum size of a row in a page. A larger row is a map, because copying it would cost more than a tree.
const PAGE_MAX: usize = arena::BLOCK_MAX;
/// A map that has shrunk to this size becomes a page again. It is well below the limit, so that rows don't go back and
/// forth.
const PAGE_AGAIN: usize = PAGE_MAX / 2;

/// Extra room in a fresh copy of a page, for one ordinary cell that the epoch may add.
const SLACK: usize = 96;

impl Rows {
    /// Finds a row, or makes an empty one. A row that stays empty disappears with its epoch.
    pub fn slot(&mut self, hash: u64, key: &[u8]) -> RowSlot {
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
        RowSlot(slot)
    }

    /// Writes an entry in the open epoch.
    #[inline]
    pub fn put(&mut self, slot: RowSlot, store: u16, entry: &[u8], cell: StoreEntry<'_>) {
        let layer = self.writable(slot.0);
        if let Some(map) = layer.map() {
            return self.maps.get_mut(map).put(store, entry, cell);
        }
        if !page::put(self.arena.block_mut(layer.0), store, entry, cell) {
            self.enlarge(slot.0, store, entry, cell);
        }
    }

    /// Deletes an entry in the open epoch. Returns whether it existed, expired or not.
    pub fn delete(&mut self, slot: RowSlot, store: u16, entry: &[u8]) -> bool {
        if self.get(slot, store, entry).is_none() {
            return false;
        }
        let layer = self.writable(slot.0);
        match layer.map() {
            Some(map) => self.maps.get_mut(map).delete(store, entry),
            None => _ = page::delete(self.arena.block_mut(layer.0), store, entry),
        }
        true
    }

    /// Seals the open epoch, so that it can be committed, and opens a new one over it.
    ///
    /// # Panics
    /// If an epoch is sealed already.
    pub fn seal(&mut self) {
        assert!(self.sealed.is_none(), "an epoch is sealed while another one is");
        let opened = std::mem::take(&mut self.opened);
        for &slot in &opened {
            let row = &mut self.rows[slot as usize];
            row.sealed = std::mem::take(&mut row.open);
        }
        self.sealed = Some(opened);
    }

    /// Commits the sealed epoch: its copies become the rows. `now` is the time of its last step. What has expired by
    /// then may be dropped from now on.
    ///
    /// # Panics
    /// If no epoch is sealed.
    pub fn commit(&mut self, now: Millis) {
        let slots = self.sealed.take().expect("a commit without a sealed epoch");
        self.time = self.time.max(now);
        for (n, &slot) in slots.iter().enumerate() {
            // The headers of both pages have left the cache since the epoch wrote them.
            if let Some(&far) = slots.get(n + AHEAD) {
                prefetch(&raw const self.rows[far as usize]);
            }
            if let Some(&near) = slots.get(n + AHEAD / 2) {
                let row = self.rows[near as usize];
                [row.committed, row.sealed]
                    .into_iter()
                    .for_each(|layer| self.prefetch_layer(layer, 1));
            }
            let layer = std::mem::take(&mut self.rows[slot as usize].sealed);
            self.install(slot, layer);
        }
        slots.iter().for_each(|&slot| self.settle(slot));
        self.drop_dead();
        if self.opened.is_empty() {
            self.opened = slots;
            self.opened.clear();
        }
    }

    /// Drops the open epoch and the sealed one, so that the state is that of the last commit.
    pub fn abort(&mut self) {
        let mut slots = std::mem::take(&mut self.opened);
        slots.extend(self.sealed.take().unwrap_or_default());
        for &slot in &slots {
            let row = &mut self.rows[slot as usize];
            let layers = [std::mem::take(&mut row.open), std::mem::take(&mut row.sealed)];
            layers.into_iter().for_each(|layer| self.drop_layer(layer));
        }
        slots.iter().for_each(|&slot| self.settle(slot));
        slots.clear();
        self.opened = slots;
    }

    /// The row's layer in the open epoch. It is made when the row is first touched.
    #[inline]
    fn writable(&mut self, slot: u32) -> Layer {
        let row = &self.rows[slot as usize];
        assert!(row.flags & USED != 0, "a slot is used beyond a commit or abort");
        if row.open.is_some() {
            return row.open;
        }
        let below = if row.sealed.is_some() {
            row.sealed
        } else {
            row.committed
        };
        let open = match below.map() {
            None => self.copy(below),
            Some(map) => {
                let changes = Map::changes(&self.map(map).key);
                self.add_map(changes)
            }
        };
        self.rows[slot as usize].open = open;
        self.opened.push(slot);
        open
    }

    /// A copy of a page with some extra room.
    #[inline]
    fn copy(&mut self, from: Layer) -> Layer {
        let page = self.arena.block(from.0);
        let (live, garbage) = (page::live(page), page::garbage(page));
        // Garbage is copied too, unless there is so much that a rebuild pays off.
        if garbage > live / 4 || page::soonest(page) <= self.time {
            return self.rebuild(from, live + SLACK);
        }
        let to = self.arena.take((live + garbage + SLACK).min(PAGE_MAX));
        let (page, copy) = self.arena.pair(from.0, to);
        page::copy(page, copy);
        Layer(to)
    }

    /// A copy of a page without garbage and expired entries.
    fn rebuild(&mut self, from: Layer, size: usize) -> Layer {
        let to = self.arena.take(size.min(PAGE_MAX));
        let (page, copy) = self.arena.pair(from.0, to);
        page::rebuild(page, copy, self.time);
        Layer(to)
    }

    /// Writes a new entry to an open page that has no room left.
    #[cold]
    fn enlarge(&mut self, slot: u32, store: u16, entry: &[u8], cell: StoreEntry<'_>) {
        let old = self.rows[slot as usize].open;
        let need = page::live(self.arena.block(old.0)) + page::cost(entry, cell.value);
        let new = if need <= PAGE_MAX {
            let new = self.rebuild(old, need + need / 4 + SLACK);
            let fits = page::put(self.arena.block_mut(new.0), store, entry, cell);
            assert!(fits, "a page was made too small");
            new
        } else {
            let mut map = self.to_map(old);
            map.put(store, entry, cell);
            self.add_map(map)
        };
        self.drop_layer(old);
        self.rows[slot as usize].open = new;
    }

    /// Converts a page to a map.
    fn to_map(&self, layer: Layer) -> Map {
        let page = self.arena.block(layer.0);
        let mut map = Map::whole(page::key(page));
        for place in 0..page::count(page) {
            let (store, entry, cell) = page::at_place(page, place);
            if self.time < cell.expires {
                map.put(store, entry, cell);
            }
        }
        map
    }

    /// Makes the layer of a new row.
    pub(super) fn empty(&mut self, key: &[u8]) -> Layer {
        let size = page::empty_cost(key) + SLACK;
        if size > PAGE_MAX / 4 {
            return self.add_map(Map::whole(key));
        }
        let page = self.arena.take(size);
        page::init(self.arena.block_mut(page), key);
        Layer(page)
    }

    fn add_map(&mut self, map: Map) -> Layer {
        Layer(self.maps.add(map) | MAP)
    }

    fn drop_layer(&mut self, layer: Layer) {
        match layer.map() {
            Some(map) => drop(self.maps.take(map)),
            None if layer.is_some() => self.arena.give(layer.0),
            None => {}
        }
    }

    /// Whether the layer is the whole row, and the row is empty.
    pub(super) fn has_nothing(&self, layer: Layer) -> bool {
        match layer.map() {
            Some(map) => self.map(map).whole && self.map(map).is_empty(),
            None => page::count(self.arena.block(layer.0)) == 0,
        }
    }

    /// Makes a sealed layer the committed one.
    #[inline]
    fn install(&mut self, slot: u32, layer: Layer) {
        let row = self.rows[slot as usize];
        let nothing = !row.committed.is_some() && self.has_nothing(layer);
        if nothing && !row.open.is_some() {
            return self.drop_layer(layer);
        }
        if let Some(map) = layer.map().filter(|&map| !self.map(map).whole) {
            let changes = self.maps.take(map);
            let time = self.time;
            let committed = row.committed.map().expect("changes of a map lie over a map");
            let committed = self.maps.get_mut(committed);
            committed.merge(changes);
            committed.prune_when_paid(time);
        } else {
            self.drop_layer(row.committed);
            self.rows[slot as usize].committed = layer;
        }
        if !nothing {
            self.touch(slot);
        }
        if !row.open.is_some() {
            self.shrink(slot);
        }
    }

    /// Converts a committed map that has become small to a page. Only if no layer is over it.
    fn shrink(&mut self, slot: u32) {
        let layer = self.rows[slot as usize].committed;
        let Some(map) = layer.map() else { return };
        let size = self.map(map).page_cost();
        if size > PAGE_AGAIN {
            return;
        }
        let map = self.maps.take(map);
        let page = self.arena.take(size + SLACK);
        let block = self.arena.block_mut(page);
        page::init(block, &map.key);
        for (store, entry, cell) in map.each() {
            let fits = page::put(block, store, entry, cell);
            assert!(fits, "a page was made too small");
        }
        self.rows[slot as usize].committed = Layer(page);
    }

    /// Marks the row dirty: the store does not have it as it is.
    #[inline]
    fn touch(&mut self, slot: u32) {
        let row = &mut self.rows[slot as usize];
        if self.tracked && row.flags & DIRTY == 0 {
            row.flags |= DIRTY;
            self.dirty += 1;
        }
    }

    /// Removes the row if it is empty, no epoch has it open, and the store does not have it.
    #[inline]
    fn settle(&mut self, slot: u32) {
        let row = self.rows[slot as usize];
        if row.flags != USED || row.open.is_some() || row.sealed.is_some() {
            return;
        }
        if row.committed.is_some() {
            if !self.has_nothing(row.committed) {
                return;
            }
            self.drop_layer(row.committed);
        }
        self.index.remove(row.hash, slot);
        self.rows[slot as usize] = Row::default();
        self.free_rows.push(slot);
    }

    /// Drops expired entries from the rows that were found to have some.
    fn drop_dead(&mut self) {
        let mut stale = std::mem::take(&mut self.stale);
        for slot in stale.drain(..) {
            let row = self.rows[slot as usize];
            if !row.committed.is_some() || row.open.is_some() || row.sealed.is_some() {
                continue;
            }
            let (committed, time) = (row.committed, self.time);
            let was_empty = self.has_nothing(committed);
            match committed.map() {
                Some(map) => self.maps.get_mut(map).prune(time),
                None if page::soonest(self.arena.block(committed.0)) <= time => {
                    let size = page::live(self.arena.block(committed.0));
                    self.rows[slot as usize].committed = self.rebuild(committed, size);
                    self.drop_layer(committed);
                }
                None => {}
            }
            self.shrink(slot);
            if self.has_nothing(self.rows[slot as usize].committed) {
                if !was_empty {
                    // It is removed from memory, so it must be removed from the store.
                    self.touch(slot);
                }
                self.settle(slot);
            }
        }
        self.stale = stale;
    }
}
