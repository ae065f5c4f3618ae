//! Bytes that live as long as a batch: what is read from state, and text that the rules make.
//!
//! Rule: bytes that were handed out are never moved, changed or freed before [`Arena::reset`], which needs the arena alone.

use std::cell::RefCell;

/// Size of a chunk: the copies of a batch of 512 inputs mostly fit into one.
const CHUNK: usize = 64 * 1024;

/// Grows, and keeps its first chunk from batch to batch.
#[derive(Default)]
pub struct Arena {
    /// The last one is being filled, and never beyond its capacity; the others are full.
    chunks: RefCell<Vec<Vec<u8>>>,
    /// Vectors taken over whole.
    adopted: RefCell<Vec<Vec<u8>>>,
}

impl Arena {
    /// A copy that lives as long as the borrow of the arena.
    pub(crate) fn copy<'a>(&'a self, bytes: &[u8]) -> &'a [u8] {
        if bytes.is_empty() {
            return &[];
        }
        let mut chunks = self.chunks.borrow_mut();
        let room = chunks
            .last()
            .is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes.len());
        if !room {
            chunks.push(Vec::with_capacity(CHUNK.max(bytes.len())));
        }
        let last = chunks.len() - 1;
        let chunk = &mut chunks[last];
        let start = chunk.len();
        chunk.extend_from_slice(bytes);
        // SAFETY: there was room, so the chunk's memory did not move, and never will: a chunk grows only within its
        // capacity, and moving the `Vec` itself does not move its memory. It is freed or written again only by `reset`
        // and by the drop of the arena, both of which need the borrow `'a` to be over. The piece was written just now,
        // and later copies write behind it only.
        unsafe { std::slice::from_raw_parts(chunk.as_ptr().add(start), bytes.len()) }
    }

    /// Like [`Arena::copy`], for text.
    pub(crate) fn text<'a>(&'a self, text: &str) -> &'a str {
        // SAFETY: these are the bytes of a `str`.
        unsafe { std::str::from_utf8_unchecked(self.copy(text.as_bytes())) }
    }

    /// Takes over a vector without copying it.
    pub(crate) fn adopt(&self, bytes: Vec<u8>) -> &[u8] {
        if bytes.is_empty() {
            return &[];
        }
        let (start, len) = (bytes.as_ptr(), bytes.len());
        self.adopted.borrow_mut().push(bytes);
        // SAFETY: the vector is never touched again before `reset` or the drop of the arena, both of which need the
        // borrow of `self` to be over; moving the `Vec` itself does not move its memory.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Forgets everything. A chunk stays.
    pub(crate) fn reset(&mut self) {
        self.adopted.get_mut().clear();
        let chunks = self.chunks.get_mut();
        chunks.truncate(1);
        if let Some(chunk) = chunks.first_mut() {
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough for several chunks; Miri is slow.
    const COPIES: usize = if cfg!(miri) { 1500 } else { 3000 };

    #[test]
    fn what_was_handed_out_stays() {
        let mut arena = Arena::default();
        for _ in 0..2 {
            let taken = arena.adopt(vec![7; 100]);
            let copies: Vec<(usize, &[u8])> = (0..COPIES).map(|i| (i, arena.copy(&vec![i as u8; i % 97]))).collect();
            let big = arena.copy(&vec![9; CHUNK * 2]);
            for (i, copy) in copies {
                assert_eq!(copy, vec![i as u8; i % 97]);
            }
            assert_eq!((taken, big), (&[7; 100][..], &[9; CHUNK * 2][..]));
            arena.reset();
        }
    }
}
