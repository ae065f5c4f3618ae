//! Memory that lives as long as a batch, for what is read from state and for text that the rules make.
//!
//! Rule: bytes that were handed out are not moved, changed or freed before [`Arena::reset`], which needs exclusive
//! access.
//!
//! It is not bumpalo, which can't adopt a vector without copying it, and which keeps its largest chunk at a reset, so that a
//! sandbox would keep the memory of its largest batch.

use std::cell::RefCell;

/// Size of a chunk. The copies of a batch of 512 inputs usually fit into one.
const CHUNK: usize = 64 * 1024;

/// An arena that grows, and that keeps its first chunk from batch to batch.
#[derive(Default)]
pub struct Arena {
    /// The last chunk is being filled, but never beyond its capacity. The others are full.
    chunks: RefCell<Vec<Vec<u8>>>,
    /// Vectors that were adopted without copying.
    adopted: RefCell<Vec<Vec<u8>>>,
}

impl Arena {
    /// Copies the bytes. The copy lives as long as the borrow of the arena.
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
        // SAFETY: there was room, so the chunk's memory has not moved. It never will, because a chunk grows only within
        // its capacity, and moving the `Vec` itself does not move its memory. It is freed or overwritten only by
        // `reset` and by the drop of the arena, and both need the borrow `'a` to be over. The range was written just
        // now, and later copies are written after it.
        unsafe { std::slice::from_raw_parts(chunk.as_ptr().add(start), bytes.len()) }
    }

    /// Like [`Arena::copy`], for text.
    pub(crate) fn text<'a>(&'a self, text: &str) -> &'a str {
        // SAFETY: these are the bytes of a `str`.
        unsafe { std::str::from_utf8_unchecked(self.copy(text.as_bytes())) }
    }

    /// Adopts a vector without copying it.
    pub(crate) fn adopt(&self, bytes: Vec<u8>) -> &[u8] {
        if bytes.is_empty() {
            return &[];
        }
        let (start, len) = (bytes.as_ptr(), bytes.len());
        self.adopted.borrow_mut().push(bytes);
        // SAFETY: the vector is not touched before `reset` or the drop of the arena, and both need the borrow of `self`
        // to be over. Moving the `Vec` itself does not move its memory.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Frees everything except the first chunk.
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

    /// Enough for several chunks, but Miri is slow.
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
