//! The clock.
//!
//! Rule: parts that are driven get the time from their driver ([`Now`]). Only the edge of the program reads the clock
//! ([`wall`]).

use crate::record::Millis;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, on two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Monotonic time since some start.
    pub mono: Duration,
    /// Milliseconds since 1970.
    pub wall: Millis,
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "where the program asks what time it is")]
pub fn wall() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as Millis)
}
