//! Prefetching a cache line.

/// A walk prefetches slots this many rows ahead, and the rows themselves half as many ahead.
pub const AHEAD: usize = 16;

/// Prefetches a cache line. Any address is allowed, because it is only a hint.
#[inline]
pub fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = address;
}
