//! State in memory: one row a key, overlay of the open epochs.
use crate::record::Millis;
/// Name of the hash.
pub const HASH: &str = "xxh3-64";
/// The hash of a key: fixed, unseeded.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}
/// A row, until the next commit or abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);
/// One entry of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Id of the schema that the value was written with.
    pub schema: u16,
    /// Visible while now < expires.
    pub expires: Millis,
    /// Avro datum.
    pub value: &'a [u8],
}
/// Committed rows on their way to the store.
#[derive(Debug, Default)]
pub struct Dirty;
/// The state of one task.
#[derive(Debug, Default)]
pub struct Rows;
#[allow(unused_variables)]
impl Rows {
    /// Empty.
    pub fn new() -> Self {
        Self
    }
    /// Prefetches what a whole batch will touch, in stages: index lines, slots, rows.
    pub fn prefetch_all(&self, hashes: &[u64]) {}
    /// Prefetches the index line.
    pub fn prefetch(&self, hash: u64) {}
    /// Finds or makes the row.
    pub fn slot(&mut self, hash: u64, key: &[u8]) -> Slot {
        unimplemented!()
    }
    /// Finds the row.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        unimplemented!()
    }
    /// Its key.
    pub fn key(&self, slot: Slot) -> &[u8] {
        unimplemented!()
    }
    /// The newest: open epoch, sealed epoch, committed. The caller compares the expiry.
    pub fn get(&self, slot: Slot, store: u16, entry: &[u8]) -> Option<Cell<'_>> {
        unimplemented!()
    }
    /// By the bytes of the entry, those with now < expires only.
    #[allow(clippy::too_many_arguments)]
    pub fn scan(
        &self,
        slot: Slot,
        store: u16,
        prefix: &[u8],
        after: Option<&[u8]>,
        now: Millis,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], Cell<'_>),
    ) {
        unimplemented!()
    }
    /// Writes into the open epoch.
    pub fn put(&mut self, slot: Slot, store: u16, schema: u16, entry: &[u8], value: &[u8], expires: Millis) {
        unimplemented!()
    }
    /// True: it was there.
    pub fn delete(&mut self, slot: Slot, store: u16, entry: &[u8]) -> bool {
        unimplemented!()
    }
    /// The open epoch is being committed, a new one opens.
    pub fn seal(&mut self) {
        unimplemented!()
    }
    /// The sealed epoch is committed; `now`: time of its last step.
    pub fn commit(&mut self, now: Millis) {
        unimplemented!()
    }
    /// Open and sealed epoch are dropped.
    pub fn abort(&mut self) {
        unimplemented!()
    }
    /// As of the last commit: for queries.
    pub fn get_committed(&self, slot: Slot, store: u16, entry: &[u8]) -> Option<Cell<'_>> {
        unimplemented!()
    }
    /// As of the last commit: for queries.
    #[allow(clippy::too_many_arguments)]
    pub fn scan_committed(
        &self,
        slot: Slot,
        store: u16,
        prefix: &[u8],
        after: Option<&[u8]>,
        now: Millis,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], Cell<'_>),
    ) {
        unimplemented!()
    }
    /// From now on the rows know what a store has not got yet. Call it once, before the first commit, when there is one.
    pub fn track(&mut self) {}
    /// All rows are in the store as they are: call it after a load.
    pub fn mark_clean(&mut self) {}
    /// No row is in the store: call it after a flush that failed, when the store is wiped.
    pub fn mark_dirty(&mut self) {}
    /// The next slice of a flush, in hash order: about `budget` bytes of committed rows that the store has not got as they are.
    /// True: the flush has everything. Rows that are committed behind its back are for the next flush.
    pub fn take_dirty(&mut self, budget: usize, now: Millis, into: &mut Dirty) -> bool {
        unimplemented!()
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        unimplemented!()
    }
    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
    /// Number of rows that the store has not got as they are.
    pub fn dirty(&self) -> usize {
        unimplemented!()
    }
}
