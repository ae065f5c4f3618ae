//! Memory for pages: blocks of 64-byte units, cut from large regions.
//!
//! Rule: a block has one owner from `take` to `give`. Its first two bytes are its size in units, which only the arena
//! writes. Freed blocks are reused by size and never returned to the system, because the first touch of a fresh page
//! costs more than everything else, and a task's state seldom shrinks.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

/// All block sizes are multiples of this: a cache line.
pub const UNIT: usize = 64;

/// The largest block.
pub const BLOCK_MAX: usize = 16 * 1024;

/// 2^15 units are 2 MiB: one huge page, if the system grants it.
const REGION_BITS: u32 = 15;
/// The first region is small, because most tasks in tests and demos are small.
const FIRST_REGION_UNITS: usize = 1 << 10;

#[cfg(all(target_os = "linux", not(miri)))]
const HUGE_PAGE: usize = 2 * 1024 * 1024;

struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a region is plain memory that only its arena points to.
unsafe impl Send for Region {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Region {}

impl Region {
    fn new(units: usize) -> Self {
        let size = units * UNIT;
        let layout = Layout::from_size_align(size, size).expect("a power of two below 4 MiB");
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        // Rows are read at random, and huge pages avoid most TLB misses. This is only a hint, and must come before the
        // first touch.
        #[cfg(all(target_os = "linux", not(miri)))]
        if size >= HUGE_PAGE {
            // SAFETY: the range is ours, and aligned to its size.
            unsafe { libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE) };
        }
        // SAFETY: as many bytes were allocated; from here on they are initialised.
        unsafe { start.as_ptr().write_bytes(0, size) };
        Self { start, layout }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Blocks by address. Address 0 is never used.
pub struct Arena {
    regions: Vec<Region>,
    /// Free blocks, by their size in units.
    free: Vec<Vec<u32>>,
    /// What is left of the newest region: the next free unit, and the number of free units.
    next: u32,
    rest: u32,
    used: usize,
}

impl Arena {
    pub fn new() -> Self {
        Self {
            regions: Vec::new(),
            free: vec![Vec::new(); BLOCK_MAX / UNIT + 1],
            next: 0,
            rest: 0,
            used: 0,
        }
    }

    /// Bytes taken from the system.
    pub fn reserved(&self) -> usize {
        self.regions.iter().map(|r| r.layout.size()).sum()
    }

    /// Bytes in blocks that are in use.
    pub fn used(&self) -> usize {
        self.used * UNIT
    }

    /// A block of at least `size` bytes. Its content is arbitrary.
    ///
    /// # Panics
    /// Above [`BLOCK_MAX`], or beyond 128 GiB for a task.
    pub fn take(&mut self, size: usize) -> u32 {
        let units = rounded(size.div_ceil(UNIT));
        self.used += units;
        if let Some(address) = self.free[units].pop() {
            return address;
        }
        if (self.rest as usize) < units {
            self.grow();
        }
        let address = self.next;
        self.next += units as u32;
        self.rest -= units as u32;
        self.bytes(address, 2)[..2].copy_from_slice(&(units as u16).to_le_bytes());
        address
    }

    /// Frees a block.
    pub fn give(&mut self, address: u32) {
        let units = self.block(address).len() / UNIT;
        self.used -= units;
        self.free[units].push(address);
    }

    /// The bytes of a block.
    #[inline]
    pub fn block(&self, address: u32) -> &[u8] {
        let start = self.start(address);
        // SAFETY: `start` gives the start of a block inside of a region that lives as long as `self`; the two bytes there
        // are its size (written in `take`, overwritten by nobody), so all of it lies in the region. Regions are zeroed, so
        // it is initialised. `&self` keeps writers out.
        unsafe {
            let units = u16::from_le_bytes([*start, *start.add(1)]);
            slice::from_raw_parts(start, units as usize * UNIT)
        }
    }

    /// The bytes of a block, for writing. The caller must not change the first two.
    #[inline]
    pub fn block_mut(&mut self, address: u32) -> &mut [u8] {
        let len = self.block(address).len();
        self.bytes(address, len)
    }

    /// Two blocks: one to read, the other to write.
    ///
    /// # Panics
    /// If they are the same block.
    #[inline]
    pub fn pair(&mut self, from: u32, to: u32) -> (&[u8], &mut [u8]) {
        assert_ne!(from, to, "a block can't be copied onto itself");
        let from: *const [u8] = self.block(from);
        // SAFETY: two blocks never overlap, and `&mut self` is held for both.
        (unsafe { &*from }, self.block_mut(to))
    }

    /// Prefetches the first lines of a block.
    #[inline]
    pub fn prefetch(&self, address: u32, lines: usize) {
        let start = self.start(address);
        for line in 0..lines {
            super::prefetch::prefetch(start.wrapping_add(line * UNIT));
        }
    }

    #[inline]
    fn bytes(&mut self, address: u32, len: usize) -> &mut [u8] {
        // SAFETY: as in `block`; `&mut self` keeps all others out.
        unsafe { slice::from_raw_parts_mut(self.start(address), len) }
    }

    #[inline]
    fn start(&self, address: u32) -> *mut u8 {
        let region = &self.regions[(address >> REGION_BITS) as usize];
        let offset = (address & ((1 << REGION_BITS) - 1)) as usize * UNIT;
        assert!(offset < region.layout.size(), "an address outside of its region");
        region.start.as_ptr().wrapping_add(offset)
    }

    #[cold]
    fn grow(&mut self) {
        // The rest of the newest region becomes free blocks.
        while self.rest > 0 {
            let units = (1..=self.rest.min((BLOCK_MAX / UNIT) as u32))
                .rev()
                .find(|&n| rounded(n as usize) == n as usize);
            let units = units.unwrap_or(1);
            self.bytes(self.next, 2).copy_from_slice(&(units as u16).to_le_bytes());
            self.free[units as usize].push(self.next);
            self.next += units;
            self.rest -= units;
        }
        let index = self.regions.len() as u32;
        assert!(
            index < 1 << (31 - REGION_BITS),
            "a task holds more than 128 GiB of state: use more partitions"
        );
        let units = (FIRST_REGION_UNITS << index.min(30)).min(1 << REGION_BITS);
        self.regions.push(Region::new(units));
        // Unit 0 of region 0 is left out, because address 0 means nothing.
        let skip = u32::from(index == 0);
        self.next = (index << REGION_BITS) + skip;
        self.rest = units as u32 - skip;
    }
}

/// Block sizes: steps of one unit up to 16 units, then eight steps for each doubling. Few sizes make reuse likely.
fn rounded(units: usize) -> usize {
    assert!(units > 0 && units <= BLOCK_MAX / UNIT, "no block has this size");
    match units {
        ..=16 => units,
        _ => units.next_multiple_of(1 << ((units - 1).ilog2() - 3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let mut arena = Arena::new();
        // Miri is slow.
        let last = if cfg!(miri) { 12 } else { 400 };
        let sizes: Vec<usize> = (1..last).map(|n| 1 + n * 7919 % BLOCK_MAX).collect();
        let blocks: Vec<u32> = sizes.iter().map(|&n| arena.take(n)).collect();
        for (n, &block) in blocks.iter().enumerate() {
            assert!(arena.block(block).len() >= sizes[n]);
            arena.block_mut(block)[2..].fill(n as u8);
        }
        for (n, &block) in blocks.iter().enumerate() {
            assert!(arena.block(block)[2..].iter().all(|&b| b == n as u8));
        }
        let (reserved, used) = (arena.reserved(), arena.used());
        blocks.iter().for_each(|&block| arena.give(block));
        assert_eq!(arena.used(), 0);
        sizes.iter().for_each(|&n| _ = arena.take(n));
        assert_eq!((arena.reserved(), arena.used()), (reserved, used));
    }
}
