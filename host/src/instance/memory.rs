//! How the process keeps its memory.
//!
//! Rule: what was freed is used again. Chunks, batches and effects of some 100 KiB come and go thousands of times a second;
//! glibc would give each back to the system, and get it again page by page, cleared: a tenth of a worker's time.

/// Freed memory that an arena of the allocator keeps, at most, in bytes: more than a worker's chunks (16 MiB of fetched
/// records for each stream and task) and two epochs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEEP: libc::c_int = 128 << 20;

/// Larger pieces are mapped each for itself. It is the most that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: libc::c_int = 32 << 20;

/// Tells the allocator, once a process. Other systems' allocators do it by themselves.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets two numbers of the allocator, under its own lock. Refused, they stay as they are.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}
