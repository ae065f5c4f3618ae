//! Arrays, as views that decode their items during iteration.
//!
//! A view's bytes were checked to their end when it was decoded, so that iterating can't fail. Items without bytes
//! (null, empty records) are counted and not read.

use super::{Decoder, Malformed, Wire, put_long};
use std::fmt;

/// Maximum number of items that take no bytes. Nobody needs more, and rules may loop over them.
const MAX_EMPTY_ITEMS: usize = 1 << 16;

/// An array, decoded from a datum or made from a slice by [`Array::new`]. It is `Copy`, and decodes its items during
/// iteration.
#[derive(Clone, Copy)]
pub struct Array<'a, T> {
    len: usize,
    items: Items<'a, T>,
}

#[derive(Clone, Copy)]
enum Items<'a, T> {
    /// The blocks of a datum, without the final count of zero. They were checked before.
    Blocks(&'a [u8]),
    Slice(&'a [T]),
}

impl<'a, T> Array<'a, T> {
    /// An array without items.
    pub const EMPTY: Self = Array::new(&[]);

    /// An array of these items.
    pub const fn new(items: &'a [T]) -> Self {
        Array {
            len: items.len(),
            items: Items::Slice(items),
        }
    }

    /// Number of items.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no items.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<'a, T: Wire<'a>> Array<'a, T> {
    /// The items, in order.
    pub fn iter(&self) -> Iter<'a, T> {
        let blocks = match self.items {
            Items::Blocks(bytes) => bytes,
            Items::Slice(_) => &[],
        };
        let slice = match self.items {
            Items::Blocks(_) => [].iter(),
            Items::Slice(items) => items.iter(),
        };
        Iter {
            left: self.len,
            block: 0,
            blocks: Decoder::new(blocks),
            slice,
        }
    }
}

/// The items of an [`Array`].
pub struct Iter<'a, T> {
    /// Number of items that are left.
    left: usize,
    /// How many of them are in the current block.
    block: u64,
    blocks: Decoder<'a>,
    slice: std::slice::Iter<'a, T>,
}

impl<'a, T: Wire<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some(item) = self.slice.next() {
            self.left -= 1;
            return Some(*item);
        }
        if self.left == 0 {
            return None;
        }
        if self.block == 0 {
            self.block = block(&mut self.blocks).ok()?.0;
        }
        self.left -= 1;
        self.block -= 1;
        T::read(&mut self.blocks).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Wire<'a>> ExactSizeIterator for Iter<'a, T> {}

/// Reads the head of a block: its count, and its size in bytes if that is given.
#[inline]
fn block(from: &mut Decoder<'_>) -> Result<(u64, Option<i64>), Malformed> {
    let count = from.long()?;
    let size = if count < 0 { Some(from.long()?) } else { None };
    Ok((count.unsigned_abs(), size))
}

impl<'a, T: Wire<'a>> Wire<'a> for Array<'a, T> {
    const MIN: usize = 1;

    fn read(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let all = from.rest();
        let mut len = 0;
        loop {
            let before = from.rest().len();
            let (count, size) = block(from)?;
            if count == 0 {
                let blocks = &all[..all.len() - before];
                return Ok(Array {
                    len,
                    items: Items::Blocks(blocks),
                });
            }
            let start = from.rest().len();
            let fit = start.checked_div(T::MIN).unwrap_or_else(|| MAX_EMPTY_ITEMS - len);
            let Some(count) = usize::try_from(count).ok().filter(|count| *count <= fit) else {
                return Err(Malformed::new("a count of items that are there"));
            };
            len += count;
            if T::MIN > 0 {
                for _ in 0..count {
                    T::read(from)?;
                }
            }
            if size.is_some_and(|size| size != (start - from.rest().len()) as i64) {
                return Err(Malformed::new("a block of the size that it says"));
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(self.len as i64, out);
            if T::MIN > 0 {
                self.iter().for_each(|item| item.write(out));
            }
        }
        out.push(0);
    }
}

impl<T> Default for Array<'_, T> {
    fn default() -> Self {
        Array::EMPTY
    }
}

impl<'a, T> From<&'a [T]> for Array<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Array::new(items)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Array<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        Array::new(items)
    }
}

impl<'a, T: Wire<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Arrays are equal if their items are, whatever they are stored in.
impl<'a, T: Wire<'a> + PartialEq> PartialEq for Array<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
