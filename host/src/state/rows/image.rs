//! Reads a whole committed row.

use super::page;
use super::table::{RowSlot, Rows};
use crate::record::StoreEntry;

impl Rows {
    /// Visits every entry of a row as of the last commit, with its store. Expired entries may be among them.
    pub fn image(&self, slot: RowSlot, visit: &mut dyn FnMut(u16, &[u8], StoreEntry<'_>)) {
        let committed = self.rows[slot.0 as usize].committed;
        match committed.map() {
            Some(map) => self
                .map(map)
                .each()
                .for_each(|(store, entry, cell)| visit(store, entry, cell)),
            None if committed.is_some() => {
                let page = self.arena.block(committed.0);
                for place in 0..page::count(page) {
                    let (store, entry, cell) = page::at_place(page, place);
                    visit(store, entry, cell);
                }
            }
            None => {}
        }
    }
}
