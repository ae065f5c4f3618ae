//! Settings of the memory allocator.
//!
//! Rule: freed memory is reused. Chunks, batches and effects of about 100 KiB are allocated and freed thousands of
//! times a second. glibc would return each to the system and get it again page by page, which would take a tenth of a
//! worker's time.

/// Maximum freed memory that an arena of the allocator keeps, in bytes. It is more than a worker's chunks (16 MiB of
/// fetched records for each stream and task) and two epochs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEEP: libc::c_int = 128 << 20;

/// Larger allocations are mapped separately. This is the maximum that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: libc::c_int = 32 << 20;

/// Sets up the allocator, once in a process. Other systems' allocators need no settings.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets two numbers of the allocator, under the allocator's lock. If they are refused, nothing changes.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}
