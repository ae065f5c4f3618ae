//! Names that are used nowhere else.

use std::sync::atomic::{AtomicU64, Ordering};

/// A name that is used nowhere else.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{count}", std::process::id())
}
