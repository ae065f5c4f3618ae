//! The walk of the sweep through rows. Its rule is in the module `sweep`.

use super::cursor::{Cursor, RowTurn};
use super::prefetch::{AHEAD, prefetch};
use super::table::{RowSlot, Rows};
use super::{index, map, page};
use crate::record::Millis;
use crate::state::delta::Delta;
use std::ops::Bound;

/// The share of the sweep in a delta.
struct Share<'a> {
    delta: &'a mut Delta,
    /// The walk stops when the delta has this many bytes.
    goal: usize,
    /// What has expired by then is left out.
    now: Millis,
    /// Rows in which something has expired at the committed time.
    stale: &'a mut Vec<u32>,
}

impl Rows {
    /// Writes from the cursor on until the delta has `goal` bytes. Returns whether the end is reached.
    pub(crate) fn walk(&mut self, cursor: &mut Cursor, goal: usize, now: Millis, delta: &mut Delta) -> bool {
        let mut stale = std::mem::take(&mut self.stale);
        let mut share = Share {
            delta,
            goal,
            now,
            stale: &mut stale,
        };
        let complete = self.walk_on(cursor, &mut share);
        self.stale = stale;
        complete
    }

    /// Writes everything, and changes nothing.
    pub(crate) fn write_all(&self, now: Millis, delta: &mut Delta) {
        let mut share = Share {
            delta,
            goal: usize::MAX,
            now,
            stale: &mut vec![],
        };
        self.walk_on(&mut Cursor::new(), &mut share);
    }

    fn walk_on(&self, cursor: &mut Cursor, share: &mut Share<'_>) -> bool {
        let begin = cursor.clone();
        let mut walk = self.index.from(index::tag(begin.hash())).peekable();
        let mut far = self.index.from(index::tag(begin.hash())).skip(AHEAD);
        let mut near = self.index.from(index::tag(begin.hash())).skip(AHEAD / 2);
        let mut group = Vec::new();
        while let Some((tag, slot)) = walk.next() {
            if let Some((_, slot)) = far.next() {
                prefetch(&raw const self.rows[slot as usize]);
            }
            if let Some((_, slot)) = near.next() {
                self.prefetch_row(slot);
            }
            // The table has only half of the hash. The few rows that share it are sorted here.
            group.clear();
            group.push(slot);
            while let Some((_, slot)) = walk.next_if(|next| next.0 == tag) {
                group.push(slot);
            }
            group.sort_unstable_by_key(|&slot| (self.rows[slot as usize].hash, self.key(RowSlot(slot))));
            for &slot in &group {
                let hash = self.rows[slot as usize].hash;
                let key = self.key(RowSlot(slot));
                let stopped = match begin.turn(hash, key) {
                    RowTurn::Done => continue,
                    RowTurn::Whole => self.write(slot, None, share),
                    RowTurn::Behind(store, entry) => self.write(slot, Some((store, entry)), share),
                };
                if stopped.is_some() || share.delta.bytes() >= share.goal {
                    cursor.set(hash, key, stopped);
                    return false;
                }
            }
        }
        true
    }

    /// Writes the part of a row after an entry. If it stops early, returns the last written entry.
    fn write(&self, slot: u32, behind: Option<(u16, &[u8])>, share: &mut Share<'_>) -> Option<(u16, Vec<u8>)> {
        let Share {
            delta,
            goal,
            now,
            stale,
        } = share;
        let row = &self.rows[slot as usize];
        let key = self.key(RowSlot(slot));
        let top = self.newest(slot);
        if top.map().is_none() {
            let page = self.arena.block(top.0);
            for place in 0..page::count(page) {
                let (store, entry, cell) = page::at_place(page, place);
                // The row may have been a map when the cursor was set. Then its page is written from the middle.
                if *now < cell.expires && behind.is_none_or(|behind| behind < (store, entry)) {
                    delta.put(key, store, entry, cell);
                }
            }
            if page::soonest(page) <= self.time {
                stale.push(slot);
            }
            return None;
        }
        let maps = self.maps_of(&[row.open, row.sealed, row.committed]);
        if maps.iter().any(|map| map.soonest() <= self.time) {
            stale.push(slot);
        }
        let first = behind.map_or(0, |behind| behind.0);
        for store in map::stores(&maps).into_iter().filter(|&store| store >= first) {
            let from = match behind {
                Some((of, entry)) if of == store => Bound::Excluded(entry),
                _ => Bound::Unbounded,
            };
            let mut stopped = None;
            map::merged(&maps, store, from, &mut |entry, cell| {
                if *now < cell.expires {
                    delta.put(key, store, entry, cell);
                }
                if delta.bytes() >= *goal {
                    stopped = Some((store, entry.to_vec()));
                }
                stopped.is_none()
            });
            if stopped.is_some() {
                return stopped;
            }
        }
        None
    }
}
