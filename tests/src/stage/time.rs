//! The times of scenarios.

/// Milliseconds.
pub type Millis = i64;

/// 2020-12-16T00:00:00Z. The event times of scenarios begin here.
pub const START: Millis = 1_608_076_800_000;

/// A second, in milliseconds.
pub const SECOND: Millis = 1000;

/// A minute, in milliseconds.
pub const MINUTE: Millis = 60 * SECOND;

/// An hour, in milliseconds.
pub const HOUR: Millis = 60 * MINUTE;

/// A day, in milliseconds.
pub const DAY: Millis = 24 * HOUR;
