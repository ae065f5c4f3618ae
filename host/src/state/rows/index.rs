//! The index from the hash of a key to its slot: a hash table that is sorted by hash.
//!
//! Rule: the high bits of a hash name its home. Entries are sorted, an entry is at its home or after it, and there is
//! no gap between its home and it. The last place is always empty. So a walk over the table is in the order of the
//! hashes, whatever the table's size, and a position in that walk is a hash.

/// Entries of 8 bytes: the high half of the hash, then the slot, which is never 0. 0 is an empty place.
pub struct Index {
    entries: Vec<u64>,
    bits: u32,
    len: usize,
}

const FIRST_BITS: u32 = 6;

/// The part of the hash that the index stores.
#[inline]
pub fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Index {
    pub fn new() -> Self {
        Self {
            entries: vec![0; (1 << FIRST_BITS) + 1],
            bits: FIRST_BITS,
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * 8
    }

    /// Prefetches the line where the search begins.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        super::prefetch::prefetch(&raw const self.entries[self.home(tag(hash))]);
    }

    /// The slot with this hash for which `is` returns true.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        for &entry in &self.entries[self.home(tag)..] {
            let (found, slot) = split(entry);
            if entry == 0 || found > tag {
                return None;
            }
            if found == tag && is(slot) {
                return Some(slot);
            }
        }
        None
    }

    pub fn insert(&mut self, hash: u64, slot: u32) {
        debug_assert_ne!(slot, 0, "slot 0 means nothing");
        // The table is at most 3/4 full, which means two or three places for each search.
        if (self.len + 1) * 4 > 3 << self.bits {
            self.grow();
        }
        self.len += 1;
        let tag = tag(hash);
        let mut carry = u64::from(tag) << 32 | u64::from(slot);
        let mut at = self.home(tag);
        loop {
            let here = &mut self.entries[at];
            if *here == 0 {
                *here = carry;
                break;
            }
            if *here > carry {
                std::mem::swap(here, &mut carry);
            }
            at += 1;
        }
        if at + 1 == self.entries.len() {
            self.entries.push(0);
        }
    }

    /// Removes an entry, which must exist.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let tag = tag(hash);
        let mut at = self.home(tag);
        while self.entries[at] != (u64::from(tag) << 32 | u64::from(slot)) {
            assert_ne!(self.entries[at], 0, "the index has lost a row");
            at += 1;
        }
        // The entries after it move up, unless they are at home.
        loop {
            let next = self.entries[at + 1];
            if next == 0 || self.home(split(next).0) == at + 1 {
                break;
            }
            self.entries[at] = next;
            at += 1;
        }
        self.entries[at] = 0;
        self.len -= 1;
    }

    /// The entries with at least this tag, in order, as (tag, slot).
    pub fn from(&self, tag: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
        let entries = self.entries[self.home(tag)..].iter();
        entries
            .filter(|&&entry| entry != 0)
            .map(|&entry| split(entry))
            .skip_while(move |entry| entry.0 < tag)
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> (32 - self.bits)) as usize
    }

    #[cold]
    fn grow(&mut self) {
        assert!(self.bits < 31, "a task holds more than 2^31 keys: use more partitions");
        self.bits += 1;
        let old = std::mem::replace(&mut self.entries, vec![0; (1 << self.bits) + 1]);
        let mut free = 0;
        for entry in old.into_iter().filter(|&entry| entry != 0) {
            let at = self.home(split(entry).0).max(free);
            free = at + 1;
            if free >= self.entries.len() {
                self.entries.resize(free + 1, 0);
            }
            self.entries[at] = entry;
        }
    }
}

#[inline]
fn split(entry: u64) -> (u32, u32) {
    ((entry >> 32) as u32, entry as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Few distinct tags, so that entries pile up, also at the table's end.
        #[test]
        fn it_is_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0..40u32, any::<bool>(), 1..60u32), 0..400)) {
            let (mut index, mut model) = (Index::new(), BTreeSet::new());
            for (insert, tag, high, slot) in steps {
                let tag = if high { u32::MAX - tag } else { tag * 0x0100_0000 };
                let hash = u64::from(tag) << 32;
                if insert && model.insert((tag, slot)) {
                    index.insert(hash, slot);
                } else if !insert && model.remove(&(tag, slot)) {
                    index.remove(hash, slot);
                }
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(index.find(hash, |s| s == slot).is_some(), model.contains(&(tag, slot)));
                prop_assert!(index.from(tag).eq(model.range((tag, 0)..).copied()));
            }
            prop_assert!(index.from(0).eq(model.iter().copied()));
        }
    }
}
