//! Maps. As in the encoding, they are arrays of (key, value), in the order in which they were written.

use super::array::Iter;
use super::{Array, Decoder, Malformed, Wire};
use std::fmt;

/// A map from text, decoded from a datum or made from a slice by [`Map::new`]. It is `Copy`. A look-up reads the
/// entries one by one.
#[derive(Clone, Copy)]
pub struct Map<'a, T> {
    entries: Array<'a, (&'a str, T)>,
}

impl<'a, T> Map<'a, T> {
    /// A map without entries.
    pub const EMPTY: Self = Map::new(&[]);

    /// A map with these entries. Their keys must differ, which is not checked.
    pub const fn new(entries: &'a [(&'a str, T)]) -> Self {
        Map {
            entries: Array::new(entries),
        }
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a, T: Wire<'a>> Map<'a, T> {
    /// The value of `key`. If the key comes several times, the last value counts, as in other languages.
    pub fn get(&self, key: &str) -> Option<T> {
        self.iter().filter(|(k, _)| *k == key).last().map(|(_, value)| value)
    }

    /// The entries, in order.
    pub fn iter(&self) -> Iter<'a, (&'a str, T)> {
        self.entries.iter()
    }
}

/// Encoding of a map's entry.
impl<'a, T: Wire<'a>> Wire<'a> for (&'a str, T) {
    const MIN: usize = T::MIN.saturating_add(1);
    #[inline]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        Ok((Wire::read(from)?, T::read(from)?))
    }
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Map<'a, T> {
    const MIN: usize = 1;
    #[inline]
    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        Ok(Map {
            entries: Wire::read(from)?,
        })
    }
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        self.entries.write(out)
    }
}

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Map::EMPTY
    }
}

impl<'a, T> From<&'a [(&'a str, T)]> for Map<'a, T> {
    fn from(entries: &'a [(&'a str, T)]) -> Self {
        Map::new(entries)
    }
}

impl<'a, T: Wire<'a>> IntoIterator for Map<'a, T> {
    type Item = (&'a str, T);
    type IntoIter = Iter<'a, (&'a str, T)>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Equal when the entries are, in the same order.
impl<'a, T: Wire<'a> + PartialEq> PartialEq for Map<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<'a, T: Wire<'a> + fmt::Debug> fmt::Debug for Map<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
