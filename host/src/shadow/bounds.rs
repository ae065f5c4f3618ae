//! How much memory a shadow may take on an instance.
//!
//! Rule: a shadow that needs more is dropped. The tasks never wait for it.

use std::sync::atomic::{AtomicI64, Ordering};

/// How much memory a shadow may take on an instance.
#[derive(Clone, Copy, Debug)]
pub struct ShadowLimits {
    /// Bytes of waiting tapes. 256 MiB are about 300,000 steps of 250 bytes with their live effects, which is two
    /// seconds of a busy instance that reads a backlog.
    pub queue: i64,
    /// Bytes of its own state. 512 MiB are the rows of about 500,000 keys.
    pub state: usize,
}

impl Default for ShadowLimits {
    fn default() -> ShadowLimits {
        ShadowLimits {
            queue: 256 << 20,
            state: 512 << 20,
        }
    }
}

/// The tapes that wait in the queues of all tasks of an instance.
pub struct Queued {
    bytes: AtomicI64,
    /// How many bytes may wait.
    pub most: i64,
}

impl Queued {
    /// An empty queue, in which at most this many bytes may wait.
    pub fn new(most: i64) -> Queued {
        let bytes = AtomicI64::new(0);
        Queued { bytes, most }
    }

    /// Notes that a tape of this many bytes waits. Returns how many bytes wait.
    pub fn add(&self, bytes: usize) -> i64 {
        self.change(bytes as i64)
    }

    /// Notes that a tape of this many bytes no longer waits.
    pub fn remove(&self, bytes: usize) {
        self.change(-(bytes as i64));
    }

    fn change(&self, by: i64) -> i64 {
        self.bytes.fetch_add(by, Ordering::AcqRel) + by
    }
}
