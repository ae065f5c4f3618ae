//! The keys whose rows a shadow has got.
//!
//! Rule: the set grows with each new key while the shadow runs. So its memory is counted, and if it exceeds the limit
//! for the shadow's state ([`ShadowLimits::state`](super::ShadowLimits)), the shadow is dropped.

use std::collections::HashSet;

/// Memory for a key besides its bytes: its place in the table, which may be half empty, and the allocator's overhead.
const PER_KEY: usize = 64;

/// A set of keys that counts its memory.
#[derive(Default)]
pub struct KeySet {
    keys: HashSet<Box<[u8]>>,
    bytes: usize,
}

impl KeySet {
    /// Adds a key. Returns whether it was new.
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

    /// Approximate memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_key_once() {
        let mut known = KeySet::default();
        assert!(known.add(b"one") && known.add(b"three") && !known.add(b"one"));
        assert_eq!(known.bytes(), 8 + 2 * PER_KEY);
        known.remove(b"one");
        known.remove(b"one");
        assert_eq!(known.bytes(), 5 + PER_KEY);
        assert!(known.add(b"one"));
    }
}
