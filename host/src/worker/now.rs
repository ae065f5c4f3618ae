//! What time it is, as the driver of a worker says.

use crate::record::Millis;
use std::time::Duration;

/// One moment, by two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Time since some start; it never goes back.
    pub mono: Duration,
    /// Milliseconds since 1970.
    pub wall: Millis,
}
