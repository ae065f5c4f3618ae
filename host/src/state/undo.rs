//! A sorted map that can undo the changes of its uncommitted epochs.
//!
//! Rule: [`abort`](UndoMap::abort) restores exactly the entries of the last [`commit`](UndoMap::commit). At most one
//! epoch is sealed (being committed) while another is open.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// A sorted map that can undo its uncommitted changes.
#[derive(Debug)]
pub struct UndoMap<K, V> {
    now: BTreeMap<K, V>,
    /// For each change of the open epoch, oldest first: what the entry was before.
    open: Vec<(K, Option<V>)>,
    /// The changes of the sealed epoch, if there is one.
    sealed: Option<Vec<(K, Option<V>)>>,
}

impl<K, V> Default for UndoMap<K, V> {
    fn default() -> Self {
        UndoMap {
            now: BTreeMap::new(),
            open: Vec::new(),
            sealed: None,
        }
    }
}

impl<K: Ord + Clone, V: Clone> UndoMap<K, V> {
    /// Sets an entry, and returns its old value.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.now.insert(key.clone(), value);
        self.open.push((key, old.clone()));
        old
    }

    /// Removes an entry, and returns its old value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.now.remove(key)?;
        self.open.push((key.clone(), Some(old.clone())));
        Some(old)
    }

    /// The current value.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.now.get(key)
    }

    /// The smallest entry.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.now.first_key_value()
    }

    /// All entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// The entries within bounds, sorted.
    pub fn range<R: RangeBounds<K>>(&self, bounds: R) -> impl Iterator<Item = (&K, &V)> {
        self.now.range(bounds)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.now.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// A copy of the map as it was at the last commit.
    pub fn committed(&self) -> BTreeMap<K, V> {
        let mut then = self.now.clone();
        for (key, old) in self.open.iter().rev().chain(self.sealed.iter().flatten().rev()) {
            match old {
                Some(old) => then.insert(key.clone(), old.clone()),
                None => then.remove(key),
            };
        }
        then
    }

    /// Seals the open epoch, so that it can be committed, and opens another.
    ///
    /// # Panics
    /// If an epoch is sealed already: the caller must decide one epoch before it seals the next.
    pub fn seal(&mut self) {
        assert!(self.sealed.is_none(), "an epoch is sealed already");
        self.sealed = Some(std::mem::take(&mut self.open));
    }

    /// Makes the sealed epoch's changes permanent.
    pub fn commit(&mut self) {
        self.sealed = None;
    }

    /// Undoes both epochs, newest change first.
    pub fn abort(&mut self) {
        let sealed = self.sealed.take().unwrap_or_default();
        for (key, old) in self.open.drain(..).rev().chain(sealed.into_iter().rev()) {
            match old {
                Some(old) => self.now.insert(key, old),
                None => self.now.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn abort_is_the_last_commit(steps in prop::collection::vec((0..6_u8, 0..8_u8, any::<u8>()), 0..80)) {
            let mut map = UndoMap::default();
            let (mut committed, mut sealed, mut open) = (BTreeMap::new(), None, BTreeMap::new());
            for (what, key, value) in steps {
                match what {
                    0 | 1 => prop_assert_eq!(map.insert(key, value), open.insert(key, value)),
                    2 => prop_assert_eq!(map.remove(&key), open.remove(&key)),
                    3 if sealed.is_none() => {
                        map.seal();
                        sealed = Some(open.clone());
                    }
                    4 => if let Some(state) = sealed.take() {
                        map.commit();
                        committed = state;
                    },
                    5 => {
                        map.abort();
                        sealed = None;
                        open = committed.clone();
                    }
                    _ => {}
                }
                prop_assert!(map.iter().eq(open.iter()));
                prop_assert_eq!(&map.committed(), &committed);
            }
        }
    }
}
