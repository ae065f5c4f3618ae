//! The name by which a cell of the overlay is found.

use crate::wire::Span;

/// The name of a cell.
pub(super) struct Name<'n> {
    pub hash: u32,
    pub on: u32,
    pub key: Span,
    pub name: &'n [u8],
}

impl<'n> Name<'n> {
    #[inline]
    pub fn new(on: u32, key: Span, name: &'n [u8]) -> Name<'n> {
        Name {
            hash: hash(on, key, name),
            on,
            key,
            name,
        }
    }
}

#[inline]
pub(super) fn same(a: Span, b: Span) -> bool {
    (a.start, a.len) == (b.start, b.len)
}

/// Compares words. In Wasm, `==` on slices is a call that compares byte by byte.
#[inline]
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    let ((a_words, a_tail), (b_words, b_tail)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = || a_words.iter().zip(b_words);
    a.len() == b.len()
        && words().all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && a_tail.iter().zip(b_tail).all(|(a, b)| a == b)
}

/// FxHash of words. The high bits are the good ones.
#[inline]
fn hash(on: u32, key: Span, name: &[u8]) -> u32 {
    const K: u64 = 0x517c_c1b7_2722_0a95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(K);
    let mut hash = mix(
        mix(0, u64::from(key.start) << 32 | u64::from(key.len)),
        u64::from(on) << 32 | name.len() as u64,
    );
    let (words, tail) = name.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash = mix(hash, u64::from_le_bytes(last));
    }
    ((hash ^ hash >> 29).wrapping_mul(K) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::equal;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_is_equal(a in prop::collection::vec(0_u8..2, 0..20), b in prop::collection::vec(0_u8..2, 0..20)) {
            prop_assert_eq!(equal(&a, &b), a == b);
            prop_assert!(equal(&a, &a.clone()));
            for at in 0..a.len() {
                let mut other = a.clone();
                other[at] ^= 0x80;
                prop_assert!(!equal(&a, &other));
            }
        }
    }
}
