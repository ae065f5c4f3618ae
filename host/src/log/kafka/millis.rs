//! Lengths of time, as librdkafka takes them.

use std::time::Duration;

/// Milliseconds for librdkafka, rounded up. Never "for ever".
pub(super) fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}
