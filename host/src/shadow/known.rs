//! The keys whose rows a shadow has been given.
//!
//! Rule: it grows with each new key as long as the shadow runs. So it is counted, and over the bound of the shadow's own state
//! ([`Bounds::state`](super::Bounds)) the shadow is dropped.

use std::collections::HashSet;

/// What a key costs beside its bytes: its place in the table, which is half empty at worst, and the allocator's share.
const PER_KEY: usize = 64;

/// A set of keys that counts its memory.
#[derive(Default)]
pub struct Known {
    keys: HashSet<Box<[u8]>>,
    bytes: usize,
}

impl Known {
    /// Adds a key. False: it was there.
    pub fn add(&mut self, key: &[u8]) -> bool {
        if self.keys.contains(key) {
            return false;
        }
        self.keys.insert(key.into());
        self.bytes += key.len() + PER_KEY;
        true
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &[u8]) {
        if self.keys.remove(key) {
            self.bytes -= key.len() + PER_KEY;
        }
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_key_once() {
        let mut known = Known::default();
        assert!(known.add(b"one") && known.add(b"three") && !known.add(b"one"));
        assert_eq!(known.bytes(), 8 + 2 * PER_KEY);
        known.remove(b"one");
        known.remove(b"one");
        assert_eq!(known.bytes(), 5 + PER_KEY);
        assert!(known.add(b"one"));
    }
}
